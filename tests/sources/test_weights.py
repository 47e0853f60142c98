"""Files of weights: read without running what is in them, unless the user says to."""

from __future__ import annotations

import argparse
import pickle
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn

from sam_toolkit.errors import ModelError
from sam_toolkit.sources import PythonModule, TorchvisionZoo
from sam_toolkit.sources.weights import read_state

RAN: list[str] = []
STATE = {"head.weight": torch.arange(6.0).reshape(2, 3)}


def note(word: str) -> str:
    """Remember that a file ran code."""
    RAN.append(word)
    return word


class _Runs:
    """An object that runs code when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return note, ("ran",)


@pytest.mark.parametrize("legacy", [True, False])
@pytest.mark.parametrize(
    ("extra", "named"),
    [
        (argparse.Namespace(lr=0.1), "argparse.Namespace"),
        (_Runs(), "test_weights.note"),
        (nn.Linear(1, 1), "torch.nn.modules.linear.Linear"),
    ],
)
def test_objects_are_unpickled_only_when_trusted(tmp_path: Path, extra: Any, named: str, legacy: bool) -> None:
    RAN.clear()
    path = tmp_path / "weights.pt"
    torch.save({"model": STATE, "args": extra}, path, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(ModelError, match=rf"weights\.pt hold .*\({named}\), which only unpickling.*trust_pickle: true"):
        read_state(path)
    assert not RAN
    assert torch.equal(read_state(path, trust_pickle=True)["head.weight"], STATE["head.weight"])
    assert len(RAN) == isinstance(extra, _Runs)


def test_what_dill_pickled_is_refused_and_asks_for_dill_when_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package, inner = ModuleType("dill"), ModuleType("dill._dill")
    exec("def _create_function(*parts): return parts", inner.__dict__)
    monkeypatch.setitem(sys.modules, "dill", package)
    monkeypatch.setitem(sys.modules, "dill._dill", inner)

    class Lambda:
        """A function, as dill pickles one."""

        def __reduce__(self) -> tuple[Any, ...]:
            return inner._create_function, ("code", "globals")

    path = tmp_path / "ResNet50_R.pt"
    torch.save({"model": STATE, "schedule": {"lr_lambdas": [Lambda()]}}, path)
    with pytest.raises(ModelError, match=r"\(dill\._dill\._create_function\).*trust_pickle: true"):
        read_state(path)
    assert set(read_state(path, trust_pickle=True)) == set(STATE)
    monkeypatch.setitem(sys.modules, "dill", None)
    monkeypatch.setitem(sys.modules, "dill._dill", None)
    with pytest.raises(ModelError, match=r"need a Python package to be unpickled \(.*dill.*\): install it"):
        read_state(path, trust_pickle=True)


@pytest.mark.parametrize("trust", [True, False])
def test_a_pickle_that_is_no_checkpoint_is_not_run(tmp_path: Path, trust: bool) -> None:
    RAN.clear()
    path = tmp_path / "weights.pt"
    path.write_bytes(pickle.dumps({"state_dict": _Runs()}, protocol=2))
    with pytest.raises(ModelError, match=r"no \.safetensors file or checkpoint of PyTorch"):
        read_state(path, trust_pickle=trust)
    assert not RAN


def test_a_network_that_was_saved_whole_gives_its_weights(tmp_path: Path) -> None:
    network = nn.Linear(3, 2)
    for checkpoint in (network, {"model": network}):
        torch.save(checkpoint, tmp_path / "whole.pt")
        state = read_state(tmp_path / "whole.pt", trust_pickle=True)
        assert torch.equal(state["weight"], network.weight)


@pytest.mark.parametrize("source", [TorchvisionZoo, PythonModule])
def test_a_study_says_trust_pickle(source: Any) -> None:
    assert source.Params.model_fields["trust_pickle"].default is False


def test_trust_reaches_the_file(tmp_path: Path) -> None:
    models = pytest.importorskip("torchvision.models")
    state = models.squeezenet1_0(num_classes=3).state_dict()
    torch.save({"state_dict": state, "args": argparse.Namespace()}, tmp_path / "squeezed.pt")
    fields = {"weights": tmp_path / "squeezed.pt", "classes": 3}
    with pytest.raises(ModelError, match="trust_pickle: true"):
        TorchvisionZoo(**fields).load("squeezenet1_0")
    loaded = TorchvisionZoo(**fields, trust_pickle=True).load("squeezenet1_0")
    assert torch.equal(loaded.module.state_dict()["classifier.1.bias"], state["classifier.1.bias"])


@pytest.mark.parametrize("ending", ["pth", "safetensors"])
@pytest.mark.parametrize("trust", [True, False])
def test_files_that_are_no_weights_are_refused(tmp_path: Path, ending: str, trust: bool) -> None:
    torch.save(STATE, tmp_path / "whole.pth")
    path = tmp_path / f"weights.{ending}"
    for content in (b"", b"no weights at all", (tmp_path / "whole.pth").read_bytes()[:300]):
        path.write_bytes(content)
        with pytest.raises(ModelError, match=rf"weights\.{ending} cannot be read \(.+\): the file is damaged"):
            read_state(path, trust_pickle=trust)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([1, 2, 3], "hold no tensors by name; got a list"),
        ({"epoch": 3}, "got a dict with 'epoch'"),
        ({"state_dict": {}, "epoch": 3}, "got a dict"),
    ],
)
def test_files_without_tensors_are_refused(tmp_path: Path, content: object, said: str) -> None:
    torch.save(content, tmp_path / "weights.pth")
    with pytest.raises(ModelError, match=said):
        read_state(tmp_path / "weights.pth")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no file of weights .*mine\.pth"):
        read_state(tmp_path / "mine.pth")

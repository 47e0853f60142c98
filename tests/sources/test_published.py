"""Published weights are known by their content, so that those of two recipes are told apart."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from sam_toolkit.errors import ComponentError, ModelError
from sam_toolkit.model import Model
from sam_toolkit.sources import TorchvisionZoo

models = pytest.importorskip("torchvision.models")
NAME = "mobilenet_v3_large"
RESIZES = {"IMAGENET1K_V1": 256, "IMAGENET1K_V2": 232}


@pytest.fixture
def publish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Return a function that saves weights as those that torchvision published, under its kind of name."""
    published = models.get_model_weights(NAME)

    def save(member: str) -> Path:
        path = tmp_path / member
        torch.save({**TorchvisionZoo(weights="random").load(NAME).module.state_dict()}, path)
        path.write_bytes(path.read_bytes() + member.encode())
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        path = path.rename(tmp_path / f"{NAME}-{digest[:8]}.pth")
        monkeypatch.setattr(published[member].value, "url", f"https://example.org/models/{path.name}")
        return path

    return save


def _resize(model: Model) -> object:
    assert model.preprocessing is not None
    return model.preprocessing.resize


@pytest.mark.parametrize("member", RESIZES)
def test_a_published_file_is_known_whatever_its_name(publish: Callable[[str], Path], member: str) -> None:
    path = publish(member)
    assert _resize(TorchvisionZoo(weights=path).load(NAME)) == RESIZES[member]
    renamed = path.rename(path.with_name("mine.pth"))
    assert _resize(TorchvisionZoo(weights=renamed).load(NAME)) == RESIZES[member]
    assert _resize(TorchvisionZoo(weights=renamed, preset=member).load(NAME)) == RESIZES[member]


def test_a_file_that_its_name_or_the_study_takes_for_another_is_refused(publish: Callable[[str], Path]) -> None:
    first, second = publish("IMAGENET1K_V1"), publish("IMAGENET1K_V2")
    with pytest.raises(ModelError, match="are IMAGENET1K_V1, but `preset` says IMAGENET1K_V2"):
        TorchvisionZoo(weights=first, preset="IMAGENET1K_V2").load(NAME)
    first.write_bytes(second.read_bytes())
    with pytest.raises(ModelError, match=r"are not IMAGENET1K_V1, which their name says.* is that of IMAGENET1K_V2"):
        TorchvisionZoo(weights=first).load(NAME)
    first.write_bytes(second.read_bytes() + b" ")
    with pytest.raises(ModelError, match=r"are not IMAGENET1K_V1.* is of no published file.*a name of your own"):
        TorchvisionZoo(weights=first).load(NAME)


def test_the_weights_of_the_papers_time_are_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "resnet50-old.pth"
    torch.save(TorchvisionZoo(weights="random").load("resnet50").module.state_dict(), path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setattr("sam_toolkit.sources.published._SUPERSEDED", {digest[:8]: "IMAGENET1K_V1"})
    assert _resize(TorchvisionZoo(weights=path).load("resnet50")) == 256


def test_an_unknown_file_needs_what_published_ones_differ_in(tmp_path: Path) -> None:
    path = tmp_path / "mine.pth"
    torch.save(TorchvisionZoo(weights="random").load(NAME).module.state_dict(), path)
    with pytest.raises(
        ModelError,
        match=r"of mobilenet_v3_large is not known.*IMAGENET1K_V1 resize 256; IMAGENET1K_V2 resize 232.*"
        r"`preset: IMAGENET1K_V1`, or give `preprocessing: \{resize: \.\.\.\}`",
    ):
        TorchvisionZoo(weights=path).load(NAME)
    for member, resize in RESIZES.items():
        assert _resize(TorchvisionZoo(weights=path, preset=member).load(NAME)) == resize
    squashed = TorchvisionZoo(weights=path, preprocessing={"resize": [256, 256]}).load(NAME)
    assert _resize(squashed) == (256, 256)


def test_an_unknown_file_of_a_single_recipe_needs_nothing(tmp_path: Path) -> None:
    torch.save(TorchvisionZoo(weights="random").load("squeezenet1_0").module.state_dict(), tmp_path / "mine.pth")
    assert _resize(TorchvisionZoo(weights=tmp_path / "mine.pth").load("squeezenet1_0")) == 256


def test_a_preset_that_is_none_is_refused() -> None:
    with pytest.raises(ModelError, match=r"squeezenet1_0 has no preset 'IMAGENET1K_V2'.*Did you mean 'IMAGENET1K_V1'"):
        TorchvisionZoo(weights="random", preset="IMAGENET1K_V2").load("squeezenet1_0")
    with pytest.raises(ComponentError, match="preset"):
        TorchvisionZoo(preset="V2")

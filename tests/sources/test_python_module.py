"""Networks from a user's own code: built, filled with weights, checked, and never changed in place."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from sam_toolkit.errors import ComponentError, ModelError
from sam_toolkit.sources import PythonModule

CODE = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, channels=3, classes=4):
        super().__init__()
        self.conv = nn.Conv2d(channels, 6, 3)
        self.head = nn.Linear(6, classes)

    def forward(self, x):
        return self.head(self.conv(x).relu().mean((2, 3)))

def grey():
    return Net(channels=1)

def broken():
    raise KeyError("nothing here")

def needs_an_argument(width):
    return Net()

def not_a_network():
    return 7

def pair():
    class Pair(Net):
        def forward(self, x):
            return (super().forward(x), x)
    return Pair()

instance = Net()
number = 7
"""
SMALL = {"crop": 16, "resize": 20}


@pytest.fixture(autouse=True)
def _importable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "users_nets.py").write_text(CODE)
    (tmp_path / "users_broken.py").write_text("import a_package_that_is_missing")
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.parametrize("attribute", ["Net", "instance"])
def test_a_class_and_a_network_are_loaded(attribute: str) -> None:
    source = PythonModule(module=f"users_nets:{attribute}", preprocessing=SMALL, categories=["a", "b", "c", "d"])
    first, second = (source.load("python") for _ in range(2))
    images = torch.rand(2, 3, 16, 16)
    assert first.logits(first.inputs(images)).shape == (2, 4)
    assert first.category(3) == "d (3)"
    assert first.counted.forward == 2
    assert first.module is not second.module
    assert first.fingerprint == second.fingerprint


def test_the_network_of_the_module_is_left_as_it_was() -> None:
    import users_nets  # type: ignore[import-not-found]  # noqa: PLC0415 - written by the fixture

    PythonModule(module="users_nets:instance", preprocessing=SMALL).load("python")
    assert users_nets.instance.training
    assert all(parameter.requires_grad for parameter in users_nets.instance.parameters())


def test_initial_weights_follow_the_seed_and_not_the_generator() -> None:
    before = torch.get_rng_state()
    prints = [
        PythonModule(module="users_nets:Net", seed=s, preprocessing=SMALL).load("python").fingerprint for s in (0, 1)
    ]
    assert prints[0] != prints[1]
    assert torch.equal(torch.get_rng_state(), before)


def test_weights_come_from_a_file(tmp_path: Path) -> None:
    source = PythonModule(module="users_nets:Net", seed=5, preprocessing=SMALL)
    trained = source.load("python")
    torch.save(
        {"state_dict": {f"module.{k}": v for k, v in trained.module.state_dict().items()}},
        tmp_path / "net.pth",
    )
    loaded = PythonModule(module="users_nets:Net", weights=tmp_path / "net.pth", preprocessing=SMALL).load("python")
    assert loaded.fingerprint == trained.fingerprint
    with pytest.raises(
        ModelError,
        match=r"net\.pth \(read as: DataParallel\) do not fit Net: conv\.weight is \[6, 3, 3, 3\] in the file",
    ):
        PythonModule(module="users_nets:grey", weights=tmp_path / "net.pth").load("python")


def test_grey_networks_take_one_channel() -> None:
    grey = {**SMALL, "mean": [0.5], "std": [0.5]}
    model = PythonModule(module="users_nets:grey", preprocessing=grey).load("python")
    assert model.predict(torch.rand(1, 1, 16, 16)).shape == (1,)
    with pytest.raises(ModelError, match=r"cannot take images \[1, 3, 16, 16\].*as many values of `mean`"):
        PythonModule(module="users_nets:grey", preprocessing=SMALL).load("python")


def test_class_names_come_from_a_file(tmp_path: Path) -> None:
    names = tmp_path / "names.txt"
    names.write_text("cat\ndog\nbird\nfish\n")
    model = PythonModule(module="users_nets:Net", preprocessing=SMALL, categories=names).load("python")
    assert model.categories == ("cat", "dog", "bird", "fish")
    names.write_text("cat\ndog\n")
    with pytest.raises(ModelError, match="2 class names for 4 classes"):
        PythonModule(module="users_nets:Net", preprocessing=SMALL, categories=names).load("python")
    with pytest.raises(ModelError, match=r"nothing\.txt"):
        PythonModule(module="users_nets:Net", preprocessing=SMALL, categories=tmp_path / "nothing.txt").load("python")


@pytest.mark.parametrize(
    ("module", "said"),
    [
        ("no_such_module:Net", r"'no_such_module' cannot be imported \(ModuleNotFoundError.*PYTHONPATH"),
        ("users_broken:Net", "'users_broken' cannot be imported.*a_package_that_is_missing"),
        ("users_nets:Nett", "has no 'Nett'. Did you mean 'Net'"),
        ("users_nets:broken", "KeyError: 'nothing here'"),
        ("users_nets:needs_an_argument", "without arguments.*TypeError.*width"),
        ("users_nets:not_a_network", r"must be or return a torch\.nn\.Module; got int"),
        ("users_nets:number", "'int' object is not callable"),
        ("users_nets:pair", r"must return logits \[N, K\].*got tuple"),
    ],
)
def test_code_that_gives_no_classifier_is_named(module: str, said: str) -> None:
    with pytest.raises(ModelError, match=said):
        PythonModule(module=module, preprocessing=SMALL).load("python")


@pytest.mark.parametrize("module", ["users_nets", "users_nets:", ":Net", "users nets:Net", "./nets.py:Net"])
def test_a_path_that_names_no_attribute_is_refused(module: str) -> None:
    with pytest.raises(ComponentError, match="module: "):
        PythonModule(module=module)

"""Classifiers of torchvision with random weights, with weights from files, and with files that do not fit."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import urllib.error
from pathlib import Path
from typing import Any, NoReturn

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from sam_toolkit.errors import ComponentError, ModelError
from sam_toolkit.model import Model
from sam_toolkit.sources import TorchvisionZoo

models = pytest.importorskip("torchvision.models")


@pytest.fixture(scope="module")
def random() -> Model:
    """Return a ResNet-18 of random weights."""
    return TorchvisionZoo(weights="random", seed=3).load("resnet18")


@pytest.fixture(scope="module")
def images() -> Tensor:
    """Return two images of noise."""
    return torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def _logits(model: Model, images: Tensor) -> Tensor:
    model.faster = False  # nothing but the module itself is equal to the last bit
    return model.logits(model.inputs(images))


def test_names_are_the_classifiers_that_torchvision_lists() -> None:
    assert TorchvisionZoo.names() == tuple(models.list_models(module=models))


def test_names_need_no_import_of_torchvision() -> None:
    code = (
        "import sys; from sam_toolkit.sources.torchvision_zoo import TorchvisionZoo; "
        "assert 'resnet50' in TorchvisionZoo.names() and 'torchvision' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_random_weights_follow_the_seed_and_nothing_else(random: Model, images: Tensor) -> None:
    before = torch.get_rng_state()
    torch.manual_seed(11)
    again = TorchvisionZoo(weights="random", seed=3).load("resnet18")
    after = torch.get_rng_state()
    torch.manual_seed(11)
    assert torch.equal(torch.get_rng_state(), after)
    torch.set_rng_state(before)
    assert again.fingerprint == random.fingerprint
    assert TorchvisionZoo(weights="random", seed=4).load("resnet18").fingerprint != random.fingerprint
    torch.manual_seed(3)
    expected = models.resnet18().eval()
    torch.set_rng_state(before)
    assert torch.equal(_logits(random, images), expected(random.inputs(images)))


@pytest.mark.parametrize("form", ["pth", "safetensors", "state_dict", "model", "parallel"])
def test_weights_that_were_saved_come_back(tmp_path: Path, form: str, random: Model, images: Tensor) -> None:
    state = random.module.state_dict()
    path = tmp_path / ("weights.safetensors" if form == "safetensors" else "weights.pth")
    if form == "safetensors":
        save_file(state, path)
    elif form in ("state_dict", "model"):
        torch.save({form: state, "epoch": 3, "arch": "resnet18"}, path)
    elif form == "parallel":
        torch.save({f"module.{key}": value for key, value in state.items()}, path)
    else:
        torch.save(state, path)
    loaded = TorchvisionZoo(weights=path).load("resnet18")
    assert torch.equal(_logits(loaded, images), _logits(random, images))
    assert loaded.fingerprint == random.fingerprint


def test_files_without_versions_load_into_networks_that_ask_for_them(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = models.mnasnet0_5().eval()
    save_file(network.state_dict(), tmp_path / "mnasnet.safetensors")
    loaded = TorchvisionZoo(weights=tmp_path / "mnasnet.safetensors").load("mnasnet0_5")
    inputs = torch.rand(1, 3, 64, 64)
    assert torch.equal(loaded.module(inputs), network(inputs))


def test_another_number_of_classes_is_asked_for(tmp_path: Path, images: Tensor) -> None:
    path = tmp_path / "ten.pth"
    torch.save(models.resnet18(num_classes=10).state_dict(), path)
    with pytest.raises(
        ModelError, match=r"fc\.weight is \[10, 512\] in the file and \[1000, 512\].*`classes: 10` in a study"
    ):
        TorchvisionZoo(weights=path).load("resnet18")
    loaded = TorchvisionZoo(weights=path, classes=10, categories=list("abcdefghij")).load("resnet18")
    assert _logits(loaded, images).shape == (2, 10)
    assert loaded.category(9) == "j (9)"
    assert TorchvisionZoo(weights=path, classes=10).load("resnet18").categories == ()
    with pytest.raises(ModelError, match="3 class names for 10 classes"):
        TorchvisionZoo(weights=path, classes=10, categories=["a", "b", "c"]).load("resnet18")


def _preset(model: Model) -> tuple[Any, ...]:
    preprocessing = model.preprocessing
    assert preprocessing is not None
    return preprocessing.crop, preprocessing.resize, preprocessing.interpolation


def test_preprocessing_is_that_of_the_weights(random: Model) -> None:
    assert _preset(random) == (224, 256, "bilinear")
    assert _preset(TorchvisionZoo(weights="random").load("efficientnet_b0")) == (224, 256, "bicubic")
    assert _preset(TorchvisionZoo(weights="random", preset="IMAGENET1K_V1").load("mobilenet_v2")) == (
        224,
        256,
        "bilinear",
    )


def test_a_vision_transformer_is_built_for_the_crop() -> None:
    model = TorchvisionZoo(weights="random", preprocessing={"crop": 64, "resize": 72}).load("vit_b_32")
    assert model.predict(torch.rand(1, 3, 64, 64)).shape == (1,)


def test_the_preprocessing_can_be_changed_and_must_agree_with_itself() -> None:
    changes = {
        "crop": 32,
        "resize": "none",
        "interpolation": "bicubic",
        "mean": [0.5] * 3,
        "std": [0.25] * 3,
        "clamp": True,
    }
    preprocessing = TorchvisionZoo(weights="random", preprocessing=changes).load("resnet18").preprocessing
    assert preprocessing is not None
    assert (preprocessing.crop, preprocessing.resize, preprocessing.interpolation) == (32, None, "bicubic")
    assert (preprocessing.mean, preprocessing.std, preprocessing.clamp) == ((0.5,) * 3, (0.25,) * 3, True)
    with pytest.raises(ModelError, match=r"mean \[0.5\] and std \[0.229"):
        TorchvisionZoo(weights="random", preprocessing={"mean": [0.5]}).load("resnet18")
    with pytest.raises(ModelError, match=r"resizes to 100, smaller than its crop of 224"):
        TorchvisionZoo(weights="random", preprocessing={"resize": 100}).load("resnet18")
    with pytest.raises(ComponentError, match=r"preprocessing\.std"):
        TorchvisionZoo(preprocessing={"std": [0, 1, 1]})
    with pytest.raises(ComponentError, match=r"preprocessing\.size"):
        TorchvisionZoo(preprocessing={"size": 224})


def test_another_architecture_is_told_by_its_first_keys(tmp_path: Path, random: Model) -> None:
    torch.save(random.module.state_dict(), tmp_path / "resnet18.pth")
    with pytest.raises(
        ModelError,
        match=r"resnet18\.pth of squeezenet1_0 do not fit SqueezeNet: "
        r"52 of 52 missing: features\.0\.weight, .*, .* and 49 more; "
        r"122 of 122 unexpected: conv1\.weight, .*, .* and 119 more",
    ):
        TorchvisionZoo(weights=tmp_path / "resnet18.pth").load("squeezenet1_0")
    with pytest.raises(
        ModelError, match=r"layer1\.0\.conv1\.weight is \[64, 64, 3, 3\] in the file and \[64, 64, 1, 1\]"
    ):
        TorchvisionZoo(weights=tmp_path / "resnet18.pth").load("resnet50")


def test_missing_files_and_unknown_names_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no file of weights .*mine\.pth"):
        TorchvisionZoo(weights=tmp_path / "mine.pth").load("resnet18")
    with pytest.raises(ModelError, match=r"resnet18 has no weights 'IMAGENET1K_V9'.*Did you mean 'IMAGENET1K_V1'"):
        TorchvisionZoo(weights=tmp_path / "IMAGENET1K_V9").load("resnet18")
    with pytest.raises(ModelError, match="resnet18 has no weights 'IMAGENET1K_V2'"):
        TorchvisionZoo(weights="IMAGENET1K_V2").load("resnet18")
    with pytest.raises(ModelError, match=r"no classifier 'resnet51'.*Did you mean 'resnet"):
        TorchvisionZoo().load("resnet51")


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Return the folder of downloaded weights, empty, on a machine without the internet."""

    def refuse(*_: object, **__: object) -> NoReturn:
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub/checkpoints"
    folder.mkdir(parents=True)
    return folder


@pytest.mark.parametrize("weights", ["default", "IMAGENET1K_V1"])
def test_offline_it_says_which_file_to_bring(offline: Path, weights: str) -> None:
    with pytest.raises(ModelError, match=rf"IMAGENET1K_V1 of resnet18.*no route to host.*put that file into {offline}"):
        TorchvisionZoo(weights=weights).load("resnet18")


def test_a_file_that_was_brought_is_loaded(offline: Path, random: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save(random.module.state_dict(), offline / "saved")
    digest = hashlib.sha256((offline / "saved").read_bytes()).hexdigest()
    file = (offline / "saved").rename(offline / f"resnet18-{digest[:8]}.pth")
    monkeypatch.setattr(models.ResNet18_Weights.IMAGENET1K_V1.value, "url", f"https://example.org/{file.name}")
    loaded = TorchvisionZoo().load("resnet18")
    assert loaded.fingerprint == random.fingerprint
    assert loaded.category(967) == "espresso (967)"
    file.write_bytes(b"junk")
    with pytest.raises(ModelError, match=r"are not IMAGENET1K_V1, which their name says.*of no published file"):
        TorchvisionZoo().load("resnet18")


def test_it_is_ready_to_explain(random: Model) -> None:
    assert isinstance(random.module, nn.Module)
    assert not random.module.training
    assert not any(parameter.requires_grad for parameter in random.module.parameters())

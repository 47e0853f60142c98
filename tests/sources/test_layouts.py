"""Checkpoints in every known layout give the logits of the network that was saved, or say what does not fit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from sam_toolkit.errors import ModelError
from sam_toolkit.images import Preprocessing
from sam_toolkit.model import Model
from sam_toolkit.sources import PythonModule, TorchvisionZoo
from sam_toolkit.sources.layouts import Normaliser
from sam_toolkit.sources.weights import fill, read_state

models = pytest.importorskip("torchvision.models")
IMAGES = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 0.5


class _Normalize(nn.Module):
    """The robustness library's normaliser: it clamps to [0, 1] first."""

    def __init__(self, mean: list[float], std: list[float]) -> None:
        super().__init__()
        self.register_buffer("new_mean", torch.tensor(mean)[:, None, None])
        self.register_buffer("new_std", torch.tensor(std)[:, None, None])

    def forward(self, images: Tensor) -> Tensor:
        return (images.clamp(0, 1) - self.new_mean) / self.new_std


class _AttackerModel(nn.Module):
    """The robustness library's wrapper, with the classifier in it twice."""

    def __init__(self, model: nn.Module, mean: list[float], std: list[float]) -> None:
        super().__init__()
        self.normalizer = _Normalize(mean, std)
        self.model = model
        self.attacker = nn.Module()
        self.attacker.normalize = _Normalize(mean, std)
        self.attacker.model = model

    def forward(self, images: Tensor) -> Tensor:
        return self.model(self.normalizer(images))


def _network(name: str, **options: Any) -> nn.Module:
    """Return a network of random weights and random batch statistics, in evaluation mode."""
    with torch.random.fork_rng():
        torch.manual_seed(7)
        network: nn.Module = getattr(models, name)(**options)
        network(torch.randn(2, 3, 64, 64))
    return network.eval()


def _robust(network: nn.Module, std: float = 0.25) -> _AttackerModel:
    return _AttackerModel(network, [0.485, 0.456, 0.406], [0.2, std, 0.3]).eval()


def _logits(model: Model, images: Tensor = IMAGES) -> Tensor:
    model.faster = False  # nothing but the module itself is equal to the last bit
    return model.logits(model.inputs(images))


@pytest.fixture(scope="module")
def resnet18() -> nn.Module:
    """Return a small classifier of random weights."""
    return _network("resnet18")


@pytest.mark.parametrize(("wrapper", "parallel"), [("model", True), ("state_dict", False)])
def test_a_robustness_checkpoint_gives_the_logits_of_its_wrapper(
    tmp_path: Path, wrapper: str, parallel: bool, resnet18: nn.Module
) -> None:
    robust = _robust(resnet18)
    saved = nn.DataParallel(robust) if parallel else robust
    optimiser = torch.optim.SGD(saved.parameters(), lr=0.1)
    extra = {"optimizer": optimiser.state_dict(), "schedule": {"last_epoch": 3}, "epoch": 3, "amp": None}
    torch.save({wrapper: saved.state_dict(), **extra}, tmp_path / "robust.pt")
    loaded = TorchvisionZoo(weights=tmp_path / "robust.pt").load("resnet18")
    assert torch.equal(_logits(loaded), robust(IMAGES))
    assert loaded.preprocessing == Preprocessing(
        mean=(0.485, 0.456, 0.406), std=(0.2, 0.25, 0.3), clamp=True, crop=224, resize=256
    )


def test_resnet50_r_loads_from_a_file_of_its_real_layout(tmp_path: Path) -> None:
    robust = _robust(_network("resnet50"))
    state = nn.DataParallel(robust).state_dict()
    assert len(state) == 644
    torch.save({"model": state, "epoch": 105}, tmp_path / "ResNet50_R.pt")
    loaded = TorchvisionZoo(weights=tmp_path / "ResNet50_R.pt").load("resnet50")
    assert torch.equal(_logits(loaded), robust(IMAGES))


@pytest.mark.parametrize("aux", [True, False])
def test_googlenet_r_loads_from_its_own_names(tmp_path: Path, aux: bool) -> None:
    robust = _robust(_network("googlenet", aux_logits=aux, transform_input=True, init_weights=False))
    state = nn.DataParallel(robust).state_dict()
    renamed = {key.replace("branch4.1.", "branch4_conv."): value for key, value in state.items()}
    assert len(set(renamed) - set(state)) == 2 * 54
    torch.save({"model": renamed}, tmp_path / "GoogLeNet_R.pt")
    loaded = TorchvisionZoo(weights=tmp_path / "GoogLeNet_R.pt").load("googlenet")
    assert torch.equal(_logits(loaded), robust(IMAGES))


@pytest.mark.parametrize("legacy", [True, False])
@pytest.mark.parametrize(
    "wrapped",
    [
        lambda state: state,
        lambda state: {f"module.{key}": value for key, value in state.items()},
        lambda state: {f"module._orig_mod.{key}": value for key, value in state.items()},
        lambda state: {"state_dict": {f"model.module.{key}": value for key, value in state.items()}},
        lambda state: {"model_state_dict": state, "loss": 0.5},
        lambda state: {"model": {**state, "calls": 3}},
    ],
)
def test_wrapped_names_are_unwrapped(
    tmp_path: Path, wrapped: Callable[[dict[str, Tensor]], dict[str, Any]], legacy: bool
) -> None:
    saved, other = (nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).eval() for _ in range(2))
    path = tmp_path / "weights.pth"
    torch.save(wrapped(saved.state_dict()), path, _use_new_zipfile_serialization=not legacy)
    assert fill(other, read_state(path), "weights") is None
    assert torch.equal(other(IMAGES), saved(IMAGES))


@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod."])
def test_safetensors_are_read_in_every_layout(tmp_path: Path, prefix: str) -> None:
    robust = _robust(nn.Conv2d(3, 4, 3))
    state = {prefix + key: value for key, value in robust.state_dict().items() if not key.startswith("attacker.")}
    save_file(state, tmp_path / "robust.safetensors")
    network = nn.Conv2d(3, 4, 3)
    normaliser = fill(network, read_state(tmp_path / "robust.safetensors"), "weights")
    assert normaliser == Normaliser((0.485, 0.456, 0.406), (0.2, 0.25, 0.3))
    assert torch.equal(network.weight, robust.model.weight)


def test_a_network_that_normalises_itself_is_not_normalised_twice() -> None:
    saved, other = _robust(nn.Conv2d(3, 4, 3)), _robust(nn.Conv2d(3, 4, 3))
    assert fill(other, nn.DataParallel(saved).state_dict(), "weights") is None
    assert torch.equal(other(IMAGES), saved(IMAGES))


def test_auxiliary_heads_are_left_out_unless_the_network_has_them() -> None:
    heads = {"aux1.weight": torch.ones(2, 3), "AuxLogits.fc.bias": torch.ones(2)}
    saved, other = nn.Linear(3, 2), nn.Linear(3, 2)
    fill(other, {**saved.state_dict(), **heads}, "weights")
    assert torch.equal(other.weight, saved.weight)
    with_head = nn.ModuleDict({"aux1": nn.Linear(3, 2, bias=False)})
    fill(with_head, {"aux1.weight": heads["aux1.weight"]}, "weights")
    assert torch.equal(with_head["aux1"].weight, heads["aux1.weight"])


def test_the_old_names_of_densenet_layers_are_understood() -> None:
    saved, other = (models.DenseNet(8, (2, 2), 16, num_classes=5).eval() for _ in range(2))
    old = {}
    for key, value in saved.state_dict().items():
        head, _, layer = key.rpartition(".denselayer")
        for new in ("norm1", "conv1", "norm2", "conv2"):
            layer = layer.replace(f"{new}.", f"{new[:-1]}.{new[-1]}.")
        old[f"{head}.denselayer{layer}" if head else key] = value
    assert set(old) != set(saved.state_dict())
    fill(other, old, "weights")
    assert torch.equal(other(IMAGES), saved(IMAGES))


def test_weights_from_before_batches_were_counted_load() -> None:
    saved, other = (nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).eval() for _ in range(2))
    saved[1].running_mean += 0.5
    old = {key: value for key, value in saved.state_dict().items() if not key.endswith("num_batches_tracked")}
    fill(other, old, "weights")
    assert torch.equal(other(IMAGES), saved(IMAGES))


CODE = """
from torch import nn

def small():
    return nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(12, 5))

class Wrapper(nn.Module):
    def __init__(self):
        super().__init__()
        self.model = small()

    def forward(self, x):
        return self.model(x)
"""


@pytest.fixture
def users_wrapper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a module of a user's networks, one of which holds the other as `model`."""
    (tmp_path / "users_wrapper.py").write_text(CODE)
    monkeypatch.syspath_prepend(tmp_path)
    return pytest.importorskip("users_wrapper")


def test_a_robust_network_of_the_users_takes_its_normaliser_along(tmp_path: Path, users_wrapper: Any) -> None:
    robust = _robust(users_wrapper.small())
    torch.save({"model": nn.DataParallel(robust).state_dict()}, tmp_path / "cifar.pt")
    source = PythonModule(module="users_wrapper:small", weights=tmp_path / "cifar.pt", preprocessing={"crop": 64})
    assert torch.equal(_logits(source.load("python")), robust(IMAGES))


@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_network_whose_own_names_look_wrapped_keeps_them(tmp_path: Path, users_wrapper: Any, prefix: str) -> None:
    network = users_wrapper.Wrapper().eval()
    torch.save({prefix + key: value for key, value in network.state_dict().items()}, tmp_path / "own.pt")
    loaded = PythonModule(module="users_wrapper:Wrapper", weights=tmp_path / "own.pt").load("python")
    assert torch.allclose(loaded.logits(IMAGES), network(IMAGES), atol=1e-5)


def test_a_normaliser_is_not_contradicted(tmp_path: Path, resnet18: nn.Module) -> None:
    torch.save({"model": _robust(resnet18).state_dict()}, tmp_path / "robust.pt")
    same = {"mean": [0.485, 0.456, 0.406], "clamp": False, "resize": [256, 256]}
    loaded = TorchvisionZoo(weights=tmp_path / "robust.pt", preprocessing=same).load("resnet18")
    assert loaded.preprocessing is not None
    assert (loaded.preprocessing.std, loaded.preprocessing.clamp) == ((0.2, 0.25, 0.3), False)
    with pytest.raises(ModelError, match=r"std \[0\.229, 0\.224, 0\.225\], but the checkpoint.*\[0\.2, 0\.25, 0\.3\]"):
        TorchvisionZoo(weights=tmp_path / "robust.pt", preprocessing={"std": [0.229, 0.224, 0.225]}).load("resnet18")


@pytest.mark.parametrize("std", [0.0, -1.0, float("nan")])
def test_a_normaliser_that_cannot_be_one_is_refused(tmp_path: Path, resnet18: nn.Module, std: float) -> None:
    torch.save({"model": _robust(resnet18, std).state_dict()}, tmp_path / "robust.pt")
    with pytest.raises(ModelError, match=r"robust\.pt of resnet18 hold a normaliser, which needs .* std above 0"):
        TorchvisionZoo(weights=tmp_path / "robust.pt").load("resnet18")


def test_missing_and_unexpected_keys_are_counted_with_near_names(tmp_path: Path, resnet18: nn.Module) -> None:
    state = nn.DataParallel(_robust(resnet18)).state_dict()
    state["module.model.fcc.weight"] = state.pop("module.model.fc.weight")
    torch.save({"model": state}, tmp_path / "robust.pt")
    with pytest.raises(
        ModelError,
        match=r"robust\.pt of resnet18 \(read as: DataParallel, robustness library\) do not fit ResNet: "
        r"1 of 122 missing: fc\.weight; 1 of 122 unexpected: fcc\.weight\. Did you mean 'fc\.weight'",
    ):
        TorchvisionZoo(weights=tmp_path / "robust.pt").load("resnet18")


def test_robust_weights_of_other_classes_are_asked_for(tmp_path: Path) -> None:
    robust = _robust(_network("resnet18", num_classes=9))
    torch.save({"model": robust.state_dict()}, tmp_path / "restricted.pt")
    with pytest.raises(ModelError, match=r"fc\.weight is \[9, 512\] in the file.*`classes: 9` in a study"):
        TorchvisionZoo(weights=tmp_path / "restricted.pt").load("resnet18")
    loaded = TorchvisionZoo(weights=tmp_path / "restricted.pt", classes=9).load("resnet18")
    assert torch.equal(_logits(loaded), robust(IMAGES))

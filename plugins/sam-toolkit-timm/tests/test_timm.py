from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip("timm", reason="timm is not installed: pip install timm")

import timm
from sam_toolkit_timm import TimmModels, preprocessing
from timm.data import create_transform, resolve_model_data_config

from sam_toolkit import ModelError, Photo
from sam_toolkit.testing import check_model_source

SMALL = ("test_resnet", "test_vit", "test_efficientnet")


@pytest.fixture
def photo(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (12, 17, 3)).astype(np.uint8)
    path = tmp_path / "noise.png"
    Image.fromarray(pixels).resize((240, 190), Image.Resampling.BICUBIC).save(path)
    return path


def test_the_source_keeps_its_contract():
    check_model_source(TimmModels(pretrained=False), "test_resnet")


def test_the_names_are_timm_s_without_importing_it():
    assert list(TimmModels.names()) == sorted(timm.list_models())


@pytest.mark.parametrize("name", SMALL)
def test_inputs_and_logits_are_those_of_timm(name, photo):
    model = TimmModels(pretrained=False, seed=4).load(name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(4)
        theirs = timm.create_model(name).eval()
    transform = create_transform(**resolve_model_data_config(theirs))
    expected = transform(Image.open(photo))[None]
    inputs = model.inputs(model.image(Photo.of_file(photo))[None])
    torch.testing.assert_close(inputs, expected, atol=1e-5, rtol=0)
    with torch.no_grad():
        torch.testing.assert_close(model.logits(expected), theirs(expected), rtol=1e-4, atol=1e-5)
    assert len(model.categories) == 1000
    assert "tench" in model.categories[0]


def test_a_seed_gives_other_weights_and_leaves_the_generator():
    state = torch.get_rng_state()
    first, second = (TimmModels(pretrained=False, seed=seed, classes=3).load("test_resnet") for seed in (0, 1))
    assert first.fingerprint != second.fingerprint
    assert torch.equal(torch.get_rng_state(), state)
    assert first.logits(torch.zeros(1, 3, 64, 64)).shape == (1, 3)
    assert first.categories == ()


def test_a_file_s_weights_are_taken(tmp_path):
    wanted = TimmModels(pretrained=False, seed=7).load("test_vit")
    torch.save(wanted.module.state_dict(), tmp_path / "weights.pth")
    assert TimmModels(file=tmp_path / "weights.pth").load("test_vit").fingerprint == wanted.fingerprint
    with pytest.raises(ModelError, match=r"cannot load weights .*weights\.pth in test_resnet.*fit each other"):
        TimmModels(file=tmp_path / "weights.pth").load("test_resnet")


def test_missing_weights_say_how_to_get_them(monkeypatch):
    def offline(*given, **asked):
        assert asked["pretrained"]
        raise OSError("no route to the hub.")

    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(ModelError, match=r"published weights of test_vit\.r160_in1k: no route.*`pretrained: false`"):
        TimmModels(tag="r160_in1k").load("test_vit")


def test_a_mistyped_name_has_near_ones():
    with pytest.raises(ModelError, match=r"timm has no model 'resnet181'\. Did you mean 'resnet18'"):
        TimmModels().load("resnet181")


def test_what_cannot_be_prepared_is_refused():
    config = {"input_size": (3, 64, 64), "crop_pct": 0.8, "mean": (0.5,) * 3, "std": (0.5,) * 3}
    squashed = preprocessing("net", {**config, "crop_mode": "squash", "interpolation": "bilinear"})
    assert (squashed.resize, squashed.crop) == ((80, 80), 64)
    with pytest.raises(ModelError, match="timm's net wants images of 64 x 64 with crop mode 'border'"):
        preprocessing("net", {**config, "crop_mode": "border", "interpolation": "bicubic"})

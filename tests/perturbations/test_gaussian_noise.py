from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from nets import colour_batch, colour_model, colour_net
from PIL import Image

from sam_toolkit.images import Photo, Preprocessing
from sam_toolkit.model import Model
from sam_toolkit.perturbations import GaussianNoise
from sam_toolkit.rng import Rng
from sam_toolkit.types import Batch

BATCH = colour_batch(3)
RNG = Rng(7).child("gaussian-noise")


def test_noise_is_gaussian_with_the_sigma_asked_for() -> None:
    batch = colour_batch(8, size=(64, 64))
    found = GaussianNoise().images(colour_model(), batch, [GaussianNoise.setting(sigma=0.2, clip=False)], RNG)[0]
    noise = found - batch.images
    assert noise.mean().item() == pytest.approx(0, abs=3e-3)
    assert noise.std().item() == pytest.approx(0.2, abs=3e-3)
    kurtosis = (noise / noise.std()).pow(4).mean()
    assert kurtosis.item() == pytest.approx(3, abs=0.1)


def test_models_of_one_input_size_see_the_same_noise() -> None:
    settings = [GaussianNoise.setting()]
    models = (colour_model(), Model(colour_net(seed=9)))
    first, second = (GaussianNoise().images(model, BATCH, settings, RNG) for model in models)
    assert torch.equal(first, second)


def test_the_draw_is_common_to_all_sigmas_and_kept_in_range() -> None:
    settings = [GaussianNoise.setting(sigma=sigma, clip=clip) for sigma in (0.0, 0.1, 0.3) for clip in (False, True)]
    assert len({setting.without(GaussianNoise().shares(setting)) for setting in settings}) == 1
    images = GaussianNoise().images(colour_model(), BATCH, settings, RNG)
    assert images.shape == (6, 3, 3, 32, 32)
    assert torch.equal(images[0], BATCH.images)
    torch.testing.assert_close(images[4] - BATCH.images, 3 * (images[2] - BATCH.images), atol=1e-6, rtol=1e-5)
    assert float(images[4].min()) < 0
    assert float(images[4].max()) > 1
    torch.testing.assert_close(images[1::2], images[::2].clamp(0, 1), atol=0, rtol=0)
    for setting, found in zip(settings, images, strict=True):
        assert torch.equal(found, GaussianNoise().images(colour_model(), BATCH, [setting], RNG)[0])


def test_an_image_has_the_same_noise_in_any_batch_and_another_for_another_seed() -> None:
    settings = [GaussianNoise.setting()]
    together = GaussianNoise().images(colour_model(), BATCH, settings, RNG)
    turned = GaussianNoise().images(colour_model(), BATCH.select([2, 0]), settings, RNG)
    assert torch.equal(turned, together[:, [2, 0]])
    (rerun,) = GaussianNoise().reruns(settings[0], 1)
    assert not torch.allclose(GaussianNoise().images(colour_model(), BATCH, [rerun], RNG), together)


def test_one_call_needs_no_model_and_writes_to_nothing() -> None:
    before = BATCH.images.clone()
    found = GaussianNoise(sigma=0.5)(BATCH.images)
    assert found.shape == before.shape
    assert torch.equal(BATCH.images, before)
    assert not torch.equal(found, before)


@pytest.mark.parametrize(("name", "left"), [("20735", 0.039), ("28460", 0.0975)], ids=["1600 px", "500 px"])
def test_noise_of_a_photograph_at_its_own_size_fades_as_in_the_original(shared, name: str, left: float) -> None:
    """What is left of a variance of 0.1 was measured with the original's steps; the resizing is its (256, 256)."""
    model = Model(colour_net(), preprocessing=Preprocessing(resize=(256, 256)))
    batch = _photographed(model, shared / "images" / f"ILSVRC2012_val_000{name}.JPEG")
    noisy = GaussianNoise().images(model, batch, [GaussianNoise.setting(sigma=0.1**0.5, compat="sam-2020")], RNG)[0]
    noise = noisy - batch.images
    assert (noise - noise.mean()).std().item() == pytest.approx(left, abs=0.003)


def test_noise_at_own_size_is_clipped_and_stored_in_8_bits_before_resizing(tmp_path) -> None:
    levels = np.random.default_rng(0).integers(0, 256, (70, 90, 3), dtype=np.uint8)
    Image.fromarray(levels).save(tmp_path / "photo.png")
    model = Model(colour_net(), preprocessing=Preprocessing(32, (40, 40)))
    batch = _photographed(model, tmp_path / "photo.png")
    setting = GaussianNoise.setting(sigma=0.3, compat="sam-2020")
    found = GaussianNoise().images(model, batch, [setting], RNG)[0]

    draws = RNG.child(setting.seed).normal(batch.ids[0], 0, (3, 70, 90)).permute(1, 2, 0).numpy()
    noisy = np.clip(levels / 255 + 0.3 * draws, 0, 1)
    Image.fromarray((255 * noisy).astype(np.uint8)).save(tmp_path / "noisy.png")
    expected = model.image(Photo.of_file(tmp_path / "noisy.png"))
    torch.testing.assert_close(found[0], expected, atol=1.01 / 255, rtol=0)
    assert (found[0] != expected).float().mean() < 0.01


def test_images_that_were_no_files_are_at_their_own_size() -> None:
    kept, usual = GaussianNoise.setting(compat="sam-2020"), GaussianNoise.setting()
    noise = GaussianNoise()
    assert torch.equal(
        noise.images(colour_model(), BATCH, [kept], RNG), noise.images(colour_model(), BATCH, [usual], RNG)
    )


def _photographed(model: Model, path: Path) -> Batch:
    return model.batch([Photo.of_file(path, label=0)])

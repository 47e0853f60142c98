from __future__ import annotations

import pytest
import torch
from nets import colour_batch, colour_model, colour_net

from sam_toolkit.model import Model
from sam_toolkit.perturbations import GaussianNoise
from sam_toolkit.rng import Rng

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

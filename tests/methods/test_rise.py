"""RISE against a plain loop over its masks, and the masks against their definition."""

from __future__ import annotations

import pytest
import torch
from nets import colour_batch, colour_model
from torch import Tensor

from sam_toolkit.methods import Rise
from sam_toolkit.methods.rise import RiseParams, _Masks
from sam_toolkit.model import Model
from sam_toolkit.rng import Rng

BATCH = colour_batch(2)
RNG = Rng(7).child("rise")


def maps_of(*settings: RiseParams, model: Model | None = None) -> Tensor:
    return Rise().maps(model or colour_model(), BATCH, settings, RNG)


@pytest.mark.parametrize("fill", ["mean", "black", "noise", (0.2, 0.5, 0.9)])
@pytest.mark.parametrize("score", ["logit", "probability"])
def test_it_is_a_plain_loop_over_masks(fill: object, score: str) -> None:
    setting = Rise.setting(samples=9, cells=4, keep=0.3, fill=fill, score=score, seed=2)
    model, masks = colour_model(), _Masks(setting, BATCH, RNG)
    hidden = {"mean": torch.tensor([0.48, 0.46, 0.41]), "black": torch.zeros(3)}.get(fill, fill)  # type: ignore[call-overload]
    for image in range(2):
        pixels = BATCH.images[image]
        colour = _noise(image) if fill == "noise" else torch.as_tensor(hidden)[:, None, None].expand_as(pixels)
        total = torch.zeros(32, 32, dtype=torch.float64)
        for mask in masks.rows(9 * image, 9 * image + 9):
            logits = model.logits(model.inputs((mask * pixels + (1 - mask) * colour)[None]))[0]
            value = (logits.softmax(0) if score == "probability" else logits)[BATCH.targets[image]]
            total += value.double() * mask.double()
        expected = (total / 9 / 0.3).float()
        torch.testing.assert_close(maps_of(setting)[0, image], expected, atol=1e-5, rtol=1e-4)


def _noise(image: int) -> Tensor:
    return RNG.child("fill", "2").uniform(BATCH.ids[image], 0, (3, 32, 32))


def test_masks_keep_as_often_as_asked_and_are_soft() -> None:
    masks = _Masks(Rise.setting(samples=2000, cells=4, keep=0.3), BATCH, RNG).rows(0, 2000)
    assert masks.shape == (2000, 32, 32)
    assert masks.min() >= 0
    assert masks.max() <= 1 + 1e-6
    assert abs(float(masks.mean()) - 0.3) < 0.01
    assert masks.mean(dim=0).std() < 0.02  # every pixel alike
    assert len(masks[0].unique()) > 10


def test_fewer_samples_are_the_first_of_more_and_cost_nothing() -> None:
    settings = [Rise.setting(samples=samples) for samples in (70, 3, 150)]
    model = colour_model()
    together = maps_of(*settings, model=model)
    assert model.counted.forward == 150 * len(BATCH)
    apart = torch.cat([maps_of(setting) for setting in settings])
    torch.testing.assert_close(together, apart, atol=1e-6, rtol=1e-5)
    independent = Rise.setting(samples=3, draws="independent")
    assert Rise().shares(independent) == frozenset()
    assert not torch.allclose(maps_of(independent), apart[1:2])


def test_it_finds_the_pixels_that_matter() -> None:
    class Corner(torch.nn.Module):
        def forward(self, inputs: Tensor) -> Tensor:
            return torch.stack([inputs[:, :, :16, :16].mean(dim=(1, 2, 3)), inputs.new_zeros(len(inputs))], dim=1)

    found = Rise(samples=500, score="logit")(Corner(), torch.ones(1, 3, 32, 32), 0)[0]
    assert found[:16, :16].mean() > 1.1 * found[16:, 16:].mean()
    assert found.flatten().argmax() // 32 < 16

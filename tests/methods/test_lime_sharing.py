"""What LIME's settings share, what its draws depend on, and what it makes of odd images."""

from __future__ import annotations

from math import ceil
from typing import Any

import pytest
import torch
from nets import colour_batch, colour_model, grey_net
from torch import Tensor

from sam_toolkit.errors import ComponentError
from sam_toolkit.methods import Lime, LimeParams, lime
from sam_toolkit.methods.superpixels import Superpixels, cut
from sam_toolkit.model import Model
from sam_toolkit.rng import Rng
from sam_toolkit.types import Batch

RNG = Rng(7).child("lime")
BATCH = colour_batch(2)
FEW = {"segments": 16, "sigma": 1.0}
"""SLIC that cuts images of 32 x 32 into some twenty superpixels."""


def maps_of(*settings: LimeParams, model: Model | None = None, batch: Batch = BATCH) -> Tensor:
    return Lime().maps(model or colour_model(), batch, settings, RNG)


def test_the_first_copy_is_the_image_and_the_others_keep_as_often_as_asked() -> None:
    model, seen = colour_model(), []
    handle = model.module.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].clone()))
    maps_of(Lime.setting(segmentation="grid", segments=64, samples=400, keep=0.7), model=model, batch=BATCH.select([0]))
    handle.remove()
    rows, whole = torch.cat(seen), model.inputs(BATCH.images[:1])
    shown = rows == whole
    assert bool(shown[0].all())
    assert abs(float(shown[1:].float().mean()) - 0.7) < 0.01
    black = model.inputs(torch.zeros_like(BATCH.images[:1]))
    assert bool((shown | (rows == black)).all())


def sums(*numbers: int) -> int:
    return sum(numbers) * len(BATCH)


def alone(settings: list[LimeParams]) -> Tensor:
    return torch.cat([maps_of(setting) for setting in settings])


def test_samples_kernel_widths_and_penalties_cost_the_longest_run() -> None:
    base = Lime.setting(**FEW, samples=40)
    changes = [
        {},
        {"samples": 70},
        {"samples": 9},
        {"kernel_width": 0.1},
        {"ridge": 0.2},
        {"ridge": 0},
        {"max_dist": 7},
    ]
    settings = [base.varied(**change) for change in changes]
    assert len({setting.without(Lime().shares(setting)) for setting in settings}) == 1
    model = colour_model()
    together = maps_of(*settings, model=model)
    assert Lime().rows(settings, (3, 32, 32)) == 70
    assert model.counted.forward == sums(70)
    torch.testing.assert_close(together, alone(settings), atol=1e-6, rtol=1e-5)
    assert torch.equal(together[0], together[-1])
    assert together[:-1].flatten(1).unique(dim=0).shape[0] == len(settings) - 1


def test_seeds_fills_and_superpixels_ride_in_one_stream_of_batches() -> None:
    base = Lime.setting(**FEW, samples=9)
    changes = [
        {}, {"seed": 1}, {"seed": 2, "samples": 5}, {"keep": 0.4},
        {"fill": "mean"}, {"fill": "superpixel-mean"}, {"fill": "noise"},
        {"segments": 9}, {"segments": 9, "fill": "superpixel-mean"}, {"segmentation": "grid"},
        {"segmentation": "quickshift"},
    ]  # fmt: skip
    settings = [base.varied(**change) for change in changes]
    model, calls = colour_model(), []
    handle = model.module.register_forward_pre_hook(lambda _, inputs: calls.append(len(inputs[0])))
    together = maps_of(*settings, model=model)
    handle.remove()
    rows = 10 * 9 + 5
    assert Lime().rows(settings, (3, 32, 32)) == rows
    assert model.counted.forward == sums(rows)
    assert len(calls) == ceil(sums(rows) / model.chunk)
    torch.testing.assert_close(together, alone(settings), atol=1e-6, rtol=1e-5)
    assert together.flatten(1).unique(dim=0).shape[0] == len(settings)


def test_images_are_cut_once_for_all_settings_that_cut_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    ways: list[Superpixels] = []

    def counting(way: Superpixels, images: Tensor) -> Tensor:
        ways.append(way)
        return cut(way, images)

    monkeypatch.setattr(lime, "cut", counting)
    base = Lime.setting(**FEW, samples=3)
    changes = [{}, {"seed": 1}, {"fill": "mean"}, {"fill": "superpixel-mean"}, {"ratio": 0.9}, {"segments": 5}]
    maps_of(*(base.varied(**change) for change in changes))
    assert ways == [base.superpixels(), base.varied(segments=5).superpixels()]


def test_independent_draws_are_others_for_each_number_of_samples() -> None:
    settings = [Lime.setting(**FEW, samples=samples, draws="independent") for samples in (20, 50)]
    model = colour_model()
    together = maps_of(*settings, model=model)
    assert Lime().rows(settings, (3, 32, 32)) == 70
    assert model.counted.forward == sums(70)
    torch.testing.assert_close(together, alone(settings), atol=1e-6, rtol=1e-5)
    assert not torch.allclose(together[0], maps_of(settings[0].varied(draws="nested"))[0])


@pytest.mark.parametrize("fill", ["black", "superpixel-mean", "noise"])
def test_neither_chunk_nor_batch_changes_a_map(fill: str) -> None:
    settings = [Lime.setting(**FEW, samples=samples, seed=seed, fill=fill) for samples, seed in ((30, 0), (17, 1))]
    expected = maps_of(*settings)
    for chunk in (1, 7, 500):
        found = maps_of(*settings, model=colour_model(chunk=chunk))
        torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)
    for order in ([0], [1], [1, 0]):
        found = maps_of(*settings, batch=BATCH.select(order))
        torch.testing.assert_close(found, expected[:, order], atol=1e-6, rtol=1e-5)


def test_reruns_differ_in_the_seed_alone() -> None:
    setting = Lime.setting(**FEW, samples=20, seed=5)
    reruns = Lime().reruns(setting, 2)
    assert reruns == [setting.varied(seed=6), setting.varied(seed=7)]
    assert maps_of(setting, *reruns).flatten(1).unique(dim=0).shape[0] == 3


@pytest.mark.parametrize("segmentation", ["slic", "quickshift", "grid"])
@pytest.mark.parametrize("fill", ["black", "superpixel-mean"])
def test_what_looks_the_same_hidden_has_no_effect(segmentation: str, fill: str) -> None:
    level = 0.0 if fill == "black" else 0.3
    batch = Batch.of(torch.full((1, 3, 32, 32), level), 1)
    maps = maps_of(Lime.setting(segmentation=segmentation, fill=fill, samples=30), batch=batch)
    assert maps.abs().max() < 1e-6


@pytest.mark.parametrize("segmentation", ["slic", "quickshift", "grid"])
def test_tiny_and_grey_images_have_maps(segmentation: str) -> None:
    method = Lime(segmentation=segmentation, samples=60)
    tiny = method(colour_model(), colour_batch(2, size=(8, 8)).images, 1)
    assert tiny.shape == (2, 8, 8)
    grey = method(grey_net(), torch.rand(2, 1, 28, 28, generator=torch.Generator().manual_seed(0)), 1)
    assert grey.shape == (2, 28, 28)
    for maps in (tiny, grey):
        assert bool(maps.isfinite().all())
        assert bool((maps != 0).any())


def test_a_colour_for_grey_images_is_refused() -> None:
    with pytest.raises(ComponentError, match="got 3 values for images with 1"):
        Lime(fill=(0.1, 0.2, 0.3))(grey_net(), torch.rand(1, 1, 28, 28), 1)


@pytest.mark.parametrize(
    "fields",
    [
        {"samples": 1}, {"keep": 0.0}, {"keep": 1.0}, {"ridge": -1.0}, {"kernel_width": 0.0}, {"segments": 0},
        {"compactness": 0.0}, {"kernel_size": 0.5}, {"max_dist": 0.0}, {"ratio": 1.5}, {"fill": "grey"},
        {"segmentation": "slick"},
    ],
    ids=str,
)  # fmt: skip
def test_fields_have_rules(fields: dict[str, Any]) -> None:
    with pytest.raises(ComponentError, match=next(iter(fields))):
        Lime(**fields)


def test_the_defaults_are_those_of_sam() -> None:
    setting = Lime.setting()
    assert (
        setting.superpixels() == Lime.setting(segmentation="slic", segments=50, compactness=30, sigma=3).superpixels()
    )
    assert (setting.samples, setting.fill, setting.keep, setting.kernel_width) == (1000, "black", 0.5, 0.25)
    assert (setting.ridge, setting.score, setting.seed) == (1.0, "probability", 0)

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from captum.attr import Occlusion
from nets import colour_batch, colour_model, colour_net, grey_net
from scipy.ndimage import gaussian_filter
from skimage.transform import resize
from torch import Tensor

from sam_toolkit.errors import ComponentError
from sam_toolkit.methods import SlidingPatch
from sam_toolkit.methods.sliding_patch import SlidingPatchParams
from sam_toolkit.model import Model
from sam_toolkit.rng import Rng
from sam_toolkit.types import Batch

BATCH = colour_batch(2)
OBLONG = colour_batch(2, size=(26, 37))
RNG = Rng(7).child("sliding-patch")
FILLS = ["mean", "black", "blur", "noise", 0.25, (0.1, 0.5, 0.9)]


def _starts(side: int, patch: int, stride: int, border: str) -> list[int]:
    starts, start = [], 0
    while start + patch <= side:
        starts.append(start)
        start += stride
    if border == "flush" and starts[-1] + patch < side:
        starts.append(side - patch)
    return starts


def _filled(model: Model, batch: Batch, params: SlidingPatchParams) -> Tensor:
    """Return the whole inputs as they would be if everything was hidden."""
    images = batch.images
    if params.fill == "mean":
        return torch.zeros_like(images)
    if params.fill == "blur":
        blurred = [
            [gaussian_filter(plane, params.blur_sigma, mode="nearest") for plane in image.numpy()] for image in images
        ]
        return model.inputs(torch.from_numpy(np.array(blurred)))
    if params.fill == "noise":
        stream = RNG.child("fill", params.seed)
        return model.inputs(torch.stack([stream.uniform(name, 0, images.shape[1:]) for name in batch.ids]))
    colour = 0.0 if params.fill == "black" else params.fill
    return model.inputs(torch.ones_like(images) * torch.tensor(colour).reshape(-1, 1, 1))


def _plain(model: Model, batch: Batch, params: SlidingPatchParams) -> Tensor:
    """Return the maps by loops over images and windows."""
    height, width = batch.images.shape[-2:]
    inputs, filled = model.inputs(batch.images), _filled(model, batch, params)
    total, seen = torch.zeros(len(batch), height, width), torch.zeros(height, width)
    for y in _starts(height, params.patch, params.stride, params.border):
        for x in _starts(width, params.patch, params.stride, params.border):
            where = (..., slice(y, y + params.patch), slice(x, x + params.patch))
            hidden = inputs.clone()
            hidden[where] = filled[where]
            with torch.no_grad():
                drop = model.module(inputs).softmax(1) - model.module(hidden).softmax(1)
            total[where] += drop.gather(1, batch.targets[:, None])[:, :, None]
            seen[where[1:]] += 1
    return total / seen.clamp(min=1)


@pytest.mark.parametrize("score", ["probability", "logit"])
def test_windows_that_divide_the_image_give_captums_map(score: str) -> None:
    net = colour_net()

    def forward(inputs: Tensor) -> Tensor:
        logits: Tensor = net(inputs)
        return logits.softmax(1) if score == "probability" else logits

    model = colour_model()
    inputs = model.inputs(BATCH.images)
    expected = Occlusion(forward).attribute(
        inputs, target=BATCH.targets, sliding_window_shapes=(3, 8, 8), strides=(3, 4, 4), baselines=0.0
    )
    found = SlidingPatch(patch=8, stride=4, score=score)(model, BATCH.images, BATCH.targets)
    torch.testing.assert_close(found, expected[:, 0], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("border", ["flush", "floor"])
@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize("batch", [BATCH, OBLONG], ids=["square", "oblong"])
def test_maps_agree_with_plain_loops(batch: Batch, fill: object, border: str) -> None:
    params = SlidingPatch.setting(patch=9, stride=5, fill=fill, border=border, blur_sigma=3.0, seed=4)
    found = SlidingPatch().maps(colour_model(), batch, [params], RNG)[0]
    torch.testing.assert_close(found, _plain(colour_model(), batch, params), atol=1e-6, rtol=1e-5)


def test_fills_hide_windows_in_different_ways() -> None:
    settings = [SlidingPatch.setting(patch=8, fill=fill) for fill in FILLS]
    maps = SlidingPatch().maps(colour_model(), BATCH, settings, RNG)
    distances = torch.cdist(maps.flatten(1)[None], maps.flatten(1)[None])[0]
    assert bool((distances + torch.eye(len(FILLS)) > 1e-3).all())


def test_mean_is_exactly_zero_at_the_inputs() -> None:
    model = colour_model()
    seen: list[Tensor] = []
    handle = model.module.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].clone()))
    SlidingPatch(patch=32)(model, BATCH.images, BATCH.targets)
    handle.remove()
    assert torch.equal(seen[-1], torch.zeros(2, 3, 32, 32))


@pytest.mark.parametrize(
    ("patch", "stride", "border", "count"),
    [
        (8, 8, "flush", 4),
        (8, 8, "floor", 4),
        (9, 8, "flush", 4),
        (9, 8, "floor", 3),
        (32, 8, "flush", 1),
        (5, 40, "flush", 2),
    ],
)
def test_grid_counts_the_windows(patch: int, stride: int, border: str, count: int) -> None:
    method = SlidingPatch(patch=patch, stride=stride, border=border)
    assert method.grid(method.params, (32, 32)) == (count, count)


def test_a_flush_window_covers_every_pixel_and_floor_leaves_the_rest_zero() -> None:
    flush, floor = (
        SlidingPatch(patch=9, stride=8, border=border)(colour_model(), BATCH.images) for border in ("flush", "floor")
    )
    assert bool((floor[:, 25:] == 0).all())
    assert bool((floor[:, :, 25:] == 0).all())
    assert bool((flush != 0).all())
    assert bool((floor[:, :25, :25] != 0).all())


def _published() -> list[SlidingPatchParams]:
    return [SlidingPatch.setting(patch=patch, stride=7) for patch in (3, 5, 11, 17)]


def test_settings_ride_with_one_pass_of_the_whole_image() -> None:
    settings, model = _published(), colour_model()
    assert len({setting.without(SlidingPatch().shares(setting)) for setting in settings}) == 1
    maps = SlidingPatch().maps(model, BATCH, settings, RNG)
    windows = [side * side for side in (6, 5, 4, 4)]
    assert model.counted.forward == len(BATCH) * SlidingPatch().rows(settings, (3, 32, 32)) == 2 * (1 + sum(windows))
    assert model.counted.backward == 0
    for setting, found in zip(settings, maps, strict=True):
        alone = SlidingPatch().maps(model, BATCH, [setting], RNG)[0]
        torch.testing.assert_close(found, alone, atol=1e-6, rtol=1e-5)


def test_equal_windows_are_seen_once() -> None:
    base = {"patch": 9, "stride": 4}
    settings = [
        SlidingPatch.setting(**base),
        SlidingPatch.setting(**base, border="floor"),
        SlidingPatch.setting(**base, border="floor", compat="sam-2020"),
        SlidingPatch.setting(**base, seed=3, blur_sigma=2.0),
        SlidingPatch.setting(patch=9, stride=8),
    ]
    model = colour_model()
    maps = SlidingPatch().maps(model, BATCH, settings, RNG)
    assert SlidingPatch().rows(settings, (3, 32, 32)) == 1 + 49
    assert model.counted.forward == 2 * 50
    assert torch.equal(maps[0], maps[3])
    for setting, found in zip(settings, maps, strict=True):
        alone = SlidingPatch().maps(model, BATCH, [setting], RNG)[0]
        torch.testing.assert_close(found, alone, atol=1e-6, rtol=1e-5)


def test_fills_of_a_group_have_rows_of_their_own() -> None:
    settings = [SlidingPatch.setting(patch=8, fill=fill) for fill in FILLS]
    settings += [
        SlidingPatch.setting(patch=8, fill="noise", seed=1),
        SlidingPatch.setting(patch=8, fill="blur", blur_sigma=1),
    ]
    model = colour_model()
    SlidingPatch().maps(model, BATCH, settings, RNG)
    assert model.counted.forward == 2 * SlidingPatch().rows(settings, (3, 32, 32)) == 2 * (1 + 8 * 16)


@pytest.mark.parametrize("fill", ["mean", "blur", "noise"])
def test_neither_chunk_nor_batch_changes_a_map(fill: str) -> None:
    settings = [SlidingPatch.setting(patch=patch, stride=6, fill=fill) for patch in (5, 12)]
    expected = SlidingPatch().maps(colour_model(), BATCH, settings, RNG)
    for chunk in (1, 7, 500):
        found = SlidingPatch().maps(colour_model(chunk=chunk), BATCH, settings, RNG)
        torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)
    for order in ([0], [1], [1, 0]):
        found = SlidingPatch().maps(colour_model(), BATCH.select(order), settings, RNG)
        torch.testing.assert_close(found, expected[:, order], atol=1e-6, rtol=1e-5)


def test_sam_2020_stretches_the_grid_of_drops_over_the_image() -> None:
    params = SlidingPatch.setting(patch=8, stride=8, border="floor", compat="sam-2020")
    plain = SlidingPatch().maps(colour_model(), BATCH, [params.varied(compat=None)], RNG)[0]
    expected = np.stack([resize(values[4::8, 4::8], (32, 32), order=5) for values in plain.numpy()])
    found = SlidingPatch().maps(colour_model(), BATCH, [params], RNG)[0]
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-6)
    assert found.dtype == torch.float32


def test_sam_2020_needs_the_border_it_had() -> None:
    with pytest.raises(ComponentError, match="set border to floor"):
        SlidingPatch(compat="sam-2020")


def test_the_seed_matters_to_noise_alone() -> None:
    method = SlidingPatch()
    assert method.reruns(method.params, 3) == []
    noise = method.setting(patch=8, fill="noise")
    reruns = method.reruns(noise, 2)
    assert [rerun.seed for rerun in reruns] == [1, 2]
    maps = method.maps(colour_model(), BATCH, [noise, *reruns], RNG)
    assert not torch.allclose(maps[0], maps[1])
    assert not torch.allclose(maps[1], maps[2])


@pytest.mark.parametrize("call", ["maps", "rows", "grid"])
def test_a_patch_larger_than_the_image_is_refused(call: str) -> None:
    method = SlidingPatch(patch=27)
    calls: dict[str, Callable[[], object]] = {
        "maps": lambda: method(colour_model(), OBLONG.images, 0),
        "rows": lambda: method.rows([method.params], (3, 26, 37)),
        "grid": lambda: method.grid(method.params, (26, 37)),
    }
    with pytest.raises(ComponentError, match="shorter side; got 27 for a side of 26"):
        calls[call]()


def test_a_colour_for_grey_images_is_refused() -> None:
    with pytest.raises(ComponentError, match="got 3 values for images with 1"):
        SlidingPatch(patch=7, fill=(0.1, 0.2, 0.3))(grey_net(), torch.rand(1, 1, 28, 28))


@pytest.mark.parametrize("fields", [{"fill": "grey"}, {"fill": 2.0}, {"fill": (0.1, 0.2)}, {"patch": 0}, {"stride": 0}])
def test_fields_have_rules(fields: dict[str, object]) -> None:
    with pytest.raises(ComponentError, match=next(iter(fields))):
        SlidingPatch(**fields)


def test_grey_images_work() -> None:
    images = torch.rand(2, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    maps = SlidingPatch(patch=7, stride=7, fill=0.5)(grey_net(), images)
    assert maps.shape == (2, 28, 28)
    assert bool((maps != 0).any())


@pytest.mark.parametrize(("score", "bounds"), [("probability", (-1.0, 1.0)), ("logit", None)])
def test_differences_of_probabilities_are_bounded(score: str, bounds: tuple[float, float] | None) -> None:
    facts = SlidingPatch(score=score).facts(SlidingPatch.setting(score=score))
    assert facts.signed
    assert facts.value_range == bounds

"""Meaningful Perturbation against a plain loop with autograd and torch's Adam, and its parts against brute force."""

from __future__ import annotations

from math import hypot
from typing import Any, Literal

import numpy as np
import pytest
import torch
from nets import colour_batch, colour_model, colour_net
from PIL import Image, ImageFilter
from scipy.ndimage import gaussian_filter
from torch import Tensor
from torch.nn.functional import interpolate, pad

from sam_toolkit.errors import ComponentError
from sam_toolkit.images import Photo, Preprocessing
from sam_toolkit.methods import MeaningfulPerturbation
from sam_toolkit.methods.mask_optimisation import Penalty
from sam_toolkit.methods.mask_starts import Discs
from sam_toolkit.methods.meaningful_perturbation import MeaningfulPerturbationParams
from sam_toolkit.methods.soft_masks import Cover, Jitter, Scenes, Upsampling
from sam_toolkit.model import Model
from sam_toolkit.rng import Rng

BATCH = colour_batch(2)
RNG = Rng(7).child("meaningful-perturbation")
FEW: dict[str, Any] = {"mask_size": 8, "iterations": 12, "blur_sigma": 3.0, "l1": 1e-3, "init": "ones"}


def setting(**fields: Any) -> MeaningfulPerturbationParams:
    return MeaningfulPerturbation.setting(**{**FEW, **fields})


def maps_of(*settings: MeaningfulPerturbationParams, model: Model | None = None) -> Tensor:
    return MeaningfulPerturbation().maps(model or colour_model(), BATCH, settings, RNG)


def hidden_images(one: MeaningfulPerturbationParams) -> Tensor:
    if one.fill == "blur":
        return torch.from_numpy(
            gaussian_filter(BATCH.images.numpy(), (0, 0, one.blur_sigma, one.blur_sigma), mode="nearest")
        )
    return torch.zeros_like(BATCH.images)


def enlarged(one: MeaningfulPerturbationParams, mask: Tensor) -> Tensor:
    corners = {} if one.upsampling == "nearest" else {"align_corners": False}
    return interpolate(mask[None, None], size=(32, 32), mode=one.upsampling, **corners)


def plain(one: MeaningfulPerturbationParams, image: int, start: Tensor) -> Tensor:
    """Return the map of one image by the loop that the paper describes."""
    model, hidden = colour_model(), hidden_images(one)[image : image + 1]
    shown, target = BATCH.images[image : image + 1], BATCH.targets[image]
    mask = start.clone().double().requires_grad_()
    adam = torch.optim.Adam([mask], lr=one.learning_rate, betas=(one.beta1, one.beta2), eps=one.epsilon)
    stream, share = RNG.child("jitter", one.seed), (28 / one.mask_size) ** 2 if one.scaling == "area" else 1
    for step in range(one.iterations):
        weight = enlarged(one, mask)
        mixed = model.inputs((shown * weight + hidden * (1 - weight)).float())
        down, right = torch.randint(one.jitter, (2,), generator=stream.generator(BATCH.ids[image], step)).tolist()
        middle = one.jitter // 2
        moved = pad(mixed, (middle,) * 4, mode="replicate")[:, :, down : down + 32, right : right + 32]
        logits = model.module(moved)[0]
        score = (logits.softmax(0) if one.score == "probability" else logits)[target]
        rough = (mask[1:] - mask[:-1]).abs().pow(one.tv_exponent).sum()
        rough = rough + (mask[:, 1:] - mask[:, :-1]).abs().pow(one.tv_exponent).sum()
        loss = share * (one.l1 * (1 - mask).abs().sum() + one.tv * rough) + score
        adam.zero_grad()
        loss.backward()
        adam.step()
        with torch.no_grad():
            mask.clamp_(0, 1)
    whole = enlarged(one, mask.detach())[0, 0].numpy()
    return torch.from_numpy(1 - gaussian_filter(whole, one.map_sigma, mode="nearest")).float()


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"iterations": 40, "tv": 0.03, "scaling": "none", "score": "logit"},
        {"jitter": 1, "fill": "black", "map_sigma": 0.0},
        {"jitter": 7, "score": "logit", "seed": 3},
        {"upsampling": "bilinear", "mask_size": 5, "scaling": "none", "tv_exponent": 2.0},
        {"learning_rate": 0.03, "beta1": 0.5, "beta2": 0.9, "epsilon": 1e-3, "tv_exponent": 1.0, "tv": 1e-4},
    ],
    ids=str,
)
def test_it_is_a_plain_loop_with_adam(fields: dict[str, Any]) -> None:
    one = setting(**fields)
    found = maps_of(one)[0]
    expected = [plain(one, image, torch.ones(one.mask_size, one.mask_size)) for image in range(2)]
    torch.testing.assert_close(found, torch.stack(expected), atol=1e-5, rtol=0)
    assert found.max() > 0.05


def test_a_random_start_is_uniform_and_goes_the_same_way() -> None:
    one = setting(init="random", seed=5, mask_size=16, iterations=3)
    starts = [RNG.child("init", 5).uniform(name, 0, (16, 16)) for name in BATCH.ids]
    expected = torch.stack([plain(one, image, start) for image, start in enumerate(starts)])
    torch.testing.assert_close(maps_of(one)[0], expected, atol=1e-5, rtol=0)
    assert not torch.equal(starts[0], starts[1])


@pytest.mark.parametrize("compat", [None, "disc-unit"])
@pytest.mark.parametrize("suppression", [0.3, 0.9])
def test_a_circular_start_is_the_smallest_disc_that_suppresses_the_score(
    compat: Literal["disc-unit"] | None, suppression: float
) -> None:
    one = setting(
        init="circular", circle_step=2, circle_sigma=1.5, circle_largest=10 if compat else None, compat=compat,
        suppression=suppression, mask_size=16, iterations=2,
    )  # fmt: skip
    cell = 1 if compat else 2
    radii = range(0, 12, 2) if compat else range(0, 26, 2)  # half the diagonal of 32 x 32 is 22.6
    model, starts = colour_model(), []
    for image in range(2):
        tried = [_disc(radius, cell) for radius in radii]
        weights = torch.stack([enlarged(one, mask)[0] for mask in tried])
        mixed = BATCH.images[image] * weights + hidden_images(one)[image] * (1 - weights)
        scores = model.logits(model.inputs(mixed.float())).softmax(1)[:, BATCH.targets[image]]
        left = (scores - scores[-1]) / (scores[0] - scores[-1])
        starts.append(next(mask for mask, own in zip(tried, left.tolist(), strict=True) if own < 1 - suppression))
    assert float(starts[0].min()) < 0.9
    expected = torch.stack([plain(one, image, start) for image, start in enumerate(starts)])
    torch.testing.assert_close(maps_of(one)[0], expected, atol=1e-5, rtol=0)


def _disc(radius: float, cell: float) -> Tensor:
    """Return the mask of 16 x 16 cells, `cell` units wide, that hides a disc blurred by 1.5 units."""
    disc = [[float(hypot(y - 7.5, x - 7.5) * cell < radius) for x in range(16)] for y in range(16)]
    return 1 - torch.from_numpy(gaussian_filter(np.array(disc), 1.5 / cell, mode="nearest"))


def test_the_largest_disc_covers_the_image_and_the_first_hides_nothing() -> None:
    masks = MeaningfulPerturbation.setting().discs().masks(224, 200)
    assert masks.shape == (32, 28, 28)
    assert masks[0].min() == 1
    assert masks[-1].max() < 1e-12
    assert masks[-3].max() > 0


def test_sam_2020_tries_35_discs_in_cells() -> None:
    discs = MeaningfulPerturbation.setting(compat="sam-2020", blur_sigma=30.0).discs()
    assert discs.radii(224, 224) == [5.0 * index for index in range(35)]
    assert discs.unit == "cell"
    assert discs.cover.filling.blur_sigma == 10
    assert discs.cover.jitter == Jitter(4, "window")


def test_the_largest_disc_is_taken_where_hiding_changes_nothing() -> None:
    class Indifferent(torch.nn.Module):
        def forward(self, inputs: Tensor) -> Tensor:
            return torch.stack([0 * inputs.mean(dim=(1, 2, 3))] * 2, dim=1)

    method = MeaningfulPerturbation(mask_size=8, iterations=1, map_sigma=0, learning_rate=1e-6)
    assert method(Indifferent(), BATCH.images, 0).min() > 0.99


def test_fewer_iterations_are_snapshots_that_cost_nothing() -> None:
    settings = [setting(iterations=steps, **other) for other in ({}, {"map_sigma": 0.0}) for steps in (5, 12, 1)]
    model = colour_model()
    together = maps_of(*settings, model=model)
    assert model.counted.backward == model.counted.forward == 12 * len(BATCH)
    assert torch.equal(together, torch.cat([maps_of(one) for one in settings]))
    assert not torch.equal(together[0], together[1])


def test_runs_side_by_side_are_runs_by_themselves() -> None:
    changes: list[dict[str, Any]] = [
        {}, {"seed": 1}, {"blur_sigma": 6.0}, {"l1": 0.1}, {"tv": 1.0}, {"tv_exponent": 2.0}, {"mask_size": 11},
        {"init": "random"}, {"init": "circular"}, {"learning_rate": 0.01}, {"beta1": 0.5}, {"beta2": 0.9},
        {"epsilon": 1e-2}, {"jitter": 2}, {"fill": "black"}, {"upsampling": "bilinear"}, {"upsampling": "gaussian"},
        {"compat": "jitter-frame"}, {"iterations": 7, "seed": 2},
    ]  # fmt: skip
    settings = [setting(**change) for change in changes]
    model = colour_model()
    together = maps_of(*settings, model=model)
    assert model.counted.backward == (18 * 12 + 7) * len(BATCH)
    assert model.chunk == 32
    assert torch.equal(together, torch.cat([maps_of(one) for one in settings]))
    one_image = MeaningfulPerturbation().maps(model, BATCH.select([1]), settings, RNG)
    assert torch.equal(together[:, 1:], one_image)
    assert len({one.numpy().tobytes() for one in together}) == len(settings)


def test_fields_without_effect_make_no_run_of_their_own() -> None:
    alike = [
        setting(jitter=1, **change)
        for change in ({}, {"seed": 4}, {"circle_step": 9.0}, {"suppression": 0.5}, {"search_blur": 1.0},
                       {"upsampling_sigma": 9.0}, {"compat": ("search-blur", "8-bit")}, {"map_sigma": 2.0})
    ]  # fmt: skip
    assert len({one.run() for one in alike}) == 1
    assert MeaningfulPerturbation().rows(alike, (3, 32, 32)) == 12
    assert MeaningfulPerturbation().reruns(alike[0], 2) == []
    assert len(MeaningfulPerturbation().reruns(setting(jitter=1, init="random"), 2)) == 2


def test_settings_with_one_seed_are_moved_alike() -> None:
    seen: dict[float, list[Tensor]] = {}
    for learning_rate in (1e-9, 2e-9):  # masks stay as they are, and all that changes is where the image is
        model = colour_model()
        rows: list[Tensor] = seen.setdefault(learning_rate, [])
        handle = model.module.register_forward_pre_hook(
            lambda _, inputs, rows=rows: rows.append(inputs[0].detach().clone())
        )
        maps_of(setting(learning_rate=learning_rate), model=model)
        handle.remove()
    first, second = (torch.cat(rows) for rows in seen.values())
    torch.testing.assert_close(first, second)
    assert len({row.numpy().tobytes() for row in first[::2]}) > 3


def test_the_experiments_of_the_study_cost_two_thirds_of_their_rows() -> None:
    make = MeaningfulPerturbation.setting
    experiments = [
        [make(), make(init="ones"), make(init="random")],
        [make(iterations=steps) for steps in (10, 150, 300, 450)],
        [make(blur_sigma=sigma) for sigma in (5.0, 10.0, 30.0)],
        [make(init="random", seed=seed) for seed in range(5)],
    ]
    settings = [one for experiment in experiments for one in experiment]
    rows, shape = MeaningfulPerturbation().rows, (3, 224, 224)
    assert rows(settings, shape) == 450 + 2 * 300 + 2 * 300 + 4 * 300 + 3 * 33
    assert rows(settings, shape) / sum(rows([one], shape) for one in settings) < 0.68


def test_the_penalty_is_that_by_hand() -> None:
    mask = torch.tensor([[[1.0, 0.5], [0.0, 0.25]]], dtype=torch.float64)
    assert Penalty(2.0, 0.0, 3.0).of(mask).item() == pytest.approx(2 * (0 + 0.5 + 1 + 0.75))
    down_and_across = 1**3 + 0.25**3 + 0.5**3 + 0.25**3
    assert Penalty(0.0, 10.0, 3.0).of(mask).item() == pytest.approx(10 * down_and_across)
    assert Penalty(0.0, 1.0, 1.0).of(mask).item() == pytest.approx(2.0)
    both = Penalty(0.3, 0.7, 2.5)
    masks = torch.rand(3, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    step = torch.zeros_like(masks)
    step[1, 2, 3] = 1e-6
    slope = (both.of(masks + step) - both.of(masks - step)) / 2e-6
    assert both.gradient(masks)[1, 2, 3].item() == pytest.approx(slope[1].item(), rel=1e-6)
    assert slope[[0, 2]].tolist() == [0, 0]


def test_scaled_penalties_do_not_depend_on_the_mask_size() -> None:
    def cost(scaling: str, size: int, **weights: float) -> float:
        across = (torch.arange(size, dtype=torch.float64) + 0.5) / size
        mask = (across[:, None] * across.square())[None]
        return MeaningfulPerturbation.setting(scaling=scaling, mask_size=size, **weights).penalty().of(mask).item()

    area = [cost(scaling, size, tv=0) for scaling in ("area", "integral") for size in (28, 56, 224)]
    assert area == pytest.approx([area[0]] * 6, rel=1e-3)
    integral = [cost("integral", size, l1=0) for size in (112, 224, 448)]
    assert integral == pytest.approx([integral[0]] * 3, rel=0.02)
    assert cost("none", 56, tv=0) == pytest.approx(4 * cost("area", 56, tv=0))
    assert cost("none", 56, l1=0) == pytest.approx(4 * cost("area", 56, l1=0))
    assert [cost(scaling, 28) for scaling in ("integral", "none")] == [cost("area", 28)] * 2


@pytest.mark.parametrize("kind", ["nearest", "bilinear"])
def test_masks_are_enlarged_as_by_torch(kind: Literal["nearest", "bilinear"]) -> None:
    masks = torch.rand(2, 7, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    corners = {} if kind == "nearest" else {"align_corners": False}
    expected = interpolate(masks[:, None], size=(30, 41), mode=kind, **corners)[:, 0]
    torch.testing.assert_close(Upsampling(7, kind).enlarge(masks, 30, 41), expected)


def test_gaussian_upsampling_is_a_mean_weighted_by_distance() -> None:
    mask = torch.rand(1, 3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    centres = np.array([2.0, 6.0, 10.0])  # of three cells along 12 pixels
    weights = [[np.exp(-((y - 4.5) ** 2 + (x - 8.5) ** 2) / (2 * 2.5**2)) for x in centres] for y in centres]
    expected = (mask[0].numpy() * weights).sum() / np.sum(weights)
    assert Upsampling(3, "gaussian", 2.5).enlarge(mask, 12, 12)[0, 4, 8].item() == pytest.approx(expected)


@pytest.mark.parametrize("frame", ["image", "window"])
def test_gradients_come_back_to_the_cell_that_they_are_of(frame: Literal["image", "window"]) -> None:
    model = colour_model()
    filling = setting(fill="black").run().cover.filling
    for upsampling in (Upsampling(5), Upsampling(5, "bilinear"), Upsampling(5, "gaussian", 2.0)):
        view = Scenes(model, BATCH, RNG).view(Cover(filling, Jitter(6, frame), upsampling), 1, (5, 0))
        mask = torch.rand(5, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
        pixels = torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(1))
        (expected,) = torch.autograd.grad((view.under(mask) * pixels).sum(), mask)
        torch.testing.assert_close(view.pull(pixels), expected, atol=1e-4, rtol=1e-4)


def test_the_mask_moves_with_the_image_or_the_image_under_it() -> None:
    scenes = Scenes(colour_model(), BATCH, RNG)
    filling = setting(fill="black").run().cover.filling
    mask = torch.ones(8, 8, dtype=torch.float64)
    mask[2, 3] = 0  # rows 8 to 11, columns 12 to 15
    black = scenes.view(Cover(filling, Jitter(), Upsampling(8)), 0, (0, 0)).hidden

    def hidden(frame: Literal["image", "window"], offset: tuple[int, int]) -> list[int]:
        view = scenes.view(Cover(filling, Jitter(4, frame), Upsampling(8)), 0, offset)
        rows, columns = (view.under(mask) == black).all(dim=0).nonzero().T
        return [int(rows.min()), int(rows.max()), int(columns.min()), int(columns.max())]

    assert hidden("image", (2, 2)) == [8, 11, 12, 15]
    assert hidden("image", (0, 3)) == [10, 13, 11, 14]
    assert hidden("window", (0, 3)) == hidden("window", (2, 2)) == [8, 11, 12, 15]
    whole = interpolate(scenes.model.inputs(BATCH.images), size=36, mode="bilinear")[0]
    seen = scenes.view(Cover(filling, Jitter(4, "window"), Upsampling(8)), 0, (0, 3)).shown
    assert torch.equal(seen, whole[:, :32, 3:35])


def test_maps_of_8_bits_are_the_same_to_two_levels() -> None:
    exact, rounded = maps_of(setting(), setting(compat=("8-bit",)))
    torch.testing.assert_close(rounded, exact, atol=3 / 255, rtol=0)
    torch.testing.assert_close(rounded * 255, (rounded * 255).round(), atol=1e-4, rtol=0)
    assert not torch.equal(rounded, exact)


def test_a_blur_at_own_size_is_that_of_the_picture_before_it_was_resized(tmp_path) -> None:
    picture = Image.effect_mandelbrot((480, 300), (-2, -1.2, 1, 1.2), 60).convert("RGB")
    picture.save(tmp_path / "photo.png")
    picture.filter(ImageFilter.GaussianBlur(9)).save(tmp_path / "blurred.png")
    model = Model(colour_net(), preprocessing=Preprocessing(100, (120, 120)))
    batch = model.batch([Photo.of_file(tmp_path / "photo.png", label=0)])
    expected = model.image(Photo.of_file(tmp_path / "blurred.png"))

    def blurred(*compat: str) -> Tensor:
        filling = setting(blur_sigma=9, compat=compat or None).run().cover.filling
        return filling.inputs(model, batch, RNG)[0] * model.scale() + torch.tensor([0.485, 0.456, 0.406])[:, None, None]

    own = blurred("own-size-blur")
    assert (own - expected).abs().mean() < 0.1 * (blurred() - expected).abs().mean()
    inside = (..., slice(15, -15), slice(15, -15))  # what lies beyond the crop is no part of the image any more
    assert float((own - expected)[inside].abs().max()) < 0.01


def test_it_hides_what_matters_and_nothing_else() -> None:
    class Corner(torch.nn.Module):
        def forward(self, inputs: Tensor) -> Tensor:
            light = inputs[:, :, :16, :16].mean(dim=(1, 2, 3))
            return torch.stack([10 * light - 5, -10 * light + 5], dim=1)

    method = MeaningfulPerturbation(mask_size=8, fill="black", l1=1e-3, tv=1e-3, iterations=80, scaling="none")
    found = method(Corner(), torch.ones(1, 3, 32, 32), 0)[0]
    assert found[:14, :14].mean() > 0.5
    assert found[20:, 20:].max() < 0.1


def test_a_mask_larger_than_the_image_is_refused() -> None:
    with pytest.raises(ComponentError, match=r"at most the image's shorter side; got 33 for a side of 32"):
        maps_of(setting(mask_size=33))
    with pytest.raises(ComponentError, match="compat"):
        setting(compat="sam-2021")


def test_discs_that_differ_in_what_does_not_matter_are_tried_once() -> None:
    settings = [setting(init="circular", **change) for change in ({}, {"seed": 4}, {"tv": 1.0}, {"suppression": 0.5})]
    assert len({one.discs() for one in settings}) == 1
    assert isinstance(settings[0].discs(), Discs)
    assert MeaningfulPerturbation().rows(settings, (3, 32, 32)) == 4 * 12 + 6

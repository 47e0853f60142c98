"""Localisation against scikit-image's bounding boxes and torchvision's IoU."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from skimage.measure import label, regionprops
from torch import Tensor, nn
from torchvision.ops import box_iou

from sam_toolkit.errors import ComponentError
from sam_toolkit.metrics import Localization, LocalizationError
from sam_toolkit.model import Model
from sam_toolkit.rng import Rng
from sam_toolkit.types import Batch

BOXES = torch.tensor([[0, 2, 3, 9, 14], [1, 0, 0, 6, 5], [1, 4, 3, 14, 17], [1, 5, 5, 6, 6]])
"""Three images of 15 x 18: a box, three boxes that overlap, none."""
ALPHAS = (0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5)


def rough(count: int) -> Tensor:
    """Return maps `[count, 3, 15, 18]` with a few regions above each threshold."""
    noise = torch.randn(count, 3, 15, 18, generator=torch.Generator().manual_seed(2))
    return torch.nn.functional.avg_pool2d(noise, 3, stride=1, padding=1)


MAPS = rough(4)


def scores(metric: type[Any], *fields: dict[str, Any], maps: Tensor = MAPS, boxes: Tensor | None = BOXES) -> Tensor:
    batch = replace(Batch.of(torch.rand(3, 3, 15, 18), 0), boxes=boxes)
    settings = [metric.setting(**given) for given in fields]
    return metric().score(Model(nn.Identity()), batch, maps, settings, Rng())


def predicted(values: Tensor, alpha: float, region: str) -> tuple[int, int, int, int] | None:
    """Return the box around what is kept, as scikit-image finds it."""
    kept = (values.double() >= alpha * values.double().max()) & (values > 0)
    regions = regionprops(label(kept.numpy(), connectivity=2) if region == "largest" else kept.numpy().astype(int))
    return max(regions, key=lambda one: one.area).bbox if regions else None


def iou(box: tuple[int, int, int, int], truths: Tensor) -> float:
    return float(box_iou(torch.tensor([box]), truths).max())


@pytest.mark.parametrize("region", ["all", "largest"])
@pytest.mark.parametrize("alpha", [0.0, 0.2, 0.5, 0.8, 1.0])
def test_it_is_the_iou_with_the_box_that_fits_best(alpha: float, region: str) -> None:
    found = scores(Localization, {"alpha": alpha, "region": region})
    assert found.shape == (1, 4, 3)
    assert found.dtype == torch.float64
    for number in range(4):
        for image in range(2):
            box = predicted(MAPS[number, image], alpha, region)
            assert box is not None
            truths = BOXES[BOXES[:, 0] == image, 1:]
            assert float(found[0, number, image]) == pytest.approx(iou(box, truths), abs=1e-6)


def test_the_largest_region_is_another_box_than_all_that_counts() -> None:
    whole, largest = scores(Localization, {"alpha": 0.5}, {"alpha": 0.5, "region": "largest"})
    assert not torch.equal(whole[:, :2], largest[:, :2])


def test_the_best_alpha_is_chosen_map_by_map() -> None:
    best, *each = scores(Localization, {"alpha": "best"}, *({"alpha": alpha} for alpha in ALPHAS))
    assert torch.equal(best[:, :2], torch.stack(each)[..., :2].amax(dim=0))
    chosen = torch.stack(each)[..., :2].argmax(dim=0)
    assert len(chosen.unique()) > 1
    assert torch.equal(scores(Localization, {"alpha": "best", "alphas": [0.3]})[0, :, :2], each[4][:, :2])


def test_the_union_of_boxes_may_be_the_target() -> None:
    found = scores(Localization, {"alpha": 0.5, "compat": "union-of-boxes"})
    covered = torch.zeros(15, 18, dtype=torch.bool)
    for _, y0, x0, y1, x1 in BOXES[1:].tolist():
        covered[y0:y1, x0:x1] = True
    for number in range(4):
        box = predicted(MAPS[number, 1], 0.5, "all")
        assert box is not None
        inside = torch.zeros_like(covered)
        inside[box[0] : box[2], box[1] : box[3]] = True
        expected = float((inside & covered).sum() / (inside | covered).sum())
        assert float(found[0, number, 1]) == pytest.approx(expected, abs=1e-6)
    assert torch.equal(found[0, :, 0], scores(Localization, {"alpha": 0.5})[0, :, 0])


def square(y0: int, x0: int, y1: int, x1: int) -> Tensor:
    maps = torch.zeros(1, 3, 15, 18)
    maps[..., y0:y1, x0:x1] = 1
    return maps


def test_a_map_of_the_box_itself_fits_wholly() -> None:
    assert scores(Localization, {}, maps=square(2, 3, 9, 14))[0, 0, 0] == 1
    assert scores(Localization, {}, maps=square(4, 3, 14, 17))[0, 0, 1] == 1


def test_the_first_row_and_column_may_be_lost() -> None:
    lost = scores(Localization, {"compat": "box-edge"}, maps=square(2, 3, 9, 14))
    assert float(lost[0, 0, 0]) == pytest.approx(6 * 10 / (7 * 11))
    assert scores(Localization, {"compat": "box-edge"}, maps=square(3, 4, 8, 5))[0, 0, 0] == 0


def test_the_error_is_an_iou_below_the_overlap() -> None:
    half = square(2, 3, 9, 14)
    boxes = torch.tensor([[0, 2, 3, 9, 25], [1, 2, 3, 9, 14], [2, 0, 0, 1, 1]])
    fields = [{}, {"overlap": 0.6}, {"compat": "above-overlap"}, {"compat": "sam-2020", "overlap": 0.3}]
    wide = torch.cat([half, torch.zeros(1, 3, 15, 18)], dim=-1)
    batch = replace(Batch.of(torch.rand(3, 3, 15, 36), 0), boxes=boxes)
    settings = [LocalizationError.setting(**given) for given in fields]
    assert Localization().score(Model(nn.Identity()), batch, wide, [Localization.setting()], Rng())[0, 0, 0] == 0.5
    found = LocalizationError().score(Model(nn.Identity()), batch, wide, settings, Rng())
    assert found[:, 0].tolist() == [[0, 0, 1], [1, 0, 1], [1, 0, 1], [0, 0, 1]]
    assert not LocalizationError.higher_is_better


def test_the_error_follows_the_best_alpha() -> None:
    best, *each = scores(LocalizationError, {"alpha": "best"}, *({"alpha": alpha} for alpha in ALPHAS))
    assert torch.equal(best[:, :2], torch.stack(each)[..., :2].amin(dim=0))


def test_negative_values_count_only_without_their_sign() -> None:
    low = -square(2, 3, 9, 14)
    assert scores(Localization, {}, maps=low)[0, 0, :2].tolist() == [0, 0]
    assert scores(Localization, {"sign": "absolute"}, maps=low)[0, 0, 0] == 1


def test_a_flat_map_is_the_baseline_of_the_whole_image() -> None:
    assert float(scores(Localization, {}, maps=torch.ones(1, 3, 15, 18))[0, 0, 0]) == pytest.approx(77 / 270)


@pytest.mark.parametrize("metric", [Localization, LocalizationError])
def test_images_without_boxes_have_no_score(metric: type[Any]) -> None:
    assert scores(metric, {}, {"alpha": "best"})[..., 2].isnan().all()
    assert not scores(metric, {})[..., :2].isnan().any()
    assert scores(metric, {}, boxes=None).isnan().all()


def test_no_network_row_is_needed_and_thresholds_are_shared() -> None:
    assert Localization().rows([Localization.setting()], 5, (3, 15, 18)) == 0
    assert "alpha" in Localization().shares(Localization.setting())


def test_what_is_no_threshold_is_refused() -> None:
    with pytest.raises(ComponentError, match="alpha"):
        Localization(alpha=1.2)
    with pytest.raises(ComponentError, match="alphas"):
        Localization(alphas=())

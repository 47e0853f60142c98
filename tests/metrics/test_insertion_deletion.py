"""Insertion and deletion against a loop that hides pixel after pixel, and against what can be said on paper."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from nets import colour_batch, colour_model
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn

from sam_toolkit.errors import ComponentError, ModelError
from sam_toolkit.metrics import Deletion, Insertion
from sam_toolkit.model import Model
from sam_toolkit.rng import Rng
from sam_toolkit.types import Batch

BATCH = colour_batch(2, (12, 10))
MAPS = torch.randn(3, 2, 12, 10, generator=torch.Generator().manual_seed(5))
"""Without equal values, so that nothing is drawn."""


def scores(
    metric: type[Any], *fields: dict[str, Any], maps: Tensor = MAPS, batch: Batch = BATCH, seed: int = 0
) -> Tensor:
    settings = [metric.setting(**given) for given in fields]
    return metric().score(colour_model(), batch, maps, settings, Rng(seed))


def filled(batch: Batch, fill: Any, sigma: float = 5.0) -> Tensor:
    """Return what hides, at the network's inputs."""
    model = colour_model()
    match fill:
        case "mean":
            return torch.zeros_like(batch.images)
        case "blur":
            blurred = [
                [gaussian_filter(plane, sigma, mode="nearest") for plane in image] for image in batch.images.numpy()
            ]
            return model.inputs(torch.tensor(np.array(blurred)))
        case "black":
            return model.inputs(torch.zeros_like(batch.images))
        case _:
            return model.inputs(torch.full_like(batch.images, fill))


def score_of(inputs: Tensor, target: int, score: str) -> float:
    with torch.no_grad():
        logits = colour_model().module(inputs[None])[0]
    return float(logits[target] if score == "logit" else logits.softmax(0)[target])


def loop(
    metric: type[Any], order: list[int], image: int, counts: list[int], fill: Any, score: str = "probability"
) -> float:
    """Return the area under the curve of an image by changing pixels one after another, in `order`."""
    inputs, hidden = colour_model().inputs(BATCH.images)[image], filled(BATCH, fill)[image]
    before, after = (inputs, hidden) if metric is Deletion else (hidden, inputs)
    current = before.clone()
    curve = [score_of(current, int(BATCH.targets[image]), score)]
    for start, stop in pairwise(counts):
        for place in order[start:stop]:
            current[:, place // 10, place % 10] = after[:, place // 10, place % 10]
        curve.append(score_of(current, int(BATCH.targets[image]), score))
    return float(np.trapezoid(curve, np.array(counts) / 120))


def best_first(values: Tensor) -> list[int]:
    return sorted(range(120), key=lambda place: -float(values.flatten()[place]))


@pytest.mark.parametrize("metric", [Insertion, Deletion])
@pytest.mark.parametrize(
    ("fields", "counts"),
    [
        ({"steps": 8}, [0, 15, 30, 45, 60, 75, 90, 105, 120]),
        ({"steps": 7, "fill": "black"}, [0, 17, 34, 51, 68, 85, 102, 120]),
        ({"pixels": 50, "fill": "mean"}, [0, 50, 100, 120]),
        ({"pixels": 500, "fill": 0.7}, [0, 120]),
        ({"steps": 1}, [0, 120]),
        ({"steps": 4, "score": "logit", "fill": "blur"}, [0, 30, 60, 90, 120]),
    ],
)
def test_it_is_the_area_under_the_curve_of_a_loop(metric: type[Any], fields: dict[str, Any], counts: list[int]) -> None:
    fill = fields.get("fill", "blur" if metric is Insertion else "mean")
    found = scores(metric, fields)
    assert found.shape == (1, 3, 2)
    assert found.dtype == torch.float64
    for number in range(3):
        for image in range(2):
            order = best_first(MAPS[number, image])
            expected = loop(metric, order, image, counts, fill, fields.get("score", "probability"))
            assert float(found[0, number, image]) == pytest.approx(expected, abs=1e-5)


def test_the_sign_may_be_left_out_of_the_order() -> None:
    found = scores(Deletion, {"steps": 8, "sign": "absolute"})
    assert torch.equal(found, scores(Deletion, {"steps": 8}, maps=MAPS.abs()))
    assert not torch.equal(found, scores(Deletion, {"steps": 8}))


def test_showing_the_best_first_is_hiding_the_worst_first_backwards() -> None:
    shown = scores(Insertion, {"steps": 8, "fill": "black"})
    hidden = scores(Deletion, {"steps": 8, "fill": "black"}, maps=-MAPS)
    torch.testing.assert_close(shown, hidden, rtol=0, atol=1e-6)


class Sum(nn.Module):
    """A classifier whose first logit is the sum of an image, and whose second is 0."""

    def forward(self, images: Tensor) -> Tensor:
        total = images.sum(dim=(1, 2, 3))
        return torch.stack([total, torch.zeros_like(total)], dim=1)


def test_four_pixels_on_paper() -> None:
    images = torch.tensor([[[[4.0, 3.0], [2.0, 1.0]]]])
    maps = torch.tensor([[[0.4, 0.3], [0.2, 0.1]]])
    steps = {"steps": 4, "fill": "mean", "score": "logit"}
    assert float(Deletion(**steps)(maps, images, Sum(), 0)) == (10 / 2 + 6 + 3 + 1 + 0) / 4
    assert float(Insertion(**steps)(maps, images, Sum(), 0)) == (0 + 4 + 7 + 9 + 10 / 2) / 4
    curve = Insertion().curves(Model(Sum()), Batch.of(images, 0), maps[None], [Insertion.setting(**steps)], Rng())
    assert [line.tolist() for line in curve] == [[[[0, 4, 7, 9, 10]]]]


def test_the_steps_of_the_paper_give_29_scores_of_a_photograph() -> None:
    assert Deletion.setting(pixels=1792).counts(224 * 224) == Deletion.setting().counts(224 * 224)
    assert len(Deletion.setting().counts(224 * 224)) == 29


def test_equal_values_are_ranked_without_a_bias_to_any_corner() -> None:
    """A flat map must give, on average, half of the linear score, wherever in the image the score comes from."""
    images = torch.zeros(1, 1, 8, 8)
    images[..., :4, :] = 1
    flat = torch.zeros(1, 1, 8, 8)
    fields = {"fill": "mean", "score": "logit", "steps": 16}
    settings = [Deletion.setting(**fields, seed=seed) for seed in range(60)]
    drawn = Deletion().score(Model(Sum()), Batch.of(images, 0), flat, settings, Rng())
    assert float(drawn.mean()) == pytest.approx(16, abs=0.5)
    assert float(drawn.std()) > 0
    scanned = Deletion(**fields, compat="scan-order")(flat[0], images, Sum(), 0)
    assert float(scanned) == (32 * 0.5) + 32 * 0.25


def test_unequal_values_keep_their_order_whatever_is_drawn() -> None:
    images = torch.tensor([[[[4.0, 3.0], [2.0, 1.0]]]])
    maps = torch.tensor([[[0.5, 0.5], [0.1, 0.2]]])
    fields = {"steps": 4, "fill": "mean", "score": "logit"}
    found = {float(Deletion(**fields, seed=seed)(maps, images, Sum(), 0)) for seed in range(20)}
    assert found == {(5 + 6 + 3 + 2) / 4, (5 + 7 + 3 + 2) / 4}


def test_every_map_of_an_image_has_the_same_draw_and_every_image_its_own() -> None:
    flat = torch.zeros(3, 2, 12, 10)
    found = scores(Deletion, {"steps": 6}, maps=flat)[0]
    assert float(found.std(dim=0).max()) < 1e-7
    twins = replace(BATCH.select([0, 0]), ids=("one", "other"))
    first, second = scores(Deletion, {"steps": 6}, maps=flat[:1], batch=twins)[0, 0]
    assert abs(float(first - second)) > 1e-6


def test_only_what_is_drawn_is_rerun() -> None:
    assert [one.seed for one in Deletion().reruns(Deletion.setting(seed=3), 2)] == [4, 5]
    assert Deletion().reruns(Deletion.setting(compat="scan-order"), 2) == []
    assert len(Deletion().reruns(Deletion.setting(compat="scan-order", fill="noise"), 2)) == 2


def counted(metric: type[Any], settings: list[Any], maps: Tensor = MAPS) -> int:
    """Return the rows an image that were counted, after a check that they were promised."""
    model = colour_model()
    metric().score(model, BATCH, maps, settings, Rng())
    rows = metric().rows(settings, len(maps), (3, 12, 10))
    assert model.counted.forward == rows * len(BATCH)
    return int(rows)


def test_equal_states_go_through_the_network_once() -> None:
    few, many = Deletion.setting(steps=4), Deletion.setting(steps=8)
    assert counted(Deletion, [few]) == 2 + 3 * 3
    assert counted(Deletion, [few, many]) == counted(Deletion, [many]) == 2 + 3 * 7
    assert counted(Deletion, [many, many.varied(fill="black")]) == 3 + 3 * 14
    assert counted(Deletion, [many, many.varied(compat="auc-by-maximum")]) == 2 + 3 * 7
    assert counted(Deletion, [many, many.varied(seed=1)]) == 2 + 3 * 14
    assert counted(Deletion, [many, many.varied(compat="predicted-class")]) == 1 + 2 * (2 + 3 * 7)
    assert counted(Insertion, [Insertion.setting(steps=1)]) == 2


def test_all_maps_and_settings_ride_in_full_batches() -> None:
    sizes: list[int] = []
    model = colour_model(chunk=32)
    model.module.register_forward_hook(lambda module, inputs, output: sizes.append(len(output)))
    Deletion().score(model, BATCH, MAPS, [Deletion.setting(steps=4), Deletion.setting(steps=10)], Rng())
    assert set(sizes[:-1]) == {32}


def test_the_area_may_be_divided_by_the_maximum_of_the_curve() -> None:
    plain, divided = scores(Deletion, {"steps": 8}, {"steps": 8, "compat": "auc-by-maximum"})
    setting = [Deletion.setting(steps=8)]
    [curves] = Deletion().curves(colour_model(), BATCH, MAPS, setting, Rng())
    torch.testing.assert_close(divided, plain / curves.amax(dim=-1))


@pytest.mark.parametrize("compat", ["sam-2020", ["predicted-class", "auc-by-maximum"]])
def test_no_area_of_logits_is_divided(compat: str | list[str]) -> None:
    with pytest.raises(ComponentError, match="set score to probability"):
        Deletion(score="logit", compat=compat)


def test_the_curve_may_be_of_the_predicted_class() -> None:
    predicted = replace(BATCH, targets=colour_model().predict(BATCH.images))
    assert not torch.equal(predicted.targets, BATCH.targets)
    found = scores(Deletion, {"steps": 8, "compat": "predicted-class"})
    torch.testing.assert_close(found, scores(Deletion, {"steps": 8}, batch=predicted))


def original(values: Tensor, image: int, pixels: int) -> float:
    """Return the area under the deletion curve as the code of SAM's authors has it, written anew."""
    model = colour_model()
    inputs = model.inputs(BATCH.images)[image]
    target = int(model.module(inputs[None]).argmax())
    order = np.flip(np.argsort(values.numpy().reshape(-1), kind="stable"))
    curve = []
    for step in range(-(-120 // pixels) + 1):
        hidden = inputs.clone().reshape(3, -1)
        hidden[:, order[: step * pixels].copy()] = 0
        curve.append(score_of(hidden.view(3, 12, 10), target, "probability"))
    area = (sum(curve) - curve[0] / 2 - curve[-1] / 2) / (len(curve) - 1)
    return area / max(curve)


def test_all_conventions_together_are_the_original() -> None:
    maps = (MAPS * 2).round() / 2
    found = scores(Deletion, {"pixels": 12, "compat": "sam-2020"}, maps=maps)
    expected = [[original(maps[number, image], image, 12) for image in range(2)] for number in range(3)]
    torch.testing.assert_close(found[0], torch.tensor(expected, dtype=torch.float64), rtol=0, atol=1e-5)


def test_a_call_with_what_does_not_fit_says_so() -> None:
    with pytest.raises(ComponentError, match=r"one map \[H, W\] an image; got \[3, 2, 12, 10\]"):
        Deletion()(MAPS, BATCH.images, colour_model())
    with pytest.raises(ModelError, match="got target 12"):
        Deletion()(MAPS[0], BATCH.images, colour_model(), 12)


def test_a_call_explains_the_predicted_classes() -> None:
    predicted = colour_model().predict(BATCH.images)
    found = Deletion(steps=5)(MAPS[0], BATCH.images, colour_model())
    assert torch.equal(found, Deletion(steps=5)(MAPS[0], BATCH.images, colour_model(), predicted))

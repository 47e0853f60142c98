from __future__ import annotations

from typing import Any

import pytest
import torch
from skimage.metrics import structural_similarity

from sam_toolkit.component import PairMetric
from sam_toolkit.errors import ComponentError, OpError
from sam_toolkit.metrics import SSIM
from sam_toolkit.types import Params

MAPS = 2 * torch.rand(4, 3, 30, 41, generator=torch.Generator().manual_seed(0)).cumsum(dim=-1).sin()
PAIRS = torch.tensor([[0, 1], [0, 2], [3, 1], [2, 2]])


def _scores(metric: PairMetric[Any], *settings: Params) -> torch.Tensor:
    return metric.compare(metric.prepare(MAPS, settings), PAIRS, settings).values


@pytest.mark.parametrize(
    ("fields", "theirs"),
    [
        ({}, {"win_size": 5, "data_range": 2}),
        ({"data_range": 1.0}, {"win_size": 5, "data_range": 1}),
        ({"window": 7}, {"win_size": 7, "data_range": 2}),
        ({"sigma": 1.5}, {"gaussian_weights": True, "data_range": 2}),
        ({"sigma": 2.0, "data_range": 4.0}, {"gaussian_weights": True, "sigma": 2.0, "data_range": 4}),
    ],
)
def test_values_are_those_of_scikit_image(fields: dict[str, float], theirs: dict[str, object]) -> None:
    found = _scores(SSIM(), SSIM.setting(**fields))[0]
    for p, (a, b) in enumerate(PAIRS.tolist()):
        for n in range(3):
            expected = structural_similarity(MAPS[a, n].double().numpy(), MAPS[b, n].double().numpy(), **theirs)
            assert found[p, n].item() == pytest.approx(expected, abs=1e-6)


def test_values_of_several_settings_are_those_of_each() -> None:
    settings = [SSIM.setting(), SSIM.setting(sigma=1.5), SSIM.setting(window=9, data_range=1.0)]
    assert len({setting.without(SSIM().shares(setting)) for setting in settings}) == 1
    found = _scores(SSIM(), *settings)
    assert found.shape == (3, 4, 3)
    assert found.dtype == torch.float64
    assert torch.equal(found, torch.cat([_scores(SSIM(), setting) for setting in settings]))


def test_an_open_data_range_follows_the_maps() -> None:
    metric = SSIM()
    assert metric.for_range(metric.params, 0.0, 1.0).data_range == 1.0
    assert metric.for_range(metric.params, -1.0, 1.0).data_range == 2.0
    fixed = SSIM.setting(data_range=3.0)
    assert metric.for_range(fixed, 0.0, 1.0) == fixed
    assert torch.equal(_scores(metric, SSIM.setting()), _scores(metric, SSIM.setting(data_range=2.0)))


def test_maps_are_never_scaled() -> None:
    a, b = MAPS[0], MAPS[1]
    assert not torch.allclose(SSIM()(a, b), SSIM()(a / 2, b / 2))


def test_a_map_is_like_itself() -> None:
    torch.testing.assert_close(SSIM()(MAPS[0], MAPS[0]), torch.ones(3, dtype=torch.float64))


@pytest.mark.parametrize("fields", [{"window": 4}, {"window": 1}, {"data_range": 0.0}, {"sigma": 0.1}])
def test_fields_have_rules(fields: dict[str, float]) -> None:
    with pytest.raises(ComponentError, match=next(iter(fields))):
        SSIM(**fields)


def test_a_map_smaller_than_the_window_is_refused() -> None:
    with pytest.raises(OpError, match="at least as large as the window"):
        SSIM(window=31)(MAPS[0], MAPS[1])

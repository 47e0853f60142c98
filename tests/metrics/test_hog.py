from __future__ import annotations

import pytest
import torch
from scipy.stats import pearsonr
from skimage.feature import hog

from sam_toolkit.errors import ComponentError
from sam_toolkit.metrics import HOG
from sam_toolkit.metrics.correlation import unit_vectors


def _maps(height: int, width: int) -> torch.Tensor:
    return 2 * torch.rand(3, 2, height, width, generator=torch.Generator().manual_seed(0)) - 1


@pytest.mark.parametrize(
    ("size", "cell", "side"),
    [
        ((224, 224), None, 16),
        ((128, 150), None, 16),
        ((32, 32), None, 8),
        ((28, 28), None, 7),
        ((64, 48), 10, 10),
    ],
)
def test_values_are_those_of_scikit_image_and_scipy(size: tuple[int, int], cell: int | None, side: int) -> None:
    maps, pairs, settings = _maps(*size), torch.tensor([[0, 1], [2, 1]]), [HOG.setting(cell=cell)]
    metric = HOG()
    found = metric.compare(metric.prepare(maps, settings), pairs, settings).values
    assert found.shape == (1, 2, 2)
    assert found.dtype == torch.float64
    for p, (a, b) in enumerate(pairs.tolist()):
        for n in range(2):
            first, second = (hog(maps[k, n].double().numpy(), pixels_per_cell=(side, side)) for k in (a, b))
            assert found[0, p, n].item() == pytest.approx(
                pearsonr(first, second).statistic, abs=1e-7
            )  # its sums are float32


@pytest.mark.parametrize(("shorter", "side"), [(6, 2), (12, 3), (28, 7), (32, 8), (64, 16), (224, 16), (512, 16)])
def test_cells_grow_with_the_map_up_to_16_pixels(shorter: int, side: int) -> None:
    assert HOG.setting().side((shorter, shorter + 5)) == side


def test_steps_along_rows_and_columns_have_the_orientation_that_scikit_image_gives_them() -> None:
    maps = torch.zeros(4, 1, 48, 48)
    maps[0, 0, 20:, :], maps[1, 0, :, 20:], maps[2, 0, :20, :], maps[3, 0, :, :20] = 1.0, 1.0, 1.0, 1.0
    found = HOG().prepare(maps, [HOG.setting(cell=8)])[:, 0]
    for values, own in zip(maps[:, 0].numpy(), found, strict=True):
        expected = torch.from_numpy(hog(values, pixels_per_cell=(8, 8))).double()
        torch.testing.assert_close(own, unit_vectors(expected), atol=1e-6, rtol=0)


def test_a_flat_map_has_no_descriptor() -> None:
    maps = torch.cat([torch.full((1, 32, 32), 0.3), _maps(32, 32)[0, :1]])
    assert HOG().matrix(maps).isnan().tolist() == [[True, True], [True, False]]


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_a_map_that_is_not_finite_has_no_similarity(value: float) -> None:
    maps = _maps(32, 32)[:, 0]
    maps[1, 20, 20] = value
    assert HOG().matrix(maps).isnan().tolist() == [[False, True, False], [True, True, True], [False, True, False]]


@pytest.mark.parametrize(("cell", "advice"), [(11, "smaller cell"), (None, "larger maps")])
def test_a_map_smaller_than_a_block_is_refused(cell: int | None, advice: str) -> None:
    maps = torch.zeros(2, 32, 32) if cell else torch.zeros(2, 5, 32)
    with pytest.raises(ComponentError, match=f"must fit in the map; got maps of .*{advice}"):
        HOG(cell=cell)(maps[0], maps[1])

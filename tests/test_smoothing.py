"""Smoothed maps against SciPy's and PyTorch's filters."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import uniform_filter
from torch.nn.functional import avg_pool2d

from sam_toolkit import smoothed
from sam_toolkit.errors import ComponentError

MAPS = torch.randn(2, 3, 11, 14, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("w", [1, 2, 5])
def test_it_is_the_uniform_filter_of_other_libraries(w):
    values = MAPS.double()
    for padding, counted in (("zero", True), ("valid", False)):
        expected = avg_pool2d(values, 2 * w + 1, 1, w, count_include_pad=counted)
        torch.testing.assert_close(smoothed(MAPS, w, padding), expected, rtol=0, atol=1e-12)
    expected = uniform_filter(values.numpy(), (0, 0, 2 * w + 1, 2 * w + 1), mode="reflect")
    np.testing.assert_allclose(smoothed(MAPS, w, "symmetric"), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("padding", ["zero", "valid", "symmetric"])
def test_windows_larger_than_the_map_are_fine(padding):
    values = MAPS[0, 0].double()
    found = smoothed(values, 40, padding)
    expected = {"zero": values.sum() / 81**2, "valid": values.mean()}.get(padding)
    if expected is None:
        expected = torch.from_numpy(uniform_filter(values.numpy(), 81, mode="reflect"))
    torch.testing.assert_close(found, expected.expand(11, 14), rtol=0, atol=1e-12)


def test_equal_windows_have_equal_means_and_those_of_zeros_are_0():
    values = torch.zeros(40, 40)
    values[3:6, 3:6] = values[20:23, 30:33] = torch.tensor([[0.1, 1e3, 7e-3], [0.3, 2e-2, 5.5], [1e-2, 0.7, 33.3]])
    found = smoothed(values, 2)
    assert int((found == 0).sum()) == 1600 - 2 * 49
    assert torch.equal(found[1:8, 1:8], found[18:25, 28:35])


def test_no_window_leaves_maps_as_they_are_and_a_negative_one_is_refused():
    assert torch.equal(smoothed(MAPS, 0), MAPS.double())
    with pytest.raises(ComponentError, match="window must be 0 or more pixels to each side; got -1"):
        smoothed(MAPS, -1)

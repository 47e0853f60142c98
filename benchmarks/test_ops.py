"""The compiled operators against what a user would write instead; compare the rows of a group with each other."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from sam_toolkit import ops

COUNT, SIDE = 20, 224


@pytest.fixture
def maps():
    return torch.rand(COUNT, SIDE, SIDE, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.mark.benchmark(group=f"ssim of all pairs of {COUNT} maps")
def test_ssim(benchmark, maps):
    pairs = torch.combinations(torch.arange(COUNT))
    assert benchmark(ops.ssim, maps, pairs).shape == (len(pairs),)


@pytest.mark.benchmark(group=f"ssim of all pairs of {COUNT} maps")
def test_scikit_image(benchmark, maps):
    arrays, pairs = maps.numpy(), torch.combinations(torch.arange(COUNT)).tolist()

    def all_pairs():
        return np.array([structural_similarity(arrays[i], arrays[j], win_size=5, data_range=2) for i, j in pairs])

    found = benchmark(all_pairs)
    np.testing.assert_allclose(found, ops.ssim(maps, torch.tensor(pairs)), atol=1e-4)


@pytest.mark.benchmark(group="a patch over an image at 196 places")
def test_occlude(benchmark):
    image, boxes = _places()
    assert benchmark(ops.occlude, image, boxes, 0.0).shape == (len(boxes), 3, SIDE, SIDE)


@pytest.mark.benchmark(group="a patch over an image at 196 places")
def test_copy_and_assign(benchmark):
    image, boxes = _places()

    def copy_and_assign():
        copies = image.repeat(len(boxes), 1, 1, 1)
        for copy, (_, y0, x0, y1, x1) in zip(copies, boxes.tolist(), strict=True):
            copy[:, y0:y1, x0:x1] = 0.0
        return copies

    torch.testing.assert_close(benchmark(copy_and_assign), ops.occlude(image, boxes, 0.0))


def _places():
    image = torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    starts = range(0, SIDE - 16, 15)
    return image, torch.tensor([[0, y, x, y + 29, x + 29] for y in starts for x in starts]).clamp(max=SIDE)

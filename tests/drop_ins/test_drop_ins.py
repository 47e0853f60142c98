from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage import metrics

from sam_toolkit import ops
from sam_toolkit.drop_ins import structural_similarity, structural_similarity_index_measure

FLAT = np.random.default_rng(0).random((2, 37, 41))
COLOUR = np.random.default_rng(1).random((2, 29, 33, 3)).astype(np.float32)
theirs = pytest.importorskip("torchmetrics.functional.image").structural_similarity_index_measure


def same(found, expected, tolerance):
    found, expected = (one if isinstance(one, tuple) else (one,) for one in (found, expected))
    assert len(found) == len(expected)
    for ours, other in zip(found, expected, strict=True):
        assert ours.dtype == other.dtype
        assert ours.shape == other.shape
        np.testing.assert_allclose(ours, other, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"win_size": 5, "full": True},
        {"gaussian_weights": True, "full": True},
        {"gaussian_weights": True, "sigma": 2.0, "use_sample_covariance": False},
        {"use_sample_covariance": False, "full": True},
    ],
)
@pytest.mark.parametrize("images", [FLAT, COLOUR], ids=["flat", "colour"])
def test_scikit_image_s_similarity_has_equal_values(arguments, images):
    axis = 2 if images.ndim == 4 else None
    asked = {"data_range": 1.0, "channel_axis": axis, **arguments}
    calls = ops.calls()
    found = structural_similarity(*images, **asked)
    assert ops.calls() != calls
    same(found, metrics.structural_similarity(*images, **asked), 1e-10 if images.dtype == np.float64 else 2e-5)


@pytest.mark.parametrize(
    "arguments",
    [
        {"gradient": True},
        {"K1": 0.02},
        {"gaussian_weights": True, "win_size": 7},
        {"win_size": 37},
        {"data_range": 255},
    ],
)
def test_what_the_operator_does_not_do_is_scikit_image_s(arguments):
    asked = {"data_range": 1.0, **arguments}
    same(structural_similarity(*FLAT, **asked), metrics.structural_similarity(*FLAT, **asked), 1e-10)
    whole = (255 * FLAT).astype(np.uint8)
    same(structural_similarity(*whole), metrics.structural_similarity(*whole), 0)


@pytest.mark.parametrize("asked", [{}, {"data_range": 1.0, "win_size": 4}, {"data_range": 1.0, "win_size": 99}])
def test_what_scikit_image_refuses_is_refused_in_its_words(asked):
    with pytest.raises(ValueError) as expected:  # noqa: PT011 - its words are compared below
        metrics.structural_similarity(*FLAT, **asked)
    with pytest.raises(ValueError) as found:  # noqa: PT011 - likewise
        structural_similarity(*FLAT, **asked)
    assert str(found.value) == str(expected.value)


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"data_range": 1.0, "return_full_image": True},
        {"gaussian_kernel": False, "kernel_size": 5, "reduction": "none"},
        {"sigma": 2.5, "data_range": (0.2, 0.7), "reduction": "sum"},
        {"data_range": 2.0, "reduction": None},
        {"data_range": 1.0, "return_contrast_sensitivity": True},
        {"sigma": (1.0, 2.0), "kernel_size": (5, 7), "k1": 0.02},
    ],
)
def test_torchmetrics_similarity_has_equal_values(arguments):
    preds, target = torch.from_numpy(COLOUR).permute(0, 3, 1, 2).contiguous().split(1)
    preds, target = torch.cat([preds, target]), torch.cat([target, 0.5 * preds])
    same(structural_similarity_index_measure(preds, target, **arguments), theirs(preds, target, **arguments), 3e-5)


def test_gradients_are_those_of_torchmetrics():
    preds, target = torch.rand(2, 1, 2, 15, 16, dtype=torch.float64).unbind()
    grads = []
    for function in (structural_similarity_index_measure, theirs):
        free = preds.clone().requires_grad_()
        function(free, target, data_range=1.0).backward()
        grads.append(free.grad)
    torch.testing.assert_close(*grads)

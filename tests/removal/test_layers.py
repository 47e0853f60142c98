"""Constants of single layers: matrices written out, slopes of activations, windows that share an element."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from sam_toolkit.removal import layers
from sam_toolkit.removal.lipschitz import product_lipschitz
from sam_toolkit.removal.operator_norm import affine_norm


def seeded(build, seed=0):
    torch.manual_seed(seed)
    return build()


def jacobian_norm(module, shape):
    """Return the norm of an affine module by writing its Jacobian out."""
    module = module.double().eval()
    origin = torch.zeros(1, *shape, dtype=torch.float64)
    matrix = torch.autograd.functional.jacobian(module, origin).reshape(module(origin).numel(), -1)
    return float(torch.linalg.svdvals(matrix)[0])


CONVOLUTIONS = [
    lambda: nn.Conv2d(3, 5, 3, padding=1), lambda: nn.Conv2d(3, 4, 5, stride=2, padding=2),
    lambda: nn.Conv2d(3, 6, 3, stride=3, groups=3, bias=False), lambda: nn.Conv2d(3, 4, 3, dilation=2, padding=1),
    lambda: nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect"), lambda: nn.ConvTranspose2d(3, 2, 3, stride=2),
    lambda: nn.Conv2d(3, 4, 3, padding=1, padding_mode="circular"), lambda: nn.AvgPool2d(3, 2, 1),
    lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.AvgPool2d(2)), lambda: nn.Upsample(scale_factor=2),
]  # fmt: skip


@pytest.mark.parametrize("build", CONVOLUTIONS)
def test_affine_maps_have_the_norm_of_their_matrix(build):
    module = seeded(build)
    expected = jacobian_norm(module, (3, 9, 11))
    assert affine_norm(module.double().eval(), torch.Size((1, 3, 9, 11))) == (pytest.approx(expected, rel=1e-10), True)
    assert product_lipschitz(module, (3, 9, 11)).value == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("build", CONVOLUTIONS)
def test_iteration_lies_above_the_norm_by_at_most_two_percent(build, monkeypatch):
    module = seeded(build)
    expected = jacobian_norm(module, (3, 9, 11))
    monkeypatch.setattr("sam_toolkit.removal.operator_norm._MOST_SINGULAR", 0)
    found, exact = affine_norm(module.double().eval(), torch.Size((1, 3, 9, 11)))
    assert not exact
    assert expected <= found <= expected * 1.02


def test_the_constant_of_a_convolution_depends_on_the_size_of_the_image():
    module = seeded(lambda: nn.Conv2d(1, 1, 3, padding=1))
    small, large = (product_lipschitz(module, (1, side, side)).value for side in (3, 12))
    assert small < large < float(module.weight.detach().abs().sum())


def test_average_pooling_of_k_by_k_is_one_over_k():
    assert product_lipschitz(nn.AvgPool2d(3), (2, 9, 9)).value == pytest.approx(1 / 3)


@pytest.mark.parametrize("build", [
    *(kind for kind in layers.CONSTANTS if "Pool" not in kind.__name__ and kind is not nn.Softmax),
    lambda: nn.GELU(approximate="tanh"), lambda: nn.LeakyReLU(1.7), lambda: nn.ELU(1.7), lambda: nn.PReLU(init=1.7),
])  # fmt: skip
def test_activations_have_their_largest_slope(build):
    points = torch.linspace(-12, 12, 400_001, dtype=torch.float64, requires_grad=True)
    layer = build().double()
    (slopes,) = torch.autograd.grad(layer(points).sum(), points)
    largest = float(slopes.abs().max())
    constant = layers.layer_constant(layer)
    assert largest <= constant + 1e-8
    assert largest == pytest.approx(constant, abs=2e-5)


@pytest.mark.parametrize(
    "pool", [nn.MaxPool2d(2), nn.MaxPool2d(3, 2), nn.MaxPool2d(3, 1), nn.MaxPool2d((3, 2), (1, 2), dilation=(2, 1))]
)
def test_max_pooling_stretches_by_the_root_of_the_windows_that_share_an_element(pool):
    shared = functional.unfold(
        torch.arange(1.0, 401).reshape(1, 1, 20, 20), pool.kernel_size, pool.dilation, stride=pool.stride
    )
    counts = torch.bincount(shared.flatten().long())
    assert layers.layer_constant(pool) == pytest.approx(math.sqrt(int(counts.max())))


def test_max_pooling_reaches_its_constant_where_one_element_wins_all_windows():
    image = torch.zeros(1, 1, 7, 7)
    image[0, 0, 2, 2] = 1
    assert float(nn.MaxPool2d(3, 2)(image).norm()) == layers.layer_constant(nn.MaxPool2d(3, 2)) == 2

"""Lipschitz constants against explicit matrices, measured slopes and closed forms."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from sam_toolkit.errors import ComponentError
from sam_toolkit.images import Preprocessing
from sam_toolkit.model import Model
from sam_toolkit.removal.assumptions import Assumption
from sam_toolkit.removal.lipschitz import given_lipschitz, local_lipschitz, product_lipschitz


def seeded(build, seed=0):
    torch.manual_seed(seed)
    return build()


def jacobian_norm(module, shape):
    """Return the norm of an affine module by writing its Jacobian out."""
    module = module.double().eval()
    origin = torch.zeros(1, *shape, dtype=torch.float64)
    matrix = torch.autograd.functional.jacobian(module, origin).reshape(module(origin).numel(), -1)
    return float(torch.linalg.svdvals(matrix)[0])


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_one_class_of_a_softmax_has_slope_root_two_over_four(classes):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(20_000, classes, dtype=torch.float64, generator=generator) * 4
    logits[0] = torch.tensor([math.log(max(classes - 1, 1))] + [0.0] * (classes - 1))
    logits[1] = torch.tensor([0.0, 0.0] + [-100.0] * (classes - 2))
    logits.requires_grad_()
    (gradient,) = torch.autograd.grad(logits.softmax(dim=1)[:, 0].sum(), logits)
    linear = seeded(lambda: nn.Linear(4, classes))
    spectral = float(torch.linalg.svdvals(linear.weight.double().detach())[0])
    constant = product_lipschitz(linear, (4,), 0, score="probability").value / spectral
    assert constant == pytest.approx(math.sqrt(2) / 4)
    assert float(gradient.norm(dim=1).max()) == pytest.approx(constant, abs=1e-9)


class Residual(nn.Module):
    """Everything that paths do: a skip, a sum with a constant, a scale, a join, functions and methods."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 3, 3, padding=1)
        self.second = nn.Conv2d(3, 3, 3, padding=1, bias=False)
        self.last = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        kept = torch.relu(self.first(x))
        inner = kept + functional.leaky_relu(self.second(2 * kept - 1), 0.2) / 4
        joined = torch.cat([inner, functional.max_pool2d(kept, 3, 1, 1)], dim=1)
        joined = functional.dropout(joined, 0.5, training=self.training)
        return self.last(joined.mean([2, 3]).view(x.size(0), -1))


def test_paths_add_up_and_joins_have_the_length_of_their_parts():
    network = seeded(Residual)
    first, second = (jacobian_norm(layer, (3, 6, 6)) for layer in (network.first, network.second))
    inner = first * (1 + 2 * second / 4)
    joined = math.hypot(inner, 3 * first)
    weight = network.last.weight.double().detach()
    assert product_lipschitz(network, (3, 6, 6)).value == pytest.approx(
        joined * float(torch.linalg.svdvals(weight)[0]) / 6, rel=1e-9
    )
    assert product_lipschitz(network, (3, 6, 6), 2).value == pytest.approx(joined * float(weight[2].norm()) / 6)


def test_the_network_stays_as_it_was():
    network = seeded(Residual).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    product_lipschitz(network, (3, 6, 6))
    assert network.training
    assert all(value.dtype == torch.float32 and value.requires_grad for value in network.parameters())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_normalisation_counts_from_the_images():
    module = nn.Sequential(nn.Flatten(), nn.Linear(12, 3, bias=False)).double()
    preprocessing = Preprocessing(crop=2, mean=(0.5, 0.4, 0.3), std=(0.1, 0.2, 0.5))
    found = product_lipschitz(Model(module, preprocessing=preprocessing), (3, 2, 2), 1).value
    spread = torch.tensor([0.1, 0.2, 0.5]).repeat_interleave(4)
    assert found == pytest.approx(float((module[1].weight[1].detach() / spread).norm()), rel=1e-6)
    images = torch.rand(3, 3, 2, 2, dtype=torch.float64)
    local = local_lipschitz(Model(module, preprocessing=preprocessing), images, torch.tensor([1, 1, 1]))
    assert local.value == pytest.approx(found, rel=1e-6)


def networks(seed, width):
    """Return small networks on `[3, 6, 6]`."""
    torch.manual_seed(seed)
    activation = [nn.ReLU, nn.Tanh, nn.SiLU, nn.GELU, nn.Sigmoid, nn.ELU][seed % 6]
    plain = nn.Sequential(
        nn.Conv2d(3, width, 3, 1 + seed % 2, 1), nn.BatchNorm2d(width), activation(), nn.MaxPool2d(2, 1),
        nn.Flatten(), nn.LazyLinear(5), activation(), nn.Linear(5, 3),
    ).eval()  # fmt: skip
    plain(torch.zeros(1, 3, 6, 6))
    plain[1].running_var.uniform_(0.3, 2)
    return plain.double(), Residual().double().eval()


@given(seed=st.integers(0, 2**31), width=st.integers(1, 4))
@settings(max_examples=25, deadline=None)
def test_no_measured_slope_exceeds_the_certificate(seed, width):
    for network in networks(seed, width):
        for score in ("logit", "probability"):
            limit = product_lipschitz(network, (3, 6, 6), 1, score=score)
            assert limit.certified
            images = torch.randn(20, 3, 6, 6, dtype=torch.float64) * 3
            local = local_lipschitz(network, images, torch.ones(20, dtype=torch.long), score=score)
            assert local.value <= limit.value
            assert not local.certified
            with torch.no_grad():
                scores = network(images) if score == "logit" else network(images).softmax(dim=1)
            slopes = (scores[1:, 1] - scores[:-1, 1]).abs() / (images[1:] - images[:-1]).flatten(1).norm(dim=1)
            assert float(slopes.max()) <= limit.value


def test_a_wrong_constant_of_a_layer_is_caught_by_measured_slopes():
    found = 0
    for seed in range(0, 60, 6):  # with ReLU
        network, _ = networks(seed, 2)
        halved = product_lipschitz(network, (3, 6, 6), 1, known={nn.ReLU: 0.1}).value
        images = torch.randn(20, 3, 6, 6, dtype=torch.float64)
        found += local_lipschitz(network, images, torch.ones(20, dtype=torch.long)).value > halved
    assert found > 0


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(4, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.attention(x, x, x)[0]


class Branching(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x if x.sum() > 0 else -x


class Product(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(x)


class Overwriting(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        kept = 1 * x
        kept *= 3
        kept = kept + 0
        kept += x
        return kept


class Aliased(nn.Module):
    def __init__(self):
        super().__init__()
        self.activation = nn.SiLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        kept = 2 * x
        return self.activation(kept) + kept


def test_what_is_written_in_place_counts_where_nothing_else_uses_it():
    assert product_lipschitz(Overwriting(), (4,)).value == pytest.approx(4)
    residual = nn.Sequential(nn.Linear(4, 4), nn.ReLU(inplace=True), nn.SiLU(inplace=True), nn.Linear(4, 4))
    again = nn.Sequential(residual[0], nn.ReLU(), nn.SiLU(), residual[3])
    assert product_lipschitz(residual, (4,)).value == pytest.approx(product_lipschitz(again, (4,)).value)


class Turned(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + 100 * x.T


class Counted(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(x.shape[0], 2, -1).flatten(1) / x.ndim


def test_shapes_may_be_asked_for():
    assert product_lipschitz(Counted(), (4,)).value == pytest.approx(0.5)


class Scaled(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.add(x, torch.tanh(x), alpha=5)


class Floored(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.div(x, 0.1, rounding_mode="floor")


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (Aliased(), "'activation' writes over a tensor that is used elsewhere"),
        (Turned(), "known for getattr"),
        (Scaled(), "known for add"),
        (Floored(), "known for div"),
        (nn.Sequential(nn.Dropout(), Attention()), "known for MultiheadAttention at '1.attention'"),
        (Attention(), "known for MultiheadAttention at 'attention'"),
        (Product(), "known for mul at 'mul'"),
        (Branching(), "Branching cannot be followed"),
        (nn.Sequential(nn.LayerNorm(4)), "known for LayerNorm at '0'"),
        (nn.Sequential(nn.BatchNorm1d(4, track_running_stats=False)), "known for BatchNorm1d at '0'"),
        (nn.Linear(3, 2), r"does not take inputs of shape \[4\]"),
    ],
)
def test_what_has_no_known_constant_is_refused_by_name(module, message):
    with pytest.raises(ComponentError, match=message):
        product_lipschitz(module, (4,))


def test_a_constant_can_be_named_by_type_or_by_name():
    network = nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4))
    plain = product_lipschitz(network[0], (4,)).value
    for known in ({nn.LayerNorm: 3.0}, {"1": 3.0}):
        assert product_lipschitz(network, (4,), known=known).value == pytest.approx(3 * plain)


def test_every_constant_says_what_it_rests_on():
    network = nn.Linear(3, 2)
    found = product_lipschitz(network, (3,), 0)
    assert found.assumptions == (Assumption.LAYERS,)
    assert Assumption.LAYERS in str(found)
    assert "no certificate" in str(local_lipschitz(network, torch.zeros(1, 3), torch.tensor([0])))
    assert given_lipschitz(2).assumptions == (Assumption.GIVEN,)
    with pytest.raises(ComponentError, match="not negative; got -1"):
        given_lipschitz(-1)
    with pytest.raises(ComponentError, match="classes 0 to 1; got target 2"):
        product_lipschitz(network, (3,), 2)


def test_a_large_layer_says_that_its_norm_comes_from_a_random_start():
    module = seeded(lambda: nn.Conv2d(3, 8, 3, padding=1))
    found = product_lipschitz(module, (3, 40, 40))
    assert Assumption.CHANCE in found.assumptions
    assert not found.factors[0].exact

"""Attacks on a network that ships, with handwritten digits: worse than random signs of their size, label kept."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import interpolate, pad

from sam_toolkit import Gradient, InputXGradient, IntegratedGradients, SmoothGrad, TopKIntersection
from sam_toolkit.component import Method, Perturbation, Perturbed
from sam_toolkit.perturbations import AttributionAttack, RandomSign
from sam_toolkit.rng import Rng
from sam_toolkit.sources import ReferenceNets
from sam_toolkit.types import Batch

datasets = pytest.importorskip("sklearn.datasets", reason="needs scikit-learn's digits")

MODEL = ReferenceNets().load("mnist-regular")
IMAGES, EPS, K = 8, 8 / 255, 100
GRADIENT = Gradient(channels="abs-sum")
MARGIN, SMALL = 0.1, 0.05
"""Of the mean top-k intersection, by which an attack must lie below random signs of its size."""
WEAKER = {"target", "top-k, released code"}
"""Whose aim is another number, or whose twin is smoother."""


@pytest.fixture(scope="module")
def digits() -> Batch:
    """Return digits of 8 x 8 pixels, enlarged to MNIST's 20 x 20 in 28 x 28, that the network gets right."""
    found = datasets.load_digits()
    small, labels = torch.tensor(found.images[:40], dtype=torch.float32)[:, None] / 16, torch.tensor(found.target[:40])
    images = pad(interpolate(small, size=(20, 20), mode="bicubic", align_corners=False).clamp(0, 1), (4, 4, 4, 4))
    right = MODEL.predict(images) == labels
    assert int(right.sum()) >= IMAGES
    return Batch.of(images[right][:IMAGES], labels[right][:IMAGES])


def run(perturbation: Perturbation[Any], batch: Batch, seed: int = 5) -> Perturbed:
    rng = Rng(seed).child(perturbation.name)
    return perturbation.perturbed(MODEL, batch, [perturbation.params], rng)


def intersection(method: Method[Any], batch: Batch, images: Tensor) -> Tensor:
    """Return the top-k intersection `[N]` of the maps of changed and clean images, as a study compares them."""
    maps = [
        method.maps(MODEL, each, [method.params], Rng(5).child(method.name))[0].abs()
        for each in (batch, batch.with_images(images))
    ]
    return TopKIntersection(k=K)(*maps)


ATTACKS = {
    "top-k": (GRADIENT, {"k": K}),
    "top-k with LENS": (GRADIENT, {"k": K, "w": 1}),
    "mass-centre": (GRADIENT, {"objective": "mass-centre"}),
    "target": (GRADIENT, {"objective": "target", "box": (0, 0, 8, 8)}),
    "top-k, released code": (GRADIENT, {"k": K, "compat": "lens-2024", "beta": 1.0}),
    "input-x-gradient": (InputXGradient(channels="abs-sum"), {"k": K}),
    "integrated-gradients": (IntegratedGradients(steps=3, channels="abs-sum"), {"k": K}),
    "smoothgrad": (SmoothGrad(samples=3, channels="abs-sum"), {"k": K}),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_worse_than_random_signs_and_keeps_the_label(name: str, digits: Batch) -> None:
    method, fields = ATTACKS[name]
    attack = run(AttributionAttack(of=method, eps=EPS, steps=10, **fields), digits)
    control = run(RandomSign(eps=EPS), digits)
    attacked, random = (intersection(method, digits, each.images[0]) for each in (attack, control))
    assert float(attacked.mean()) < float(random.mean()) - (SMALL if name in WEAKER else MARGIN)
    assert torch.equal(MODEL.predict(attack.images[0]), MODEL.predict(digits.images))
    assert float((attack.images[0] - digits.images).abs().max()) <= EPS + 1e-6


def test_it_reproduces_from_its_seed(digits: Batch) -> None:
    attack = AttributionAttack(of=SmoothGrad(samples=2, channels="abs-sum"), eps=EPS, k=K, steps=4)
    first, again, other = (run(attack, digits, seed) for seed in (5, 5, 6))
    assert torch.equal(first.images, again.images)
    assert all(torch.equal(first.extras[name], again.extras[name]) for name in first.extras)
    assert not torch.equal(first.images, other.images)


def test_a_larger_budget_does_more(digits: Batch) -> None:
    settings = [AttributionAttack.setting(of=GRADIENT, eps=eps / 255, k=K, steps=10) for eps in (0, 1, 4, 16)]
    found = AttributionAttack().perturbed(MODEL, digits, settings, Rng(5).child("attribution-attack"))
    means = [float(intersection(GRADIENT, digits, images).mean()) for images in found.images]
    assert means[0] == 1
    assert means == sorted(means, reverse=True)

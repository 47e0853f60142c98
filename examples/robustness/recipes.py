"""How each reference net is trained."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sam_toolkit.sources.dataset_facts import DatasetName


@dataclass(frozen=True)
class Recipe:
    """The numbers of a training; images are in [0, 1].

    Attributes:
        images: to train on, the first of the data set's; None: all.
        epochs: passes over them.
        rate: largest learning rate of AdamW, on a one-cycle schedule.
        shift: pixels by which an image may move, in each direction.
        flip: whether images may be mirrored.
        epsilon: L2 norm of the attack that the net is measured with, and robust ones are trained on.
        steps: of the attack in training; 0: none.
        sigma: standard deviation of the noise in training; 0: none.
        bf16: whether layers compute in bfloat16, which some processors do twice as fast.
    """

    images: int | None
    epochs: int
    epsilon: float
    rate: float = 0.002
    shift: int = 2
    flip: bool = False
    steps: int = 0
    sigma: float = 0.0
    bf16: bool = False


_MNIST = Recipe(None, 12, 1.5)
_FASHION = Recipe(20_000, 6, 1.5, flip=True)
_CIFAR = Recipe(None, 8, 0.5, shift=4, flip=True, bf16=True)

RECIPES: dict[tuple[DatasetName, str], Recipe] = {
    ("mnist", "regular"): _MNIST,
    ("mnist", "robust"): replace(_MNIST, steps=3),
    ("mnist", "noise"): replace(_MNIST, sigma=0.2),
    ("fashion-mnist", "regular"): _FASHION,
    ("fashion-mnist", "robust"): replace(_FASHION, steps=3),
    ("fashion-mnist", "noise"): replace(_FASHION, sigma=0.2),
    ("cifar10", "regular"): _CIFAR,
    ("cifar10", "robust"): replace(_CIFAR, steps=2),
    ("cifar10", "noise"): replace(_CIFAR, sigma=0.1),
}
"""By data set and kind of net. The kinds of one data set differ in what images are trained on, and in nothing else."""

KINDS = ("regular", "robust", "noise")

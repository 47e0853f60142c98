"""What whole studies are timed on, free of PyTorch for the command line's help: the study of SAM and smaller ones."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

LITE = "efficientnet-lite0"
NETWORKS = (LITE, "googlenet", "vgg16")
_SLOW = ("vgg16",)

Extent = Literal["whole", "fewer", "quick"]
_Methods = list[dict[str, dict[str, Any]]]

MASKS = "meaningful-perturbation"
FIRST_STEPS = 10
"""Of a mask's optimisation: Adam's steps double what rounding does every few steps, up to whole masks."""
_METRICS = ("ssim", "hog", "spearman")


@dataclass(frozen=True)
class Scale:
    """How much of each experiment of SAM (CVPR 2020) is run; the ids are the original's.

    Attributes:
        samples, spreads: of SmoothGrad, a30 and a31.
        patches: of the sliding patch, a01, a02 and a03: lists of sides, the default first.
        stride: of the sliding patch.
        lime: numbers of LIME's samples, the default last, a01; `seeds` are a02.
        iterations: of Meaningful Perturbation, a21; `inits`, `blurs` and `seeds` are a20, a22 and a23.
        steps: iterations where something else is varied.
    """

    samples: tuple[int, ...] = (50, 100, 200, 500, 800)
    spreads: tuple[float, ...] = (0.2, 0.1, 0.3)
    patches: tuple[tuple[int, ...], ...] = ((6, 5, 7), (29, 5, 17, 41, 53), (53, 52, 54))
    stride: int = 8
    lime: tuple[int, ...] = (500, 1000)
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    iterations: tuple[int, ...] = (10, 150, 300, 450)
    inits: tuple[str, ...] = ("circular", "ones", "random")
    blurs: tuple[float, ...] = (10.0, 5.0, 30.0)
    steps: int = 300

    def methods(self) -> _Methods:
        """Return the experiments as a study file lists them."""
        few = {"iterations": self.steps}
        return [
            {"smoothgrad": {"samples": list(self.samples), "default": {"samples": self.samples[0], "spread": 0.15}}},
            {"smoothgrad": {"spread": list(self.spreads), "default": {"samples": self.samples[0], "spread": 0.2}}},
            *(
                {"sliding-patch": {"patch": list(sides), "default": {"patch": sides[0], "stride": self.stride}}}
                for sides in self.patches
            ),
            {"lime": {"samples": list(self.lime), "default": {"samples": self.lime[-1]}}},
            {"lime": {"seed": list(self.seeds), "samples": self.lime[-1]}},
            {MASKS: {"init": list(self.inits), **few}},
            {MASKS: {"iterations": list(self.iterations), "default": few}},
            {MASKS: {"blur_sigma": list(self.blurs), **few}},
            {MASKS: {"seed": list(self.seeds), "init": "random", **few}},
        ]

    def first_steps(self) -> _Methods:
        """Return the experiments on masks, of so few steps that rounding has not grown."""
        few = replace(self, iterations=(5, FIRST_STEPS), steps=FIRST_STEPS)
        return [one for one in few.methods() if MASKS in one]


SCALES: dict[Extent, Scale] = {
    "whole": Scale(),
    "fewer": Scale(
        samples=(25, 50, 100),
        patches=((29, 17), (53, 52)),
        lime=(250, 500),
        seeds=(0, 1, 2),
        iterations=(10, 25, 50),
        steps=50,
    ),
    "quick": Scale(
        samples=(10, 20, 40),
        patches=((29, 53),),
        stride=16,
        lime=(100, 200),
        seeds=(0, 1),
        iterations=(5, 10),
        inits=("circular", "ones"),
        blurs=(10.0, 5.0),
        steps=10,
    ),
}


@dataclass(frozen=True)
class StudyCase:
    """A study of one photograph and one network, and how it is run.

    Attributes:
        threads: of PyTorch, for both sides; 0: as many as it takes.
        workers: processes in which ours computes maps.
        begun: whether it is of nothing but the first steps of masks.
    """

    network: str
    extent: Extent
    photo: str = "coffee"
    threads: int = 0
    workers: int = 0
    begun: bool = False

    @classmethod
    def of(cls, network: str, quick: bool, **fields: Any) -> StudyCase:
        """Return the case of a network: the whole study, unless its rows take too long."""
        usual: Extent = "fewer" if network in _SLOW else "whole"
        return cls(network, "quick" if quick else usual, **fields)

    def mapping(self) -> dict[str, Any]:
        """Return the study as its file would have it; neither side computes floors."""
        scale = SCALES[self.extent]
        return {
            "title": f"bench {self.network}",
            "models": [self.network],
            "images": {"bundled": [self.photo]},
            "methods": scale.first_steps() if self.begun else scale.methods(),
            "compare": [{"along": "settings", "metrics": list(_METRICS)}],
            "reruns": 0,
            "random-maps": 0,
        }

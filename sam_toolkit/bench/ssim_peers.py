"""Other libraries' SSIM in their best settings: batches of the best size, no gradients, the same window."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional

from sam_toolkit.bench import plain_ssim
from sam_toolkit.bench.cases import SkipPeer
from sam_toolkit.bench.plain_ssim import Window

PairScore = Callable[[Tensor, Tensor], Tensor]
"""Maps `[n, 1, H, W]`, twice, to their similarities `[n]`."""
_FLAT = 1e6  # a Gaussian this wide is a uniform window


class _Factory(Protocol):
    def __call__(self, library: Any, window: Window) -> PairScore: ...


@dataclass(frozen=True)
class PairPeer:
    """A library's SSIM; where its convention is not ours, what ours is compared with and the words that say so."""

    name: str
    module: str
    score: _Factory
    convention: str
    sample_covariance: bool = False
    mirrored: bool = False  # the mean is over the whole map, mirrored at its borders
    always_gaussian: bool = False
    one_by_one: bool = False  # takes one pair a call, on the CPU
    gpu_only: bool = False

    def load(self, device: str, window: Window, dtype: torch.dtype) -> PairScore:
        """Return the function to time.

        Raises:
            SkipPeer: where the library is not installed, or cannot do this.
        """
        if self.gpu_only and device == "cpu":
            raise SkipPeer("it runs on GPUs only")
        if self.gpu_only and (window.gaussian is False or dtype != torch.float32):
            raise SkipPeer("it knows the Gaussian window and float32 only")
        try:
            library = importlib.import_module(self.module)
        except ImportError as error:
            raise SkipPeer(f"not installed, or broken ({error}): pip install 'sam-toolkit[bench]'") from error
        return self.score(library, window)

    def same_as(self, maps: Tensor, window: Window) -> tuple[Tensor, dict[str, Any]]:
        """Return the maps and the arguments of `ops.ssim` that give what this library gives."""
        reach = window.side // 2 if self.mirrored else 0
        padded = functional.pad(maps[:, None], [reach] * 4, mode="reflect")[:, 0]
        weights = 1.5 if self.always_gaussian else window.gaussian
        return padded, {
            "window": window.side,
            "gaussian": weights,
            "data_range": 1.0,
            "sample_covariance": self.sample_covariance,
        }


def _scikit_image(library: Any, window: Window) -> PairScore:
    weighting = {"gaussian_weights": True, "sigma": 1.5} if window.gaussian else {"win_size": window.side}

    def score(a: Tensor, b: Tensor) -> Tensor:
        value = library.structural_similarity(a[0, 0].numpy(), b[0, 0].numpy(), data_range=1.0, **weighting)
        return torch.tensor([float(value)], dtype=torch.float64)

    return score


def _torchmetrics(library: Any, window: Window) -> PairScore:
    def score(a: Tensor, b: Tensor) -> Tensor:
        found: Tensor = library.structural_similarity_index_measure(
            a,
            b,
            gaussian_kernel=bool(window.gaussian),
            kernel_size=window.side,
            reduction="none",
            data_range=1.0,
        )
        return found

    return score


def _pytorch_msssim(library: Any, window: Window) -> PairScore:
    weights = torch.tensor(window.taps).view(1, 1, 1, -1)

    def score(a: Tensor, b: Tensor) -> Tensor:
        found: Tensor = library.ssim(a, b, data_range=1.0, size_average=False, win=weights)
        return found

    return score


def _piq(library: Any, window: Window) -> PairScore:
    sigma = 1.5 if window.gaussian else _FLAT

    def score(a: Tensor, b: Tensor) -> Tensor:
        found: Tensor = library.ssim(a, b, window.side, sigma, reduction="none", downsample=False)
        return found

    return score


def _kornia(library: Any, window: Window) -> PairScore:
    def score(a: Tensor, b: Tensor) -> Tensor:
        found: Tensor = library.ssim(a, b, window.side, padding="valid").mean(dim=(1, 2, 3))
        return found

    return score


def _fused_ssim(library: Any, window: Window) -> PairScore:
    del window

    def score(a: Tensor, b: Tensor) -> Tensor:
        """Return each pair's share of the mean of all, which is all that it returns."""
        mean: Tensor = library.fused_ssim(a, b, padding="valid", train=False)
        return mean.expand(len(a))

    return score


def _plain_torch(library: Any, window: Window) -> PairScore:
    del library
    return plain_ssim.pairwise(window)


_POPULATION = "population covariance"
PEERS = (
    PairPeer("scikit-image", "skimage.metrics", _scikit_image, "ours", sample_covariance=True, one_by_one=True),
    PairPeer(
        "torchmetrics",
        "torchmetrics.functional.image",
        _torchmetrics,
        f"{_POPULATION}, mean over the whole mirrored map",
        mirrored=True,
    ),
    PairPeer("pytorch-msssim", "pytorch_msssim", _pytorch_msssim, _POPULATION),
    PairPeer("piq", "piq", _piq, _POPULATION),
    PairPeer("kornia", "kornia.metrics", _kornia, f"{_POPULATION}, Gaussian of sigma 1.5", always_gaussian=True),
    PairPeer("fused-ssim", "fused_ssim", _fused_ssim, f"{_POPULATION}, mean of all pairs", gpu_only=True),
    PairPeer("plain torch, pair by pair", "torch", _plain_torch, "ours", sample_covariance=True),
)

"""Every similarity of all pairs of maps, together and one by one, against a loop over scikit-image and SciPy."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import product
from math import hypot
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import center_of_mass, maximum_filter, uniform_filter
from scipy.stats import kendalltau, pearsonr, spearmanr
from skimage.feature import hog
from skimage.metrics import structural_similarity
from torch import Tensor

from sam_toolkit.bench.cases import Case, Contestant, SkipPeer, compare
from sam_toolkit.bench.records import OURS, Work
from sam_toolkit.bench.settings import Settings
from sam_toolkit.bench.timing import Stopwatch
from sam_toolkit.component import PairMetric
from sam_toolkit.metrics import (
    HOG,
    SSIM,
    Kendall,
    LensKendall,
    LensPrecision,
    LensRecall,
    LensSpearman,
    MassCentreDistance,
    SignAgreement,
    Spearman,
    TopKIntersection,
)
from sam_toolkit.reports.wording import counted

_Values = NDArray[np.float64]
_Loop = Callable[[_Values, _Values], Any]
_K, _LARGEST_CELL = 1000, 16
_PEER_PAIRS = 4
_NAME = "scikit-image and SciPy"
_ABOUT = f"{_NAME} as a user's loop has them, a pair at a time: {{}}, one CPU thread."


def cases(settings: Settings, threads: int, stopwatch: Stopwatch) -> Iterator[Case]:
    """Give a case of all metrics together and one of each, for each size and number of maps."""
    del stopwatch
    for size, dtype, count in product(settings.sizes, settings.dtypes, settings.maps):
        generator = torch.Generator().manual_seed(0)
        noise = torch.randn(count + 1, size, size, generator=generator)
        mixed = 0.5 * noise[:1] + 0.5 * noise[1:]
        maps = (mixed / mixed.abs().amax(dim=(1, 2), keepdim=True)).to(settings.device, getattr(torch, dtype))
        where = f"all pairs of {count} maps {size} x {size}, {dtype}, {counted(threads, 'thread')}"
        ways = _ways(size)
        yield _case(f"Every similarity of {where}", maps, list(ways))
        for metric, loop in ways:
            yield _case(f"{type(metric).__name__} of {where}", maps, [(metric, loop)])


def _case(title: str, maps: Tensor, ways: Sequence[tuple[PairMetric[Any], _Loop]]) -> Case:
    pairs = torch.combinations(torch.arange(len(maps)))
    sample = pairs[:: max(1, len(pairs) // _PEER_PAIRS)][:_PEER_PAIRS]
    call = partial(_ours, [metric for metric, _ in ways], maps, pairs)
    case = Case(
        title, "pair", Contestant(OURS, call, Work(units=len(pairs))), _ABOUT.format(counted(len(sample), "pair"))
    )
    case.invite(_NAME, partial(_peer, maps, sample, ways))
    return case


def _ours(metrics: Sequence[PairMetric[Any]], maps: Tensor, pairs: Tensor) -> Tensor:
    """Return the similarities `[metrics, P]`, with all that is computed once a map."""
    return torch.cat([
        metric.compare(metric.prepare(maps[:, None], [metric.params]), pairs, [metric.params]).values[..., 0]
        for metric in metrics
    ])  # fmt: skip


def _peer(maps: Tensor, pairs: Tensor, ways: Sequence[tuple[PairMetric[Any], _Loop]]) -> Contestant:
    if maps.dtype not in (torch.float32, torch.float64):
        raise SkipPeer("it knows no half precision")
    values = maps.double().cpu().numpy()

    def call() -> Tensor:
        return torch.tensor([[float(loop(values[i], values[j])) for i, j in pairs] for _, loop in ways])

    agreement = compare(call(), _ours([metric for metric, _ in ways], maps, pairs).float(), "ours")
    return Contestant(_NAME, call, Work(units=len(pairs)), agreement=agreement)


def _ways(size: int) -> list[tuple[PairMetric[Any], _Loop]]:
    """Return each metric with the expression of a user for the same."""
    k = min(_K, size**2 // 4)
    return [
        (SSIM(), partial(structural_similarity, win_size=5, data_range=2.0)),
        (HOG(), partial(_hog, min(_LARGEST_CELL, size // 4))),
        (Spearman(), _spearman),
        (Kendall(), _kendall),
        (LensSpearman(), lambda a, b: _spearman(_mean(a), _mean(b))),
        (LensKendall(), lambda a, b: _kendall(_mean(a), _mean(b))),
        (TopKIntersection(k=k), lambda a, b: (_top(a, k) & _top(b, k)).sum() / k),
        (LensRecall(k=k), partial(_recall, k)),
        (LensPrecision(k=k), lambda a, b: _recall(k, b, a)),
        (SignAgreement(), lambda a, b: (np.sign(a) == np.sign(b)).mean()),
        (MassCentreDistance(), _centres),
    ]


def _hog(side: int, a: _Values, b: _Values) -> Any:
    first, second = (hog(values, pixels_per_cell=(side, side)) for values in (a, b))
    return pearsonr(first, second).statistic


def _spearman(a: _Values, b: _Values) -> Any:
    return spearmanr(a, b, axis=None).statistic


def _kendall(a: _Values, b: _Values) -> Any:
    return kendalltau(a, b).statistic


def _mean(values: _Values) -> _Values:
    found: _Values = uniform_filter(values, 3, mode="constant")
    return found


def _top(values: _Values, k: int) -> NDArray[np.bool_]:
    mask = np.zeros(values.size, dtype=bool)
    mask[np.argpartition(values.ravel(), -k)[-k:]] = True
    return mask.reshape(values.shape)


def _recall(k: int, a: _Values, b: _Values) -> Any:
    return (maximum_filter(_top(a, k), 3) & _top(b, k)).sum() / k


def _centres(a: _Values, b: _Values) -> float:
    (down, right), (other_down, other_right) = (center_of_mass(np.abs(values)) for values in (a, b))
    return 1 - hypot(down - other_down, right - other_right) / hypot(*(side - 1 for side in a.shape))

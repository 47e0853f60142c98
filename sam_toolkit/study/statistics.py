"""Means over images with their intervals, ranks, tests and agreement; the image is the unit of resampling."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

from sam_toolkit.study.findings import Interval

Values = NDArray[np.float64]

LEAST = 8
"""Images below which no interval is given: resampling so few says more about luck than about images."""
FEW = 20
"""Images below which an interval comes with a warning: BCa covers less than its nominal 95 % there."""
DRAWS = 2000
"""Bootstrap draws behind the share of draws in which something holds: to about one in a hundred."""
_RESAMPLES = 9999
_NAN = float("nan")
_SPAN = 1e-6
"""Smallest difference of similarities that is more than rounding."""


def interval(values: Values, seed: int = 0) -> Interval:
    """Return the mean over images and its 95 % bias-corrected accelerated bootstrap interval (Efron 1987).

    `values` holds one number an image, NaN where it is undefined; those are left out and counted.
    """
    defined = values[~np.isnan(values)]
    count, undefined = len(defined), len(values) - len(defined)
    mean = float(defined.mean()) if count else _NAN
    if count < LEAST:
        return Interval(mean, _NAN, _NAN, count, undefined, f"no interval: {count} images, {LEAST} needed")
    if np.ptp(defined) == 0:
        return Interval(mean, mean, mean, count, undefined, f"all {count} images alike")
    low, high, kind = _bootstrap(defined, seed)
    few = f"; fewer than {FEW}: read with care" if count < FEW else ""
    return Interval(mean, low, high, count, undefined, f"95 % {kind} bootstrap over {count} images{few}")


def index(similarity: Values, floor: Values, random: Values) -> Values:
    """Return (floor - similarity) / (floor - random) an image; NaN where a rerun is no better than a random map."""
    span = floor - random
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(span > _SPAN, (floor - similarity) / span, np.nan)


def deviations(scores: Values) -> tuple[float, float]:
    """Return two spreads of scores `[values, images]`; images where one is undefined are left out.

    First the root of the mean over images of the population variance over values, which the paper on SAM calls its
    standard deviation; then the standard deviation over images of the mean over values.
    """
    defined = scores[:, ~np.isnan(scores).any(axis=0)]
    if not defined.size:
        return _NAN, _NAN
    across = float(defined.mean(axis=0).std(ddof=1)) if defined.shape[1] > 1 else _NAN
    return float(np.sqrt(defined.var(axis=0).mean())), across


def image_mean(values: Values) -> Values:
    """Return the mean over the last axis, images, leaving out NaN; NaN where there is nothing else."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.asarray(np.nanmean(values, axis=-1))


def draw_means(values: Values, seed: int = 0) -> Values:
    """Return means over the last axis, images, in bootstrap draws of images: `[DRAWS, ...]`.

    All rows are drawn alike, so that draws compare them on the same images; NaN is left out.
    """
    images = values.shape[-1]
    weights = np.random.default_rng(seed).multinomial(images, np.full(images, 1 / images), size=DRAWS).astype(float)
    defined = ~np.isnan(values)
    sums = np.tensordot(weights, np.where(defined, values, 0.0), axes=(1, -1))
    counts = np.tensordot(weights, defined.astype(float), axes=(1, -1))
    with np.errstate(invalid="ignore"):
        return np.asarray(sums / counts)


def descending_ranks(means: Values) -> Values:
    """Return the ranks along the last axis, 1 for the largest; equal ones share the mean rank, NaN comes last."""
    from scipy import stats  # noqa: PLC0415 - two seconds of import that only a report needs

    return np.asarray(stats.rankdata(np.where(np.isnan(means), np.inf, -means), axis=-1))


def signed_rank(differences: Values) -> float:
    """Return the two-sided p of Wilcoxon's signed-rank test (1945) that paired differences have their centre at 0.

    Exact for few images; 1 where all differences are 0 but for rounding; NaN below `LEAST` images.
    """
    from scipy import stats  # noqa: PLC0415

    defined = differences[~np.isnan(differences)]
    if len(defined) < LEAST:
        return _NAN
    counted = np.where(np.abs(defined) > _SPAN, defined, 0.0)
    return float(stats.wilcoxon(counted).pvalue) if counted.any() else 1.0


def holm(p: Values) -> Values:
    """Return p-values corrected for their number (Holm 1979); NaN are no tests, and stay."""
    tested = np.flatnonzero(~np.isnan(p))
    order = tested[np.argsort(p[tested], kind="stable")]
    corrected = np.full(p.shape, np.nan)
    corrected[order] = np.maximum.accumulate(p[order] * np.arange(len(order), 0, -1)).clip(max=1.0)
    return corrected


def kendall(first: Values, second: Values) -> Values:
    """Return Kendall's tau-b `[images]` between two scores `[comparisons, images]`.

    NaN where a score is undefined, or orders nothing.
    """
    one, two = np.triu_indices(len(first), 1)
    a, b = (np.sign(scores[one] - scores[two]) for scores in (first, second))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((a * b).sum(axis=0) / np.sqrt((a * a).sum(axis=0) * (b * b).sum(axis=0)))


def _bootstrap(values: Values, seed: int) -> tuple[float, float, str]:
    """Return the interval's ends and kind: percentile where BCa is undefined, as for values nearly all alike."""
    for kind in ("BCa", "percentile"):
        low, high = _ends(values, kind, seed)
        if np.isfinite([low, high]).all():
            return low, high, kind
    return _NAN, _NAN, "undefined"


def _ends(values: Values, kind: str, seed: int) -> tuple[float, float]:
    from scipy import stats  # noqa: PLC0415 - two seconds of import that only a report needs

    rng = np.random.default_rng(seed)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)
        result = stats.bootstrap((values,), np.mean, n_resamples=_RESAMPLES, method=kind, rng=rng)
    return float(result.confidence_interval.low), float(result.confidence_interval.high)

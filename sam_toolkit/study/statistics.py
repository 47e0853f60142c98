"""Means over images with confidence intervals; the image is the unit of resampling."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

from sam_toolkit.study.results import Interval

Values = NDArray[np.float64]

LEAST = 8
"""Images below which no interval is given: resampling so few says more about luck than about images."""
FEW = 20
"""Images below which an interval comes with a warning: BCa covers less than its nominal 95 % there."""
_RESAMPLES = 9999
_NAN = float("nan")
_SPAN = 1e-6
"""Smallest distance from the rerun floor to a random map that an index is read against."""


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

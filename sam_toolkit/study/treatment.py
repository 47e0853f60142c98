"""What is done to maps before a pair metric compares them; in a study, hyperparameters of every pair metric."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, ClassVar, Literal

import torch
from pydantic import create_model
from torch import Tensor

from sam_toolkit.component import MapFacts, PairMetric
from sam_toolkit.smoothing import Padding, smoothed
from sam_toolkit.types import Params, field


class Treatment(Params):
    """How maps are made comparable: first their sign, then smoothing, then clipping, then normalisation."""

    conventions: ClassVar[Mapping[str, Mapping[str, Any]]] = {"sam-2020": {"normalise": "unbounded"}}

    normalise: Literal["max-abs", "min-max", "unbounded"] = field(
        "max-abs",
        help="max-abs: maps are divided by their largest absolute value; min-max: stretched to [0, 1]; unbounded: "
        "max-abs, but not where the method itself bounds its values",
    )
    clip: float | None = field(
        None, gt=0, lt=1, help="quantile of a map's absolute values that larger ones are cut down to; none: no clipping"
    )
    sign: Literal["signed", "absolute"] = field("signed", help="whether maps are compared with or without their signs")
    smoothing: int = field(
        0, ge=0, help="rows and columns to each side whose mean takes the place of each value; 0: no smoothing"
    )
    smoothing_padding: Padding = field(
        "symmetric",
        help="what smoothing finds outside: the map mirrored, zeros, or nothing (valid)",
    )

    def range(self, facts: MapFacts) -> tuple[float, float]:
        """Return the bounds of treated maps."""
        bounds = (-1.0, 1.0) if facts.signed else (0.0, 1.0)
        if self.normalise == "min-max":
            return 0.0, 1.0
        if self.normalise == "unbounded" and facts.value_range is not None:
            bounds = facts.value_range
        return (0.0, max(map(abs, bounds))) if self.sign == "absolute" else bounds

    def apply(self, maps: Tensor, facts: MapFacts) -> Tensor:
        """Return maps `[..., H, W]` as they are compared; a map of zeros stays as it is."""
        if self.sign == "absolute":
            maps = maps.abs()
        if self.smoothing:
            maps = smoothed(maps, self.smoothing, self.smoothing_padding).to(maps.dtype)
        if self.clip is not None:
            limits = torch.stack([values.abs().quantile(self.clip) for values in maps.reshape(-1, *maps.shape[-2:])])
            limits = limits.reshape(*maps.shape[:-2], 1, 1)
            maps = torch.minimum(torch.maximum(maps, -limits), limits)
        if self.normalise == "min-max":
            return _divided(maps - maps.amin(dim=(-2, -1), keepdim=True))
        return maps if self.normalise == "unbounded" and facts.value_range is not None else _divided(maps)


def _divided(maps: Tensor) -> Tensor:
    largest = maps.abs().amax(dim=(-2, -1), keepdim=True)
    return maps / torch.where(largest > 0, largest, torch.ones_like(largest))


class _Treated(Params):
    """Hyperparameters of a metric, with those of the treatment beside them."""

    metric: ClassVar[type[PairMetric[Any]]]

    def __reduce__(self) -> tuple[Any, ...]:
        """Return what makes an equal setting: its class is made when it is asked for, and cannot be pickled."""
        return _restored, (self.metric, self.model_dump())


def _restored(metric: type[PairMetric[Any]], values: dict[str, Any]) -> Params:
    return treated(metric)(**values)


@cache
def treated(metric: type[PairMetric[Any]]) -> type[Params]:
    """Return the hyperparameters that a study sets of a metric: its own, and those of the treatment that it lacks."""
    own = metric.Params
    added: dict[str, Any] = {
        name: (info.annotation, info) for name, info in Treatment.model_fields.items() if name not in own.model_fields
    }
    bases: Any = (_Treated, own)
    made: type[_Treated] = create_model(own.__name__, __base__=bases, __module__=own.__module__, **added)
    made.metric = metric
    made.conventions = {
        bundle: {**{name: value for name, value in Treatment.conventions.get(bundle, {}).items() if name in added},
                 **own.conventions.get(bundle, {})}
        for bundle in {*Treatment.conventions, *own.conventions}
    }  # fmt: skip
    return made


def split(metric: type[PairMetric[Any]], setting: Params) -> tuple[Params, Treatment]:
    """Return the setting of the metric itself, and the treatment of the maps that it comes with."""
    values = {name: getattr(setting, name) for name in type(setting).model_fields}
    own = {name: value for name, value in values.items() if name in metric.Params.model_fields}
    return metric.Params(**own), Treatment(**{name: value for name, value in values.items() if name not in own})

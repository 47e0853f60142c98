"""Results without a run: numbers and maps drawn at random, of any size and with any holes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from hashlib import blake2b

import numpy as np
import torch
from torch import Tensor

from sam_toolkit.study.derive import derive
from sam_toolkit.study.findings import Interval
from sam_toolkit.study.results import (
    AccuracySummary,
    Experiment,
    Failure,
    Results,
    Row,
    Sensitivity,
    Strip,
    ValueSummary,
)
from sam_toolkit.study.statistics import LEAST, index


@dataclass(frozen=True)
class Entry:
    """A method entry: for each factor its values (the default first) and how far each value moves the map."""

    method: str
    factors: dict[str, tuple[tuple[str, ...], float]]
    seeded: bool = False
    along: str = "settings"


ENTRIES = (
    Entry("gradient", {"channels": (("mean", "abs-mean", "abs-max"), 0.6)}),
    Entry("smoothgrad", {"samples": (("50", "25", "100"), 0.03), "spread": (("0.15", "0.1", "0.3"), 0.3)}, seeded=True),
    Entry("sliding-patch", {"patch": (("29", "5", "17", "53"), 0.45), "fill": (("mean", "black", "blur"), 0.2)}),
)


_WORDS = {
    "", "settings", "inputs", "value", "rerun", "random", "similarity", "index", "accuracy", "steady", "moving",
    "reruns", "largest", "smallest", "inside",
}  # fmt: skip
"""Texts of results that are no names."""


@dataclass(frozen=True)
class Wanted:
    """What the results should have."""

    models: Sequence[str] = ("resnet50",)
    metrics: Sequence[str] = ("ssim", "spearman", "hog")
    images: int = 12
    entries: Sequence[Entry] = ENTRIES
    undefined: frozenset[int] = frozenset()
    pictured: int = 2
    size: int = 48
    inputs: tuple[str, ...] = ("sigma=0.05", "sigma=0.1", "sigma=0.2")
    accuracies: Sequence[str] = ("pointing-game",)
    derived: bool = False
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))


def results(**wanted: object) -> Results:
    """Return results as wanted; the same for the same wishes."""
    wish = Wanted(**wanted)  # type: ignore[arg-type]
    names = tuple(f"photo {number}" for number in range(wish.images))
    found = Results(
        title="a study",
        provenance={"sam_toolkit": "0.1.0", "seed": "0", "device": "cpu, 2 threads", "model resnet50": "2f1c"},
        cost={"maps": "288", "network rows computed": "41,230", "network rows without sharing": "96,001"},
        models=tuple(wish.models),
        images={name: f"espresso ({number}), given" for number, name in enumerate(names)},
        experiments=tuple(_experiment(place, entry) for place, entry in enumerate(wish.entries)),
        rows=(), values=(), sensitivities=(), accuracies=(), strips=(), failures=(),
        notes=("Each map is divided by its largest absolute value before it is compared.",),
        study="seed: 0\nmodels: [resnet50]\n",
    )  # fmt: skip
    for model in wish.models:
        for place, entry in enumerate(wish.entries):
            found = _filled(found, wish, model, place, entry)
            if wish.inputs:
                noise = Entry(entry.method, {"gaussian-noise": (("clean", *wish.inputs), 0.5)}, entry.seeded, "inputs")
                found = _filled(found, wish, model, place, noise)
    return derived(found) if wish.derived else found


def derived(found: Results) -> Results:
    """Return the results with what follows from their scores."""
    findings = derive(found.rows, found.sensitivities, found.accuracies, found.experiments, seed=0)
    return replace(found, findings=findings)


def failed(found: Results) -> Results:
    """Return the results with a failure."""
    failure = Failure(
        "resnet50", "sliding-patch", "photo 1", "patch=5, fill=mean", "ModelError: logits are not finite."
    )
    return replace(found, failures=(failure,))


def renamed(found: Results, text: str) -> Results:
    """Return the results with `text` in every name and sentence."""

    def name(value: object) -> object:
        if isinstance(value, str) and value not in _WORDS:
            return value + text
        if isinstance(value, tuple):
            return tuple(name(item) for item in value)
        if isinstance(value, dict):
            return {name(key): name(item) for key, item in value.items()}
        if is_dataclass(value):
            return replace(value, **{item.name: name(getattr(value, item.name)) for item in fields(value)})  # type: ignore[type-var]
        return value

    return name(found)  # type: ignore[return-value]


def picture(size: int, seed: int) -> Tensor:
    """Return a smooth coloured picture `[3, size, size]` in [0, 1]."""
    y, x = torch.meshgrid(torch.linspace(-1, 1, size), torch.linspace(-1, 1, size), indexing="ij")
    blob = torch.exp(-4 * ((x - 0.3 * np.sin(seed)) ** 2 + (y - 0.3 * np.cos(seed)) ** 2))
    return torch.stack([0.3 + 0.6 * blob, 0.5 + 0.3 * x * blob, 0.6 - 0.3 * y]).clamp(0, 1)


def map_key(model: str, experiment: int, setting: str, image: str) -> str:
    """Return the key that a setting's map has in the store."""
    return blake2b(repr((model, experiment, setting, image)).encode(), digest_size=16).hexdigest()


def _experiment(place: int, entry: Entry) -> Experiment:
    axes = {name: values for name, (values, _) in entry.factors.items()}
    defaults = {name: values[0] for name, values in axes.items()}
    default = ", ".join(f"{name}={value}" for name, value in defaults.items())
    title = f"{entry.method}: {', '.join(axes)}"
    return Experiment(place, entry.method, title, default, axes, defaults, f"Somebody et al., {entry.method}, 2020")


def _filled(found: Results, wish: Wanted, model: str, place: int, entry: Entry) -> Results:
    where = {"model": model, "experiment": place, "method": entry.method, "along": entry.along}
    reference = found.experiments[place].default if entry.along == "settings" else "clean"
    for metric in wish.metrics:
        floor = 1 - (0.1 * wish.rng.random(wish.images) if entry.seeded else np.zeros(wish.images))
        random = 0.04 * wish.rng.standard_normal(wish.images)
        at = {**where, "reference": reference, "metric": metric}
        found = replace(found, rows=(*found.rows, *_ends(list(found.images), at, entry, floor, random)))
        for factor in entry.factors:
            found = _moved(found, wish, {**at, "factor": factor}, entry, (floor, random))
    if entry.along == "settings":
        found = replace(found, accuracies=(*found.accuracies, *_accuracies(wish, where, entry)))
    pictured = list(found.images)[: wish.pictured]
    return replace(found, strips=(*found.strips, *_strips(wish, pictured, where, entry)))


def _ends(names: list[str], at: dict, entry: Entry, floor: np.ndarray, random: np.ndarray) -> list[Row]:
    ends = {"rerun": floor, "random": random} if entry.seeded else {"random": random}
    return [
        Row(**at, factor="", value="", image=name, role=role, score=score)
        for role, column in ends.items()
        for name, score in zip(names, column.tolist(), strict=True)
    ]


def _moved(found: Results, wish: Wanted, at: dict, entry: Entry, ends: tuple[np.ndarray, np.ndarray]) -> Results:
    """Return the results with what one factor's values do to one metric."""
    names, (floor, random) = list(found.images), ends
    settings, moves = entry.factors[at["factor"]]
    scores = {value: _scores(wish, moves * (1 + 0.3 * step), floor) for step, value in enumerate(settings[1:])}
    rows = [
        Row(**at, value=value, image=name, role="value", score=float(score), **_maps_of(at, value, name))
        for value, column in scores.items()
        for name, score in zip(names, column, strict=True)
    ]
    values = [
        ValueSummary(
            **at,
            value=value,
            number=_number(value),
            similarity=_interval(column),
            over_random=_interval(column - random),
            under_floor=_interval(floor - column),
        )
        for value, column in scores.items()
    ]
    mean = np.mean(list(scores.values()), axis=0)
    moved = index(mean, floor, random)
    sensitivity = Sensitivity(
        **at,
        values=settings[1:],
        index=_interval(moved),
        similarity=_interval(mean),
        floor=_interval(floor),
        random=_interval(random),
        per_image=dict(zip(names, moved.tolist(), strict=True)),
        deterministic=not entry.seeded,
        within=0.02,
        across=0.11,
    )
    return replace(
        found,
        rows=(*found.rows, *rows),
        values=(*found.values, *values),
        sensitivities=(*found.sensitivities, sensitivity),
    )


def _maps_of(at: dict, value: str, image: str) -> dict[str, str]:
    place = at["model"], at["experiment"]
    changed = f"{at['factor']}={value}"
    return {"map": map_key(*place, changed, image), "reference_map": map_key(*place, "default", image)}


def _scores(wish: Wanted, moves: float, floor: np.ndarray) -> np.ndarray:
    scores = floor - moves * (0.7 + 0.6 * wish.rng.random(wish.images))
    scores[[image for image in wish.undefined if image < wish.images]] = np.nan
    return scores


def _interval(values: np.ndarray) -> Interval:
    """Return the mean with its normal interval, which takes no time."""
    defined = values[~np.isnan(values)]
    count, mean = len(defined), float(defined.mean()) if len(defined) else np.nan
    half = 1.96 * float(defined.std(ddof=1)) / count**0.5 if count >= LEAST else np.nan
    how = "95 % normal interval" if count >= LEAST else f"no interval: {count} images, {LEAST} needed"
    return Interval(mean, mean - half, mean + half, count, len(values) - count, how)


def _number(value: str) -> float | None:
    try:
        return float(value)
    except ValueError:
        return None


def _accuracies(wish: Wanted, where: dict, entry: Entry) -> list[AccuracySummary]:
    place = {key: where[key] for key in ("model", "experiment", "method")}
    changed = [f"{name}={value}" for name, (values, _) in entry.factors.items() for value in values[1:]]
    names = [f"photo {number}" for number in range(wish.images)]
    found = []
    for metric in wish.accuracies:
        for setting in ["default", *changed]:
            values = wish.rng.random(wish.images).round(1)
            found.append(
                AccuracySummary(
                    **place,
                    setting=setting,
                    metric=metric,
                    score=_interval(values),
                    higher_is_better=True,
                    per_image=dict(zip(names, values.tolist(), strict=True)),
                    maps={name: map_key(where["model"], where["experiment"], setting, name) for name in names},
                )
            )
    return found


def _strips(wish: Wanted, names: list[str], where: dict, entry: Entry) -> list[Strip]:
    signed = entry.method != "sliding-patch"
    strips = []
    for number, name in enumerate(names):
        photo = picture(wish.size, number)
        for factor, (values, _) in entry.factors.items():
            maps = torch.stack([photo[0] - photo[step % 3] * 0.7 + 0.02 * step for step in range(len(values))])
            maps = maps / maps.abs().amax(dim=(-2, -1), keepdim=True)
            labels = (f"{factor}={values[0]}", *values[1:])
            target = f"espresso ({number}), given"
            strips.append(
                Strip(
                    **where,
                    factor=factor,
                    image=name,
                    target=target,
                    photo=photo,
                    labels=labels,
                    maps=maps if signed else maps.abs(),
                    signed=signed,
                    keys=tuple(
                        map_key(where["model"], where["experiment"], setting, name)
                        for setting in ("default", *(f"{factor}={value}" for value in values[1:]))
                    ),
                )
            )
    return strips

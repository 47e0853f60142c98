"""Whole studies against a script: maps compared first, then times, with the bound that rows, windows and layout set."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from sam_toolkit.bench import sides
from sam_toolkit.bench.records import Agreement
from sam_toolkit.bench.sides import ALL, COMPARISONS, Opened, Side, Values, name_of, scaled
from sam_toolkit.bench.study_records import Line, Part, Speeds, StudyResult
from sam_toolkit.bench.study_settings import FIRST_STEPS, MASKS, StudyCase
from sam_toolkit.incremental.saving import saving
from sam_toolkit.methods.meaningful_perturbation import MeaningfulPerturbationParams
from sam_toolkit.methods.sliding_patch import SlidingPatchParams
from sam_toolkit.metrics import HOG, SSIM, Spearman
from sam_toolkit.types import Params

_WINDOWS = "sliding-patch"
_TOLERANCE = 1e-3
_ROUNDED = "in parts of the largest value"
_SCORED = "of its own maps"
_JUDGED = {
    "smoothgrad": (0.02, f"{_ROUNDED}, as rounding moves gradients across kinks"),
    _WINDOWS: (_TOLERANCE, f"{_ROUNDED}, where no patch at the far border reaches"),
    MASKS: (0.02, "mean over pixels, as steps amplify rounding"),
}
"""Of maps that are not compared whole, or to rounding: the tolerance, and what is compared."""


def run_case(case: StudyCase, say: Callable[[str], None]) -> StudyResult:
    """Return what a study costs on both sides, each in a process of its own.

    Raises BenchError where a library that the script needs is missing.
    """
    say(f"{case.network}: trials of the script's ways")
    trials = sides.alone(sides.trials, case)
    say(f"{case.network}: ours")
    ours = sides.alone(sides.ours, case)
    say(f"{case.network}: the script")
    script = sides.alone(sides.script, case, trials.ways)
    say(f"{case.network}: the first steps of masks, on both sides")
    begun = replace(case, begun=True)
    first = agreements(Opened.of(begun), sides.alone(sides.script, begun, trials.ways), sides.alone(sides.ours, begun))
    opened = Opened.of(case)
    return StudyResult(
        network=case.network,
        extent=case.extent,
        maps=sum(values.nbytes for values in ours.maps.values()),
        lines=tuple(lines(opened, script, ours, trials.speeds, first)),
        speeds=trials.speeds,
        peak={"script": script.peak, "ours": ours.peak},
    )


def lines(
    opened: Opened, script: Side, ours: Side, speeds: Speeds, first: Mapping[str, Agreement] | None = None
) -> Iterator[Line]:
    """Yield a line a method, one for the comparisons, and one for everything.

    What `first` says of the first steps of masks goes before how far they are apart in the end.
    """
    agreed, floors, rows = agreements(opened, script, ours), 0.0, [Part(), Part()]
    for name, early in (first or {}).items():
        end = f"; in the end {agreed[name].difference:.0e}, as steps amplify rounding"
        agreed[name] = early.model_copy(update={"against": f"mean over pixels after {FIRST_STEPS} steps{end}"})
    for name, own in ours.parts.items():
        if name in (COMPARISONS, ALL):
            continue
        least = _least(opened) if name == _WINDOWS else 1.0
        forward = (own.forward - own.backward) * speeds.forward
        backward = speeds.masks if name == MASKS else own.backward * speeds.backward
        floor = (forward + backward) * least
        floors += floor
        rows = [one.plus(side.parts[name]) for one, side in zip(rows, (script, ours), strict=True)]
        yield Line(name=name, script=script.parts[name], ours=own, least=least, floor=floor, agreement=agreed[name])
    compared = script.parts[COMPARISONS], ours.parts[COMPARISONS]
    yield Line(name=COMPARISONS, script=compared[0], ours=compared[1], agreement=_compared(opened, script))
    totals = [
        Part(seconds=side.parts[ALL].seconds, forward=own.forward, backward=own.backward)
        for side, own in zip((script, ours), rows, strict=True)
    ]
    yield Line(name=ALL, script=totals[0], ours=totals[1], floor=floors)


def _least(opened: Opened) -> float:
    """Return the share of the multiply-adds of all patches' rows that depends on a hidden pixel."""
    image = opened.model.image(opened.photo)
    size = image.shape[-2], image.shape[-1]
    settings = (setting for use in opened.study.methods for setting in use.settings)
    patches = (setting for setting in settings if isinstance(setting, SlidingPatchParams))
    windows = dict.fromkeys(window for setting in patches for window in setting.windows(size))
    found = saving(opened.model, tuple(image.shape), list(windows))
    return found.least / found.dense if found.dense else 1.0


def agreements(opened: Opened, script: Side, ours: Side) -> dict[str, Agreement]:
    """Return by method how far the script's maps are from ours at most."""
    worst: dict[str, Any] = {}
    for use in opened.study.methods:
        for setting in use.settings:
            found, own = (side.maps[name_of(use, setting)] for side in (script, ours))
            away = _distance(setting, found, own)
            worst[use.method.name] = np.maximum(worst.get(use.method.name, 0.0), away)  # which keeps a NaN
    judged = {name: _JUDGED.get(name, (_TOLERANCE, _ROUNDED)) for name in worst}
    return {
        name: Agreement(difference=float(worst[name]), tolerance=tolerance, against=against)
        for name, (tolerance, against) in judged.items()
    }


def _distance(setting: Params, found: Values, own: Values) -> float:
    away = np.abs(found - own)
    if isinstance(setting, MeaningfulPerturbationParams):
        return float(away.mean())
    if isinstance(setting, SlidingPatchParams):
        inside = own.shape[-1] - setting.patch
        away = away[:inside, :inside]
    return float(away.max() / np.abs(own).max())


def _compared(opened: Opened, script: Side) -> Agreement:
    """Return how far the script's similarities are from ours of the same maps."""
    worst = 0.0
    for (one, other, reach), found in zip(opened.pairs(), script.scores, strict=True):
        a, b = (scaled(torch.from_numpy(script.maps[name])) for name in (one, other))
        own = [float(metric(a, b)) for metric in (SSIM(data_range=reach), HOG(), Spearman())]
        worst = max(worst, *(abs(x - y) for x, y in zip(found, own, strict=True)))
    return Agreement(difference=worst, tolerance=_TOLERANCE, against=_SCORED)

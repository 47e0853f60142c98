"""What a run of lens.yaml came to, as tables: `python examples/lens_results.py FOLDER`, where FOLDER has its rows.csv.

Cells are means over images with 95 % intervals; differences are paired by image.
"""

from __future__ import annotations

import csv
import re
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from sam_toolkit.study.statistics import interval

Scores = dict[str, float]
"""By image."""

Key = tuple[str, str, str, str]
"""Model, perturbation, metric, size."""

RANDOM, TOP_K = "random-sign", "top-k-intersection"


def read(folder: Path) -> tuple[dict[Key, Scores], dict[tuple[str, str], float]]:
    """Return the similarities to the clean image's maps, and each metric's mean chance level by model."""
    found: dict[Key, Scores] = defaultdict(dict)
    chances: dict[tuple[str, str], list[float]] = defaultdict(list)
    with (folder / "rows.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["along"] != "inputs" or row["role"] != "value":
                continue
            size = row["value"].removeprefix("eps=").removesuffix("/255")
            found[row["model"], row["factor"], row["metric"], size][row["image"]] = float(row["score"])
            chance = re.search(r"chance=([\d.e-]+)", row["extras"])
            if chance:
                chances[row["model"], row["metric"]].append(float(chance[1]))
    return dict(found), {key: float(np.mean(values)) for key, values in chances.items()}


def mean(scores: Sequence[float], sign: str = "") -> str:
    """Return a mean with its interval as text."""
    found = interval(np.array(scores))
    return f"{found.mean:{sign}.2f} [{found.low:{sign}.2f}, {found.high:{sign}.2f}]"


def short(factor: str) -> str:
    """Return a perturbation's name without what is the same for all."""
    return re.sub(r"attribution-attack|steps=\d+|objective=| k=\d+", "", factor).strip().replace("w=0", "top-k")


def unique(keys: Sequence[Key], part: int) -> list[str]:
    """Return the different values of one part of the keys, in their order."""
    return list(dict.fromkeys(key[part] for key in keys))


def by_size(found: Mapping[Key, Scores]) -> list[str]:
    """Return the top-k intersection of each model and perturbation by size."""
    keys = [key for key in found if key[2].startswith(TOP_K)]
    sizes = [size for size in unique(keys, 3) if size != "0"]
    lines = [
        f"| {' | '.join(['model', 'perturbation', *(f'{size}/255' for size in sizes)])} |",
        "|---|---|" + "---|" * len(sizes),
    ]
    for model, factor, metric in dict.fromkeys(key[:3] for key in keys):
        cells = (mean(list(found[model, factor, metric, size].values())) for size in sizes)
        lines.append(f"| {model} | {short(factor)} | {' | '.join(cells)} |")
    return lines


def by_metric(found: Mapping[Key, Scores], chances: Mapping[tuple[str, str], float]) -> list[str]:
    """Return, at the largest size, each metric of each attack, its chance level, and what random signs leave more."""
    keys = list(found)
    largest = unique(keys, 3)[-1]
    lines = [
        "| model | attack | metric | chance | attack | random signs | random less attack |",
        "|---|---|---|---|---|---|---|",
    ]
    for model, factor, metric in dict.fromkeys(key[:3] for key in keys if not key[1].startswith("random")):
        attack, random = found[model, factor, metric, largest], found[model, RANDOM, metric, largest]
        images = sorted(attack.keys() & random.keys())
        less = mean([random[image] - attack[image] for image in images], "+")
        cells = [mean(list(attack.values())), mean(list(random.values())), less]
        lines.append(f"| {model} | {short(factor)} | {metric} | {chances[model, metric]:.2f} | {' | '.join(cells)} |")
    return lines


def main() -> None:
    """Print the tables."""
    found, chances = read(Path(sys.argv[1]))
    print("\n".join([*by_size(found), "", *by_metric(found, chances)]))


if __name__ == "__main__":
    main()

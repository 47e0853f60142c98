"""Runs the study of robust and regular networks on each data set, and writes what came of it as a page.

    python examples/robustness/page.py                        all data sets whose networks and images are there
    python examples/robustness/page.py mnist -o page.md       one of them
    python examples/robustness/page.py mnist --images noise=20 settings=8 optimised=8      to see it work
    python examples/robustness/page.py imagenet -o page.md    the paper's networks and images, where you have them

The page goes to docs/robustness.md, or where -o says. What `runs` has already is not computed again: after an
interruption, the same command goes on.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
from averages import Chance, averages, chance
from claims import CLAIMS, Item, by_method, by_noise, claims_table
from differences import Difference, Movement, differences, movements
from prose import ACCURACY, DETAILS, HEAD, LIMITS, PAIRS, SMOOTHING
from smoothing import Smoothing, smoothing
from tables import average_table, difference_table, movement_table, network_table, smoothing_table

from sam_toolkit.errors import SamError
from sam_toolkit.registry import default_registry
from sam_toolkit.sources import Dataset, ReferenceNets
from sam_toolkit.study.execute import run_study
from sam_toolkit.study.prepare import open_photos
from sam_toolkit.study.resolve import load_study
from sam_toolkit.study.results import Results
from sam_toolkit.study.spec import ImagesUse, Study
from sam_toolkit.study.statistics import holm

HERE = Path(__file__).parent
STUDY = HERE / "study.yaml"
DATA = ("mnist", "fashion-mnist", "cifar10")
IMAGES = {"noise": 500, "settings": 24, "optimised": 20}
"""Images of each part of the study, five minutes or so of a processor core each; the study itself has 500 for all.

A data set's own number goes before: `cifar10-settings`; 0 leaves a part out.
"""

_BESIDES = {("cifar10", "settings"): ("two-trainings",)}
"""Variants that a part takes on a data set, besides those of its own name."""
_WHOLE = {"whole": None}
_UNNAMED = (DATA[0], "noise", *_WHOLE)
"""Data and part that the study has when no variant is asked for."""

Tested = TypeVar("Tested", Movement, Difference, Smoothing)


@dataclass(frozen=True)
class Find:
    """A data set, and where its files lie, unless the study says so."""

    data: str
    folder: Path | None = None


@dataclass(frozen=True)
class Part:
    """What came of a part of the study on a data set.

    Attributes:
        chance: accuracies of random maps.
    """

    data: str
    name: str
    results: Results
    chance: Chance


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is asked for, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="*", default=list(DATA), metavar="DATA", help=", ".join(DATA))
    parser.add_argument("-o", "--output", type=Path, default=HERE.parents[1] / "docs" / "robustness.md")
    parser.add_argument("--folders", nargs="+", default=[], metavar="DATA=PATH", help="where data sets' files lie")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder of the runs (default: runs)")
    parser.add_argument(
        "--images", nargs="+", default=[], metavar="PART=NUMBER", help="images of each part, or of a DATA-PART"
    )
    parser.add_argument("--workers", type=int, help="worker processes (default: one a core)")
    options = parser.parse_args(arguments)
    images = IMAGES | {part: int(number) for part, number in (given.split("=") for given in options.images)}
    folders = {data: Path(path) for data, path in (given.split("=", 1) for given in options.folders)}
    parts: list[Part] = []
    missing: dict[str, str] = {}
    for data in options.data:
        find = Find(data, folders.get(data))
        reason = lacking(find)
        if reason:
            missing[data] = reason
            continue
        for part, number in counts(data, images).items():
            if number == 0:
                missing[f"{data}, {part}"] = f"left out for its time; `--images {data}-{part}=20` has it"
                continue
            own = study(find, part, number)
            ran = run_study(own, options.runs / own.title, workers=options.workers)
            parts.append(Part(data, part, ran, chance(own)))
    options.output.write_text(page(parts, missing), encoding="utf-8")


def counts(data: str, images: Mapping[str, int]) -> dict[str, int | None]:
    """Return how many images each part has on a data set, None for all that the study says."""
    if data not in DATA:
        return dict(_WHOLE)
    return {part: images.get(f"{data}-{part}", images[part]) for part in ("noise", "settings", "optimised")}


def lacking(find: Find) -> str:
    """Return why a data set cannot be studied: a network or its images are not there; empty where it can."""
    try:
        open_photos(study(find, *next(iter(_WHOLE.items()))).images)
    except SamError as error:
        return str(error)
    return ""


def study(find: Find, part: str, images: int | None) -> Study:
    """Return a part of the study on a data set."""
    variants = [name for name in (find.data, part) if name not in _UNNAMED]
    whole = load_study(STUDY, default_registry(), variants=[*variants, *_BESIDES.get((find.data, part), ())])
    source = whole.images.source
    if find.folder and isinstance(source, Dataset):
        source = Dataset(source.params.model_copy(update={"folder": find.folder}))
    return replace(whole, images=ImagesUse(source, images))


def page(parts: Sequence[Part], missing: dict[str, str]) -> str:
    """Return the page in Markdown; `missing` says why data sets are not on it."""
    moved = [item for part in parts for item in movements(part.data, part.results, "regular")]
    found = [item for part in parts for kinds in PAIRS for item in differences(part.data, part.results, kinds)]
    closer = [item for part in parts for item in smoothing(part.data, part.results)]
    hidden = [item for part in parts for item in averages(part.data, part.results, part.chance, "regular")]
    moved, found, closer = corrected(moved, found, closer)
    items: list[Item] = [*moved, *found, *closer, *hidden]
    sections = [HEAD, *_material(parts, missing, len(items) - len(hidden))]
    for title, claims in CLAIMS.items():
        sections += [f"## {title}", claims_table(items, claims)]
    sections += ["## Robust against regular, by method", claims_table(items, by_method(items))]
    sections += ["## Robust against regular, by level of noise", claims_table(items, by_noise(items))]
    sections += [LIMITS, "## Details", DETAILS, *_details(moved, found)]
    if closer:
        sections += ["### Smoother maps and the robust twin's gradient", SMOOTHING, smoothing_table(closer)]
    if hidden:
        sections += ["### Averages of accuracy", ACCURACY, average_table(hidden)]
    return "\n\n".join(sections) + "\n"


def corrected(
    moved: list[Movement], found: list[Difference], closer: list[Smoothing]
) -> tuple[list[Movement], list[Difference], list[Smoothing]]:
    """Return all with p-values corrected for the number of all tests."""
    chances = [*(item.p for item in moved), *(item.p for item in found), *(item.p for item in closer)]
    values = iter(holm(np.array(chances, dtype=np.float64)).tolist())

    def filled(items: list[Tested]) -> list[Tested]:
        return [replace(item, corrected=next(values)) for item in items]

    return filled(moved), filled(found), filled(closer)


def _material(parts: Sequence[Part], missing: dict[str, str], tests: int) -> Iterator[str]:
    """Yield what the page rests on: images, tests, networks."""
    images = [f"{part.data}, {part.name}: {len(part.results.images)}" for part in parts]
    yield f"Images, which all networks of their data set get right: {'; '.join(images)}. Tests: {tests}."
    kinds = {part.data: sum("regular" in name.split("-") for name in part.results.models) for part in parts}
    few = [f"**{data}** has {number}" for data, number in kinds.items() if number < max(kinds.values())]
    if few:
        yield f"Trainings of each kind: {max(kinds.values())}; {', '.join(few)}, so that fewer have to agree there."
    for data, reason in missing.items():
        yield f"**Not here: {data}** ({reason})."
    yield "## Networks"
    data_sets = "|".join(dict.fromkeys(part.data for part in parts))
    yield network_table(name for name in ReferenceNets.names() if re.fullmatch(rf"({data_sets})-\w+(-\d+)?", name))


def _details(moved: Sequence[Movement], found: Sequence[Difference]) -> Iterator[str]:
    for data in dict.fromkeys(item.data for item in moved):
        yield f"### {data}: how far maps of regular networks move"
        yield movement_table([item for item in moved if item.data == data])
    for data in dict.fromkeys(item.data for item in found):
        for kinds in PAIRS:
            own = [item for item in found if (item.data, item.kinds) == (data, kinds)]
            if own:
                yield f"### {data}: {kinds[0]} less {kinds[1]}"
                yield difference_table(own)


if __name__ == "__main__":
    main()

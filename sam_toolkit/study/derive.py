"""Derives from the scores of a study what they say together: ranks, tests, agreement of metrics, advice."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations, pairwise
from typing import Literal

import numpy as np

from sam_toolkit.study.advice import advise
from sam_toolkit.study.findings import Agreement, Findings, PairedTest, Rank
from sam_toolkit.study.results import AccuracySummary, Experiment, Row, Sensitivity
from sam_toolkit.study.scores import Compared, compared
from sam_toolkit.study.statistics import (
    LEAST,
    Values,
    descending_ranks,
    draw_means,
    holm,
    image_mean,
    interval,
    kendall,
    signed_rank,
)

Factor = tuple[int, str]
Kind = Literal["similarity", "index", "accuracy"]
Place = tuple[str, int, str, str, str]
_ORDERED = 3
"""Comparisons below which their order says nothing about agreement."""


def derive(
    rows: Iterable[Row],
    sensitivities: Sequence[Sensitivity],
    accuracies: Sequence[AccuracySummary],
    experiments: Sequence[Experiment],
    seed: int,
) -> Findings:
    """Return what follows from the scores; p-values are corrected over all tests."""
    found = compared(rows)
    tests = [*_value_tests(found, seed), *_index_tests(sensitivities, seed), *_accuracy_tests(accuracies, seed)]
    corrected = holm(np.array([test.p for test in tests], dtype=np.float64))
    return Findings(
        ranks=tuple(_all_ranks(sensitivities, seed)),
        tests=tuple(replace(test, corrected=float(p)) for test, p in zip(tests, corrected, strict=True)),
        agreements=tuple(_agreements(found, seed)),
        advice=tuple(advise(found, experiments, seed)),
    )


def _all_ranks(sensitivities: Sequence[Sensitivity], seed: int) -> Iterator[Rank]:
    """Yield the ranks of each model's factors by the median over metrics, then by each metric."""
    for own in _families(sensitivities):
        metrics = list(dict.fromkeys(item.metric for item in own))
        yield from _ranks(own, metrics, "", seed)
        for metric in metrics:
            yield from _ranks(own, [metric], metric, seed)


def _families(sensitivities: Sequence[Sensitivity]) -> list[list[Sensitivity]]:
    """Return the sensitivities that are ranked together: those of a model and a comparison."""
    found: dict[tuple[str, str], list[Sensitivity]] = {}
    for item in sensitivities:
        found.setdefault((item.model, item.along), []).append(item)
    return list(found.values())


def _ranks(own: list[Sensitivity], metrics: list[str], name: str, seed: int) -> Iterator[Rank]:
    items = {(item.experiment, item.factor): item for item in own if item.metric in metrics}
    factors = list(items)
    indices = _indices(own, metrics, factors)
    means = _median(image_mean(indices))
    order = np.argsort(-np.where(np.isnan(means), -np.inf, means), kind="stable")
    enough = (~np.isnan(indices)).any(axis=(0, 1)).sum() >= LEAST
    draws = _median(draw_means(indices, seed))[:, order] if enough else np.full((1, len(order)), np.nan)
    low, high = _rank_ends(draws) if enough else (np.full(len(order), np.nan),) * 2
    above = [*_shares_above(draws, enough), np.nan]
    for place, number in enumerate(order):
        item = items[factors[number]]
        yield Rank(
            model=item.model,
            along=item.along,
            metric=name,
            rank=place + 1,
            experiment=item.experiment,
            method=item.method,
            factor=item.factor,
            index=float(means[number]),
            low=float(low[place]),
            high=float(high[place]),
            above_next=float(above[place]),
        )


def _indices(own: list[Sensitivity], metrics: list[str], factors: list[Factor]) -> Values:
    """Return the indices `[metrics, factors, images]`; NaN where there is none."""
    images = list(dict.fromkeys(image for item in own for image in item.per_image))
    found = {(item.metric, (item.experiment, item.factor)): item.per_image for item in own}
    return np.array(
        [
            [[found.get((metric, factor), {}).get(image, np.nan) for image in images] for factor in factors]
            for metric in metrics
        ],
        dtype=np.float64,
    )


def _median(means: Values) -> Values:
    """Return the median over metrics, the last axis but one, of those that are defined."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.asarray(np.nanmedian(means, axis=-2))


def _rank_ends(draws: Values) -> tuple[Values, Values]:
    ranks = descending_ranks(draws)
    low, high = np.quantile(ranks, [0.025, 0.975], axis=0, method="inverted_cdf")
    return low, high


def _shares_above(draws: Values, enough: bool) -> list[float]:
    """Return the share of draws in which each factor ranks above the next; a tie counts half."""
    pairs = pairwise(draws.T)
    return [float((np.sign(first - second) + 1).mean() / 2) if enough else np.nan for first, second in pairs]


def _value_tests(found: list[Compared], seed: int) -> Iterator[PairedTest]:
    """Yield the tests of neighbouring values of each factor: is one map closer to the reference than the next?"""
    for item in found:
        for factor in item.factors:
            for (first, ours), (second, theirs) in pairwise(item.of(factor).items()):
                names = (f"{factor}={first}", f"{factor}={second}")
                yield _test("similarity", _place(item), names, ours - theirs, seed)


def _index_tests(sensitivities: Sequence[Sensitivity], seed: int) -> Iterator[PairedTest]:
    """Yield the tests of neighbouring factors of each ranking: does one move the map further than the next?"""
    for own in _families(sensitivities):
        for metric in dict.fromkeys(item.metric for item in own):
            ranked = [item for item in own if item.metric == metric and np.isfinite(item.index.mean)]
            for first, second in pairwise(sorted(ranked, key=lambda item: -item.index.mean)):
                place = (first.model, first.experiment, first.method, first.along, metric)
                names = tuple(f"{item.factor} of {item.method}" for item in (first, second))
                yield _test("index", place, names, _paired(first.per_image, second.per_image), seed)


def _accuracy_tests(accuracies: Sequence[AccuracySummary], seed: int) -> Iterator[PairedTest]:
    """Yield the tests of each setting's accuracy against the default's, which comes first."""
    groups: dict[tuple[str, int, str], list[AccuracySummary]] = {}
    for item in accuracies:
        groups.setdefault((item.model, item.experiment, item.metric), []).append(item)
    for default, *others in groups.values():
        for item in others:
            place = (item.model, item.experiment, item.method, "settings", item.metric)
            difference = _paired(item.per_image, default.per_image)
            yield _test("accuracy", place, (item.setting, default.setting), difference, seed)


def _test(kind: Kind, place: Place, names: tuple[str, ...], differences: Values, seed: int) -> PairedTest:
    model, experiment, method, along, metric = place
    first, second = names
    return PairedTest(
        kind=kind,
        model=model,
        experiment=experiment,
        method=method,
        along=along,
        metric=metric,
        first=first,
        second=second,
        difference=interval(differences, seed),
        p=signed_rank(differences),
        corrected=np.nan,
    )


def _paired(first: Mapping[str, float], second: Mapping[str, float]) -> Values:
    """Return the differences of the images that both have."""
    return np.array([first[image] - second[image] for image in first if image in second], dtype=np.float64)


def _place(item: Compared) -> Place:
    return item.model, item.experiment, item.method, item.along, item.metric


def _agreements(found: list[Compared], seed: int) -> Iterator[Agreement]:
    """Yield how far metrics agree on the order of each experiment's comparisons, and of all experiments' together."""
    groups: dict[tuple[str, str, int | None], dict[str, list[Values]]] = {}
    members: dict[tuple[str, str], set[int]] = {}
    for item in found:
        members.setdefault((item.model, item.along), set()).add(item.experiment)
        for experiment in (item.experiment, None):
            group = groups.setdefault((item.model, item.along, experiment), {})
            group.setdefault(item.metric, []).append(item.scores)
    for (model, along, experiment), group in groups.items():
        if experiment is None and len(members[model, along]) == 1:
            continue
        scores = {metric: np.concatenate(parts) for metric, parts in group.items()}
        for first, second in combinations(scores, 2):
            one, two = scores[first], scores[second]
            if one.shape == two.shape and len(one) >= _ORDERED:
                tau = interval(kendall(one, two), seed)
                yield Agreement(model, experiment, along, first, second, tau, len(one))

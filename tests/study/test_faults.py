"""A component that fails is reported by name, whatever its kind, and the rest of the study is as without it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from nets import colour_net
from small import images
from torch import Tensor

from sam_toolkit import Batch, MapMetric, Model, PairMetric, PairScores, Params, Perturbation, Rng, field, method, run
from sam_toolkit.errors import ComponentError
from sam_toolkit.registry import Registry, default_registry
from sam_toolkit.study.faults import blamed
from sam_toolkit.study.results import Results


class Fault(Params):
    fault: str = field("raises", help="what is wrong")


def result(fault: str, shape: Sequence[int], model: Model | None = None) -> Tensor:
    """Return a tensor of that shape, or what the fault makes of it."""
    if fault == "raises":
        raise RuntimeError("out of luck")
    if fault == "changes" and model is not None:
        model.module.train()
    return torch.full([*shape, 1] if fault == "shape" else list(shape), torch.nan if fault == "nan" else 0.5)


@method(reference="Nobody", rows=0)
def bad_method(model: Model, batch: Batch, *, fault: str = field("raises", help="what is wrong")) -> Tensor:
    """Fail."""
    return result(fault, (len(batch), *batch.images.shape[-2:]))


class BadNoise(Perturbation[Fault]):
    """Fails."""

    name = "bad-noise"

    def images(self, model: Model, batch: Batch, settings: Sequence[Fault], rng: Rng) -> Tensor:
        return torch.stack([result(each.fault, batch.images.shape, model) for each in settings])


class BadSimilarity(PairMetric[Fault]):
    """Fails."""

    name = "bad-similarity"

    def for_range(self, params: Fault, low: float, high: float) -> Fault:
        return params if params.fault != "range" else params.varied(fault=1 / 0)

    def compare(self, prepared: Tensor, pairs: Tensor, settings: Sequence[Fault]) -> PairScores:
        return PairScores(torch.stack([result(each.fault, (len(pairs), prepared.shape[1])) for each in settings]))


class BadAccuracy(MapMetric[Fault]):
    """Fails."""

    name = "bad-accuracy"

    def score(self, model: Model, batch: Batch, maps: Tensor, settings: Sequence[Fault], rng: Rng) -> Tensor:
        return torch.stack([result(each.fault, maps.shape[:2], model) for each in settings])


class Picky(PairMetric[Params]):
    """Fails on several images at once, and on the first that it sees alone."""

    name = "picky"
    seen: ClassVar[list[int]] = []

    def compare(self, prepared: Tensor, pairs: Tensor, settings: Sequence[Params]) -> PairScores:
        self.seen.append(prepared.shape[1])
        if prepared.shape[1] > 1 or self.seen.count(1) == 1:
            raise RuntimeError("this one")
        return PairScores(torch.ones(len(settings), len(pairs), prepared.shape[1]))


def given(name: str, *faults: str) -> list[dict[str, Any]]:
    return [{name: {"fault": fault}} for fault in faults]


def study(folder: Path, registry: Registry, **more: list[Any]) -> Results:
    """Run a study of sound components and `more`."""
    return run(
        {
            "methods": [{"gradient": {"channels": ["mean", "abs-sum"]}}, *more.get("methods", [])],
            "inputs": ["clean", {"gaussian-noise": {"sigma": 0.1}}, *more.get("inputs", [])],
            "compare": [
                {"along": "settings", "metrics": ["ssim", *more.get("metrics", [])]},
                {"along": "inputs", "metrics": ["ssim"]},
            ],
            "accuracy": ["deletion", *more.get("accuracy", [])],
            "random-maps": 1,
        },
        folder,
        models={"net": colour_net()},
        images=images(),
        registry=registry,
        workers=0,
    )


@pytest.fixture(scope="module")
def registry() -> Registry:
    """Return the host with the components that fail."""
    host = default_registry(plugins=False)
    for component in (bad_method, BadNoise, BadSimilarity, BadAccuracy, Picky):
        host = host.extended(component)
    return host


@pytest.fixture(scope="module")
def both(tmp_path_factory, registry) -> tuple[Results, Results]:
    """Return the results of sound components alone, and with all faults beside them."""
    folder = tmp_path_factory.mktemp("runs")
    faults = {
        "methods": [{"bad-method": {"default": {"fault": fault}}} for fault in ("raises", "shape", "nan")],
        "inputs": given("bad-noise", "raises", "shape", "nan", "changes"),
        "metrics": given("bad-similarity", "raises", "shape", "range"),
        "accuracy": given("bad-accuracy", "raises", "shape", "changes"),
    }
    return study(folder / "alone", registry), study(folder / "both", registry, **faults)


def test_what_is_sound_comes_out_as_without_the_faults(both) -> None:
    alone, found = both

    def scores(results: Results) -> list[tuple[Any, ...]]:
        rows = [row for row in results.rows if row.method == "gradient" and row.metric == "ssim"]
        return [(row.along, row.value, row.role, row.image, row.score) for row in rows if "bad" not in row.factor]

    def accuracies(results: Results) -> list[dict[str, float]]:
        return [dict(item.per_image) for item in results.accuracies if item.metric == "deletion"][:2]

    assert set(scores(alone)) <= set(scores(found))
    assert accuracies(alone) == accuracies(found)
    assert not alone.failures


@pytest.mark.parametrize(
    "said",
    [
        "Method 'bad-method' raised RuntimeError: out of luck (at test_faults.py:",
        "bad-method: maps returned [1, 3, 32, 32, 1] where [1, 3, 32, 32] is due",
        "bad-method returned maps with values that are not finite",
        "Perturbation 'bad-noise' raised RuntimeError: out of luck (at test_faults.py:",
        "bad-noise: images returned",
        "bad-noise returned images with values that are not finite",
        "Perturbation 'bad-noise' changed the network: it was left in another mode of training",
        "Similarity 'bad-similarity' raised RuntimeError: out of luck (at test_faults.py:",
        "Similarity 'bad-similarity': values returned",
        "Similarity 'bad-similarity' raised ZeroDivisionError: division by zero (at test_faults.py:",
        "Accuracy 'bad-accuracy' raised RuntimeError: out of luck (at test_faults.py:",
        "Accuracy 'bad-accuracy': scores returned",
        "Accuracy 'bad-accuracy' changed the network: it was left in another mode of training",
    ],
)
def test_each_fault_is_reported_by_name(both, said) -> None:
    errors = [failure.error for failure in both[1].failures]
    assert any(said in error for error in errors), errors


def test_a_similarity_that_fails_on_one_image_keeps_the_others(tmp_path, registry) -> None:
    found = study(tmp_path, registry, metrics=["picky"])
    (failure,) = found.failures
    assert (failure.method, failure.image) == ("gradient", "image 0")
    assert failure.settings == "compared by picky along settings"
    scored = {row.image for row in found.rows if row.metric == "picky" and not math.isnan(row.score)}
    assert scored == {"image 1", "image 2"}
    assert Picky.seen == [3, 1, 1, 1]


def test_an_error_made_for_users_is_left_as_it_is() -> None:
    with pytest.raises(ComponentError, match=r"^sigma must be positive$"), blamed("Method 'mine'"):
        raise ComponentError("sigma must be positive")

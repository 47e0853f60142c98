"""Sentences say what the numbers say, and no more."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from reports.factory import Entry, results

from sam_toolkit.reports.ranking import lead, ranking
from sam_toolkit.reports.verdict import verdicts
from sam_toolkit.study.findings import Interval
from sam_toolkit.study.results import Results, Sensitivity

PATCH = Entry("sliding-patch", {"patch": (("29", "53"), 0.0), "fill": (("mean", "black"), 0.0)})


def indexed(found: Results, indices: dict[tuple[str, str], list[float]]) -> Results:
    """Return results whose index by (factor, metric) is given image by image; intervals span them all."""
    return replace(found, sensitivities=tuple(_indexed(item, indices) for item in found.sensitivities))


def _indexed(item: Sensitivity, indices: dict[tuple[str, str], list[float]]) -> Sensitivity:
    values = indices[item.factor, item.metric]
    index = Interval(sum(values) / len(values), min(values), max(values), len(values), 0, "95 % BCa bootstrap")
    per_image = {f"photo {number}": value for number, value in enumerate(values)}
    return replace(item, index=index, per_image=per_image)


def study(indices: dict[tuple[str, str], list[float]], images: int = 12) -> Results:
    """Return results of one method with two factors."""
    metrics = tuple(dict.fromkeys(metric for _, metric in indices))
    return indexed(results(entries=(PATCH,), metrics=metrics, inputs=(), images=images), indices)


def around(middle: float, step: float = 0.01, count: int = 12) -> list[float]:
    """Return `count` numbers whose mean is `middle`."""
    return [middle + step * (place - (count - 1) / 2) for place in range(count)]


def test_the_largest_index_is_named_with_its_interval_and_images():
    found = study({("patch", "ssim"): around(0.41), ("fill", "ssim"): around(0.10)})
    (verdict,) = verdicts(found)
    assert verdict.headlines == (
        "Of 2 hyperparameters, `patch` moves the map of sliding-patch the most: index 0.41 by ssim.",
    )
    assert verdict.findings == (
        "sliding-patch moves most with `patch`: index 0.41 (95 % CI 0.35 to 0.46, 12 images) by ssim.",
    )
    assert not verdict.cautions


def test_metrics_are_ranked_by_their_median_and_all_are_shown():
    found = study(
        {
            ("patch", "ssim"): around(0.2), ("patch", "hog"): around(0.5), ("patch", "spearman"): around(0.6),
            ("fill", "ssim"): around(0.4), ("fill", "hog"): around(0.4), ("fill", "spearman"): around(0.4),
        }
    )  # fmt: skip
    (verdict,) = verdicts(found)
    assert (
        "`patch` moves the map of sliding-patch the most: index 0.50, the median of 3 metrics (0.20 to 0.60)."
        in verdict.headlines[0]
    )
    assert all(f"by {metric}" in verdict.findings[0] for metric in ("ssim", "hog", "spearman"))
    assert (
        "The metrics disagree about the first place: it would be `fill` of sliding-patch by ssim." in verdict.cautions
    )
    assert any(text.startswith("How far `patch` of sliding-patch moves the map depends") for text in verdict.cautions)
    assert [knob.factor for knob in ranking(found, "settings", "ssim")] == ["fill", "patch"]


def test_a_lead_within_its_interval_is_called_open():
    ahead = [value + (0.05 if place % 2 else -0.04) for place, value in enumerate(around(0.4))]
    (verdict,) = verdicts(study({("patch", "ssim"): ahead, ("fill", "ssim"): around(0.4)}))
    assert verdict.headlines[0].endswith("Its lead is not settled.")
    assert any(
        "`patch` of sliding-patch moves the map more than `fill` of sliding-patch is not settled" in text
        for text in verdict.cautions
    )


def test_a_lead_is_judged_image_by_image():
    wide = around(0.4, step=0.05)
    found = study(
        {
            ("patch", "ssim"): [value + 0.02 + 0.001 * (place % 3) for place, value in enumerate(wide)],
            ("fill", "ssim"): wide,
        }
    )
    first, second = ranking(found, "settings")
    assert first.factor == "patch"
    assert lead(first, second, "ssim").low > 0
    assert not any("not settled" in text for text in (*verdicts(found)[0].headlines, *verdicts(found)[0].cautions))


def test_an_index_that_includes_0_is_not_told_apart_from_a_rerun():
    (verdict,) = verdicts(study({("patch", "ssim"): around(0.5), ("fill", "ssim"): around(0.01)}))
    assert "Not told apart from a rerun with another seed: `fill` of sliding-patch." in verdict.cautions


def test_an_index_below_0_is_less_than_a_rerun():
    (verdict,) = verdicts(study({("patch", "ssim"): around(0.5), ("fill", "ssim"): around(-0.4)}))
    assert "Moves the map less than another seed does: `fill` of sliding-patch." in verdict.cautions
    assert not any(text.startswith("Not told apart") for text in verdict.cautions)


def test_a_first_place_below_0_is_no_further_than_another_seed():
    (verdict,) = verdicts(study({("patch", "ssim"): around(-0.3), ("fill", "ssim"): around(-0.6)}))
    assert "the most, though no further than with another seed: index −0.30" in verdict.headlines[0]
    assert "`patch`, though no further than with another seed: index −0.30" in verdict.findings[0]


def test_a_method_that_its_seed_moves_is_named():
    found = study({("patch", "ssim"): around(0.5), ("fill", "ssim"): around(0.2)})
    low = tuple(replace(item, floor=replace(item.floor, mean=0.28)) for item in found.sensitivities)
    (verdict,) = verdicts(replace(found, sensitivities=low))
    said = "Another seed alone moves the map of sliding-patch far: reruns have a similarity of 0.28 by ssim."
    assert [text for text in verdict.cautions if text.startswith("Another")] == [said]


def test_an_index_that_includes_1_is_not_told_apart_from_noise():
    (verdict,) = verdicts(study({("patch", "ssim"): around(0.97), ("fill", "ssim"): around(0.3)}))
    assert "Not told apart from a random map: `patch` of sliding-patch." in verdict.cautions


@pytest.mark.parametrize(("images", "said"), [(1, "1 image, 8 needed"), (5, "5 images, 8 needed")])
def test_few_images_are_said_to_be_few(images, said):
    verdict = verdicts(results(images=images))[0]
    assert said in verdict.cautions[0]
    assert "no interval" in verdict.findings[0]
    assert not any("95 % CI" in text for text in verdict.findings)


def test_no_sentence_says_significant():
    for found in (results(), results(images=2), results(models=("a", "b")), results(models=tuple("abcde"))):
        for verdict in verdicts(found):
            assert not any("significant" in text for text in (*verdict.headlines, *verdict.findings, *verdict.cautions))


def test_models_get_a_headline_each_and_many_are_counted():
    two = verdicts(results(models=("resnet50", "vit")))[0]
    assert [text.split(",")[0] for text in two.headlines] == ["With resnet50", "With vit"]
    (many,) = verdicts(results(models=tuple("abcde")))[0].headlines
    assert many == "With all 5 models, the map of gradient with `channels` moves the most."


def test_entries_of_one_method_are_told_apart():
    small = Entry("sliding-patch", {"patch": (("53", "52", "54"), 0.1)})
    findings = verdicts(results(entries=(PATCH, small), inputs=()))[0].findings
    assert [text.split(" moves")[0] for text in findings] == ["sliding-patch (entry 1)", "sliding-patch (entry 2)"]


def test_undefined_indices_are_called_undefined_and_come_last():
    found = study({("patch", "ssim"): [math.nan] * 12, ("fill", "ssim"): around(0.3)})
    assert [knob.factor for knob in ranking(found, "settings")] == ["fill", "patch"]
    (verdict,) = verdicts(study({("patch", "ssim"): [math.nan] * 12, ("fill", "ssim"): [math.nan] * 12}))
    assert verdict.headlines == ("No sensitivity index is defined.",)
    assert verdict.findings == ("sliding-patch: no index is defined.",)


def test_without_sensitivities_there_is_no_verdict():
    assert verdicts(results(entries=(Entry("gradient", {}),), inputs=())) == ()

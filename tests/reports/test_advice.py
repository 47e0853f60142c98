"""Advice says what was found, and how sure that is."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from reports.factory import results

from sam_toolkit.reports.advice import advice
from sam_toolkit.study.findings import Advice, Findings

PIECE = Advice(
    "steady", "resnet50", 1, "smoothgrad", "samples", "800", ("200", "800"), 0.04, 0.1, "largest", math.nan, 0.973, 20
)


def said(**changes) -> str:
    """Return the sentence about a piece of advice."""
    found = replace(results(inputs=(), pictured=0), findings=Findings(advice=(replace(PIECE, **changes),)))
    (sentence,) = advice(found, 1)
    return sentence


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({}, "`samples`: from 200 on the map stays as at 800, the largest value tried, within 0.04"),
        (
            {"ends": "inside", "reference": "50", "values": ("25", "50", "100")},
            "from 25 to 100 the map stays as at 50",
        ),
        ({"ends": "smallest", "reference": "50", "values": ("50", "100")}, "up to 100 the map stays as at 50"),
        ({"ends": "", "reference": "mean", "values": ("mean", "black")}, "black leaves the map as at mean"),
        (
            {"kind": "moving", "ends": "inside", "values": ("800",)},
            "the map does not stay as at 800; the values beside it move it 0.04 or more",
        ),
        ({"kind": "moving", "ends": "", "values": ("800",)}, "every other value moves the map"),
        ({"kind": "moving", "values": ("800",)}, "not settled at 800, the largest value tried"),
        ({"kind": "reruns", "factor": "", "moved": 0.4}, "another seed alone moves the map of smoothgrad by 0.40"),
        ({"kind": "reruns", "factor": ""}, "another seed leaves the map of smoothgrad where it is"),
    ],
)
def test_each_kind_of_advice_is_a_sentence_with_its_certainty(changes, sentence):
    text = said(**changes)
    assert sentence in text
    assert "(97 % of draws of 20 images)" in text


def test_a_study_that_cannot_tell_where_a_map_settles_says_what_would():
    text = said(kind="moving", ends="smallest", reference="50", values=("50",))
    assert "comparing all pairs or a default at the largest would tell" in text


def test_values_that_differ_less_than_two_seeds_are_no_sign_of_convergence():
    assert "no sign of convergence: another seed moves the default's map by 0.30" in said(reruns=0.3)
    assert "convergence" not in said(reruns=0.05)


def test_too_few_images_tell_nothing_about_certainty():
    assert "5 images cannot tell: 8 needed" in said(certainty=math.nan, count=5)


def test_models_are_told_apart():
    found = replace(results(models=("resnet50", "vit"), inputs=(), pictured=0), findings=Findings(advice=(PIECE,)))
    assert next(advice(found, 1)).startswith("With resnet50: ")
    assert not list(advice(found, 0))

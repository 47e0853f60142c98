"""The experiment of Lin, Covert and Lee (NeurIPS 2023) on Gaussian data, against what their figures show."""

from __future__ import annotations

from functools import cache

import pytest
from rich.console import Console

from sam_toolkit.removal import synthetic

PAPER = {
    1.0: {"baseline": 0.448, "marginal": 0.436, "conditional": 0.003},
    0.8: {"baseline": 0.485, "marginal": 0.473, "conditional": 0.166},
    0.4: {"baseline": 0.553, "marginal": 0.492, "conditional": 0.375},
    0.0: {"baseline": 0.582, "marginal": 0.526, "conditional": 0.525},
}
"""Medians as read off its box plots, of some 50 to 100 points; with 1,024 points here, all are within 0.05 of these."""
CONDITIONAL = {0.0: 0.0364, 0.25: 0.0412, 0.5: 0.0483, 0.75: 0.0560, 1.0: 0.0637}
"""Slopes of the stand-in for its perturbed inputs, by an independent computation."""


@cache
def models(correlation):
    return synthetic.change_of_model(correlation, points=64)


@cache
def inputs(correlation, scale=1.0):
    return synthetic.change_of_input(correlation, scale, points=12)


@pytest.mark.parametrize("correlation", PAPER)
def test_medians_are_the_papers(correlation):
    for name, median in PAPER[correlation].items():
        assert models(correlation)[name].median == pytest.approx(median, abs=0.07)


def test_models_that_agree_on_the_data_have_one_conditional_attribution_and_two_of_the_other_kinds():
    assert models(1.0)["conditional"].largest < 0.01
    assert models(1.0)["baseline"].median == pytest.approx(models(1.0)["marginal"].median, abs=0.06)
    assert models(1.0)["baseline"].median > 0.35


def test_the_conditional_median_falls_as_the_correlation_grows():
    medians = [models(correlation)["conditional"].median for correlation in sorted(PAPER)]
    assert medians == sorted(medians, reverse=True)


@pytest.mark.parametrize("correlation", CONDITIONAL)
def test_slopes_of_perturbed_inputs_are_those_of_an_independent_computation(correlation):
    assert inputs(correlation)["baseline"].measured == pytest.approx(0.0365, rel=0.02)
    assert inputs(correlation)["marginal"].measured == pytest.approx(0.0364, rel=0.02)
    assert inputs(correlation)["conditional"].measured == pytest.approx(CONDITIONAL[correlation], rel=0.03)


def test_slopes_grow_with_the_weights_and_keep_below_both_bounds():
    for scale in synthetic.SCALES:
        for name, slope in inputs(1.0, scale).items():
            assert slope.measured == pytest.approx(scale * inputs(1.0)[name].measured, rel=0.05)
            assert slope.measured < slope.sharper <= slope.paper
    assert inputs(1.0)["baseline"].paper == pytest.approx(0.2)


def test_the_report_has_a_row_for_each_setting_and_removal(capsys):
    synthetic.report(Console(width=120), points=4, pairs=2)
    out = capsys.readouterr().out
    assert sum("conditional" in line for line in out.splitlines()) == 4 + 5 + 4
    assert "none" in out

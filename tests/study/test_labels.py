"""The short texts of values, settings, metrics and inputs."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Any

import pytest
import toys

from sam_toolkit.study.labels import metric_text, perturbation_text, setting_text, value_text


class _Shade(Enum):
    DARK = "dark"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (50, "50"),
        (50.0, "50"),
        (0.1, "0.1"),
        (1e-5, "1e-05"),
        (0.1 + 0.2, "0.30000000000000004"),
        (True, "true"),
        (None, "null"),
        ("abs-sum", "abs-sum"),
        ((0.5, 1, "x"), "[0.5, 1, x]"),
        (Path("a/b.png"), "a/b.png"),
        (_Shade.DARK, "dark"),
        (toys.NoiseParams(sigma=1), "{sigma: 1, seed: 0}"),
    ],
)
def test_a_value_reads_as_a_study_file_writes_it(value: Any, text: str) -> None:
    assert value_text(value) == text


def test_a_setting_is_told_by_what_differs() -> None:
    default = toys.SmoothParams()
    setting = default.varied(samples=200, spread=0.3)
    assert setting_text(setting, default) == "samples=200, spread=0.3"
    assert setting_text(setting, default, only=("spread",)) == "spread=0.3"
    assert setting_text(default, default) == ""
    assert setting_text(setting, None) == "samples=200, spread=0.3, nested=true"
    assert setting_text(setting, None, only=("samples", "nested")) == "samples=200, nested=true"


def test_a_metric_is_told_by_what_differs_from_its_defaults() -> None:
    assert metric_text(toys.Windowed, toys.WindowParams(window=7)) == "ssim"
    assert metric_text(toys.Windowed, toys.WindowParams(window=9, gaussian=True)) == "ssim window=9 gaussian=true"


def test_a_metric_names_its_default_where_others_differ_in_it() -> None:
    swept = [toys.WindowParams(window=window) for window in (7, 9)]
    assert [metric_text(toys.Windowed, each, swept) for each in swept] == ["ssim window=7", "ssim window=9"]


def test_an_input_says_what_was_given_for_it() -> None:
    assert perturbation_text(toys.Noise, toys.NoiseParams()) == "gaussian-noise"
    assert perturbation_text(toys.Noise, toys.NoiseParams(sigma=0.1)) == "gaussian-noise sigma=0.1"

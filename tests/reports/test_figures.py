"""Figures stand alone, show what they should, and leave matplotlib as it was."""

from __future__ import annotations

import io
from dataclasses import replace
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pytest
import torch
from PIL import Image
from reports.factory import Entry, picture, renamed, results

from sam_toolkit.reports.axes import axis
from sam_toolkit.reports.drawing import svg
from sam_toolkit.reports.figures import similarity_figure, stability_figure, strip_png, verdict_figure
from sam_toolkit.reports.pictures import NEGATIVE, POSITIVE, overlay, photograph
from sam_toolkit.reports.stability import MANY


def texts(figure):
    """Return what a figure says."""
    root = ElementTree.fromstring(svg(figure, "x-", "a figure"))
    return [element.text for element in root.iter("text")]


def test_the_verdict_names_every_factor_in_order_and_every_metric():
    found = texts(verdict_figure(results()))
    assert [text for text in found if text in ("channels", "patch", "spread", "fill", "samples")] == [
        "channels", "patch", "spread", "fill", "samples",
    ]  # fmt: skip
    assert {"ssim", "spearman", "hog", "rerun", "noise"} <= set(found)


def test_the_verdict_marks_means_and_intervals_where_they_are():
    found = results(metrics=("ssim",), entries=(Entry("gradient", {"channels": (("mean", "abs"), 0.4)}),), inputs=())
    (item,) = found.sensitivities
    (axes,) = verdict_figure(found).axes
    drawn = [line.get_xdata() for line in axes.lines]
    assert any(np.allclose(line, [item.index.low, item.index.high]) for line in drawn if len(line) == 2)
    assert any(len(line) == 1 and line[0] == item.index.mean for line in drawn)
    assert any(len(line) == 12 and np.allclose(line, list(item.per_image.values())) for line in drawn)


def test_an_index_beyond_the_axis_is_an_arrow_at_its_border():
    found = results(metrics=("ssim",), inputs=())
    far = replace(found.sensitivities[0].index, mean=40.0, low=30.0, high=50.0)
    figure = verdict_figure(replace(found, sensitivities=(replace(found.sensitivities[0], index=far),)))
    (axes,) = figure.axes
    assert any(line.get_marker() == ">" and line.get_xdata()[0] == axes.get_xlim()[1] for line in axes.lines)
    assert "40.00" in texts(figure)


def test_curves_have_a_line_a_metric_and_the_floors():
    found = results()
    figure = similarity_figure(found, 1, "resnet50", "settings")
    samples, spread = figure.axes
    own = [
        item.similarity.mean
        for item in found.values
        if (item.experiment, item.factor, item.metric) == (1, "spread", "hog")
    ]
    assert any(np.allclose(line.get_ydata(), own) for line in spread.lines if len(line.get_ydata()) == 2)
    floors = [item for item in found.sensitivities if (item.experiment, item.factor) == (1, "samples")]
    levels = [line.get_ydata()[0] for line in samples.lines if line.get_ydata()[0] == line.get_ydata()[-1]]
    assert all(item.floor.mean in levels and item.random.mean in levels for item in floors)
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["samples", "spread"]


def test_stability_has_a_dot_an_image_beside_the_mean_accuracy_of_the_same_setting():
    found = results(metrics=("ssim",))
    similarity, accuracy = stability_figure(found, 2, "resnet50").axes
    settings = ["patch=5", "patch=17", "patch=53", "fill=black", "fill=blur"]
    assert [text for text in texts(similarity.figure) if "=" in text] == settings
    rows = [row for row in found.rows if (row.experiment, row.along, row.role) == (2, "settings", "value")]
    for line, setting in enumerate(settings, start=1):
        scores = [row.score for row in rows if f"{row.factor}={row.value}" == setting]
        dots = similarity.collections[line].get_offsets()
        np.testing.assert_allclose(dots[:, 0], scores)
        assert (abs(dots[:, 1] - line) < 0.5).all()
        (item,) = [item for item in found.accuracies if (item.experiment, item.setting) == (2, setting)]
        (mark,) = [mark for mark in accuracy.lines if mark.get_marker() == "D" and mark.get_ydata()[0] == line]
        assert mark.get_xdata()[0] == item.score.mean


def test_stability_of_many_images_has_boxes_instead_of_dots():
    figure = stability_figure(results(images=MANY + 1, pictured=0, metrics=("ssim",), inputs=()), 2, "resnet50")
    assert not figure.axes[0].collections


def test_stability_without_accuracies_or_scores_is_drawn():
    bare = results(accuracies=(), undefined=frozenset(range(12)), metrics=("ssim",))
    assert "undefined" in texts(stability_figure(bare, 1, "resnet50"))
    assert len(stability_figure(bare, 1, "resnet50").axes) == 1


def test_all_comparisons_share_a_figure():
    titles = [axes.get_title(loc="left") for axes in similarity_figure(results(), 1, "resnet50").axes]
    assert titles == ["samples", "spread", "gaussian-noise"]


@pytest.mark.parametrize(
    ("values", "scale", "unit"),
    [
        (("50", "25", "100"), "linear", ""),
        (("50", "100", "800"), "log", ""),
        (("sigma=0.05", "sigma=0.2"), "linear", "sigma"),
        (("eps=1/255", "eps=2/255", "eps=8/255"), "log", "eps"),
        (("eps=0", "eps=8/255"), "linear", "eps"),
        (("1/0", "8/255"), "categorical", ""),
        (("mean", "black"), "categorical", ""),
        (("1", "none"), "categorical", ""),
        (("a=1", "b=2"), "categorical", ""),
        (("-1", "0", "100"), "linear", ""),
    ],
)
def test_an_axis_fits_its_values(values, scale, unit):
    found = axis(values)
    assert (found.scale, found.unit) == (scale, unit)
    assert list(found.positions) == list(values)
    assert all(0 < position < 1 for position in found.positions.values())


def test_crowded_ticks_leave_labels_out_but_never_the_last():
    found = axis([str(number) for number in (5, 52, 53, 54)]).labelled()
    assert list(found) == ["5", "54"]


def test_names_are_text_and_not_mathematics():
    assert any("$\\alpha$" in text for text in texts(verdict_figure(renamed(results(), "$\\alpha$"))))


def test_figures_are_the_same_each_time_and_leave_the_style_alone():
    before = dict(mpl.rcParams)
    first, second = (svg(verdict_figure(results()), "x-", "a figure") for _ in range(2))
    assert first == second
    assert dict(mpl.rcParams) == before


def test_a_strip_is_a_png_of_the_photograph_and_its_maps():
    strip = results().strips[0]
    image = Image.open(io.BytesIO(strip_png(strip, dpi=100)))
    assert image.format == "PNG"
    assert image.width / image.height == pytest.approx(1.55 * (1 + len(strip.labels)) / (1.55 + 0.3), abs=0.02)
    assert strip_png(strip) == strip_png(strip)


def test_signed_maps_are_red_for_and_blue_against():
    saliency = torch.ones(224, 224)
    saliency[112:] = -1.0
    pixels = np.asarray(overlay(torch.ones(3, 224, 224), saliency, signed=True)).astype(int)
    assert np.abs(pixels[50, 50] - POSITIVE).max() < 30
    assert np.abs(pixels[180, 50] - NEGATIVE).max() < 30


def test_where_a_map_is_zero_the_photograph_is_grey():
    pixels = np.asarray(overlay(picture(64, 0), torch.zeros(64, 64), signed=False)).astype(int)
    assert np.ptp(pixels, axis=-1).max() == 0


def test_pictures_keep_their_shape_and_never_exceed_their_size():
    assert photograph(torch.rand(3, 300, 600), 224).size == (224, 112)
    assert photograph(torch.rand(1, 28, 28), 224).size == (224, 224)

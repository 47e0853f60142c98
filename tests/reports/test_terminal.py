"""The terminal's summary is complete, and plain where there is no terminal."""

from __future__ import annotations

import io

from reports.factory import Entry, failed, renamed, results
from rich.console import Console

from sam_toolkit.reports.advice import advice
from sam_toolkit.reports.terminal import summary


def shown(found, width=140):
    """Return what a console without a terminal shows."""
    console = Console(file=io.StringIO(), width=width)
    console.print(summary(found))
    return console.file.getvalue()


def test_every_index_stands_with_its_interval_floor_random_and_images():
    found = results()
    text = shown(found)
    lines = [line.split() for line in text.splitlines()]
    for item in found.sensitivities:
        index, floor, random = (
            f"{value:.2f}".replace("-0.00", "0.00").replace("-", "−")
            for value in (item.index.mean, item.floor.mean, item.random.mean)
        )
        ends = f"{item.index.low:.2f} to {item.index.high:.2f}".split()
        assert any(
            item.metric in line and line[-8:] == [index, *ends, f"{item.similarity.mean:.2f}", floor, random, "12"]
            for line in lines
        )


def test_there_are_no_control_sequences_without_a_terminal():
    assert "\x1b" not in shown(renamed(failed(results()), "\x1b[31m"))


def test_names_are_no_markup():
    text = shown(renamed(failed(results(images=1)), "[red]x[/]"), width=400)
    assert "gradient[red]x[/]" in text


def test_failures_and_notes_are_told():
    text = shown(failed(results()))
    assert "Failed: resnet50, sliding-patch (patch=5, fill=mean): ModelError" in text
    assert "Each map is divided by its largest absolute value" in text


def test_a_study_that_varies_nothing_says_so():
    assert "nothing was compared" in shown(results(entries=(Entry("gradient", {}),), inputs=()))


def test_advice_stands_by_the_name_of_its_method():
    found = results(derived=True)
    text = " ".join(shown(found, width=400).split())
    said = [sentence for item in found.experiments for sentence in advice(found, item.index)]
    assert len(said) > 3
    for sentence in said:
        assert sentence.replace("`", "") in text
    assert "- smoothgrad: samples:" in text
    assert "Advice" not in shown(results())

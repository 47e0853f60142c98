"""The page is whole, honest and harmless, whatever the results hold."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser

import pytest
from reports.factory import Entry, failed, renamed, results

from sam_toolkit.reports import HtmlReport
from sam_toolkit.reports.drawing import LINKED
from sam_toolkit.reports.gallery import MOST, Gallery
from sam_toolkit.reports.html import render
from sam_toolkit.reports.plates import typical_image
from sam_toolkit.study.findings import Interval
from sam_toolkit.study.results import InputSummary

_VOID = {"meta", "link", "img", "input", "br"}
_LOADS = {"src", "href", "xlink:href", "action", "data", "poster", "srcset"}


class Page(HTMLParser):
    """Reads a page: its tags, texts by tag, and what is not closed as it should be."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.texts, self.open, self.wrong = [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)

    def handle_data(self, data):
        self.texts.append((self.open[-1] if self.open else "", data))

    def attributes(self, name):
        """Return the values that an attribute has anywhere."""
        return [attributes[name] for _, attributes in self.tags if attributes.get(name) is not None]

    def text(self):
        """Return what a reader sees."""
        return " ".join(data for tag, data in self.texts if tag not in ("script", "style"))


CASES = {
    "usual": lambda: results(derived=True),
    "one image": lambda: results(images=1, pictured=1, derived=True),
    "many models": lambda: results(models=tuple("abcdefghi"), pictured=1, metrics=("ssim",), inputs=()),
    "undefined": lambda: results(undefined=frozenset(range(12))),
    "failures": lambda: failed(results()),
    "no factor": lambda: results(entries=(Entry("gradient", {}),), inputs=()),
    "no experiment": lambda: results(entries=(), inputs=()),
    "long names": lambda: renamed(results(inputs=()), "-very-long" * 30),
    "other alphabets": lambda: renamed(results(inputs=()), " \u72ac \U0001f415 $x^2_$"),
}


@cache
def written(case):
    """Return the page of a case."""
    return render(CASES[case]())


@pytest.mark.parametrize("case", CASES)
def test_every_page_is_well_formed_and_refers_to_what_it_has(case):
    page = Page(written(case))
    assert not page.wrong
    assert not page.open
    ids = page.attributes("id")
    assert len(ids) == len(set(ids))
    links = [link[1:] for link in page.attributes("href") if link.startswith("#")]
    assert set(links) <= set(ids)
    assert len([tag for tag, _ in page.tags if tag == "h1"]) == 1


@pytest.mark.parametrize("case", CASES)
def test_nothing_is_loaded_from_anywhere(case):
    page = Page(written(case))
    for name in _LOADS:
        assert all(link.startswith(("#", "data:")) for link in page.attributes(name))
    assert "http:" not in written(case)
    assert "https:" not in written(case)
    (policy,) = [tag["content"] for name, tag in page.tags if name == "meta" and "http-equiv" in tag]
    assert policy.startswith("default-src 'none'; img-src data:;")


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "\"'><img src=x onerror=alert(1)>",
        "</style></svg><b>",
        "{{ 7*7 }}`<i>`",
        "-->]]>&amp;",
    ],
)
def test_hostile_names_are_shown_and_do_nothing(text):
    plain, hostile = Page(written("failures")), Page(render(renamed(failed(results()), text)))
    assert not hostile.wrong
    assert {tag for tag, _ in hostile.tags} <= {tag for tag, _ in plain.tags}
    for kind in ("script", "style", "img", "b", "i", "svg", "section"):
        assert [tag for tag, _ in hostile.tags].count(kind) == [tag for tag, _ in plain.tags].count(kind)
    assert not [name for _, attributes in hostile.tags for name in attributes if name.startswith("on")]
    title = " ".join(data for tag, data in hostile.texts if tag == "h1")
    assert title == f"a study{text}"


def test_control_characters_become_visible_ones():
    assert "\x00" not in render(renamed(results(), "\x00\x1b[31m"))


def test_the_same_results_make_the_same_bytes(tmp_path):
    first, second = (HtmlReport().write(failed(results()), tmp_path / name)[0] for name in "ab")
    assert first.read_bytes() == second.read_bytes()


def test_the_verdict_comes_first_and_every_part_is_there():
    page = Page(written("failures"))
    ids = [name for tag, attributes in page.tags if tag == "section" and (name := attributes.get("id"))]
    experiments = [f"experiment-{number}" for number in range(3)]
    assert ids == ["verdict", "reading", "failures", "notes", *experiments, "provenance", "repeat"]


def test_every_number_of_the_results_is_on_the_page():
    found = results()
    text = Page(written("usual")).text()
    for item in found.sensitivities:
        for interval in (item.index, item.similarity, item.floor, item.random):
            assert f"{interval.mean:.2f}".replace("-0.00", "0.00").replace("-", "−") in text
    for item in found.values:
        assert (
            f"[{item.similarity.low:.2f}, {item.similarity.high:.2f}]".replace("-0.00", "0.00").replace("-", "−")
            in text
        )
    assert all(value in text for value in (*found.provenance.values(), *found.cost.values(), *found.notes, "seed: 0"))


def test_undefined_scores_are_dashes_and_no_nan_is_shown():
    text = Page(written("undefined")).text()
    assert not re.search(r"\bnan\b", text, re.IGNORECASE)
    assert "No sensitivity index is defined." in text


def test_failures_are_told_at_the_top():
    text = Page(written("failures")).text()
    assert text.index("1 part of the study failed") < text.index("An attribution map is worth trusting")
    assert "ModelError: logits are not finite." in text


def test_every_picture_says_what_it_shows():
    page = Page(written("usual"))
    pictures = [attributes for tag, attributes in page.tags if tag == "img"]
    assert pictures
    assert all(attributes["alt"] and attributes["src"].startswith("data:image/webp;base64,") for attributes in pictures)
    assert any(re.search(r"Map of photo 0 by smoothgrad, spread 0\.3, ssim 0\.\d\d", item["alt"]) for item in pictures)
    drawings = [attributes for tag, attributes in page.tags if tag == "svg"]
    assert all(attributes["role"] == "img" and attributes["aria-label"] for attributes in drawings)


def test_a_photograph_and_its_default_map_are_shown_once_a_method_beside_the_plates():
    found = results()
    pictures = [attributes for tag, attributes in Page(written("usual")).tags if tag == "img"]
    shown = sum(len(strip.labels) - 1 for strip in found.strips)
    plates = (1 + 3 * len(found.experiments)) + (1 + 3)
    assert len(pictures) == shown + 2 * 2 * len(found.experiments) + plates


def test_each_number_and_each_dot_leads_to_its_map():
    found = results()
    page = Page(written("usual"))
    links = {link[1:] for link in page.attributes("href") if link.startswith(f"#{LINKED}")}
    assert links <= set(page.attributes("id"))
    dotted = [strip for strip in found.strips if strip.along == "settings" or strip.image == "photo 0"]
    assert len(links) == sum(len(strip.labels) - 1 for strip in dotted)
    keys = {key for strip in found.strips for key in strip.keys}
    assert keys <= {title.split()[1] for title in page.attributes("title") if title.startswith("map ")}


def test_what_follows_from_the_scores_is_on_the_page():
    findings = results(derived=True).findings
    text = Page(written("usual")).text()
    for item in findings.ranks:
        if not item.metric:
            assert f"rank {item.rank} [{item.low:.0f} to {item.high:.0f}]" in text
    assert f"over all {len(findings.tests)} tests of the study" in text
    assert text.count("Kendall's tau") >= 2
    assert text.count("of draws of 12 images") == len(findings.advice)


def test_a_similarity_that_a_random_map_has_too_is_marked():
    found = results(inputs=())
    plain = Page(render(found)).text()
    first = found.values[0]
    alike = replace(first, over_random=replace(first.over_random, mean=0.01, low=-0.02, high=0.04))
    marked = Page(render(replace(found, values=(alike, *found.values[1:])))).text()
    note = "no more than a random map"
    assert marked.count(note) == plain.count(note) + 1


def test_the_plates_show_the_photograph_of_median_sensitivity():
    found = results(images=9, pictured=9)
    level = {image: number for number, image in enumerate([3, 1, 8, 0, 4, 7, 2, 6, 5])}
    indices = {f"photo {image}": float(place) for image, place in level.items()}
    ranked = tuple(replace(item, per_image=indices) for item in found.sensitivities)
    assert typical_image(replace(found, sensitivities=ranked), list(found.images)) == "photo 4"


def test_a_large_gallery_is_lighter_and_says_what_it_leaves_out():
    found = results(images=200, pictured=200, size=16)
    gallery = Gallery.of(found)
    assert gallery.size == 112
    assert sum(len(strip.labels) for strip in found.strips if strip.image in gallery.images) <= MOST
    assert gallery.left_out == 200 - len(gallery.images)
    assert f"{gallery.left_out} more photographs are left out" in Page(render(found)).text()


def test_grey_photographs_of_any_size_are_shown():
    found = results(size=20)
    grey = replace(found, strips=tuple(replace(strip, photo=strip.photo[:1]) for strip in found.strips))
    assert not Page(render(grey)).wrong


def test_without_strips_the_numbers_stand_alone():
    page = Page(render(replace(results(), strips=())))
    assert "img" not in [tag for tag, _ in page.tags]
    assert "sensitivity index" in page.text()


def test_what_perturbations_say_is_on_the_page_where_there_are_any():
    told = InputSummary("resnet50", "<attack> eps=8/255", "succeeded", Interval(0.75, 0.5, 1, 40, 0, "by hand"), {})
    found = results(images=1, pictured=0, metrics=("ssim",))
    page = Page(render(replace(found, inputs=(told,))))
    assert not page.wrong
    assert "inputs" in page.attributes("id")
    assert all(text in page.text() for text in ("<attack> eps=8/255", "succeeded", "0.75"))
    assert "inputs" not in Page(render(found)).attributes("id")

"""Plugins that a study pins."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import toys

from sam_toolkit.errors import SpecError
from sam_toolkit.registry import LoadFailure, Registry
from sam_toolkit.study.resolve import load_study

STUDY = {"models": ["resnet50"], "images": "bundled", "methods": ["gradient"]}


def registry(distribution: str = "sam-toolkit-toys 1.4") -> Registry:
    components = [entry.component for entry in toys.toy_registry().entries()]
    host = Registry()
    host.register(SimpleNamespace(sam_toolkit_components=lambda: components), "toys", distribution)
    host.failures.append(LoadFailure("worn", "sam-toolkit-worn 2.0", "ImportError: no module named worn"))
    return host


def said(pins: object) -> str:
    with pytest.raises(SpecError) as error:
        load_study({**STUDY, "plugins": pins}, registry())
    return str(error.value)


@pytest.mark.parametrize("wanted", ["==1.4", ">=1,<2", "", "~=1.3"])
def test_a_version_that_the_study_takes_passes(wanted: str) -> None:
    assert load_study({**STUDY, "plugins": {"sam-toolkit-toys": wanted}}, registry()).methods
    assert load_study({**STUDY, "plugins": None}, registry()).methods


def test_another_version_is_refused_with_what_to_install() -> None:
    text = said({"sam-toolkit-toys": "==1.3"})
    assert "plugins.sam-toolkit-toys: the study takes ==1.3, and 1.4 is installed" in text
    assert "`pip install 'sam-toolkit-toys==1.3'`" in text


def test_what_is_absent_or_broken_is_told_apart() -> None:
    text = said({"sam-toolkit-toy": ">=1", "sam-toolkit-worn": "==2.0"})
    assert "sam-toolkit-toy is not installed, or left out: `pip install 'sam-toolkit-toy>=1'`" in text
    assert "Did you mean 'sam-toolkit-toys'?" in text
    assert "sam-toolkit-worn is installed but could not be loaded: ImportError" in text


@pytest.mark.parametrize("pins", [["sam-toolkit-toys"], {"sam-toolkit-toys": 1.4}, {"sam-toolkit-toys": "1.4"}])
def test_what_is_no_version_is_refused(pins: object) -> None:
    assert 'such as "==1.0"' in said(pins) or 'such as {sam-toolkit-captum: "==1.0"}' in said(pins)

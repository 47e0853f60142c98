from __future__ import annotations

import importlib.metadata

import pytest

from sam_toolkit.study import provenance


def test_versions_of_distributions_need_no_list_of_all_installed_files(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> dict[str, list[str]]:
        raise AssertionError("the list was read")

    monkeypatch.setattr(provenance, "_distributions", refuse)
    assert provenance._version("torch") == importlib.metadata.version("torch")


def test_a_package_of_another_name_than_its_distribution_has_the_version_of_that(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(provenance, "_distributions", lambda: {"skimage": ["scikit-image", "other"]})
    assert provenance._version("skimage") == importlib.metadata.version("scikit-image")
    assert provenance._version("no_such_package") == "not packaged"

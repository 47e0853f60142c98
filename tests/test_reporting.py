"""Reporters that fail, and those beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from study.small import small_run

from sam_toolkit import Params, Reporter
from sam_toolkit.errors import PluginError
from sam_toolkit.registry import default_registry
from sam_toolkit.reporting import write_reports


class Broken(Reporter[Params]):
    """Fails."""

    name = "broken"

    def write(self, results: Any, folder: Path) -> list[Path]:
        return [folder / results.nowhere]


def test_one_that_fails_is_named_and_the_others_write(tmp_path) -> None:
    results = small_run(tmp_path, {"methods": ["gradient"]})
    registry = default_registry(plugins=False).extended(Broken)
    files, (problem,) = write_reports(results, registry, tmp_path)
    assert files[0].name == "report.html"
    assert all(path.is_file() for path in files)
    assert problem.startswith("Reporter 'broken' raised AttributeError: ")
    assert "at test_reporting.py:" in problem
    with pytest.raises(PluginError, match="Did you mean 'broken'"):
        write_reports(results, registry, tmp_path, ["broke"])

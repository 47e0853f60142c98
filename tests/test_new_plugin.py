"""`sam-toolkit new-plugin`: a package of each kind that works at once."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from sam_toolkit import builtins
from sam_toolkit.cli import BAD_INPUT, main
from sam_toolkit.new_plugin import WHAT
from sam_toolkit.registry import Registry
from sam_toolkit.study.resolve import load_study


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Return a folder with a new package of each kind."""
    found = tmp_path_factory.mktemp("plugins")
    for kind in WHAT:
        result = CliRunner().invoke(main, ["new-plugin", f"my-{kind}", "--kind", kind, "--folder", str(found)])
        assert result.exit_code == 0, result.output
    return found


@pytest.fixture
def modules(folder, monkeypatch) -> dict[str, SimpleNamespace]:
    """Return the module of each kind's package, and forget them afterwards."""
    before = set(sys.modules)
    for kind in WHAT:
        monkeypatch.syspath_prepend(folder / f"sam-toolkit-my-{kind}")
    found = {kind: importlib.import_module(f"sam_toolkit_my_{kind.replace('-', '_')}") for kind in WHAT}
    yield found
    for name in set(sys.modules) - before:
        if name.startswith("sam_toolkit_my_"):
            del sys.modules[name]


def test_tests_and_conformance_of_every_kind_pass(folder, tmp_path) -> None:
    packages = [folder / f"sam-toolkit-my-{kind}" for kind in WHAT]
    named = [f"--sam-toolkit-conformance={package.name.replace('-', '_')}" for package in packages]
    (tmp_path / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-c",
            tmp_path / "pytest.ini",
            "-p",
            "no:cacheprovider",
            *named,
            *packages,
        ],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([*map(str, packages), str(Path(__file__).parents[1])])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{2 * len(WHAT)} passed" in done.stdout


def test_its_study_is_one(folder, modules) -> None:
    for kind, module in modules.items():
        registry = Registry()
        registry.register(builtins, "sam_toolkit", "sam-toolkit 0")
        registry.register(module, f"my-{kind}", f"sam-toolkit-my-{kind} 0.1.0")
        study = load_study(folder / f"sam-toolkit-my-{kind}" / "study.yaml", registry)
        assert study.title == f"my-{kind}"


def test_its_project_gives_the_host_its_module(folder) -> None:
    for kind in WHAT:
        project = tomllib.loads((folder / f"sam-toolkit-my-{kind}" / "pyproject.toml").read_text())["project"]
        module = f"sam_toolkit_my_{kind.replace('-', '_')}"
        assert project["entry-points"]["sam_toolkit"] == {f"my-{kind}": module}
        assert (folder / f"sam-toolkit-my-{kind}" / f"{module}.py").exists()


@pytest.mark.parametrize(
    ("name", "said"), [("My Method", "kebab-case"), ("1st", "kebab-case"), ("my-method", "is there")]
)
def test_a_name_that_cannot_be_is_refused(folder, name, said) -> None:
    result = CliRunner().invoke(main, ["new-plugin", name, "--folder", str(folder)])
    assert result.exit_code == BAD_INPUT
    assert said in result.stderr

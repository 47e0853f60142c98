"""What holds for every plugin in the repository."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from PIL import Image

import sam_toolkit

ROOT = Path(__file__).parents[2]
PLUGINS = sorted(path.parent for path in (ROOT / "plugins").glob("*/pyproject.toml"))
OPEN_TO_PLUGINS = {"sam_toolkit.ops", "sam_toolkit.testing"}

every_plugin = pytest.mark.parametrize("plugin", PLUGINS, ids=lambda path: path.name)


def sources(plugin):
    return [path for path in plugin.rglob("*.py") if not {"tests", "build"} & set(path.relative_to(plugin).parts)]


def imported(path):
    """Yield (module, name) of every import of sam_toolkit in a file; no name where the module itself is imported."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names if alias.name.split(".")[0] == "sam_toolkit")
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "sam_toolkit":
            yield from ((node.module, alias.name) for alias in node.names)


def test_there_are_plugins():
    assert PLUGINS


@every_plugin
def test_a_plugin_imports_only_what_is_public(plugin):
    assert sources(plugin)
    for path in sources(plugin):
        for module, name in imported(path):
            where = f"{path.name} imports {name or module} from {module}"
            public = module == "sam_toolkit" and (name is None or name in sam_toolkit.__all__)
            assert public or module in OPEN_TO_PLUGINS or f"{module}.{name}" in OPEN_TO_PLUGINS, where


@every_plugin
def test_a_plugin_says_what_it_is_and_gives_the_host_one_module(plugin):
    project = tomllib.loads((plugin / "pyproject.toml").read_text())["project"]
    assert project["name"] == plugin.name
    assert project["description"]
    assert (plugin / project["readme"]).read_text().startswith("# ")
    assert "sam-toolkit" in project["dependencies"]
    modules = set(project["entry-points"]["sam_toolkit"].values())
    assert all((plugin / f"{module}.py").exists() or (plugin / module).is_dir() for module in modules)


@every_plugin
def test_a_plugin_tests_itself_against_its_contract(plugin):
    tests = "\n".join(path.read_text() for path in plugin.glob("tests/test_*.py"))
    assert "from sam_toolkit.testing import" in tests


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Give a folder into which the example was installed as its README says, but not for developing."""
    pytest.importorskip("pip")
    folder = tmp_path_factory.mktemp("site")
    source = tmp_path_factory.mktemp("source") / "example"
    _copy(ROOT / "plugins" / "sam-toolkit-example", source)
    pip = [sys.executable, "-m", "pip", "install", "--no-build-isolation", "--no-deps", "--no-index", "-q"]
    done = subprocess.run([*pip, "--target", folder, source], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def _copy(source, folder):
    folder.mkdir()
    for path in source.glob("*.*"):
        if path.is_file():
            (folder / path.name).write_bytes(path.read_bytes())


SCRIPT = """
import json, sys
from click.testing import CliRunner
from sam_toolkit.cli import main
results = [CliRunner().invoke(main, command) for command in json.loads(sys.argv[1])]
print(json.dumps([result.output if result.exception is None else result.stderr for result in results]))
"""
COMMANDS = {
    "list": ["list", "--json"],
    "left out": ["--no-plugin", "example", "list", "--json"],
    "show": ["show", "edge-detector", "--json"],
    "run": ["run", "study.yaml", "--output", "out", "--workers", "0", "--no-open"],
}
STUDY = """
models: [{name: python, module: nets:colour_net, preprocessing: {crop: 32, resize: 32}}]
images: {folder: photographs}
methods: [{edge-detector: {sigma: [1, 2]}}]
compare: [{along: settings, metrics: [cosine]}]
plugins: {sam-toolkit-example: "==0.1.0"}
"""


@pytest.fixture(scope="module")
def said(site):
    """Give what commands print in a process of its own with the example installed, where a study stands."""
    (site / "photographs").mkdir()
    Image.effect_noise((32, 32), 60).convert("RGB").save(site / "photographs" / "noise.png")
    (site / "study.yaml").write_text(STUDY)
    path = os.pathsep.join(map(str, (site, ROOT, ROOT / "tests")))
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps(list(COMMANDS.values()))],
        env={**os.environ, "PYTHONPATH": path, "XDG_CACHE_HOME": str(site / "cache")},
        cwd=site,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return dict(zip(COMMANDS, json.loads(done.stdout), strict=True))


def test_the_installed_example_is_listed_with_where_it_is_from(said):
    found = {item["name"]: (item["kind"], item["plugin"], item["from"]) for item in json.loads(said["list"])}
    assert found["edge-detector"] == ("method", "example", "sam-toolkit-example 0.1.0")
    assert found["cosine"] == ("pair-metric", "example", "sam-toolkit-example 0.1.0")


def test_the_installed_example_can_be_left_out(said):
    assert "edge-detector" not in {item["name"] for item in json.loads(said["left out"])}


def test_the_installed_example_shows_its_hyperparameters(said):
    (schema,) = json.loads(said["show"])
    assert schema["properties"]["sigma"]["minimum"] == 0


def test_a_study_pins_the_installed_example_runs_it_and_reports_it(said, site):
    assert "edge-detector" in said["run"], said["run"]
    report = (site / "out" / "report.html").read_text()
    assert "plugin sam-toolkit-example</th><td>0.1.0<" in report
    assert "edge-detector" in report
    assert "cosine" in report

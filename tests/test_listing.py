"""What is installed, by name, without importing what has the names."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from strangers import good, install

from sam_toolkit import listing as module
from sam_toolkit.errors import PluginError
from sam_toolkit.installed import fingerprint, installed
from sam_toolkit.listing import Listing, listing

ROOT = Path(__file__).parents[1]
COUNT = 30
HEAVY = {"torch", "torchvision", "numpy", "scipy", "skimage", "matplotlib", "pydantic", "sam_toolkit.component"}
PROBE = """
import atexit, json, sys
opened = []
sys.addaudithook(lambda event, values: opened.append(str(values[0])) if event == "open" else None)
from sam_toolkit.cli import main
atexit.register(lambda: print(json.dumps([sorted(sys.modules), opened]), file=sys.stderr))
main()
"""


def install_many(folder: Path) -> None:
    for number in range(COUNT):
        install(folder, f"sam-many-{number}", {f"many-{number}": (f"many_{number}", good(f"many-{number}"))})


def command(site: Path, *arguments: str) -> tuple[str, set[str], list[str]]:
    """Return what a process of its own prints, the modules that it imported, and the files in `site` that it opened."""
    environment = {"PYTHONPATH": os.pathsep.join([str(site), str(ROOT)]), "XDG_CACHE_HOME": str(site / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    modules, opened = json.loads(done.stderr.splitlines()[-1])
    return done.stdout, set(modules), [path for path in opened if path.startswith(str(site))]


def test_names_are_listed_without_importing_a_plugin_or_anything_heavy(tmp_path) -> None:
    install_many(tmp_path)
    first, *_ = command(tmp_path, "list", "--json")
    second, imported, _ = command(tmp_path, "list", "--json")
    assert second == first
    items = {item["name"]: item for item in json.loads(second)}
    assert {f"many-{number}" for number in range(COUNT)} < set(items)
    assert (items["many-7"]["plugin"], items["many-7"]["from"]) == ("many-7", "sam-many-7 1.2")
    assert not HEAVY & imported
    assert not {name for name in imported if name.startswith("many_")}


def test_help_takes_no_notice_of_plugins(tmp_path) -> None:
    _, alone, _ = command(tmp_path, "--help")
    install_many(tmp_path)
    assert command(tmp_path, "--help")[1:] == (alone, [])


@pytest.fixture
def site(tmp_path, monkeypatch):
    """Give a folder on sys.path, where nothing is remembered yet and loading is counted instead of done."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


@pytest.fixture
def loads(monkeypatch) -> list[tuple[str, ...]]:
    """Return what was loaded so far; each time, a listing that says how often."""
    calls: list[tuple[str, ...]] = []

    def load(plugins: bool, blocked: tuple[str, ...]) -> Listing:
        calls.append(blocked)
        return Listing([{"kind": "method", "name": f"load-{len(calls)}"}])

    monkeypatch.setattr(module, "_loaded", load)
    return calls


def test_a_change_of_what_is_installed_is_noticed(site, loads) -> None:
    def name() -> str:
        return listing().items[0]["name"]

    assert [name(), name()] == ["load-1", "load-1"]
    install(site, "sam-strange", {"strange": ("strange_module", good("stranger"))})
    assert [name(), name()] == ["load-2", "load-2"]
    (site / "strange_module.py").write_text(good("another"))
    assert [name(), name()] == ["load-3", "load-3"]
    (site / "sam_strange-1.2.dist-info").rename(site / "sam_strange-1.3.dist-info")
    assert [name(), name()] == ["load-4", "load-4"]


def test_what_is_left_out_is_remembered_apart(site, loads) -> None:
    install(site, "sam-strange", {"strange": ("strange_module", good("stranger"))})
    for _ in range(2):
        listing(), listing(True, ("strange",)), listing(False)
    assert loads == [(), ("strange",), ()]


def test_plugins_that_could_not_be_loaded_are_tried_again(site, monkeypatch) -> None:
    monkeypatch.setattr(module, "_loaded", lambda plugins, blocked: Listing([], ("Plugin 'bad' could not be loaded",)))
    assert listing().failures
    assert listing().failures
    assert not (site / "cache").exists()


@pytest.mark.parametrize("content", ["", "[]", '{"state": 1}', "\xff"])
def test_a_damaged_file_is_written_anew(site, loads, content) -> None:
    listing()
    (path,) = (site / "cache" / "sam_toolkit").iterdir()
    path.write_text(content, encoding="latin-1")
    assert listing().items[0]["name"] == "load-2"
    assert listing().items[0]["name"] == "load-2"


def test_nothing_is_remembered_where_nothing_can_be_written(site, loads) -> None:
    (site / "cache").write_text("a file, not a folder")
    assert [listing().items[0]["name"] for _ in range(2)] == ["load-1", "load-2"]


def test_a_plugin_s_package_is_read_and_not_imported(site) -> None:
    (site / "deep_package").mkdir()
    (site / "deep_package" / "__init__.py").write_text("raise AssertionError")
    install(site, "sam-deep", {"deep": ("deep_package", "")})
    (site / "deep_package.py").unlink()
    points = [point for point in installed() if point.name == "deep"]
    before = fingerprint(points)
    assert fingerprint(points) == before
    (site / "deep_package" / "more.py").write_text("")
    assert fingerprint(points) != before
    assert "deep_package" not in sys.modules


def test_a_kind_that_does_not_exist_is_answered_with_those_that_do() -> None:
    found = Listing([{"kind": "method", "name": "a"}, {"kind": "reporter", "name": "b"}])
    assert found.of_kind(None) == found.items
    assert found.of_kind("reporter") == found.items[1:]
    with pytest.raises(PluginError, match=r"no kind 'metod'\. Did you mean 'method'\? Kinds: method, reporter\."):
        found.of_kind("metod")

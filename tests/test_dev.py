"""dev.py: what it installs again and what it doesn't, what it passes on, and what it says when something is missing."""

from __future__ import annotations

import importlib.util
import sys
from argparse import Namespace
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]
NEW = Namespace(python=None, system_site_packages=False)


@pytest.fixture
def dev(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return dev.py, working on an empty folder with a bare .venv."""
    spec = importlib.util.spec_from_file_location("dev", ROOT / "dev.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name in ("VENV", "BIN", "STAMPS", "BUILT"):
        monkeypatch.setattr(module, name, tmp_path / getattr(module, name).relative_to(ROOT))
    monkeypatch.setattr(module, "LOCKS", {kind: tmp_path / file.name for kind, file in module.LOCKS.items()})
    monkeypatch.setattr(module, "ROOT", tmp_path)
    module.BIN.mkdir(parents=True)
    (module.VENV / "pyvenv.cfg").write_text("include-system-site-packages = false\n")
    for name, lock in module.LOCKS.items():
        lock.write_text(f"{name}==1.0\n")
    return module


@pytest.fixture
def started(dev: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """Return the list of the commands that dev.py starts, none of which runs; each succeeds."""
    commands: list[tuple[str, ...]] = []

    def start(*command: str) -> int:
        commands.append(command)
        return 0

    monkeypatch.setattr(dev, "start", start)
    return commands


@pytest.fixture
def ready(dev: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing be installed."""
    monkeypatch.setattr(dev, "set_up", lambda options, kind: [])
    monkeypatch.delenv("CI", raising=False)


def interpreter(folder: Path, script: str) -> str:
    """Return a program that answers as a Python would."""
    program = folder / "some-python"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return str(program)


def plugin(root: Path, needs: str) -> Path:
    folder = root / "plugins" / "sam-toolkit-x"
    folder.mkdir(parents=True)
    (folder / "pyproject.toml").write_text(f'[project]\nname = "x"\ndependencies = ["{needs}"]\n')
    return folder


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        (["test", "-k", "ssim", "tests/ops"], ("python", "-m", "pytest", "-k", "ssim", "tests/ops")),
        (["test", "--", "--python"], ("python", "-m", "pytest", "--python")),
        (["test", "--python", "python3", "-x"], ("python", "-m", "pytest", "-x")),
        (["test"], ("python", "-m", "pytest", "-n", "logical", "--maxprocesses", "8")),
        (["gpu", "--output", "results"], ("python", "benchmarks/gpu.py", "--output", "results")),
        (["run", "--images", "photos/"], ("sam-toolkit", "demo", "--output", "runs/demo", "--images", "photos/")),
    ],
)
def test_further_arguments_go_to_the_tool(
    dev: ModuleType, started: list[tuple[str, ...]], ready: None, arguments: list[str], command: tuple[str, ...]
) -> None:
    assert dev.main(arguments) == 0
    assert started == [command]


def test_nothing_opens_in_continuous_integration(
    dev: ModuleType, started: list[tuple[str, ...]], ready: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    dev.main(["run"])
    assert "--no-open" in started[0]


def test_lint_runs_every_check_and_fails_with_any(dev: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []

    def start(*command: str) -> int:
        ran.append(command[0])
        return int(command[0] == "mypy")

    monkeypatch.setattr(dev, "start", start)
    monkeypatch.setattr(dev, "install_locked", lambda options, kind: None)
    assert dev.main(["lint"]) == 1
    assert ran == ["ruff", "ruff", "mypy", "clang-format"]


def test_a_lock_is_installed_once_and_again_when_it_has_changed(
    dev: ModuleType, started: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dev, "make_venv", lambda options: None)
    dev.install_locked(NEW, "run")
    dev.install_locked(NEW, "run")
    assert [command[-1] for command in started] == [str(dev.LOCKS["run"])]
    dev.install_locked(NEW, "dev")
    assert [command[-1] for command in started[1:]] == [str(dev.LOCKS["dev"])]
    dev.LOCKS["run"].write_text("other==2.0\n")
    dev.install_locked(NEW, "dev")
    assert [command[-1] for command in started[2:]] == [str(dev.LOCKS["run"])]


def test_beside_installed_packages_the_ranges_count(
    dev: ModuleType, started: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    (dev.VENV / "pyvenv.cfg").write_text("include-system-site-packages = true\n")
    (dev.ROOT / "pyproject.toml").write_bytes((ROOT / "pyproject.toml").read_bytes())
    monkeypatch.setattr(dev, "make_venv", lambda options: None)
    dev.install_locked(NEW, "dev")
    assert [any(need.startswith("torch>=") for need in command) for command in started] == [True, False]
    assert [any(need.startswith("pytest>=") for need in command) for command in started] == [False, True]


def test_what_pip_could_not_install_is_tried_again(dev: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    codes = iter([1, 0])
    monkeypatch.setattr(dev, "start", lambda *command: next(codes))
    with pytest.raises(SystemExit, match="pip failed"):
        dev.install_once("run", "stamp", "Installing", "x")
    assert dev.install_once("run", "stamp", "Installing", "x")
    assert not dev.install_once("run", "stamp", "Installing", "x")


def test_the_package_is_compiled_again_when_its_sources_or_switches_change(
    dev: ModuleType, started: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("setup.py", "pyproject.toml", "csrc/library.cpp", "sam_toolkit/__init__.py"):
        (dev.ROOT / name).parent.mkdir(exist_ok=True)
        (dev.ROOT / name).write_text(name)
    dev.BUILT.write_text('{"cpu": {"built": false, "reason": "no compiler"}, "torch": "2.14"}')
    monkeypatch.delenv("SAM_TOOLKIT_BUILD", raising=False)
    dev.install_package()
    assert "Without the cpu operators, which nothing depends on: no compiler." in capsys.readouterr().out
    dev.install_package()
    assert len(started) == 1
    (dev.ROOT / "csrc" / "library.cpp").write_text("changed")
    dev.install_package()
    monkeypatch.setenv("SAM_TOOLKIT_BUILD", "skip")
    dev.install_package()
    assert len(started) == 3


def test_a_plugin_whose_dependencies_are_missing_is_left_out(
    dev: ModuleType, started: list[tuple[str, ...]], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = plugin(dev.ROOT, needs="Some_Thing.else>=2; python_version>'3'")
    assert dev.install_plugins() == [folder]
    assert "sam-toolkit-x, which needs some-thing-else." in capsys.readouterr().out
    metadata = dev.VENV / "lib/python3.11/site-packages/some_thing_else-2.0.dist-info/METADATA"
    metadata.parent.mkdir(parents=True)
    metadata.write_text("Metadata-Version: 2.1\nName: some-thing-else\nVersion: 2.0\n")
    assert dev.install_plugins() == []
    assert started[0][-1] == str(folder)


def test_programs_of_the_environment_come_first_and_the_user_s_settings_stay(
    dev: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAX_JOBS", "7")
    monkeypatch.delenv("MALLOC_TOP_PAD_", raising=False)
    found = dev.environment()
    assert found["PATH"].startswith(f"{dev.BIN}:")
    assert (found["MAX_JOBS"], found["MALLOC_TOP_PAD_"]) == ("7", "268435456")


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo 3 9", "needs Python 3.11 or newer; .*some-python is 3.9"),
        ("echo 3 11; echo 'No module named ensurepip' >&2; exit 1", r"\(No module named ensurepip\).*python3-venv"),
    ],
)
def test_a_python_that_cannot_make_an_environment_is_refused(
    dev: ModuleType, tmp_path: Path, script: str, said: str
) -> None:
    with pytest.raises(SystemExit, match=said):
        dev.make_venv(Namespace(python=interpreter(tmp_path, script), system_site_packages=False))


def test_a_python_that_is_not_there_is_named(dev: ModuleType) -> None:
    with pytest.raises(SystemExit, match="no-such-python does not start"):
        dev.make_venv(Namespace(python="no-such-python", system_site_packages=False))


def test_an_older_python_gets_a_sentence(dev: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 8))
    with pytest.raises(SystemExit, match=r"needs Python 3\.11 or newer"):
        dev.main(["test"])


def test_cleaning_keeps_runs(dev: ModuleType) -> None:
    kept = [dev.ROOT / "runs" / "demo" / "report.html", dev.ROOT / "sam_toolkit" / "cli.py"]
    gone = [dev.ROOT / "build" / "a.o", dev.ROOT / "sam_toolkit" / "_cpu.abi3.so", dev.BUILT, dev.STAMPS]
    for path in (*kept, *gone):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert dev.main(["clean"]) == 0
    assert [path.exists() for path in (*kept, *gone)] == [True, True, False, False, False, False]

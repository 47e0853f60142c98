"""What is built, what the locks pin, and what ships."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import runpy
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import sam_toolkit

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SHIPPED = ("sam_toolkit", "csrc", "setup.py", "pyproject.toml", "MANIFEST.in", "README.md", "LICENSE")
LEFT_HERE = shutil.ignore_patterns("*.so", "_build.json", "__pycache__", ".ruff_cache")
FOR_BUILDING = ("setuptools>=77", "wheel", "ninja", "pybind11")


def locked(name: str) -> dict[str, str]:
    lines = [line.partition(";")[0].strip() for line in (ROOT / name).read_text(encoding="utf-8").splitlines()]
    pins = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(package): version for package, version in pins}


def needed(requirements: list[str]) -> Iterator[Requirement]:
    """Give requirements and, of what is installed, everything that they need in turn."""
    seen, todo = set(), [Requirement(text) for text in requirements]
    while todo:
        need = todo.pop()
        key = (canonicalize_name(need.name), frozenset(need.extras))
        yield need
        if key not in seen:
            seen.add(key)
            found = [Requirement(text) for text in importlib.metadata.requires(lock_name(need)) or []]
            todo += [one for one in found if applies(one, need.extras)]


def lock_name(need: Requirement) -> str:
    """Return what is locked for a requirement: of OpenCV's two packages the one that needs no display."""
    name = canonicalize_name(need.name)
    return "opencv-python-headless" if name == "opencv-python" else name


def applies(need: Requirement, extras: set[str]) -> bool:
    return need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in (extras or {""}))


def own_requirements(*kinds: str) -> list[str]:
    extras = PROJECT["project"]["optional-dependencies"]
    return [*PROJECT["project"]["dependencies"], *FOR_BUILDING, *(need for kind in kinds for need in extras[kind])]


@pytest.fixture(scope="module")
def setup_py() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "setup.py"), run_name="setup_py")


@pytest.fixture
def toolkit(tmp_path: Path) -> Callable[[str, int], Path]:
    """Return a maker of folders that look like CUDA toolkits."""

    def make(name: str, version: int) -> Path:
        root = tmp_path / name
        for folder in ("include", "lib64", "bin"):
            (root / folder).mkdir(parents=True)
        (root / "include" / "cuda_runtime.h").touch()
        (root / "include" / "cuda_runtime_api.h").write_text(f"#define CUDART_VERSION  {version}\n")
        (root / "lib64" / "libcudart.so").touch()
        (root / "bin" / "nvcc").touch()
        return root

    return make


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a copy of what building needs, with a library that an earlier build left."""
    copy_sources(tmp_path)
    (tmp_path / "sam_toolkit" / "_cpu.abi3.so").touch()
    return tmp_path


def copy_sources(folder: Path) -> None:
    for name in SHIPPED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=LEFT_HERE)
        else:
            shutil.copy(source, folder)


def build(checkout: Path, hide_torch: bool = False, **switches: str) -> subprocess.CompletedProcess[str]:
    """Run the build step of setup.py, without the GPU operators."""
    hide = "sys.modules['torch'] = None; " if hide_torch else ""
    start = "sys.argv = ['setup.py', '-q', 'build_ext', '--inplace']; runpy.run_path('setup.py', run_name='__main__')"
    command = [sys.executable, "-c", f"import sys, runpy; {hide}{start}"]
    env = {**os.environ, "SAM_TOOLKIT_CUDA": "0", **switches}
    return subprocess.run(command, cwd=checkout, env=env, capture_output=True, text=True, check=False)


def state(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "sam_toolkit" / "_build.json").read_text(encoding="utf-8"))
    return found


def test_the_version_is_the_same_everywhere() -> None:
    assert importlib.metadata.version("sam-toolkit") == sam_toolkit.__version__
    assert f"\nversion: {sam_toolkit.__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")


def test_building_does_not_bring_another_torch() -> None:
    assert not [need for need in PROJECT["build-system"]["requires"] if Requirement(need).name == "torch"]


def test_the_lock_holds_all_that_running_needs_and_nothing_else() -> None:
    needs = list(needed(own_requirements("models")))
    pins = locked("requirements.lock")
    assert {canonicalize_name(need.name) for need in needs} == set(pins)
    assert not [str(need) for need in needs if not need.specifier.contains(pins[canonicalize_name(need.name)])]


def test_the_locks_hold_all_that_testing_needs_and_nothing_else() -> None:
    kinds = set(PROJECT["project"]["optional-dependencies"])
    needs = list(needed(own_requirements(*sorted(kinds))))
    pins = locked("requirements.lock") | locked("requirements-dev.lock")
    assert {lock_name(need) for need in needs} == set(pins)
    assert not [str(need) for need in needs if not need.specifier.contains(pins[lock_name(need)])]
    assert not locked("requirements.lock").keys() & locked("requirements-dev.lock").keys()


def test_the_locks_can_be_installed_with_every_python_3_11() -> None:
    pins = locked("requirements.lock") | locked("requirements-dev.lock")
    installed = {canonicalize_name(found.name): found for found in importlib.metadata.distributions()}
    checked = [found for name, found in installed.items() if found.version == pins.get(name)]
    assert checked
    ranges = {found.name: SpecifierSet(found.metadata.get("Requires-Python", "")) for found in checked}
    assert not {name: str(versions) for name, versions in ranges.items() if not versions.contains("3.11.0")}


def test_without_a_compiler_the_package_is_left_in_plain_pytorch(checkout: Path) -> None:
    done = build(checkout, CXX="no-such-compiler")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("operators are not built") == 1
    reason = "there is no C++ compiler 'no-such-compiler' on the path; CXX names another"
    assert state(checkout) == {
        "cpu": {"built": False, "reason": reason},
        "cuda": {"built": False, "reason": "SAM_TOOLKIT_CUDA=0 was set"},
        "torch": torch.__version__,
    }
    assert not list(checkout.rglob("*.so"))


def test_a_compiler_that_fails_leaves_the_package_in_plain_pytorch(checkout: Path) -> None:
    done = build(checkout, CXX="false")
    assert done.returncode == 0, done.stderr
    assert not state(checkout)["cpu"]["built"]
    assert "compiling failed" in state(checkout)["cpu"]["reason"]
    assert not list(checkout.rglob("*.so"))


def test_what_is_required_and_not_built_ends_the_build(checkout: Path) -> None:
    done = build(checkout, CXX="no-such-compiler", SAM_TOOLKIT_BUILD="require")
    assert done.returncode == 1
    said = done.stderr.strip().splitlines()[-1]
    assert said.startswith("The cpu operators were asked for and are not built: there is no C++ compiler")


def test_without_torch_the_build_ends_with_what_to_do(checkout: Path) -> None:
    done = build(checkout, hide_torch=True)
    assert done.returncode == 1
    assert "here is none: install torch, then run `pip install --no-build-isolation .`" in done.stderr


def test_a_mistyped_switch_ends_the_build(checkout: Path) -> None:
    done = build(checkout, SAM_TOOLKIT_BUILD="requires")
    assert done.returncode == 1
    assert "SAM_TOOLKIT_BUILD must be one of auto, require, skip; got 'requires'." in done.stderr


def test_building_nothing_needs_no_torch_and_leaves_nothing_stale(checkout: Path) -> None:
    done = build(checkout, hide_torch=True, SAM_TOOLKIT_BUILD="skip")
    assert done.returncode == 0, done.stderr
    assert state(checkout)["cpu"] == {"built": False, "reason": "SAM_TOOLKIT_BUILD=skip was set"}
    assert state(checkout)["torch"] is None
    assert not list(checkout.rglob("*.so"))


def test_the_first_real_cuda_toolkit_is_taken(
    setup_py: dict[str, Any], toolkit: Callable[[str, int], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("CUDA_HOME", str(tmp_path / "empty"))
    monkeypatch.setenv("CUDA_PATH", str(toolkit("real", 13000)))
    assert setup_py["find_toolkit"]() == tmp_path / "real"
    assert not setup_py["is_toolkit"](tmp_path / "empty")


@pytest.mark.parametrize("missing", ["include/cuda_runtime.h", "lib64/libcudart.so", "bin/nvcc"])
def test_a_toolkit_without_what_compiling_needs_is_none(
    setup_py: dict[str, Any], toolkit: Callable[[str, int], Path], missing: str
) -> None:
    root = toolkit("partial", 13000)
    assert setup_py["is_toolkit"](root)
    (root / missing).unlink()
    assert not setup_py["is_toolkit"](root)


@pytest.mark.parametrize(
    ("ours", "theirs", "reason"),
    [
        (13000, "13.2", None),
        (12080, "13.0", "is version 12, torch's is 13.0"),
        (13000, None, "is a build without CUDA"),
    ],
)
def test_a_toolkit_of_another_major_version_is_not_used(
    setup_py: dict[str, Any],
    toolkit: Callable[[str, int], Path],
    monkeypatch: pytest.MonkeyPatch,
    ours: int,
    theirs: str | None,
    reason: str | None,
) -> None:
    monkeypatch.setenv("CUDA_HOME", str(toolkit("cuda", ours)))
    monkeypatch.setattr(torch.version, "cuda", theirs)
    if reason is None:
        setup_py["check_toolkit"](expected=True)
    else:
        with pytest.raises(setup_py["NotBuiltError"], match=reason):
            setup_py["check_toolkit"](expected=True)


@pytest.mark.parametrize(
    ("nvcc", "expected"),
    [
        ("echo compute_75; echo compute_80; echo compute_86; echo compute_90", "8.0;9.0+PTX"),
        ("echo compute_80; echo compute_89", "8.0+PTX"),
        ("echo compute_100", r"nvcc compiles for none of 8\.0, 9\.0, but for compute_100"),
        ("exit 3", "nvcc does not say which GPUs it compiles for: .* exit status 3"),
    ],
)
def test_the_gpus_that_the_toolkit_knows_are_compiled_for(
    setup_py: dict[str, Any],
    toolkit: Callable[[str, int], Path],
    monkeypatch: pytest.MonkeyPatch,
    nvcc: str,
    expected: str,
) -> None:
    root = toolkit("cuda", 13000)
    (root / "bin" / "nvcc").write_text(f"#!/bin/sh\n{nvcc}\n")
    (root / "bin" / "nvcc").chmod(0o755)
    monkeypatch.setenv("CUDA_HOME", str(root))
    if expected.endswith("+PTX"):
        assert setup_py["arch_list"](setup_py["GPUS_IN_PLACE"]) == expected
    else:
        with pytest.raises(setup_py["NotBuiltError"], match=expected):
            setup_py["arch_list"](setup_py["GPUS_IN_PLACE"])


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build an sdist, and from it a wheel, without compiling; return the folder that they are in."""
    folder = tmp_path_factory.mktemp("dist")
    copy = folder / "copy"
    copy.mkdir()
    copy_sources(copy)
    (copy / "sam_toolkit" / "_cpu.abi3.so").touch()  # as if built in place: not to be shipped
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(copy)]
    env = {**os.environ, "SAM_TOOLKIT_BUILD": "skip"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_the_sdist_holds_all_that_building_needs(distributions: Path) -> None:
    (sdist,) = distributions.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    wanted = {
        path.relative_to(ROOT).as_posix() for path in (ROOT / "csrc").rglob("*") if path.suffix in {".h", ".cpp", ".cu"}
    }
    assert wanted | {"setup.py", "pyproject.toml", "LICENSE", "README.md"} <= names
    assert not [name for name in names if name.endswith(".so") or name.endswith("_build.json")]


def test_the_wheel_holds_the_whole_package_for_every_python(distributions: Path) -> None:
    (wheel,) = distributions.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    files = [path for path in (ROOT / "sam_toolkit").rglob("*") if path.is_file()]
    kept = {path.relative_to(ROOT).as_posix() for path in files if "cache" not in str(path) and path.suffix != ".so"}
    assert {name for name in names if name.startswith("sam_toolkit/")} == kept | {"sam_toolkit/_build.json"}
    assert re.search(r"-cp311-abi3-linux_x86_64\.whl$", wheel.name) or sys.platform != "linux"
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"sam_toolkit"}


def test_an_installed_wheel_works_in_plain_pytorch(distributions: Path, tmp_path: Path) -> None:
    (wheel,) = distributions.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    code = "import torch, sam_toolkit as s; a = torch.rand(1, 16, 16); print(s.__file__, s.SSIM()(a, a).item())"
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [str(tmp_path / "sam_toolkit" / "__init__.py"), "1.0"]

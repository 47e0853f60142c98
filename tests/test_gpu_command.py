"""benchmarks/gpu.py: what it says without a GPU, and what it writes with one."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest
import torch

ROOT = Path(__file__).parents[1]


@pytest.fixture
def gpu() -> ModuleType:
    spec = spec_from_file_location("gpu", ROOT / "benchmarks" / "gpu.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def with_gpu(gpu, monkeypatch) -> ModuleType:
    """Return the module as it is where there is a GPU."""
    monkeypatch.setattr(gpu, "obstacle", lambda: "")
    monkeypatch.setattr(gpu, "machine", lambda: {"gpu": "some GPU"})
    return gpu


def step(code: int) -> tuple[str, ...]:
    return sys.executable, "-c", f"print('said'); raise SystemExit({code})"


def summary(folder: Path) -> dict[str, dict[str, dict[str, object]]]:
    found: dict[str, dict[str, dict[str, object]]] = json.loads((folder / "summary.json").read_text())
    return found


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_nothing_runs_and_the_exit_code_is_2(tmp_path) -> None:
    command = [sys.executable, "benchmarks/gpu.py", "--output", str(tmp_path / "results")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stdout == f"Nothing was run: torch {torch.__version__} sees no GPU.\n"
    assert not list(tmp_path.iterdir())


def test_every_step_leaves_what_it_printed_and_its_exit_code(with_gpu, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(with_gpu, "steps", lambda folder: [("tests", step(0)), ("bench", step(0))])
    assert with_gpu.main(["--output", str(tmp_path)]) == 0
    assert {name: one["code"] for name, one in summary(tmp_path)["steps"].items()} == {"tests": 0, "bench": 0}
    assert (tmp_path / "bench.txt").read_text() == "said\n"


@pytest.mark.parametrize("bad", [step(3), ()], ids=["a step that fails", "a step that cannot run"])
def test_a_step_that_is_not_well_does_not_stop_the_others(with_gpu, tmp_path, monkeypatch, capsys, bad) -> None:
    monkeypatch.setattr(with_gpu, "steps", lambda folder: [("memcheck", bad), ("bench", step(0))])
    assert with_gpu.main(["--output", str(tmp_path)]) == 1
    assert {name: one["code"] for name, one in summary(tmp_path)["steps"].items()} == {
        "memcheck": 3 if bad else None,
        "bench": 0,
    }
    assert "Not well: memcheck." in capsys.readouterr().out


def test_the_sanitizer_looks_at_every_operator_with_every_tool(with_gpu, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(with_gpu, "find_sanitizer", lambda: "compute-sanitizer")
    found = dict(with_gpu.steps(tmp_path))
    assert list(found) == ["tests", "memcheck", "racecheck", "synccheck", "initcheck", "benchmarks"]
    assert found["benchmarks"][-1] == str(tmp_path / "benchmarks.json")
    for check in with_gpu.CHECKS:
        assert found[check][:3] == ("compute-sanitizer", "--tool", check)
        assert found[check][-1] == "benchmarks/cuda_calls.py"


def test_the_first_step_selects_the_tests_that_need_a_gpu(gpu) -> None:
    command = dict(gpu.steps(ROOT))["tests"]
    done = subprocess.run([*command, "--collect-only", "-q"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "tests/ops/test_occlude.py::test_a_gpu_gives_the_same" in done.stdout

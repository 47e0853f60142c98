"""Which implementation a call gets, and what is said where the compiled one is missing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from sam_toolkit import ops
from sam_toolkit.errors import OpError
from sam_toolkit.ops import _library

MAPS, PAIRS = torch.rand(2, 8, 8), torch.tensor([[0, 1]])


@pytest.fixture
def unloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let the libraries be looked for in an empty folder, as if for the first time."""
    monkeypatch.setattr(_library, "_PACKAGE", tmp_path)
    monkeypatch.setattr(_library, "status", _library.status.__wrapped__)
    monkeypatch.delenv("SAM_TOOLKIT_OPS", raising=False)
    return tmp_path


def test_the_variable_chooses_the_reference(compiled: None, monkeypatch: pytest.MonkeyPatch) -> None:
    ops.reset_calls()
    ops.ssim(MAPS, PAIRS)
    monkeypatch.setenv("SAM_TOOLKIT_OPS", "reference")
    ops.ssim(MAPS, PAIRS)
    ops.ssim(MAPS, PAIRS)
    assert ops.calls()["ssim"] == {"cpu": 1, "cuda": 0, "reference": 2}
    ops.reset_calls()
    assert all(count == 0 for counts in ops.calls().values() for count in counts.values())


def test_a_mistyped_variable_is_an_error_with_the_near_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAM_TOOLKIT_OPS", "referense")
    with pytest.raises(OpError, match=r"auto, reference; got 'referense'\. Did you mean 'reference'\?"):
        ops.ssim(MAPS, PAIRS)


def test_without_a_library_the_reference_runs_and_status_says_how_to_mend_it(unloaded: Path) -> None:
    ops.reset_calls()
    ops.ssim(MAPS, PAIRS)
    assert ops.calls()["ssim"] == {"cpu": 0, "cuda": 0, "reference": 1}
    cpu, cuda = _library.status()
    assert not cpu.loaded
    assert cpu.reason == "it was not built: there is no _cpu*.so beside the package"
    assert "pip install" in cpu.mend
    assert "CPU library" in cuda.reason


def test_status_gives_the_reason_that_the_build_wrote_down(unloaded: Path) -> None:
    (unloaded / "_build.json").write_text('{"cpu": {"built": false, "reason": "there is no C++ compiler"}}')
    assert _library.status()[0].reason == "it was not built: there is no C++ compiler"


def test_a_broken_library_is_named_with_the_loader_s_reason(unloaded: Path) -> None:
    broken = unloaded / "_cpu.abi3.so"
    broken.write_bytes(b"no library")
    cpu = _library.status()[0]
    assert (cpu.loaded, cpu.path) == (False, broken)
    assert cpu.reason.startswith("_cpu.abi3.so does not load: ")


def test_the_loaded_library_is_beside_the_package(compiled: None) -> None:
    cpu = ops.status()[0]
    assert cpu.path is not None
    assert cpu.path.parent == Path(ops.__file__).parents[1]
    assert (cpu.reason, cpu.mend) == ("", "")


def test_importing_the_operators_loads_nothing() -> None:
    probe = "import torch, sam_toolkit.ops; print(torch.ops.loaded_libraries)"
    root = Path(ops.__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", probe], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("op", ["occlude", "assemble", "occlusion_map"])
def test_the_gpu_library_registers_its_kernel(op: str) -> None:
    cuda = ops.status()[1]
    if not cuda.loaded:
        pytest.skip(f"the GPU operators are not there: {cuda.reason}")
    assert torch._C._dispatch_has_kernel_for_dispatch_key(f"sam_toolkit::{op}", "CUDA")

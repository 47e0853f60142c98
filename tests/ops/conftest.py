"""Each operator is tested compiled and as its reference; both must keep the same promises."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from sam_toolkit import ops


def skip_unless_compiled() -> None:
    """Skip a test of the compiled operators where they are not built, saying why."""
    cpu = ops.status()[0]
    if not cpu.loaded:
        pytest.skip(f"the compiled operators are not there: {cpu.reason}")


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a test on the compiled operators, or skip it."""
    monkeypatch.delenv("SAM_TOOLKIT_OPS", raising=False)
    skip_unless_compiled()


@pytest.fixture(params=["compiled", "reference"])
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run a test once on the compiled operators and once on the reference."""
    monkeypatch.setenv("SAM_TOOLKIT_OPS", "reference" if request.param == "reference" else "auto")
    if request.param == "compiled":
        skip_unless_compiled()
    name: str = request.param
    return name


@pytest.fixture
def restored_threads() -> Iterator[None]:
    """Give PyTorch its number of threads back after a test that changes it."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)

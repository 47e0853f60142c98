"""What every test may use, and how the tests share a machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import setuptools.command.build_ext  # noqa: F401 - first, for it refuses to load once Python's own distutils is there
from hypothesis import settings

ROOT = Path(__file__).parents[1]

settings.register_profile("dev", max_examples=25, deadline=None)  # PyTorch's first call of an operator is slow
settings.register_profile("ci", max_examples=100, deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "dev")


def pytest_configure() -> None:
    """Give each worker of pytest-xdist one thread; together they would otherwise ask for far more than there are."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        os.environ["OMP_NUM_THREADS"] = "1"
        import torch  # noqa: PLC0415 - only the workers need it this early

        torch.set_num_threads(1)


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder of papers' data and photographs beside the repository; skips the test where it is absent."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("there is no folder `shared` beside the repository")
    return folder

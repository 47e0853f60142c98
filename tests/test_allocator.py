from __future__ import annotations

import os
import sys

import pytest

from sam_toolkit import allocator


@pytest.fixture
def started(monkeypatch):
    """Catch what would replace this process; gives the list of (program, arguments, environment)."""
    calls = []
    monkeypatch.setattr(os, "execve", lambda *call: calls.append(call))
    monkeypatch.setattr(allocator.platform, "system", lambda: "Linux")
    for name in allocator.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    return calls


def test_a_process_without_the_variables_starts_again_with_them_and_its_arguments(started, monkeypatch):
    monkeypatch.setattr(sys, "orig_argv", ["python", "-X", "dev", "sam-toolkit", "bench"])
    allocator.keep_buffers()
    [(program, arguments, environment)] = started
    assert (program, arguments) == (sys.executable, [sys.executable, "-X", "dev", "sam-toolkit", "bench"])
    assert environment == {**os.environ, **allocator.VARIABLES}


def test_what_the_user_has_set_stays(started, monkeypatch):
    monkeypatch.setenv("MALLOC_TOP_PAD_", "1")
    allocator.keep_buffers()
    assert started[0][2]["MALLOC_TOP_PAD_"] == "1"


def test_a_process_with_the_variables_goes_on(started, monkeypatch):
    for name, value in allocator.VARIABLES.items():
        monkeypatch.setenv(name, value)
    allocator.keep_buffers()
    assert allocator.keeps_buffers()
    assert not started


def test_other_systems_than_linux_are_left_alone(started, monkeypatch):
    monkeypatch.setattr(allocator.platform, "system", lambda: "Darwin")
    allocator.keep_buffers()
    assert not started

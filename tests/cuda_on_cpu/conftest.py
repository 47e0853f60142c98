"""The builds of the kernels for the CPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from cuda_on_cpu.harness import BUILDS, Simulator, obstacle


@pytest.fixture(scope="session")
def simulators(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Simulator]]:
    """Return what gives the simulator of a build; a build that cannot run here skips the test."""
    kept = getattr(pytestconfig, "cache", None)  # pytest can be told to keep nothing
    cache = kept.mkdir("cuda_on_cpu") if kept else tmp_path_factory.mktemp("cuda_on_cpu")
    made: dict[str, Simulator] = {}

    def get(build: str) -> Simulator:
        reason = obstacle(build)
        if reason:
            pytest.skip(reason)
        return made.setdefault(build, Simulator(build, cache))

    yield get
    for simulator in made.values():
        simulator.close()


@pytest.fixture(params=sorted(BUILDS))
def simulator(request: pytest.FixtureRequest, simulators: Callable[[str], Simulator]) -> Simulator:
    """Return each build's simulator in turn."""
    return simulators(str(request.param))


@pytest.fixture
def plain(simulators: Callable[[str], Simulator]) -> Simulator:
    """Return the simulator of the build without a sanitizer."""
    return simulators("plain")

"""`pytest --sam-toolkit-conformance PACKAGE`: a test for each component that a plugin gives the host."""

from __future__ import annotations

import importlib
from typing import Any

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    group = parser.getgroup("sam_toolkit", "contracts of sam_toolkit")
    group.addoption(
        "--sam-toolkit-conformance",
        action="append",
        default=[],
        metavar="PACKAGE",
        help="hold the components of this plugin's module to their contracts; may be repeated",
    )


def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put the conformance of each component behind the other tests."""
    for module in config.getoption("--sam-toolkit-conformance"):
        items.extend(_items(session, module))


def _items(session: pytest.Session, module: str) -> list[pytest.Item]:
    try:
        plugin = importlib.import_module(module)
    except ImportError as error:
        raise pytest.UsageError(f"--sam-toolkit-conformance {module}: it cannot be imported: {error}") from error
    hook = getattr(plugin, "sam_toolkit_components", None)
    if hook is None:
        raise pytest.UsageError(f"--sam-toolkit-conformance {module}: it has no hook sam_toolkit_components.")
    return [
        Conformance.from_parent(
            session, name=component.__name__, nodeid=f"{module}::{component.__name__}", component=component
        )
        for component in hook()
    ]


class Conformance(pytest.Item):
    """One component held to its contract."""

    def __init__(self, *, component: Any, **given: Any) -> None:
        """Hold the component."""
        super().__init__(**given)
        self.component = component

    def runtest(self) -> None:
        """Check it."""
        from sam_toolkit.testing import check  # noqa: PLC0415 - pytest loads this module in every run

        check(self.component)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Return what the check says: which rule, by how much, and what to change."""
        from sam_toolkit.testing import ConformanceError  # noqa: PLC0415

        if isinstance(excinfo.value, ConformanceError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Any, int | None, str]:
        """Return what a summary calls it."""
        return self.path, None, f"conformance of {self.nodeid}"

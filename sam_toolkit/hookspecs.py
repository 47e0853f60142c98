"""The hooks that a plugin may implement; the built-in components come through them too."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from sam_toolkit.component import Component

GROUP = "sam_toolkit"
"""Entry-point group and project name of the host."""

INTERFACE = 1
"""Version of the hooks and contracts; a plugin's module says in `SAM_TOOLKIT_INTERFACE` which it was written for."""

OLDEST = 1
"""The oldest interface whose plugins still work."""

hookspec = pluggy.HookspecMarker(GROUP)
hookimpl = pluggy.HookimplMarker(GROUP)


@hookspec
def sam_toolkit_components() -> Iterable[type[Component[Any]]]:  # type: ignore[empty-body]
    """Return the component classes that the plugin adds: methods, metrics, perturbations, sources, reporters.

    Called once when plugins are loaded; the results of all plugins are joined. Two components of one kind may not
    share a name.
    """

"""Which plugins, in which versions, a study wants to find installed."""

from __future__ import annotations

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from sam_toolkit.errors import near
from sam_toolkit.registry import Registry
from sam_toolkit.study.document import Node, shown


def check_pins(node: Node | None, registry: Registry) -> None:
    """Refuse distributions under `plugins` that are not loaded, or not in a version that the study takes."""
    if node is None or node.value is None:
        return
    if not isinstance(node.value, dict):
        node.refuse(
            f'should be a mapping of distributions to versions, such as {{sam-toolkit-captum: "==1.0"}}; '
            f"got {shown(node.value)}."
        )
        return
    loaded = dict(entry.distribution.rpartition(" ")[::2] for entry in registry.entries() if entry.distribution)
    for name in node.value:
        _check(node.child(name), str(name), loaded, registry)


def _check(node: Node, name: str, loaded: dict[str, str], registry: Registry) -> None:
    try:
        wanted = SpecifierSet(node.value if isinstance(node.value, str) else "invalid")
    except InvalidSpecifier:
        node.refuse(f'should be text such as "==1.0", ">=1.2,<2" or ""; got {shown(node.value)}.')
        return
    failed = [failure for failure in registry.failures if failure.distribution.rpartition(" ")[0] == name]
    if name in loaded:
        if not wanted.contains(loaded[name], prereleases=True):
            version = f"the study takes {wanted}, and {loaded[name]} is installed"
            node.refuse(f"{version}: `pip install '{name}{wanted}'`, or change the study.")
    elif failed:
        node.refuse(f"{name} is installed but could not be loaded: {failed[0].error}.")
    else:
        hint = near(name, loaded)
        node.refuse(f"{name} is not installed, or left out: `pip install '{name}{wanted}'`.{hint}")

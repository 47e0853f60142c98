"""Plugins of strangers, installed for a test."""

from __future__ import annotations


def install(folder, distribution, modules, group="sam_toolkit"):
    """Write an installed distribution whose entry points load `modules` (name: source) into a folder of sys.path."""
    metadata = folder / f"{distribution.replace('-', '_')}-1.2.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2\n")
    points = "\n".join(f"{point} = {module}" for point, (module, _) in modules.items())
    (metadata / "entry_points.txt").write_text(f"[{group}]\n{points}\n")
    for module, source in modules.values():
        (folder / f"{module}.py").write_text(source)


SOURCE = """
from sam_toolkit import Method, hookimpl

class Stranger(Method):
    "A stranger's method."
    name = "{name}"
    def maps(self, model, batch, settings, rng): ...
    def rows(self, settings, shape): return 0

@hookimpl
def sam_toolkit_components():
    {body}
"""


def good(name):
    return SOURCE.format(name=name, body="return [Stranger]")

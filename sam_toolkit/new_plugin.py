"""Writes a plugin to start from: an installable package with its tests and a study."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

from sam_toolkit import __version__
from sam_toolkit.errors import PluginError
from sam_toolkit.hookspecs import INTERFACE

WHAT = {
    "method": "An attribution method",
    "metric": "A similarity of maps",
    "map-metric": "An accuracy of maps",
    "perturbation": "A change of the input",
    "model": "A source of models",
    "images": "A source of images",
    "reporter": "A report",
}
"""The kinds of plugin, and what each is called in a sentence."""

_SMOOTHGRAD = "{smoothgrad: {samples: [10, 20], default: {samples: 10}}}"
_STUDY = {
    "models": "efficientnet-lite0",
    "images": "{bundled: [coffee]}",
    "inputs": "clean",
    "methods": _SMOOTHGRAD,
    "metrics": "ssim",
    "accuracy": "",
}
_OWN_STUDY = {
    "method": {"methods": "{NAME: {power: [1, 2]}}"},
    "metric": {"metrics": "ssim, NAME"},
    "map-metric": {"accuracy": "NAME"},
    "perturbation": {"inputs": "clean, {NAME: {by: 0.2}}"},
    "model": {"models": "NAME-small"},
    "images": {"images": "NAME"},
    "reporter": {},
}
"""How each kind's study uses it, where it differs from the others'."""


def new_plugin(name: str, kind: str, folder: Path) -> list[Path]:
    """Write the package `sam-toolkit-NAME` below `folder` and return its files.

    Raises PluginError where the name is not kebab-case or something of that name is there already.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415 - for this command alone

    short = name.removeprefix("sam-toolkit-")
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", short):
        raise PluginError(f"A plugin's name is kebab-case, such as my-method; got {name!r}.")
    package = folder / f"sam-toolkit-{short}"
    if package.exists():
        raise PluginError(f"{package} is there already: choose another name, or take it away.")
    module = package.name.replace("-", "_")
    study = {key: value.replace("NAME", short) for key, value in {**_STUDY, **_OWN_STUDY[kind]}.items()}
    values = {
        "name": short,
        "distribution": package.name,
        "module": module,
        "cls": "".join(part.capitalize() for part in short.split("-")),
        "what": WHAT[kind],
        "version": __version__,
        "interface": INTERFACE,
        **study,
    }
    environment = Environment(
        loader=FileSystemLoader(str(files("sam_toolkit") / "scaffold")),
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    written = {
        f"{module}.py": f"{kind}.py.j2",
        f"tests/test_{module}.py": "test.py.j2",
        "study.yaml": "study.yaml.j2",
        "pyproject.toml": "pyproject.toml.j2",
        "README.md": "README.md.j2",
    }
    for path, template in written.items():
        (package / path).parent.mkdir(parents=True, exist_ok=True)
        text = environment.get_template(template).render(values)
        (package / path).write_text(f"{text.rstrip()}\n", encoding="utf-8")
    return [package / path for path in written]

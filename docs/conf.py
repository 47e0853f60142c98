"""Settings of Sphinx."""

from __future__ import annotations

from sam_toolkit import __version__

project = "sam_toolkit"
author = "The sam_toolkit authors"
release = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
exclude_patterns = ["_build"]
autodoc_typehints = "description"
nitpicky = False

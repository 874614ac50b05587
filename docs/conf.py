"""Sphinx configuration."""

from importlib.metadata import version as _version

project = "msloss"
author = "The msloss developers"
copyright = "2026, The msloss developers"
release = version = _version("msloss")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "msloss"
templates_path: list[str] = []

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
default_role = "any"
myst_heading_anchors = 2
napoleon_google_docstring = True
napoleon_numpy_docstring = False
nitpicky = False

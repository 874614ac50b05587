"""Docstrings of attributes as they are written.

Napoleon takes what stands before a colon in the docstring of an attribute for its type. Here types are annotations,
and a colon is a colon.
"""

from typing import Any

from sphinx.application import Sphinx

_written: dict[str, list[str]] = {}
_KINDS = ("attribute", "data", "property")


def setup(app: Sphinx) -> dict[str, Any]:
    """Keep docstrings before napoleon sees them, and put them back after."""
    app.connect("autodoc-process-docstring", _keep, priority=400)
    app.connect("autodoc-process-docstring", _put_back, priority=600)
    return {"parallel_read_safe": True}


def _keep(_: Sphinx, kind: str, name: str, __: object, ___: object, lines: list[str]) -> None:
    if kind in _KINDS:
        _written[name] = list(lines)


def _put_back(_: Sphinx, kind: str, name: str, __: object, ___: object, lines: list[str]) -> None:
    if kind in _KINDS:
        lines[:] = _written.pop(name)

"""The words of a command line as a configuration; what they get wrong, in one line."""

import io
import re
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr
from typing import Any

import tyro

from msloss_sirr.cli.options import rules
from msloss_sirr.errors import InputError

_STYLES = re.compile(r"\x1b\[[0-9;]*m")
_FRAME = re.compile(r"(?:│ |  )(.*?)\s*│?\s*$")
_EXPLAINS = ("For full helptext", "Argument helptext")
_DEEP = 5
"""Spaces before a line that explains an option, rather than names it."""


def parse(kind: Any, program: str, words: Sequence[str], **more: Any) -> Any:
    """Return the configuration that the words of a command line ask for.

    Args:
        kind: what it is to be, as ``tyro.cli`` takes it.
        program: the name of the command.
        words: the arguments.
        **more: other arguments of ``tyro.cli``.

    Raises:
        InputError: if they ask for none; the parser's frame of many lines is reduced to one.
        SystemExit: if they ask for help, which has been printed.
    """
    said = io.StringIO()
    try:
        with redirect_stderr(said), rules():
            configuration = tyro.cli(kind, prog=program, args=words, **more)
    except SystemExit as stop:
        if stop.code in (0, None):
            raise
        raise InputError(one_line(said.getvalue())) from None
    print(said.getvalue(), end="", file=sys.stderr)  # noqa: T201  # a warning, say
    return configuration


def one_line(framed: str) -> str:
    """Return what a frame of the parser says, without what it explains.

    The frame is drawn in lines, or in blanks and dashes where standard output has no letters for them.
    """
    lines = [found[1] for line in _STYLES.sub("", framed).splitlines() if (found := _FRAME.match(line))]
    parts: list[list[str]] = [[]]
    for line in lines:
        if not line.strip("─- "):
            parts.append([])
        elif len(line) - len(line.lstrip()) < _DEEP:
            parts[-1].append(line.rstrip())
    told = [_joined(part) for part in parts if part and not part[0].startswith(_EXPLAINS)]
    return "; ".join(told) or " ".join(framed.split())


def _joined(lines: Sequence[str]) -> str:
    """Return a part in a line: what it says, and the options that it names."""
    says = " ".join(line for line in lines if not line.startswith(" "))
    names = dict.fromkeys(line.strip() for line in lines if line.startswith(" "))
    whole = f"{says} {', '.join(names)}".strip().removesuffix(".")
    return whole[:1].lower() + whole[1:]

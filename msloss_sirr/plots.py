"""Plots that are the same file for the same results."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from msloss_sirr.errors import InputError
from msloss_sirr.files import whole_file

NEEDS = 'the plot needs matplotlib: pip install "msloss[plot]"'


@contextmanager
def plain_style(font_size: float, *, formulas: bool) -> Iterator[None]:
    """Draw, meanwhile, as plots are drawn here: letters as paths, and nothing random in the file.

    Args:
        font_size: of labels, in points.
        formulas: whether dollars enclose a formula, as powers of ten along an axis are; else a dollar in a name is one.

    Raises:
        InputError: without matplotlib.
    """
    try:
        import matplotlib as mpl
    except ImportError as error:
        raise InputError(NEEDS) from error
    with mpl.rc_context(
        {
            "svg.hashsalt": "msloss",
            "svg.fonttype": "path",
            "font.size": font_size,
            "text.parse_math": formulas,
        }
    ):
        yield


def save(figure: Any, path: Path) -> None:
    """Write a figure, whole or not at all.

    Args:
        figure: of matplotlib.
        path: file to write, its format given by its ending; an SVG gets no date.
    """
    kind = path.suffix.lstrip(".")
    with whole_file(path) as partial:
        figure.savefig(partial, format=kind, metadata={"Date": None} if kind == "svg" else None)

"""Results as files: tables, page, plots."""

from pathlib import Path

from msloss_sirr.errors import InputError
from msloss_sirr.files import whole_file
from msloss_sirr.why.page import page
from msloss_sirr.why.plot import draw
from msloss_sirr.why.tables import read

PAGE = "why.md"


def report(folder: Path, out: Path | None = None) -> str:
    """Write the page and the plots of results; return why there are no plots, if there are none.

    Args:
        folder: of the results.
        out: folder to write to; by default the same.

    Raises:
        InputError: if the folder holds no results.
    """
    found = read(folder)
    out = out or folder
    out.mkdir(parents=True, exist_ok=True)
    plots: dict[str, str] = {}
    why = ""
    try:
        plots = draw(found, out)
    except InputError as error:
        why = str(error)
    with whole_file(out / PAGE) as partial:
        partial.write_text(page(found, plots), encoding="utf-8")
    return why

"""Results as files: the scores, the page, the plot."""

from pathlib import Path

from msloss_sirr.ablation.page import page
from msloss_sirr.ablation.plot import draw
from msloss_sirr.ablation.results import Results, read_results, write_results
from msloss_sirr.errors import InputError
from msloss_sirr.files import whole_file


def keep(results: Results, path: Path) -> str:
    """Write results to a CSV file, and their page and plot beside it; return why there is no plot, if there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_results(results, path)
    return report(path)


def report(path: Path, out: Path | None = None, results: Results | None = None) -> str:
    """Write the page and the plot of a file of results; return why there is no plot, if there is none.

    Args:
        path: of the results.
        out: folder to write to; by default that of the results. Both files have the name of the results, and end in
            ``.md`` and ``.svg``.
        results: what the file holds, if it has been read.

    Raises:
        InputError: if the file holds no results.
    """
    results = results or read_results(path)
    folder = out or path.parent
    folder.mkdir(parents=True, exist_ok=True)
    plot, why = folder / f"{path.stem}.svg", ""
    try:
        draw(results, plot)
    except InputError as error:
        why = str(error)
        plot.unlink(missing_ok=True)
    with whole_file(folder / f"{path.stem}.md") as partial:
        partial.write_text(page(results, "" if why else plot.name), encoding="utf-8")
    return why

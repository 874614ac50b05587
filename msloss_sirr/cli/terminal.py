"""What commands show on a terminal: lines, and a bar over items."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


def say(line: str, *, error: bool = False) -> None:
    """Print a line at once; what would move the cursor or break it, as names of files may, in escapes.

    Args:
        line: what to print.
        error: on standard error.
    """
    told = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)
    print(told, file=sys.stderr if error else sys.stdout, flush=True)


@contextmanager
def progress_bar(what: str, total: int | None = None) -> Iterator[Callable[[int | None], None]]:
    """Yield a function to call after each item, with the number of all if that is known only now.

    The bar is on standard error; where that is no terminal, nothing is shown.
    """
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(what, total=total)

        def step(number: int | None = None) -> None:
            progress.update(task, advance=1, total=total if number is None else number)

        yield step

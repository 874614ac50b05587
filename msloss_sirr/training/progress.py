"""What a training shows while it runs."""

import time
from collections.abc import Callable
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from msloss_sirr.training.pace import Pace

_EVERY = 0.5
"""Seconds between two looks at the last batch, which a device must be waited for."""


class TrainingProgress:
    """A bar over the whole training on a terminal, and a line for each epoch that has ended anywhere.

    Args:
        enabled: show anything at all.
    """

    def __init__(self, *, enabled: bool) -> None:
        self._console = Console(quiet=not enabled, soft_wrap=True)
        self._live = enabled and self._console.is_terminal
        columns = (TextColumn("epoch {task.fields[epoch]}"), BarColumn(20), TaskProgressColumn())
        fields = ("{task.fields[left]} left", "{task.fields[rate]:.1f} images/s", "{task.description}")
        told = map(TextColumn, fields)
        self._progress = Progress(*columns, *told, console=self._console, disable=not self._live)
        self._task = self._progress.add_task("", total=1.0, epoch=0, left="?", rate=0.0)
        self._looked = 0.0

    def __enter__(self) -> "TrainingProgress":
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def note(self, line: str) -> None:
        """Print a line."""
        self._console.print(line, highlight=False, markup=False)

    def batch(self, epoch: int, pace: Pace, rate: float, status: Callable[[], str]) -> None:
        """Show how far the training has come, its images a second, and what is to be told of its last batch."""
        if not self._live or time.perf_counter() - self._looked < _EVERY:
            return
        self._looked = time.perf_counter()
        left = "?" if pace.left is None else duration(pace.left)
        told, done = status(), pace.fraction
        self._progress.update(self._task, completed=done, epoch=epoch, left=left, rate=rate, description=told)


def duration(seconds: float) -> str:
    """Return a duration as hours, minutes and seconds.

    >>> duration(3725.4)
    '1:02:05'
    """
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"

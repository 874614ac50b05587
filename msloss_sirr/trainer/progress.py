"""What a training shows while it runs."""

import time
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import NamedTuple

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from rich.text import Text

from msloss_sirr.trainer.durations import duration
from msloss_sirr.trainer.pace import Pace

_EVERY = 0.5
"""Seconds between two looks at the last batch, which a device must be waited for."""
_LINE_EVERY = 60.0
"""Seconds between two lines where there is no terminal to show a bar on."""


class Place(NamedTuple):
    """Where in an epoch a training is."""

    epoch: int
    update: int
    """How many updates of the epoch are done."""
    updates: int
    """How many it has."""

    def __str__(self) -> str:
        """Return it in words."""
        return f"epoch {self.epoch}, update {self.update} of {self.updates}"


class TrainingProgress:
    """A bar over the whole training on a terminal, a line a minute elsewhere, and one for each epoch that has ended.

    Args:
        enabled: show anything at all.
        console: where; standard output if ``None``.
    """

    def __init__(self, *, enabled: bool, console: Console | None = None) -> None:
        self._console = Console() if console is None else console
        self._console.quiet = not enabled
        self._live = enabled and self._console.is_terminal
        self._every = _EVERY if self._live else _LINE_EVERY
        self._bar = _Bar(self._console, disable=not self._live)
        self._looked = time.perf_counter()

    def __enter__(self) -> "TrainingProgress":
        self._looked = time.perf_counter()
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:  # else a blank line would be printed
            self._bar.stop()

    def note(self, line: str) -> None:
        """Print a line."""
        self._console.print(line, highlight=False, markup=False, soft_wrap=not self._live)

    def resume(self, place: Place, pace: Pace) -> None:
        """Print where a training is taken up again, and have the bar begin there."""
        rest = "" if pace.left is None else f", {duration(pace.left)} left"
        self.note(f"resuming in {place}{rest}")
        self._bar.show(place, pace, 0.0, "")

    def batch(self, place: Place, pace: Pace, rate: float, status: Callable[[], str]) -> None:
        """Show how far the training has come, its images a second, and what is to be told of its last batch."""
        whole = self._live and place.update == place.updates
        if self._console.quiet or not (whole or self._is_time()):
            return
        if self._live:
            self._bar.show(place, pace, rate, status())
        else:
            self.note(f"{place}: {status()}; {rate:.1f} images/s, {_left(pace)} left")

    def validated(self, done: int, total: int) -> None:
        """Show how many of the validation pairs are scored."""
        if self._live and (done in (0, total) or self._is_time()):
            self._bar.say(f"validating {done}/{total}")

    def _is_time(self) -> bool:
        now = time.perf_counter()
        if now - self._looked < self._every:
            return False
        self._looked = now
        return True


class _Bar(Progress):
    """A bar that fits any terminal, above what is told of the last batch, in as many lines as that needs."""

    def __init__(self, console: Console, *, disable: bool) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(20), TaskProgressColumn())
        told = map(TextColumn, ("{task.fields[left]} left", "{task.fields[rate]:.1f} images/s"))
        self._status = ""
        super().__init__(*columns, *told, console=console, transient=True, disable=disable)
        self._task = self.add_task("epoch 0", total=1.0, left="?", rate=0.0)

    def show(self, place: Place, pace: Pace, rate: float, status: str) -> None:
        """Show how far a training has come."""
        self._status = status
        told = f"epoch {place.epoch} {place.update}/{place.updates}"
        whole = place.update == place.updates  # what follows takes a while
        self.update(self._task, refresh=whole, completed=pace.fraction, description=told, left=_left(pace), rate=rate)

    def say(self, what: str) -> None:
        """Show what is done now instead of updates."""
        self.update(self._task, refresh=True, description=what)

    def get_renderables(self) -> Iterable[RenderableType]:
        """Yield the bar, and what is told."""
        yield from super().get_renderables()
        if self._status:
            yield Text(self._status)


def _left(pace: Pace) -> str:
    return "?" if pace.left is None else duration(pace.left)

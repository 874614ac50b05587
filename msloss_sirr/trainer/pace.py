"""How far a training has come, and the learning rate there."""

import math
import time
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any


class Pace:
    """How much of a training is done, by updates or by time.

    Args:
        updates: how many make the training, or what all of them may cost.
        seconds: how long it takes instead.
        epoch: how many make an epoch, if it is epochs that make the training.
        clock: seconds that pass.
    """

    def __init__(
        self,
        updates: int,
        seconds: float | None = None,
        epoch: int | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.updates = updates
        self.seconds = seconds
        self.done = 0
        """Updates done."""
        self._epoch = epoch
        self._ahead = Fraction()  # of the updates done, where others were larger than these; exact, so that it ends
        self._clock = clock
        self._begun = clock()
        self._before = 0.0

    def advance(self, cost: int = 1) -> None:
        """Count an update that costs as much as so many."""
        self.done += 1
        self._ahead += cost - 1

    @property
    def spent(self) -> float:
        """Seconds that the training has taken, in all processes that it has run in one after another."""
        return self._before + self._clock() - self._begun

    @property
    def fraction(self) -> float:
        """How much of the training is done, from 0 to 1."""
        part = float(self._along / self.updates) if self.seconds is None else self.spent / self.seconds
        return min(part, 1.0)

    @property
    def left(self) -> float | None:
        """Seconds that the rest will take, if that can be told."""
        if self.seconds is not None:
            return max(0.0, self.seconds - self.spent)
        return self.spent * float((self.updates - self._along) / self._along) if self._along else None

    def state_dict(self) -> dict[str, Any]:
        """Return what `load_state_dict` needs to continue from here."""
        return {"done": self.done, "along": self._along.as_integer_ratio(), "epoch": self._epoch, "spent": self.spent}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from where ``state`` was taken, now; as far into the epochs as then, if these have other updates."""
        self.done = int(state["done"])
        self._ahead = Fraction()
        if self._epoch is not None and state["epoch"] is not None:
            self._ahead = Fraction(*state["along"]) * Fraction(self._epoch, state["epoch"]) - self.done
        elif self._epoch is None and state["epoch"] is None:
            self._ahead = Fraction(*state["along"]) - self.done
        self._before, self._begun = float(state["spent"]), self._clock()

    @property
    def _along(self) -> Fraction:
        """How many updates as they are now would have brought the training to where it is."""
        return self.done + self._ahead


def half_cosine(fraction: float) -> float:
    """Return what is left of the learning rate: half a cosine, from 1 to 0."""
    return 0.5 * (1 + math.cos(math.pi * fraction))


def half_line(fraction: float) -> float:
    """Return what is left of the learning rate: all over the first half, then along a line to 0."""
    return min(1.0, 2 * (1 - fraction))

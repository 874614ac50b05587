"""Schedules: how many steps run now, on the way up to the ``steps`` of the loss."""

import math
import random
from collections.abc import Mapping
from typing import Any, Literal, Protocol, runtime_checkable

from msloss._checks import whole_number


@runtime_checkable
class Schedule(Protocol):
    """How many steps run now; the habits are those of ``torch.optim.lr_scheduler``.

    Any object with these four members is a schedule. If it also has a method ``bind(limit)``, `MultiStepLoss` calls
    it once with its own ``steps``: the place to learn where growth ends, and to refuse a plan that goes beyond.
    """

    @property
    def steps(self) -> int:
        """The number of steps that run now, at least 1."""

    def step(self, metric: float | None = None) -> None:
        """End an epoch, with the metric it reached if the schedule watches one."""

    def state_dict(self) -> dict[str, Any]:
        """Return what `load_state_dict` needs to continue from here."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from where ``state`` was taken."""


class AtEpochs:
    """Change the number of steps at given epochs, as ``MultiStepLR`` changes a learning rate.

    Epochs count from 0, and one ends at every call of `step`: ``AtEpochs({60: 3}, start=2)`` runs epochs 0 to 59
    with two steps and those from 60 on with three.

    Args:
        milestones: epoch, at least 1, to the number of steps from then on, at least 1.
        start: number of steps before the first milestone.

    Raises:
        ValueError: if an epoch or a number of steps is below 1, or the schedule is bound to a loss of fewer steps.

    >>> schedule = AtEpochs({2: 3}, start=2)
    >>> for epoch in range(4):
    ...     print(epoch, schedule.steps)
    ...     schedule.step()
    0 2
    1 2
    2 3
    3 3
    """

    def __init__(self, milestones: Mapping[int, int], start: int = 1) -> None:
        whole_number("start", start)
        for epoch, steps in milestones.items():
            whole_number("a milestone's epoch", epoch)
            whole_number(f"the number of steps at epoch {epoch}", steps)
        self.milestones = dict(sorted(milestones.items()))
        self.start = start
        self.epoch = 0

    @property
    def steps(self) -> int:
        """The number of steps of the current epoch."""
        reached = [steps for epoch, steps in self.milestones.items() if epoch <= self.epoch]
        return reached[-1] if reached else self.start

    def bind(self, limit: int) -> None:
        """Refuse a plan that asks for more than ``limit`` steps at any time."""
        _within(max(self.start, *self.milestones.values()) if self.milestones else self.start, limit)

    def step(self, metric: float | None = None) -> None:
        """End an epoch; ``metric`` is ignored."""
        self.epoch += 1

    def state_dict(self) -> dict[str, Any]:
        """Return the number of epochs that have ended."""
        return {"epoch": self.epoch}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue after ``state["epoch"]`` epochs."""
        self.epoch = int(state["epoch"])


class OnPlateau:
    """Add a step whenever a metric stops improving, as ``ReduceLROnPlateau`` lowers a learning rate.

    The paper's 2 to 3 upgrade "once the model's performance settled down" (section 4.4). One step is added after
    more than ``patience`` epochs in a row without an improvement, until the ``steps`` of the loss are reached. The
    best value is forgotten then: a loss summed over more steps is another scale.

    Args:
        start: number of steps at first.
        patience: epochs without improvement that are borne; the next one adds a step.
        threshold: relative change that counts as an improvement: below ``best - threshold * |best|`` for ``"min"``,
            above ``best + threshold * |best|`` for ``"max"``.
        mode: ``"min"`` if the metric should fall (a loss), ``"max"`` if it should rise (PSNR).
        cooldown: epochs after an added step in which no count is kept.

    Raises:
        ValueError: if an argument is out of range, `step` is called without a metric, or the schedule is bound to a
            loss of fewer than ``start`` steps.

    >>> schedule = OnPlateau(start=2, patience=1)
    >>> for value in (1.0, 0.5, 0.5, 0.5):
    ...     schedule.step(value)
    ...     print(schedule.steps)
    2
    2
    2
    3
    """

    def __init__(
        self,
        start: int = 2,
        patience: int = 10,
        threshold: float = 1e-4,
        mode: Literal["min", "max"] = "min",
        cooldown: int = 0,
    ) -> None:
        whole_number("start", start)
        if mode not in ("min", "max"):
            raise ValueError(f"mode is {mode!r}; give 'min' or 'max'")
        if patience < 0 or cooldown < 0 or not threshold >= 0:
            raise ValueError(
                f"patience={patience}, threshold={threshold}, cooldown={cooldown}: none of them may be negative"
            )
        self.start = start
        self.patience = patience
        self.threshold = threshold
        self.mode = mode
        self.cooldown = cooldown
        self.limit: int | None = None
        self._steps = start
        self._worst = math.inf if mode == "min" else -math.inf
        self._best = self._worst
        self._bad_epochs = 0
        self._cooling = 0

    @property
    def steps(self) -> int:
        """The number of steps reached so far."""
        return self._steps

    def bind(self, limit: int) -> None:
        """Grow up to ``limit`` steps; refuse to begin, or to be, beyond."""
        _within(self._steps, limit)
        self.limit = limit

    def step(self, metric: float | None = None) -> None:
        """End an epoch that reached ``metric``; a NaN counts as no improvement."""
        if metric is None:
            raise ValueError("OnPlateau.step needs the metric it watches: schedule.step(validation_loss)")
        value = float(metric)
        if self._improves(value):
            self._best = value
            self._bad_epochs = 0
        else:
            self._bad_epochs += 1
        if self._cooling > 0:
            self._cooling -= 1
            self._bad_epochs = 0
        if self._bad_epochs > self.patience:
            self._bad_epochs = 0
            if self.limit is None or self._steps < self.limit:
                self._steps += 1
                self._best = self._worst
                self._cooling = self.cooldown

    def forget(self) -> None:
        """Forget the best value, as where the metric is that of other data from now on; the steps stay."""
        self._best = self._worst

    def state_dict(self) -> dict[str, Any]:
        """Return the steps reached, the best value and the counters."""
        return {
            "steps": self._steps,
            "best": self._best,
            "bad_epochs": self._bad_epochs,
            "cooling": self._cooling,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from ``state``; the arguments of the constructor stay as they are."""
        steps = int(state["steps"])
        if self.limit is not None:
            _within(steps, self.limit)
        self._steps = steps
        self._best = float(state["best"])
        self._bad_epochs = int(state["bad_epochs"])
        self._cooling = int(state["cooling"])

    def _improves(self, value: float) -> bool:
        margin = self.threshold * abs(self._best) if math.isfinite(self._best) else 0.0
        return value < self._best - margin if self.mode == "min" else value > self._best + margin


class RandomSteps:
    """Draw the number of steps anew at every `step`, evenly from ``low`` to the ``steps`` of the loss.

    The draw is a function of ``seed`` and the number of calls alone: the same on every process, and after a resume.
    Call `step` once an epoch, or once a batch for a draw per batch.

    Args:
        low: fewest steps, at least 1.
        seed: any integer.

    Raises:
        ValueError: if ``low`` is below 1, or the schedule is bound to a loss of fewer than ``low`` steps.

    >>> loss_steps = 4
    >>> schedule = RandomSteps(low=2, seed=0)
    >>> schedule.bind(loss_steps)
    >>> drawn = set()
    >>> for epoch in range(100):
    ...     drawn.add(schedule.steps)
    ...     schedule.step()
    >>> sorted(drawn)
    [2, 3, 4]
    """

    def __init__(self, low: int = 1, seed: int = 0) -> None:
        whole_number("low", low)
        self.low = low
        self.seed = seed
        self.limit: int | None = None
        self.draw = 0

    @property
    def steps(self) -> int:
        """The current draw; ``low`` until the schedule is bound to a loss."""
        if self.limit is None:
            return self.low
        return random.Random(f"{self.seed}:{self.draw}").randint(self.low, self.limit)  # noqa: S311

    def bind(self, limit: int) -> None:
        """Draw up to ``limit`` steps."""
        _within(self.low, limit)
        self.limit = limit

    def step(self, metric: float | None = None) -> None:
        """Make the next draw; ``metric`` is ignored."""
        self.draw += 1

    def state_dict(self) -> dict[str, Any]:
        """Return the seed and the number of the current draw."""
        return {"seed": self.seed, "draw": self.draw}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue the sequence of ``state["seed"]`` at ``state["draw"]``."""
        self.seed = int(state["seed"])
        self.draw = int(state["draw"])


def _within(asked: int, limit: int) -> None:
    if asked > limit:
        raise ValueError(f"the schedule asks for {asked} steps but the loss has steps={limit}; raise steps to {asked}")

"""Updates that are skipped because their gradient is not finite."""

from torch import Tensor

from msloss_sirr.errors import InputError
from msloss_sirr.trainer.processes import Processes


class SkippedUpdates:
    """Counts the updates skipped in a row; more than a stated number are not borne.

    Args:
        limit: how many.
        processes: of the training; the gradient of an update is the same in all.
        advice: what to do then.
    """

    def __init__(self, limit: int, processes: Processes, advice: str = "begin a new run with a lower --lr") -> None:
        self._limit = limit
        self._processes = processes
        self._advice = advice
        self._in_a_row = 0

    def counts(self, norm: Tensor) -> bool:
        """Return whether an update counts whose gradient has this norm.

        Raises:
            InputError: if it is one too many that does not.
        """
        if norm.isfinite():
            self._in_a_row = 0
            return True
        self._in_a_row += 1
        if self._in_a_row > self._limit:
            told = f"the norm of the gradients was {float(norm)} {self._in_a_row} times in a row; {self._advice}"
            self._processes.settle(InputError(told))
        return False

    def state_dict(self) -> int:
        """Return how many were left out just now."""
        return self._in_a_row

    def load_state_dict(self, state: int) -> None:
        """Continue from so many."""
        self._in_a_row = int(state)

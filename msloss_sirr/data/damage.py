"""Damaged files among the training images."""

from collections.abc import Callable

from msloss_sirr.errors import InputError


class Damage:
    """The damaged files met so far: each is named once, and more than a stated number are not borne.

    Args:
        budget: how many.
        say: called with a line for each; ``None`` says nothing.
    """

    def __init__(self, budget: int, say: Callable[[str], None] | None = None) -> None:
        self._budget = budget
        self._say = say
        self._met: dict[str, None] = {}

    @property
    def met(self) -> list[str]:
        """What was wrong with which, in the order it was met."""
        return list(self._met)

    def recall(self, met: list[str]) -> None:
        """Count what was met, and named, before an interruption."""
        self._met.update(dict.fromkeys(met))

    def meet(self, what: str) -> None:
        """Count a damaged file.

        Args:
            what: is wrong with which.

        Raises:
            InputError: if it is one too many.
        """
        if what in self._met:
            return
        if len(self._met) >= self._budget:
            borne = f"more damaged files than the {self._budget} to be left out; " if self._budget else ""
            remedy = f"--damaged {self._budget + 1} leaves it out, msloss-sirr data check finds all"
            raise InputError(f"{what}; {borne}{remedy}")
        self._met[what] = None
        if self._say is not None:
            self._say(f"left out: {what}")

"""Being asked to stop."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_ASKS = (signal.SIGINT, signal.SIGTERM)


class Stopped(KeyboardInterrupt):
    """A training was asked to stop, and has saved its state.

    Args:
        message: what to do next.
        number: of the signal.
    """

    def __init__(self, message: str, number: int) -> None:
        super().__init__(message)
        self.number = number


class Requests:
    """Signals that ask a process to stop: the first is remembered, a second one interrupts.

    Args:
        message: of the interruption.
    """

    def __init__(self, message: str = "") -> None:
        self._message = message
        self.number = 0
        """Of the signal that has come, or 0."""

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Remember Ctrl-C and SIGTERM until the block ends; only a main thread can."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._take) for number in _ASKS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _take(self, number: int, _: FrameType | None) -> None:
        if self.number:
            raise KeyboardInterrupt(self._message)
        self.number = number

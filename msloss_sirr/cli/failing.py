"""How a command ends that cannot go on: one line on standard error, and an exit status."""

import multiprocessing
import os
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper

from msloss_sirr.errors import ElsewhereError, InputError, in_words

_HEARD = 3.0
"""Seconds in which another process will have said why it cannot go on."""


@contextmanager
def one_line_errors(program: str) -> Iterator[None]:
    """Turn what the user got wrong, and what the system refuses, into one line and exit status 2.

    In a training of several processes, a failure ends the process here, and nobody can catch it.

    Args:
        program: the name that the line begins with.
    """
    try:
        with _told(program):
            yield
    except SystemExit as end:
        _part(end.code)
        raise
    except BaseException:
        _part(traceback.format_exc())
        raise
    _part(0)


@contextmanager
def _told(program: str) -> Iterator[None]:
    """Say in one line what a command ends with, and turn it into an exit status."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a terminal without the letters of a name is shown their numbers
            stream.reconfigure(errors="backslashreplace")
    try:
        try:
            yield
        except SystemExit:
            _written()
            raise
        _written()
    except BrokenPipeError:  # whoever read our output has stopped: nothing more to say to them
        _give_up()
        sys.exit(1)
    except ElsewhereError:  # launchers end all processes once one has ended: the other is to be heard before
        time.sleep(_HEARD)
        sys.exit(2)
    except (InputError, OSError) as error:
        print(f"{program}: {_one_line(error)}", file=sys.stderr)  # noqa: T201
        _give_up()
        sys.exit(2)
    except KeyboardInterrupt as stop:  # shells expect 128 and the number of the signal
        if str(stop):
            print(f"{program}: {_one_line(stop)}", file=sys.stderr)  # noqa: T201
        sys.exit(128 + getattr(stop, "number", signal.SIGINT))


def _written() -> None:
    """Have written what was printed, now that an error can still be told of."""
    if sys.stdout is not None:  # as where a program is run without any
        sys.stdout.flush()


def _part(status: str | int | None) -> None:
    """Leave the other processes of a training.

    After a failure, whose traceback still holds what their threads need, the process ends here: Python would end in the
    midst of those threads, and the process by abort.

    Args:
        status: what it ends with, as that of `SystemExit`.
    """
    distributed = sys.modules.get("torch.distributed")  # which a command without processes need not have loaded
    if distributed is None or not distributed.is_available() or not distributed.is_initialized():
        return
    if status in (0, None):
        distributed.destroy_process_group()
        return
    if not isinstance(status, int):
        with suppress(OSError, ValueError):  # nobody reads it: the process is to end here all the same
            print(status, file=sys.stderr)  # noqa: T201
        status = 1
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # loader processes that end are no failure now
    for child in multiprocessing.active_children():
        child.kill()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(status)


def _give_up() -> None:
    """Drop what was printed and cannot be written, so that Python does not try again at its end."""
    try:
        _written()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _one_line(error: BaseException) -> str:
    """Return an error's message in one line; one from a loader process carries a traceback before it."""
    if isinstance(error, OSError) and error.strerror:
        return in_words(error, named=True)
    text = str(error).strip() or type(error).__name__
    _, ours, told = text.rpartition(f"{InputError.__module__}.{InputError.__name__}: ")
    if not ours and text.startswith("Caught "):
        told = text.splitlines()[-1]
    return (told or text).replace("\n", "\\n")

"""How a command ends that cannot go on: one line on standard error, and an exit status."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper

from msloss_sirr.errors import InputError


@contextmanager
def one_line_errors(program: str) -> Iterator[None]:
    """Turn what the user got wrong, and what the system refuses, into one line and exit status 2.

    Args:
        program: the name that the line begins with.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a terminal without the letters of a name is shown their numbers
            stream.reconfigure(errors="backslashreplace")
    try:
        yield
    except BrokenPipeError:  # whoever read our output has stopped: nothing more to say to them
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except (InputError, OSError) as error:
        print(f"{program}: {_one_line(error)}", file=sys.stderr)  # noqa: T201
        sys.exit(2)
    except KeyboardInterrupt as stop:  # shells expect 128 and the number of the signal
        if str(stop):
            print(f"{program}: {_one_line(stop)}", file=sys.stderr)  # noqa: T201
        sys.exit(128 + getattr(stop, "number", signal.SIGINT))


def _one_line(error: BaseException) -> str:
    """Return an error's message in one line; one from a loader process carries a traceback before it."""
    text = str(error).strip() or type(error).__name__
    _, ours, told = text.rpartition(f"{InputError.__module__}.{InputError.__name__}: ")
    if not ours and text.startswith("Caught "):
        told = text.splitlines()[-1]
    return (told or text).replace("\n", "\\n")

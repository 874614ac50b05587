"""From the words of the command line to the command, and from its errors to one line and an exit status."""

import os
import sys
from collections.abc import Sequence
from typing import Annotated

import tyro

from msloss_sirr.cli.commands import run_remove, run_train
from msloss_sirr.errors import InputError
from msloss_sirr.photo.config import RemoveConfig
from msloss_sirr.training.config import TrainConfig

_Command = (
    Annotated[TrainConfig, tyro.conf.subcommand("train")] | Annotated[RemoveConfig, tyro.conf.subcommand("remove")]
)


def main(words: Sequence[str] | None = None) -> None:
    """Run the command line; what the user got wrong is one line on standard error and exit status 2.

    Args:
        words: the arguments; ``None`` takes the process's own.
    """
    try:
        command = tyro.cli(_Command, prog="msloss-sirr", args=words)
        if isinstance(command, TrainConfig):
            run_train(command)
        else:
            run_remove(command)
    except BrokenPipeError:  # whoever read our output has stopped: nothing more to say to them
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except (InputError, OSError) as error:
        print(f"msloss-sirr: {_one_line(error)}", file=sys.stderr)  # noqa: T201
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


def _one_line(error: Exception) -> str:
    """Return an error's message in one line; one from a loader process carries a traceback before it."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[-1].removeprefix(f"{InputError.__module__}.{InputError.__name__}: ")

"""From the words of the command line to the command."""

import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import tyro

from msloss_sirr.catalogue.config import ListConfig, PrepareConfig
from msloss_sirr.cli.commands import run_remove, run_train
from msloss_sirr.cli.data import run_check, run_list, run_prepare
from msloss_sirr.cli.failing import one_line_errors
from msloss_sirr.doctor.config import CheckConfig
from msloss_sirr.photo.config import RemoveConfig
from msloss_sirr.training.config import TrainConfig
from msloss_sirr.training.presets import TrainOptions, defaults

_RUN: dict[type, Callable[[Any], None]] = {
    RemoveConfig: run_remove,
    ListConfig: run_list,
    CheckConfig: run_check,
    PrepareConfig: run_prepare,
}


def main(words: Sequence[str] | None = None) -> None:
    """Run the command line; what the user got wrong is one line on standard error and exit status 2.

    Args:
        words: the arguments; ``None`` takes the process's own.
    """
    with one_line_errors("msloss-sirr"):
        words = sys.argv[1:] if words is None else words
        train: Any = Annotated[TrainOptions, tyro.conf.subcommand("train", default=defaults(words))]
        remove: Any = Annotated[RemoveConfig, tyro.conf.subcommand("remove")]
        listing: Any = Annotated[ListConfig, tyro.conf.subcommand("list")]
        check: Any = Annotated[CheckConfig, tyro.conf.subcommand("check")]
        preparing: Any = Annotated[PrepareConfig, tyro.conf.subcommand("prepare")]
        data: Any = Annotated[
            listing | check | preparing,
            tyro.conf.subcommand(
                "data", description="Data sets: which there are, what is wrong with a copy, copies made ready."
            ),
        ]
        command: Any = tyro.cli(train | remove | data, prog="msloss-sirr", args=words)
        if isinstance(command, TrainConfig):
            run_train(command)
        else:
            _RUN[type(command)](command)

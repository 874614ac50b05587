"""From the words of the command line to the command."""

import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Annotated, Any

import tyro

from msloss_sirr.app.config import AppConfig
from msloss_sirr.cli import ablate, data, refgan
from msloss_sirr.cli.commands import run_app, run_export, run_train
from msloss_sirr.cli.evaluate import run_eval
from msloss_sirr.cli.failing import one_line_errors
from msloss_sirr.cli.parsing import parse
from msloss_sirr.cli.peers import run_peers
from msloss_sirr.cli.remove import run_remove
from msloss_sirr.evaluation.config import EvalConfig
from msloss_sirr.export.config import ExportConfig
from msloss_sirr.peers.config import PeersConfig
from msloss_sirr.photo.config import RemoveConfig
from msloss_sirr.training.presets import TrainOptions, defaults

_RUN: dict[type, Callable[[Any], None]] = {
    TrainOptions: run_train,
    RemoveConfig: run_remove,
    AppConfig: run_app,
    EvalConfig: run_eval,
    PeersConfig: run_peers,
    ExportConfig: run_export,
    **ablate.RUN,
    **data.RUN,
    **refgan.RUN,
}
_DOES = """Takes the reflections off photographs shot through glass, and trains what does.

msloss-sirr COMMAND --help tells more of each; msloss-sirr --version, which it is."""


def main(words: Sequence[str] | None = None) -> None:
    """Run the command line; what the user got wrong is one line on standard error and exit status 2.

    Args:
        words: the arguments; ``None`` takes the process's own.
    """
    with one_line_errors("msloss-sirr"):
        words = sys.argv[1:] if words is None else words
        if list(words) == ["--version"]:
            print(f"msloss-sirr {version('msloss')}")  # noqa: T201
            return
        train: Any = Annotated[
            TrainOptions, tyro.conf.subcommand("train", default=defaults(words if "train" in words[:1] else ()))
        ]
        remove: Any = Annotated[RemoveConfig, tyro.conf.subcommand("remove")]
        app: Any = Annotated[AppConfig, tyro.conf.subcommand("app")]
        evaluate: Any = Annotated[EvalConfig, tyro.conf.subcommand("eval")]
        peers: Any = Annotated[PeersConfig, tyro.conf.subcommand("peers")]
        export: Any = Annotated[ExportConfig, tyro.conf.subcommand("export")]
        compare = ablate.command(words)
        commands = train | remove | app | evaluate | peers | export | compare | data.COMMANDS | refgan.COMMANDS
        command = parse(commands, "msloss-sirr", words, description=_DOES)
        _RUN[type(command)](command)

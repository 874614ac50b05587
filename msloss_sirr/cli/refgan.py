"""The commands of RefGAN; everything heavy is imported only when one runs."""

from collections.abc import Callable
from typing import Annotated, Any

from tyro.conf import subcommand

from msloss_sirr.refgan.config import RefganCompareConfig, RefganGenerateConfig, RefganTrainConfig

COMMANDS: Any = Annotated[
    Annotated[RefganTrainConfig, subcommand("train")]
    | Annotated[RefganGenerateConfig, subcommand("generate")]
    | Annotated[RefganCompareConfig, subcommand("compare")],
    subcommand("refgan", description="Make photographs through glass by a network that has learned from real ones."),
]
"""``msloss-sirr refgan``, as the parser of the command line takes it."""


def _train(config: RefganTrainConfig) -> None:
    from msloss_sirr.refgan.training import train_refgan
    from msloss_sirr.trainer.processes import leave

    generator = train_refgan(config)
    if leave():
        print(f"generator: {generator}")  # noqa: T201


def _generate(config: RefganGenerateConfig) -> None:
    from msloss_sirr.refgan.generate import generate

    made = generate(config)
    print(f"{config.count} pairs in {config.out}, {made} of them made now")  # noqa: T201


def _compare(config: RefganCompareConfig) -> None:
    from msloss_sirr.refgan.compare import compare

    print(compare(config))  # noqa: T201


RUN: dict[type, Callable[[Any], None]] = {
    RefganTrainConfig: _train,
    RefganGenerateConfig: _generate,
    RefganCompareConfig: _compare,
}
"""What each of them does."""

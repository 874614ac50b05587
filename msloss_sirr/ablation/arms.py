"""The arms of an ablation: trainings that differ in a few options."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

from msloss_sirr.errors import InputError
from msloss_sirr.training.config import TrainConfig
from msloss_sirr.training.option_files import changed

INPUT = "input"
"""The name of the photograph as it is, among the arms."""
Equal = Literal["updates", "compute"]


@dataclasses.dataclass(frozen=True, eq=False)
class Arm:
    """A training that differs from others in a few options."""

    name: str
    changes: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Options by their dotted names, as in ``{"loss.scale": 3.0}``."""
    refgan: bool = True
    """Whether it is trained on the pairs that RefGAN made, too, if there are any."""
    needs_refgan: bool = False
    """Whether it is nothing without them."""

    def of(self, base: TrainConfig, refgan: str | None = None) -> TrainConfig:
        """Return the training of the arm: another, with its changes.

        Args:
            base: what it differs from.
            refgan: pairs that RefGAN made.
        """
        config = changed(base, self.changes)
        if refgan is None or not self.refgan:
            return config
        return changed(config, {"data.pairs": (*config.data.pairs, refgan)})

    def __str__(self) -> str:
        """Return its changes as options of the command line."""
        words = [f"--{name.removeprefix('data.').replace('_', '-')} {_written(v)}" for name, v in self.changes.items()]
        return " ".join([*words, *([] if self.refgan else ["without the pairs of RefGAN"])])


def with_length(config: TrainConfig, equal: Equal, most_steps: int) -> TrainConfig:
    """Return a training as long as the others of its table.

    Args:
        config: the training, with its epochs, iterations or budget.
        equal: whether all are to have as many updates, or as much compute: the applications of the network that as many
            updates with ``most_steps`` steps take.
        most_steps: the greatest number of steps among them.

    Raises:
        InputError: if a budget of time is to make updates equal.
    """
    if config.applications is not None:
        raise InputError("applications are what --equal compute counts; give --iterations or --epochs")
    if equal == "updates":
        if config.budget is not None:
            raise InputError(
                f"budget is {config.budget}: in equal time, arms make different numbers of updates; give --iterations "
                "or --epochs, or --equal compute"
            )
        return config
    if config.budget is not None:
        return config
    images = config.batch * config.accumulate
    updates = config.iterations or config.epochs * -(-config.epoch_images // images)
    return dataclasses.replace(config, iterations=None, applications=updates * config.accumulate * most_steps)


def _written(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)

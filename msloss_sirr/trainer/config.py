"""What is the same for every training, down to its seed."""

from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import arg

from msloss_sirr.data.config import DataConfig
from msloss_sirr.errors import InputError
from msloss_sirr.fields import check_fields
from msloss_sirr.trainer.durations import seconds_of

OF_A_START = frozenset({"config", "resume", "allow_changes"})
"""Options that say how a training is begun now, and nothing of what it is: no file of options holds them."""
_MOST_WORKERS = 256


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """What is the same for every training, whatever network it is of."""

    out: Path
    """Folder of the run: checkpoints, samples, metrics, configuration, and the state it is resumed from."""
    data: Annotated[DataConfig, arg(name="")] = field(default_factory=DataConfig)

    epochs: int = 100
    """Epochs; the learning rate comes to zero at their end."""
    iterations: int | None = None
    """Updates after which the training ends instead, in the middle of an epoch if need be."""
    budget: str | None = None
    """Time after which the training ends instead of by epochs, as 90s, 25m or 8h, whatever the machine's speed;
    validations count, what passes while the run is interrupted does not."""
    epoch_images: int = 1350
    """Training images in an epoch, over all processes; rounded up to whole updates."""
    batch: int = 4
    """Images in a batch, on each process."""
    lr: Annotated[float, arg(name="lr")] = 3e-4
    """Learning rate of Adam at the beginning."""
    bear: int = 10
    """Updates in a row that are left out because their gradient is not finite; one more ends the training."""
    workers: int = 0
    """Processes that load images; 0 loads them in the training process."""
    seed: int = 0
    """Seed of the initial weights and of every draw."""
    device: Literal["auto", "cpu"] = "auto"
    """auto takes what accelerate finds; cpu does not look."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Arithmetic of the networks; losses and weights stay float32."""
    save_every: str = "10m"
    """How often the state is saved within an epoch; it is at the end of each, before the validation and after."""
    tensorboard: bool = False
    """Write what TensorBoard shows to the run's folder."""
    resume: bool = False
    """Continue the run in the out folder."""
    allow_changes: bool = False
    """Continue it although configuration or data are others now; from there on they hold."""

    @property
    def seconds(self) -> float | None:
        """How long the training may take, if that ends it."""
        return None if self.budget is None else seconds_of(self.budget)

    def __post_init__(self) -> None:
        """Refuse what no training can be made of."""
        check_fields(self)
        self._at_least_one("epochs", "iterations", "epoch_images", "batch")
        self._not_negative("bear")
        if self.iterations is not None and self.budget is not None:
            raise InputError(f"iterations={self.iterations} and budget={self.budget}: give one of them")
        for name in ("budget", "save_every"):
            if getattr(self, name) is not None and seconds_of(getattr(self, name), name) <= 0:
                raise InputError(f"{name} is {getattr(self, name)}; give some time, 25m say")
        if not 0 < self.lr < inf:
            raise InputError(f"lr is {self.lr}; give a number greater than 0")
        if not 0 <= self.seed < 2**32:
            raise InputError(f"seed is {self.seed}; give a number from 0 to {2**32 - 1}")
        if not 0 <= self.workers <= _MOST_WORKERS:
            raise InputError(f"workers is {self.workers}; give 0 to {_MOST_WORKERS}")
        if self.workers and self.data.cache == "device":
            raise InputError("images cached on the device are cropped there, not by workers; leave out --workers")

    def _at_least_one(self, *names: str) -> None:
        for name in names:
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; give 1 or more")

    def _not_negative(self, *names: str) -> None:
        for name in names:
            if getattr(self, name) < 0:
                raise InputError(f"{name} is {getattr(self, name)}; it may not be negative")

"""What a training is, down to its seed."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import arg

from msloss_sirr.data.config import DataConfig
from msloss_sirr.depth.config import DepthConfig
from msloss_sirr.errors import InputError
from msloss_sirr.fields import check_fields
from msloss_sirr.losses.config import LossConfig
from msloss_sirr.models.config import RemoverConfig


@dataclass(frozen=True)
class TrainConfig:
    """Train a remover with the multi-step loss.

    Training images are real pairs, photos on which reflections are made, or both.
    """

    val: Path
    """Real pairs that the best checkpoint is chosen by: a folder that holds ambient/NAME and transmission/NAME, or a
    set of the catalogue, SET=FOLDER."""
    out: Path
    """Folder of the run: checkpoints, metrics, configuration."""
    data: Annotated[DataConfig, arg(name="")] = field(default_factory=DataConfig)

    steps: int = 3
    """M: how many times the remover is applied to its own output, at most."""
    start_steps: int | None = None
    """How many times at first, 2 if nothing is said, or fewer if M is; one more whenever validation PSNR has settled
    down."""
    patience: int = 10
    """Validations without a better PSNR that are borne before a step is added."""
    checkpointing: bool = False
    """Recompute activations instead of keeping them: less memory, more time."""

    epochs: int = 100
    """Epochs; the learning rate falls to zero over them along a half cosine."""
    epoch_images: int = 1350
    """Training images in an epoch, over all processes."""
    batch: int = 4
    """Images in a batch, on each process."""
    lr: Annotated[float, arg(name="lr")] = 3e-4
    """Learning rate of Adam at the beginning."""
    workers: int = 0
    """Processes that load images; 0 loads them in the training process."""
    seed: int = 0
    """Seed of the initial weights and of every draw."""
    device: Literal["auto", "cpu"] = "auto"
    """auto takes what accelerate finds; cpu does not look."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Arithmetic of the networks; losses and weights stay float32."""
    resume: bool = False
    """Continue the run in the out folder."""

    model: RemoverConfig = field(default_factory=RemoverConfig)
    depth: DepthConfig = field(default_factory=DepthConfig)
    loss: LossConfig = field(default_factory=LossConfig)

    @property
    def first_steps(self) -> int:
        """How many steps run at first."""
        return min(2, self.steps) if self.start_steps is None else self.start_steps

    def __post_init__(self) -> None:
        """Refuse what no training can be made of."""
        check_fields(self)
        for name in ("steps", "start_steps", "epochs", "epoch_images", "batch"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; give 1 or more")
        if self.start_steps is not None and self.start_steps > self.steps:
            raise InputError(
                f"start_steps is {self.start_steps} but steps is {self.steps}; start with as many or fewer"
            )
        if not self.lr > 0:
            raise InputError(f"lr is {self.lr}; give a number greater than 0")
        if not 0 <= self.seed < 2**32:
            raise InputError(f"seed is {self.seed}; give a number from 0 to {2**32 - 1}")
        if self.patience < 0 or self.workers < 0:
            raise InputError(f"patience={self.patience}, workers={self.workers}: neither may be negative")

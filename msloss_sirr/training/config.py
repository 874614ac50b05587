"""What a training of a remover is."""

import dataclasses
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from msloss_sirr.data.config import DataConfig
from msloss_sirr.depth.config import DepthConfig
from msloss_sirr.errors import InputError
from msloss_sirr.fields import check_fields
from msloss_sirr.losses.config import LossConfig
from msloss_sirr.models.config import RemoverConfig
from msloss_sirr.synthesis.config import SynthesisConfig, TaskName
from msloss_sirr.trainer.config import RunConfig


@dataclass(frozen=True)
class DistillConfig:
    """Removers that were trained before, larger ones say, which another learns from beside the truth."""

    teachers: tuple[str, ...] = ()
    """Checkpoints of the removers that are learned from, by the mean of their estimates, and stay as they are; shipped
    for the one that comes with the package."""
    share: float = 0.5
    """How much of what T and R are held to is the teachers' estimate of them, and not the truth: up to 1, their
    estimate alone. Photos that stay without a reflection keep theirs."""

    def __post_init__(self) -> None:
        """Refuse a share that is none, or nobody's."""
        check_fields(self)
        if not 0 < self.share <= 1:
            raise InputError(f"share is {self.share}; give a number above 0, to 1")
        if not self.teachers and self.share != DistillConfig.share:
            raise InputError(
                f"share is {self.share}, but there is no teacher; give --distill.teachers, or leave it out"
            )


@dataclass(frozen=True, kw_only=True)
class TrainConfig(RunConfig):
    """Train a remover with the multi-step loss.

    Training images are real pairs, photos on which reflections are made, or both. The learning rate falls to zero along
    a half cosine.
    """

    val: Path
    """Real pairs that the best checkpoint is chosen by: a folder that holds ambient/NAME and transmission/NAME, or a
    set of the catalogue, SET=FOLDER."""

    task: TaskName = "reflections"
    """What is learned: to take off reflections, or to undo another degradation of the photos, which are then all that
    is drawn from: noise, blur, compression, too little light, rain, or a small size."""
    weights: str | None = None
    """Checkpoint whose networks are trained further, instead of new ones; shipped for those of the remover that comes
    with the package."""
    encoder: str = "imagenet"
    """What the way down of a new squeezenet begins with: imagenet, the weights that torchvision downloads once; a file
    of them; or random."""
    encoder_lr: Annotated[float, arg(name="encoder-lr")] = 0.1
    """Learning rate of the way down of a squeezenet, which has been learned elsewhere, as a share of the others'; 1
    suits a random one."""

    steps: int = 3
    """M: how many times the remover is applied to its own output, at most."""
    start_steps: int | None = None
    """How many times at first, 2 if nothing is said, or fewer if M is; one more whenever validation PSNR has settled
    down."""
    patience: int = 10
    """Validations without a better PSNR that are borne before a step is added."""
    threshold: float = 1e-4
    """Relative gain in validation PSNR that counts as better where a step is added; 0.01 is 0.25 dB at 25 dB. Which
    checkpoint is the best does not depend on it."""
    truncate: int | None = None
    """Steps after which the chain of gradients is cut: with 1, each step learns from its own loss alone; if nothing is
    said, gradients flow through all steps."""
    checkpointing: bool = False
    """Recompute activations instead of keeping them: less memory, more time."""

    applications: int | None = None
    """Applications of the remover to a batch after which the training ends instead of by epochs: an update with M steps
    takes M, so that trainings of different M can have equal compute."""
    warmup: int = 0
    """Updates over which the learning rate rises from zero at first."""
    accumulate: int = 1
    """Batches whose gradients make one update."""
    clip: float | None = None
    """Norm that gradients are scaled down to where theirs is greater."""
    average: float = 0.0
    """Decay of the running mean of the weights that is validated and kept in checkpoints, 0.999 say; 0 keeps the
    weights themselves."""
    samples: int = 4
    """Validation pairs shown on the picture that every validation leaves; 0 leaves none."""
    probe_every: int = 0
    """Updates between two looks at the loss and the gradients of each step, with eight images that are always the same;
    0 takes none. They change nothing of the training, and take as long as some five updates of three steps each."""

    model: RemoverConfig = field(default_factory=RemoverConfig)
    depth: DepthConfig = field(default_factory=DepthConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    distill: DistillConfig = field(default_factory=DistillConfig)

    @property
    def first_steps(self) -> int:
        """How many steps run at first."""
        return min(2, self.steps) if self.start_steps is None else self.start_steps

    def __post_init__(self) -> None:
        """Refuse what no training can be made of."""
        super().__post_init__()
        self._at_least_one("steps", "start_steps", "truncate", "applications", "accumulate")
        for name in ("iterations", "budget"):
            if self.applications is not None and getattr(self, name) is not None:
                raise InputError(f"applications={self.applications} and {name}={getattr(self, name)}: give one of them")
        if self.start_steps is not None and self.start_steps > self.steps:
            raise InputError(
                f"start_steps is {self.start_steps} but steps is {self.steps}; start with as many or fewer"
            )
        self._not_negative("patience", "warmup", "samples", "probe_every")
        if self.probe_every and self.budget is not None:
            raise InputError(
                f"probe_every is {self.probe_every}, but looks take time, and budget={self.budget} would end the "
                "training sooner; give --iterations or --epochs"
            )
        self._check_numbers()
        held_at_first = self.model.networks == "both" and self.loss.reflection_target == "first"
        if self.loss.over_steps == "last" and self.steps > 1 and self.loss.reflection and held_at_first:
            raise InputError(
                "over_steps is last, but R is held to its target at the first step alone: the reflection net would "
                "have no loss; give --loss.reflection-target residual, or train --model.networks transmission"
            )
        self._check_task()
        if self.loss.tolerance and self.distill.teachers:
            raise InputError(
                f"tolerance is {self.loss.tolerance}, but there is a teacher: a pair that is misaligned, blended with "
                "its estimate, would show everything twice; leave out --loss.tolerance, or --distill.teachers"
            )

    def _check_numbers(self) -> None:
        if self.clip is not None and not 0 < self.clip < inf:
            raise InputError(f"clip is {self.clip}; give a number greater than 0")
        for name, whole in (("threshold", "best PSNR"), ("encoder_lr", "learning rate")):
            if not 0 <= getattr(self, name) < inf:
                raise InputError(f"{name} is {getattr(self, name)}; give a share of the {whole}, 0 or more")
        if not 0 <= self.average < 1:
            raise InputError(f"average is {self.average}; give a number from 0 to below 1, 0.999 say")

    def _check_task(self) -> None:
        """Raise ``InputError`` if something is asked for that another task than reflections has no use for."""
        if self.task == "reflections":
            return
        data, usual = self.data, DataConfig()
        made = dataclasses.replace(data.synthesis, exposure=0.0)
        unused = {
            "pairs": data.pairs != usual.pairs or data.pair_weights != usual.pair_weights,
            "clean-share": data.clean_share != usual.clean_share,
            "synthesis": made != SynthesisConfig(),
        }
        for name in (name for name, given in unused.items() if given):
            raise InputError(f"task is {self.task}, which degrades photos alone; leave out --{name}")
        if self.model.networks == "both":
            raise InputError(
                f"task is {self.task}, which leaves no reflection to estimate; give --model.networks transmission"
            )

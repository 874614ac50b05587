"""What RefGAN is made of, how it is trained, and what it is asked to make."""

from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from msloss_sirr.data.config import DataConfig
from msloss_sirr.errors import InputError
from msloss_sirr.fields import check_fields
from msloss_sirr.trainer.config import RunConfig

_WIDTH, _LEVELS, _SIDE = 1024, 12, 10_000


@dataclass(frozen=True)
class RefganConfig:
    """The generator's form; travels inside its checkpoint."""

    style: Literal["none", "noise", "reference"] = "reference"
    """What the generator is given beside the photograph: nothing, as published, so that a photograph has one
    reflection; smooth noise; or a reflection from elsewhere, to be laid on the photograph."""
    width: int = 64
    """Channels at the first level; they double to eight times that. The discriminator begins with as many."""
    levels: int = 8
    """How many times the generator halves the picture."""
    dropout: float = 0.5
    """Probability that a feature is dropped at the first three levels on the way up."""
    residual: bool = False
    """Generate what is added to the photograph, instead of the picture itself as published: little training is then
    enough for pictures as sharp as the photograph."""

    def __post_init__(self) -> None:
        """Refuse what makes no network."""
        check_fields(self)
        if not 1 <= self.width <= _WIDTH or not 2 <= self.levels <= _LEVELS:
            raise InputError(f"width={self.width}, levels={self.levels}: give 1 to {_WIDTH}, and 2 to {_LEVELS}")
        if not 0 <= self.dropout < 1:
            raise InputError(f"dropout is {self.dropout}; give a number from 0 to below 1")


@dataclass(frozen=True, kw_only=True)
class RefganTrainConfig(RunConfig):
    """Train RefGAN: a generator that lays reflections on photographs, against a discriminator of what is real.

    Training images are real pairs, photos on which reflections are made, or both. The learning rate of Adam, with betas
    0.5 and 0.999, is constant for the first half, and falls to zero along a line over the second.
    """

    data: Annotated[DataConfig, arg(name="")] = field(default_factory=lambda: DataConfig(crop=256, real_share=0.7))

    epochs: int = 200
    """Epochs; the learning rate comes to zero at their end."""
    epoch_images: int = 400
    """Training images in an epoch, over all processes; rounded up to whole updates."""
    batch: int = 1
    """Images in a batch, on each process."""
    lr: Annotated[float, arg(name="lr")] = 2e-4
    """Learning rate of both networks at the beginning."""
    l1: float = 100.0
    """Weight of the absolute difference from the true picture, on a scale of -1 to 1, beside the adversarial loss."""
    samples: int = 6
    """Rows of the contact sheet that every epoch leaves."""

    network: RefganConfig = field(default_factory=RefganConfig)

    def __post_init__(self) -> None:
        """Refuse what no training can be made of."""
        super().__post_init__()
        self._at_least_one("samples")
        if self.data.crop < 32:
            raise InputError(f"crop is {self.data.crop}; give 32 or more, 128 or more to learn anything")
        if not 0 <= self.l1 < inf:
            raise InputError(f"l1 is {self.l1}; give a number that is not negative")


@dataclass(frozen=True)
class RefganGenerateConfig:
    """Make a data set of pairs: photographs, and the same behind reflections by RefGAN."""

    checkpoint: Path
    """Generator to use, a file that msloss-sirr refgan train wrote."""
    photos: Path
    """Folder of photos without reflections."""
    out: Path
    """Folder to write to: ambient/NNNNN.png, transmission/NNNNN.png and manifest.jsonl."""
    references: str | None = None
    """Real pairs, a folder or SET=FOLDER: their reflections are laid on the photos, if the generator takes any."""
    count: int = 7115
    """Pairs to make. More can be made later in the same folder."""
    seed: int = 0
    """Seed of every choice: a pair is a function of it and of its number."""
    crop: int | None = 256
    """Side of the pictures, crops of random squares of the photos; None takes whole photos."""
    dropout: bool = True
    """Let the generator drop features at random, as in training and as published."""
    least: float = 0.01
    """Mean of I - T, where positive, below which a pair is made anew: it has hardly a reflection. 0 keeps all."""
    most: float = 0.2
    """Share of saturated pixels in I, beyond those of T, above which a pair is made anew. 1 keeps all."""
    damaged: int = 0
    """Damaged photos that are named and left out; one more ends the work before it begins."""
    device: str = "auto"
    """auto, cpu, cuda, mps, ...; auto takes an accelerator if there is one."""

    def __post_init__(self) -> None:
        """Refuse what cannot be made."""
        check_fields(self)
        if self.damaged < 0:
            raise InputError(f"damaged is {self.damaged}; it may not be negative")
        if not 1 <= self.count <= 10**5:
            raise InputError(f"count is {self.count}; give 1 to {10**5}")
        if self.crop is not None and self.crop < 32:
            raise InputError(f"crop is {self.crop}; give 32 or more, or None for whole photos")
        if not 0 <= self.least <= 1 or not 0 <= self.most <= 1:
            raise InputError(f"least={self.least}, most={self.most}: give numbers from 0 to 1")


@dataclass(frozen=True)
class RefganCompareConfig:
    """Compare what reflections do to pictures in several sets of pairs: the statistics of I - T."""

    sets: Positional[tuple[str, ...]]
    """Folders of pairs, or sets of the catalogue, SET=FOLDER."""
    side: int | None = 256
    """Short side that pictures are reduced or enlarged to, so that sets of any size compare; None leaves them."""
    limit: int | None = None
    """Pairs of each set to look at, evenly spaced; None for all, and for 200 that a recipe makes."""
    photos: Path | None = None
    """Folder of photos without reflections: compare what the recipes make of them too, transplant with the reflections
    of the first set."""

    def __post_init__(self) -> None:
        """Refuse what cannot be compared."""
        for name, least in (("side", 16), ("limit", 1)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise InputError(f"{name} is {value}; give {least} or more")
        if self.side is not None and self.side > _SIDE:
            raise InputError(f"side is {self.side}; give {_SIDE} or less")

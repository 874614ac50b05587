"""What a training draws its images from."""

from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path

from msloss_sirr.errors import InputError
from msloss_sirr.fields import check_fields
from msloss_sirr.synthesis.config import SynthesisConfig


@dataclass(frozen=True)
class DataConfig:
    """Real pairs, photos on which reflections are made, or both, and the crops that are drawn from them."""

    pairs: tuple[str, ...] = ()
    """Real pairs: folders that hold ambient/NAME and transmission/NAME, or sets of the catalogue, SET=FOLDER."""
    pair_weights: tuple[float, ...] = ()
    """How often each of them is drawn, relative to the others; if nothing is said, every pair as often as any other."""
    photos: tuple[Path, ...] = ()
    """Folders of photos without reflections, to make reflections on."""
    real_share: float = 0.3
    """Share of real pairs among the training images, if others can be made."""
    crop: int = 192
    """Side of the training crops in pixels."""
    damaged: int = 0
    """Damaged files, on each process, that are named and left out; with one more the training ends."""
    synthesis: SynthesisConfig = field(default_factory=SynthesisConfig)

    def __post_init__(self) -> None:
        """Refuse what nothing can be drawn from."""
        for name in ("pairs", "photos"):  # one folder stands for itself alone
            given = getattr(self, name)
            if isinstance(given, str | Path):
                object.__setattr__(self, name, (given,))
        object.__setattr__(self, "pairs", tuple(map(str, self.pairs)))
        object.__setattr__(self, "photos", tuple(map(Path, self.photos)))
        check_fields(self)
        if self.crop < 16:
            raise InputError(f"crop is {self.crop}; give 16 or more, 128 or more to learn anything")
        if not 0 <= self.real_share <= 1:
            raise InputError(f"real_share is {self.real_share}; give a number from 0 to 1")
        if self.damaged < 0:
            raise InputError(f"damaged is {self.damaged}; it may not be negative")
        weights = self.pair_weights
        if weights and (len(weights) != len(self.pairs) or min(weights) < 0 or not isfinite(sum(weights))):
            raise InputError(f"pair_weights are {weights}; give a number for each of the {len(self.pairs)} sets")
        if weights and not any(weights):
            raise InputError(f"pair_weights are {weights}; give one of them a positive number")
        if self.synthesis.transplant and not self.pairs:
            raise InputError("transplant takes reflections out of real pairs; give --pairs, or leave it out")

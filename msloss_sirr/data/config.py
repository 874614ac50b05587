"""What a training draws its images from."""

from dataclasses import dataclass, field
from math import inf, isfinite
from pathlib import Path
from typing import Literal

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
    clean_share: float = 0.0
    """Share of photos that stay without a reflection, among the training images that are no real pairs: so that a clean
    photograph stays clean."""
    crop: int = 192
    """Side of the training crops in pixels."""
    damaged: int = 0
    """Damaged files, on each process, that are named and left out; with one more the training ends."""
    cache: Literal["none", "memory", "device"] = "memory"
    """Where decoded images, and the reflections taken out of pairs, are kept: nowhere, in the memory of each loading
    process, or on the device, which then crops them, too."""
    cache_gib: float = 4.0
    """GiB that they may fill, on each process; those for which there is no room are decoded anew each time."""
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
        for name in ("real_share", "clean_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name} is {getattr(self, name)}; give a number from 0 to 1")
        if not 0 < self.cache_gib < inf:
            raise InputError(f"cache_gib is {self.cache_gib}; give a number greater than 0")
        if self.damaged < 0:
            raise InputError(f"damaged is {self.damaged}; it may not be negative")
        weights = self.pair_weights
        if weights and (min(weights) < 0 or not isfinite(sum(weights))):
            raise InputError(f"pair_weights are {weights}; give a number for each of the sets")
        if weights and not any(weights):
            raise InputError(f"pair_weights are {weights}; give one of them a positive number")

    def check_sources(self) -> None:
        """Raise ``InputError`` unless all that is asked for can be drawn from the pairs and photos there are.

        That is not asked when the configuration is made: in a file, the rest of it may stand without them.
        """
        weights = self.pair_weights
        if weights and len(weights) != len(self.pairs):
            raise InputError(f"pair_weights are {weights}; give a number for each of the {len(self.pairs)} sets")
        if self.clean_share and not self.photos:
            raise InputError(f"clean_share is {self.clean_share}, but there are no photos; give --photos")
        if self.synthesis.transplant and not self.pairs:
            raise InputError("transplant takes reflections out of real pairs; give --pairs, or leave it out")
        if self.synthesis.strength and not self.pairs:
            raise InputError("strength is of the reflections of real pairs; give --pairs, or leave it out")
        if not self.pairs and not self.photos:
            raise InputError("nothing to train on; give --pairs, --photos or both")

"""What training images are made of."""

from dataclasses import dataclass, field, fields
from math import inf
from typing import Literal

from msloss_sirr.errors import InputError
from msloss_sirr.fields import check_fields

TaskName = Literal["reflections", "denoising", "deblurring", "jpeg", "low-light", "rain", "super-resolution"]


@dataclass(frozen=True)
class GlassConfig:
    """Probabilities of what real glass and cameras add to a reflection that was made."""

    ghosting: float = 0.0
    """The pane's other side reflects too: everything is seen twice, a little apart."""
    local: float = 0.0
    """The reflection covers a part of the picture."""
    lighting: float = 0.0
    """What is reflected is lit otherwise than the scene: another exposure and white balance."""
    tint: float = 0.0
    """The glass is tinted, and the scene seen through it; T is too."""
    noise: float = 0.0
    """The sensor is noisy; T is not."""
    jpeg: float = 0.0
    """The photograph was compressed; T was not."""

    def __post_init__(self) -> None:
        """Refuse what is no probability."""
        check_fields(self)
        for name in (each.name for each in fields(self)):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name} is {getattr(self, name)}; give a probability, from 0 to 1")


@dataclass(frozen=True)
class SynthesisConfig:
    """By which recipes reflections are made, and what glass and camera add to them."""

    linear: float = 1.0
    """How often by the recipe of Zhang et al. 2018, relative to the other recipes."""
    clip: float = 0.0
    """How often by that of CEILNet."""
    screen: float = 0.0
    """How often by that of DSRNet."""
    transplant: float = 0.0
    """How often by laying the reflection of a real pair on another picture, or on its own; needs pairs."""
    sharp: float = 0.0
    """Probability that linear, clip and screen leave what is reflected in focus."""
    exposure: float = 0.0
    """Probability that what is behind the glass is exposed otherwise than in its file, and under another white balance;
    of real pairs, both images alike."""
    strength: float = 0.0
    """Probability that the reflection of a real pair is made weaker or stronger: what the photograph differs from its
    transmission by, times 0.3 to 1.2; needs pairs."""
    glass: GlassConfig = field(default_factory=GlassConfig)

    @property
    def odds(self) -> dict[str, float]:
        """How often each recipe that reflects one photograph in another is used, relative to the others."""
        return {"linear": self.linear, "clip": self.clip, "screen": self.screen}

    @property
    def transplant_share(self) -> float:
        """The share of transplants among what is made."""
        return self.transplant / (self.transplant + sum(self.odds.values()))

    def __post_init__(self) -> None:
        """Refuse what makes no reflection."""
        check_fields(self)
        odds = {**self.odds, "transplant": self.transplant}
        if min(odds.values()) < 0 or not 0 < sum(odds.values()) < inf:
            raise InputError(f"the odds of the recipes are {odds}; give one or more of them a positive number")
        for name in ("sharp", "exposure", "strength"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name} is {getattr(self, name)}; give a probability, from 0 to 1")

"""What a remover is made of; travels inside its checkpoint."""

from dataclasses import dataclass
from typing import Literal

from msloss_sirr.errors import InputError
from msloss_sirr.fields import check_fields

SQUEEZENET_LEVELS = 3, 4, 5
"""How many levels a squeezenet's way up may have: to a quarter of the size, to half, or to all of it."""
STRONGEST = 1.5
"""How much of what a remover finds is taken off at most: half as much again."""
GROUPS = 8
"""Groups of channels that ``norm="group"`` normalises by."""
_LEVELS, _BLOCKS, _LEAST_VIEW = 10, 100, 32
_WIDEST, _LARGEST_PATCH, _LARGEST_VIEW = 8192, 64, 65536
"""Far beyond what is of use; more in a file is an error, or an attack on the memory of whoever reads it."""


@dataclass(frozen=True)
class RemoverConfig:
    """The networks of a remover, and what they are given."""

    architecture: Literal["unet", "compact", "squeezenet"] = "compact"
    """unet: plain convolutions, the paper's with the channels, patch and upsampling of its preset; compact: gated
    blocks, for little time and memory; squeezenet: SqueezeNet on the way down, which has learned from ImageNet what
    there is in pictures."""
    networks: Literal["both", "transmission"] = "both"
    """both: one network estimates R, and another T from I and R; transmission: one estimates T from I."""
    depth: Literal["none", "pure", "ranged"] = "none"
    """Depth of the ambient image that the networks are given: none, as it is from 0 to 1, or cut into ranges."""
    ranges: int = 4
    """k: ranges that depth is cut into."""
    range_mode: Literal["uniform", "quantile"] = "uniform"
    """Whether ranges are equal parts of the depth, or of the image's area."""

    channels: tuple[int, ...] = (32, 64, 128, 256)
    """Channels at each level of a network, from full resolution down; of a squeezenet those of the way up, which begins
    at a sixteenth of the size: three lead to a quarter of it, four to half, five to all."""
    patch: int = 2
    """Side of the pixel blocks that are folded into channels at the door; 1 folds nothing."""
    residual: bool = True
    """Estimate what changes from the ambient image to the transmission, instead of the transmission itself."""
    norm: Literal["none", "batch", "instance", "group"] = "none"
    """Normalisation behind the convolutions of a unet."""
    upsampling: Literal["bilinear", "transposed"] = "bilinear"
    """How a unet doubles the size on the way up: 1x1 convolution and interpolation, or 2x2 transposed convolution."""
    blocks: int = 2
    """Blocks at each level of a compact network, on the way down and on the way up; twice as many at the lowest."""

    view: int = 0
    """Short side in pixels at which a squeezenet looks at pictures that are larger; what it changes is carried to their
    size, and their detail kept. 0 looks at them as they are."""

    def __post_init__(self) -> None:
        """Refuse what makes no network."""
        check_fields(self)
        if not 1 <= len(self.channels) <= _LEVELS or min(self.channels) < 1 or self.patch < 1:
            raise InputError(
                f"channels={self.channels}, patch={self.patch}: give one to {_LEVELS} levels, all at least 1"
            )
        if max(self.channels) > _WIDEST or self.patch > _LARGEST_PATCH:
            raise InputError(
                f"channels={self.channels}, patch={self.patch}: give at most {_WIDEST}, and {_LARGEST_PATCH}"
            )
        if self.view > _LARGEST_VIEW:
            raise InputError(f"view is {self.view}; give at most {_LARGEST_VIEW} pixels")
        if self.ranges < 1 or not 1 <= self.blocks <= _BLOCKS:
            raise InputError(f"ranges={self.ranges}, blocks={self.blocks}: give at least 1, at most {_BLOCKS} blocks")
        if self.architecture != "unet" and self.norm != "none":
            raise InputError(f"norm is {self.norm!r}, but {self.architecture} networks take none; leave it out")
        if self.architecture == "squeezenet" and len(self.channels) not in SQUEEZENET_LEVELS:
            raise InputError(f"channels={self.channels}: give three to five for a squeezenet, 32 64 128 say")
        if self.view and (self.architecture != "squeezenet" or self.view < _LEAST_VIEW):
            raise InputError(f"view is {self.view}; give squeezenets {_LEAST_VIEW} pixels or more, other networks 0")
        if self.norm == "group" and any(width % GROUPS for width in self.channels):
            raise InputError(f"channels={self.channels} with norm='group': give multiples of {GROUPS}")

    @property
    def guides(self) -> int:
        """Channels of depth that the networks are given."""
        return 0 if self.depth == "none" else 1

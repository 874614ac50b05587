"""How a reflection is to be taken off a photograph."""

from dataclasses import dataclass
from typing import Literal

from msloss_sirr.errors import InputError
from msloss_sirr.fields import check_fields
from msloss_sirr.models.config import STRONGEST

VISIBLE = 0.02
"""Root mean square of the change, on the scale of [0, 1], below which no reflection is found.

Measured with the remover in the package: of 24 photographs of Kodak PhotoCD without reflections, 19 stay below, and of
90 of BSDS500 and ImageNet 76; of 16 real ones with reflections two, which come to 0.019.
"""
_LEAST = 64
"""Pixels of a side, below which nothing is reduced or cut."""


@dataclass(frozen=True)
class RemovalOptions:
    """How a reflection is to be taken off a photograph."""

    strength: float = 1.0
    """How much of what was estimated is taken off: 0 leaves the photograph as it is, 1.5 takes off half as much
    again."""
    steps: int | Literal["auto"] = 1
    """How many times the remover is applied to its own output; auto goes on until that changes little, five times at
    most. More than one is seldom better with the remover in the package."""
    method: Literal["auto", "whole", "guided", "tiles"] = "auto"
    """whole: the remover is applied to the photograph as it is; guided: to the photograph reduced to the work size, and
    what it changes is carried to full size by a guided filter; tiles: to overlapping parts, which are told of the whole
    by the reduced one; auto: whole up to the work size, guided beyond."""
    work_size: int = 768
    """Short side in pixels to which larger photographs are reduced."""
    tile: int = 512
    """Side of tiles in pixels; smaller ones are used where memory is short."""
    overlap: int = 64
    """Pixels that neighbouring tiles share, at least."""
    threshold: float = VISIBLE
    """Root mean square of the change, on the scale of [0, 1], below which no reflection is found, and the photograph is
    left alone; 0 leaves none alone."""
    max_memory: str | None = None
    """Memory that a photograph may take, as 500M or 2G; the default is half of what the machine has left."""

    def __post_init__(self) -> None:
        """Refuse what cannot be done."""
        check_fields(self)
        if not 0 <= self.strength <= STRONGEST:
            raise InputError(f"strength is {self.strength}; give 0 to {STRONGEST}")
        if self.steps != "auto" and self.steps < 1:
            raise InputError(f"steps is {self.steps}; give 1 or more, or auto")
        if self.work_size < _LEAST or self.tile < _LEAST or not 0 <= self.overlap < self.tile // 2:
            raise InputError(
                f"work_size is {self.work_size}, tile {self.tile}, overlap {self.overlap}; give {_LEAST} pixels or "
                "more, and an overlap of less than half a tile"
            )
        if not 0 <= self.threshold <= 1:
            raise InputError(f"threshold is {self.threshold}; give 0 to 1")

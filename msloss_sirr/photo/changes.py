"""What is to change in a photograph, known for any of its rows."""

from copy import copy
from typing import NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from msloss_sirr.photo.resizing import enlarged_rows, resized

_RADIUS = 4
"""Pixels of the reduced photograph around one, over which its change is explained by what it shows."""
_SOFTNESS = 1e-3
"""Variance, on the scale of [0, 1], below which what a photograph shows explains nothing."""


class Change(Protocol):
    """What is added to a photograph, T - I, in sRGB."""

    def rows(self, top: int, bottom: int, ambient: Tensor) -> Tensor:
        """Return some rows of it, ``(3, bottom - top, W)``.

        Args:
            top: the first row.
            bottom: the row after the last.
            ambient: these rows of the photograph, of the same shape, sRGB-encoded.
        """

    def at(self, height: int, width: int) -> "Change":
        """Return the same for the photograph at a smaller size."""


class WholeChange(NamedTuple):
    """A change that is known at every pixel."""

    change: Tensor
    """``(3, H, W)``."""

    def rows(self, top: int, bottom: int, ambient: Tensor) -> Tensor:
        """Return some rows of it."""
        return self.change[:, top:bottom].to(ambient.dtype)

    def at(self, height: int, width: int) -> "WholeChange":
        """Return the same for the photograph at a smaller size."""
        return WholeChange(resized(self.change.float(), height, width))


class CarriedChange:
    """A change that is known of the reduced photograph, carried to its full size by a guided filter.

    Around every pixel of the reduced photograph, and for every colour, the change is taken for a linear function of
    what the photograph shows there, fitted by least squares. Slope and offset, which are smooth, are enlarged, and
    applied to the photograph at full size: its detail stays, and where nothing changes, nothing does.

    Args:
        ambient: the reduced photograph, ``(3, h, w)``, sRGB-encoded.
        change: T - I there.
        height: of the photograph.
        width: of the photograph.

    Source: He and Sun, "Fast Guided Filter", 2015; here of the change, and not of the result, so that what does not
    change is left exactly as it is.
    """

    def __init__(self, ambient: Tensor, change: Tensor, height: int, width: int) -> None:
        mean, mean_change = _around(ambient), _around(change)
        variance = (_around(ambient * ambient) - mean * mean).clamp(min=0)
        slope = (_around(ambient * change) - mean * mean_change) / (variance + _SOFTNESS)
        self._line = torch.cat([_around(slope), _around(mean_change - slope * mean)])
        self._size = height, width

    def rows(self, top: int, bottom: int, ambient: Tensor) -> Tensor:
        """Return some rows of it."""
        slope, offset = enlarged_rows(self._line, *self._size, top, bottom).chunk(2)
        return slope * ambient + offset

    def at(self, height: int, width: int) -> "CarriedChange":
        """Return the same for the photograph at a smaller size."""
        other = copy(self)
        other._size = height, width
        return other


def _around(picture: Tensor) -> Tensor:
    """Return the mean over squares around every pixel of a picture ``(C, h, w)``, at its border over what there is."""
    side = 2 * _RADIUS + 1
    return F.avg_pool2d(picture[None], side, stride=1, padding=_RADIUS, count_include_pad=False)[0]

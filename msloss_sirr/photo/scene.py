"""A photograph as a remover sees it: in sRGB, as a whole, reduced, or in part."""

from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from msloss_sirr.images.reading import to_float, to_pixels
from msloss_sirr.photo.resizing import pooled, reduced


class Colours(Protocol):
    """From the colours of a photograph to sRGB and back; ``(3, h, w)``, floating-point, [0, 1] and beyond."""

    def to_srgb(self, pixels: Tensor, /) -> Tensor:
        """Return colours in sRGB."""

    def from_srgb(self, pixels: Tensor, /) -> Tensor:
        """Return colours of sRGB in those of the photograph."""


class Scene(NamedTuple):
    """A photograph, and where it is computed with. What is returned is float32, on the device."""

    pixels: Tensor
    """``(3, H, W)``, uint8 or uint16, RGB."""
    colours: Colours | None
    """Those of its pixels; ``None`` is sRGB."""
    device: torch.device

    @property
    def size(self) -> tuple[int, int]:
        """Return height and width."""
        return self.pixels.shape[1], self.pixels.shape[2]

    def part(self, top: int, bottom: int, left: int, right: int) -> Tensor:
        """Return a part as a remover sees it, ``(3, bottom - top, right - left)``, in [0, 1]."""
        return self._seen(to_float(self.pixels[:, top:bottom, left:right].to(self.device)))

    def reduced(self, height: int, width: int) -> Tensor:
        """Return all of it at a smaller size, ``(3, height, width)``, in [0, 1]."""
        return self._seen(reduced(self.pixels, height, width).to(self.device))

    def pooled(self, factor: int) -> Tensor:
        """Return its means over blocks, ``(3, ceil(H / factor), ceil(W / factor))``, in [0, 1]."""
        return self._seen(pooled(self.pixels, factor).to(self.device))

    def changed(self, top: int, bottom: int, change: Tensor) -> Tensor:
        """Return rows of the photograph with a change, in its own type and colours, where its pixels are.

        Where the change is zero, pixels are as they were. Where it is not, none leaves the colours that sRGB has,
        unless it was beyond them.

        Args:
            top: the first row.
            bottom: the row after the last.
            change: what is added to them in sRGB, ``(3, bottom - top, W)``.
        """
        own = to_float(self.pixels[:, top:bottom].to(self.device))
        srgb = own if self.colours is None else self.colours.to_srgb(own)
        wanted = (srgb + change).maximum(srgb.clamp(max=0)).minimum(srgb.clamp(min=1))
        result = wanted if self.colours is None else own + self.colours.from_srgb(wanted) - self.colours.from_srgb(srgb)
        return to_pixels(result, self.pixels.dtype).to(self.pixels.device)

    def rows(self, top: int, bottom: int) -> Tensor:
        """Return rows in sRGB, ``(3, bottom - top, W)``, beyond [0, 1] where they have colours that sRGB has not."""
        own = to_float(self.pixels[:, top:bottom].to(self.device))
        return own if self.colours is None else self.colours.to_srgb(own)

    def _seen(self, own: Tensor) -> Tensor:
        return (own if self.colours is None else self.colours.to_srgb(own)).clamp(0, 1)

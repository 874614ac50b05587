"""Photographs of any size, reduced in little memory."""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from msloss_sirr.images.reading import to_float

_AT_ONCE = 2**20
"""Pixels that are computed with at a time."""


def strips(height: int, width: int, multiple: int = 1) -> Iterator[tuple[int, int]]:
    """Yield the first row and the row after the last of strips of a picture, of about a million pixels each.

    Args:
        height: rows of the picture.
        width: pixels of a row.
        multiple: of which every first row is to be.

    >>> list(strips(3, 2**19))
    [(0, 2), (2, 3)]
    """
    rows = max(_AT_ONCE // width // multiple, 1) * multiple
    for top in range(0, height, rows):
        yield top, min(top + rows, height)


def reduced_size(height: int, width: int, short: int) -> tuple[int, int]:
    """Return the size of a picture whose short side is reduced to ``short`` pixels; smaller ones stay as they are.

    >>> reduced_size(3000, 4000, 768), reduced_size(3, 4000, 768)
    ((768, 1024), (3, 4000))
    """
    now = min(height, width)
    if now <= short:
        return height, width
    return (height * short + now // 2) // now, (width * short + now // 2) // now


def reduced(pixels: Tensor, height: int, width: int) -> Tensor:
    """Return a photograph at another size, not larger, every pixel the mean of those that it stands for.

    Args:
        pixels: ``(C, H, W)``, uint8 or uint16.
        height: of the result.
        width: of the result.

    Returns:
        ``(C, height, width)``, float32, in [0, 1], on the device of the photograph.
    """
    rows = [
        resized(to_float(pixels[:, top:bottom]), bottom - top, width)
        for top, bottom in strips(pixels.shape[1], pixels.shape[2])
    ]
    return resized(torch.cat(rows, dim=1), height, width)


def resized(picture: Tensor, height: int, width: int) -> Tensor:
    """Return a picture ``(C, H, W)`` at another size, every pixel the mean of those that it stands for."""
    if picture.shape[1:] == (height, width):
        return picture
    return F.interpolate(picture[None], size=(height, width), mode="bilinear", align_corners=False, antialias=True)[0]


def pooled(pixels: Tensor, factor: int) -> Tensor:
    """Return the means over blocks of a photograph; those at the right and at the bottom may be smaller.

    Args:
        pixels: ``(C, H, W)``, uint8 or uint16.
        factor: side of the blocks.
    """
    parts = [block_means(to_float(pixels[:, a:b]), factor) for a, b in strips(pixels.shape[1], pixels.shape[2], factor)]
    return torch.cat(parts, dim=1)


def block_means(picture: Tensor, factor: int) -> Tensor:
    """Return the means over blocks of a picture ``(C, H, W)`` of floating-point numbers."""
    return F.avg_pool2d(picture[None], factor, ceil_mode=True)[0] if factor > 1 else picture


def enlarged(picture: Tensor, height: int, width: int) -> Tensor:
    """Return a picture ``(C, h, w)`` at another size, by linear interpolation."""
    if picture.shape[1:] == (height, width):
        return picture
    return F.interpolate(picture[None], size=(height, width), mode="bilinear", align_corners=False)[0]


def enlarged_rows(picture: Tensor, height: int, width: int, top: int, bottom: int) -> Tensor:
    """Return rows of a picture ``(C, h, w)`` at another size, as `enlarged` has them: ``(C, bottom - top, width)``."""
    if picture.shape[1:] == (height, width):
        return picture[:, top:bottom]
    place = (torch.arange(top, bottom, device=picture.device) + 0.5) * (picture.shape[1] / height) - 0.5
    place = place.clamp(0, picture.shape[1] - 1)
    above = place.floor().long()
    below = (above + 1).clamp(max=picture.shape[1] - 1)
    share = (place - above).to(picture.dtype)[:, None]
    rows = torch.lerp(picture[:, above], picture[:, below], share)
    return F.interpolate(rows[None], size=(bottom - top, width), mode="bilinear", align_corners=False)[0]

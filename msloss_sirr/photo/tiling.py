"""Photographs estimated tile by tile, without seams."""

from collections.abc import Callable

import torch
from torch import Tensor

from msloss_sirr.photo.changes import WholeChange
from msloss_sirr.photo.resizing import block_means, enlarged

FACTOR = 8
"""Side in pixels of the blocks by whose means tiles are told of the whole photograph."""


def tiled_change(
    change_of: Callable[[int, int, int, int], Tensor],
    height: int,
    width: int,
    *,
    tile: int,
    overlap: int,
    whole: Tensor | None = None,
    factor: int = FACTOR,
    device: torch.device | str = "cpu",
) -> WholeChange:
    """Return a change that is estimated tile by tile, blended where tiles overlap.

    Args:
        change_of: returns T - I of a tile, ``(3, bottom - top, right - left)``, by its top, bottom, left, right.
        height: of the photograph.
        width: of the photograph.
        tile: side of the tiles in pixels.
        overlap: pixels that neighbours share at least; over these, one gives way to the other.
        whole: the change that is estimated of the whole photograph, reduced to the means of blocks of ``factor``
            pixels: the means of every tile's change over such blocks are replaced by it, so that a tile is told what
            it cannot see. ``None`` takes tiles as they are.
        factor: side of these blocks; tiles begin at its multiples.
        device: where the change is kept, in half precision.
    """
    down, across = placed(height, tile, overlap, factor), placed(width, tile, overlap, factor)
    total = torch.zeros(3, height, width, dtype=torch.float16, device=device)
    for (top, bottom), share_down in zip(down, shares(height, down), strict=True):
        for (left, right), share_across in zip(across, shares(width, across), strict=True):
            change = change_of(top, bottom, left, right)
            if whole is not None:
                change = change + _told(change, whole, top // factor, left // factor, factor)
            weight = share_down[:, None].to(change) * share_across.to(change)
            total[:, top:bottom, left:right] += (change * weight).to(total.dtype)
    return WholeChange(total)


def placed(length: int, tile: int, overlap: int, multiple: int = 1) -> list[tuple[int, int]]:
    """Return where tiles begin and end along a side, evenly apart.

    Args:
        length: of the side.
        tile: of the tiles, unless the side is shorter.
        overlap: that neighbours share at least; less than half of a tile.
        multiple: of which every beginning is to be.

    >>> placed(100, 64, 16), placed(50, 64, 16)
    ([(0, 64), (36, 100)], [(0, 50)])
    """
    if length <= tile:
        return [(0, length)]
    count = -(-(length - overlap) // (tile - overlap))
    begins = [(length - tile) * number // (count - 1) // multiple * multiple for number in range(count)]
    return [(begin, min(begin + tile, length)) for begin in begins[:-1]] + [(begins[-1], length)]


def shares(length: int, tiles: list[tuple[int, int]]) -> list[Tensor]:
    """Return how much every pixel of tiles along a side counts: from one to the next, linearly; in all, one."""
    weights = []
    for number, (begin, end) in enumerate(tiles):
        place = torch.arange(begin, end, dtype=torch.float64) + 0.5
        weight = torch.ones(end - begin, dtype=torch.float64)
        if number:
            weight = torch.minimum(weight, (place - begin) / (tiles[number - 1][1] - begin))
        if number + 1 < len(tiles):
            weight = torch.minimum(weight, (end - place) / (end - tiles[number + 1][0]))
        weights.append(weight)
    total = torch.zeros(length, dtype=torch.float64)
    for (begin, end), weight in zip(tiles, weights, strict=True):
        total[begin:end] += weight
    return [(weight / total[begin:end]).float() for (begin, end), weight in zip(tiles, weights, strict=True)]


def _told(change: Tensor, whole: Tensor, down: int, across: int, factor: int) -> Tensor:
    """Return what a tile's change lacks of that of the whole photograph, in the means over blocks."""
    means = block_means(change, factor)
    seen = whole[:, down : down + means.shape[1], across : across + means.shape[2]]
    height, width = (side * factor for side in means.shape[1:])
    return enlarged(seen - means, height, width)[:, : change.shape[1], : change.shape[2]]

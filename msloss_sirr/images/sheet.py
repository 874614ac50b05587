"""Pictures side by side as one picture, with lines of text above them."""

from collections.abc import Sequence

import numpy as np
import torch
import torchvision.transforms.v2.functional as transforms
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from msloss_sirr.images.reading import to_bytes

_WHITE = 255


def sheet(rows: Sequence[Sequence[Tensor]], *, margin: int = 2) -> Tensor:
    """Return rows of panels as one picture, ``(3, H, W)`` uint8.

    Args:
        rows: of panels ``(3, h, w)`` uint8, of any sizes; a row is as tall as its tallest, a column as wide as its
            widest, and what is left over is white.
        margin: white pixels around each panel, shared between neighbours.
    """
    heights = [max(panel.shape[1] for panel in row) for row in rows]
    columns = max(len(row) for row in rows)
    widths = [max(row[number].shape[2] for row in rows if number < len(row)) for number in range(columns)]
    size = (3, sum(heights) + margin * (len(heights) + 1), sum(widths) + margin * (len(widths) + 1))
    page = torch.full(size, _WHITE, dtype=torch.uint8)
    top = margin
    for row, height in zip(rows, heights, strict=True):
        left = margin
        for panel, width in zip(row, widths, strict=False):
            page[:, top : top + panel.shape[1], left : left + panel.shape[2]] = panel
            left += width + margin
        top += height + margin
    return page


def strip(text: str, width: int, *, height: int = 20, size: int = 13) -> Tensor:
    """Return a line of black text on white, ``(3, height, width)`` uint8; what does not fit is cut off and dotted.

    Args:
        text: one line.
        width: in pixels.
        height: in pixels.
        size: of the letters, in pixels.
    """
    font = ImageFont.load_default(size)
    shown = text
    while shown and font.getlength(shown if shown == text else f"{shown}...") > width - 4:
        shown = shown[:-1]
    image = Image.new("RGB", (width, height), "white")
    place = (2, max((height - size) // 2 - 1, 0))
    ImageDraw.Draw(image).text(place, shown if shown == text else f"{shown}...", fill="black", font=font)
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)


def titled(image: Tensor, *lines: str) -> Tensor:
    """Return a picture ``(3, H, W)`` uint8 under lines of text."""
    return torch.cat([*(strip(line, image.shape[2]) for line in lines), image.cpu()], dim=1)


def fitted(image: Tensor, side: int) -> Tensor:
    """Return a picture ``(3, H, W)`` in [0, 1] as uint8, reduced to a longer side of at most ``side`` pixels."""
    pixels = to_bytes(image.cpu())
    height, width = pixels.shape[1:]
    if max(height, width) <= side:
        return pixels
    scale = side / max(height, width)
    size = [max(round(height * scale), 1), max(round(width * scale), 1)]
    reduced: Tensor = transforms.resize(pixels, size, antialias=True)
    return reduced

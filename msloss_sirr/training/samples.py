"""Pictures of what a remover does to a few photographs."""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from msloss_sirr.data.folders import Pairs
from msloss_sirr.images.reading import to_bytes, to_float
from msloss_sirr.images.writing import write_pixels
from msloss_sirr.layers import Layers

_SHORT_SIDE, _GAP = 192, 4


class Samples:
    """A picture with a row for each of a few pairs: ambient, estimated transmission and reflection, true transmission.

    Args:
        pairs: what is validated on.
        count: how many of them are shown, evenly spaced.
    """

    def __init__(self, pairs: Pairs, count: int) -> None:
        count = min(count, len(pairs))
        self._pairs = pairs
        self._rows: dict[int, Tensor | None] = {len(pairs) * number // count: None for number in range(count)}

    def see(self, index: int, layers: Layers) -> None:
        """Take in the estimate of a pair, ``(1, 3, H, W)`` each, if it is one of those shown."""
        if index not in self._rows:
            return
        pair = self._pairs[index]
        images = [to_float(pair.ambient), *(layer[0].float().cpu() for layer in layers), to_float(pair.transmission)]
        self._rows[index] = torch.cat([_reduced(image) for image in images], dim=-1)

    def write(self, path: Path) -> None:
        """Write the picture of all that was seen, if anything was."""
        rows = [row for row in self._rows.values() if row is not None]
        if not rows:
            return
        width = max(row.shape[-1] for row in rows)
        path.parent.mkdir(exist_ok=True)
        write_pixels(path, torch.cat([F.pad(row, (0, width - row.shape[-1], 0, 0), value=255) for row in rows], dim=1))


def _reduced(image: Tensor) -> Tensor:
    """Return an image as bytes, with a short side no longer than a picture wants, and a white frame."""
    height, width = image.shape[-2:]
    scale = min(1.0, _SHORT_SIDE / min(height, width))
    size = [max(1, round(side * scale)) for side in (height, width)]
    small = F.interpolate(image[None], size, mode="bilinear", antialias=True, align_corners=False)[0]
    return F.pad(to_bytes(small), (0, _GAP, 0, _GAP), value=255)

"""Pictures of what a remover does to a few photographs."""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from msloss_sirr.data.folders import Pairs
from msloss_sirr.images.reading import to_float
from msloss_sirr.images.sheet import fitted, sheet
from msloss_sirr.images.writing import write_pixels
from msloss_sirr.layers import Layers

_LONG_SIDE, _MARGIN = 320, 4


class Samples:
    """Rows for a picture of a few pairs: ambient, estimated transmission and reflection, true transmission.

    Args:
        pairs: what is validated on.
        count: how many of them are shown, evenly spaced.
    """

    def __init__(self, pairs: Pairs, count: int) -> None:
        count = min(count, len(pairs))
        self._pairs = pairs
        self._shown = {len(pairs) * number // count for number in range(count)}
        self.rows: dict[int, list[Tensor]] = {}
        """What is shown of those that were seen, by number."""

    def see(self, index: int, layers: Layers) -> None:
        """Take in the estimate of a pair, ``(1, 3, H, W)`` each, if it is one of those shown."""
        if index in self._shown:
            pair = self._pairs[index]
            images = to_float(pair.ambient), *(layer[0].float() for layer in layers), to_float(pair.transmission)
            self.rows[index] = [fitted(image, _LONG_SIDE).cpu() for image in images]


def write_samples(path: Path, rows: Mapping[int, list[Tensor]]) -> None:
    """Write the picture of rows, in the order of their pairs, if there are any."""
    if rows:
        path.parent.mkdir(exist_ok=True)
        write_pixels(path, sheet([rows[index] for index in sorted(rows)], margin=_MARGIN))

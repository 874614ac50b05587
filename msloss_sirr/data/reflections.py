"""The reflections of real pairs, to be laid on other pictures."""

from torch import Tensor

from msloss_sirr.data.folders import Cache, Pairs
from msloss_sirr.images.reading import to_bytes, to_float
from msloss_sirr.images.registration import DOUBTFUL, register
from msloss_sirr.synthesis.transplant import reflection_of

_SMALLEST = 16
"""Sides of pictures too small for anything to be seen in them."""


class Reflections:
    """What `reflection_of` finds in each of several pairs, computed when first asked for.

    Args:
        pairs: ambient and transmission images.
        cache: where reflections are kept while there is room; those that follow are computed anew each time. ``None``
            is one of their own, of 2 GiB.
    """

    def __init__(self, pairs: Pairs, cache: Cache | None = None) -> None:
        self._pairs = pairs
        self._cache = Cache() if cache is None else cache
        self._kept: dict[int, Tensor | None] = {}

    def __len__(self) -> int:
        return len(self._pairs)

    def __getitem__(self, index: int) -> Tensor | None:
        """Return the reflection of a pair, ``(3, H, W)`` uint8; ``None`` if it hardly shows one scene, or is tiny."""
        if index in self._kept:
            return self._kept[index]
        pair = self._pairs[index]
        ambient, transmission = to_float(pair.ambient[None]), to_float(pair.transmission[None])
        small = min(ambient.shape[2:]) < _SMALLEST
        doubtful = small or bool(register(ambient, transmission).likeness < DOUBTFUL)
        found = None if doubtful else to_bytes(reflection_of(ambient, transmission)[0])
        if self._cache.take(0 if found is None else found.nbytes):
            self._kept[index] = found
        return found

"""Random numbers for the images of a batch, each from a seed of its own."""

import zlib
from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import TypeAlias

import torch
from torch import Tensor

from msloss_sirr.devices import send_together


class Chance:
    """Random numbers for every image of a batch, whatever the others are and whatever device they are on.

    All are drawn on the CPU, image by image, so that an image's numbers are a function of its seed and of what has been
    drawn for it before. They stay there until `sent` takes them to the images.

    Args:
        seeds: one for each image.
        like: the images, ``(N, ...)``; numbers are of their type.

    Raises:
        ValueError: if there are more or fewer seeds than images.
    """

    def __init__(self, seeds: Sequence[int], like: Tensor) -> None:
        if len(seeds) != len(like):
            raise ValueError(f"{len(seeds)} seeds for {len(like)} images; give one seed for each image")
        self._generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self._device, self._dtype = like.device, like.dtype

    @classmethod
    def beside(cls, seeds: Sequence[int], name: str, like: Tensor) -> "Chance":
        """Return other random numbers for the same seeds, by a name for what they decide."""
        return cls([seed ^ zlib.crc32(name.encode()) for seed in seeds], like)

    def only(self, indices: Sequence[int]) -> "Chance":
        """Return the random numbers of some of the images, to be drawn from here on."""
        some = Chance((), torch.empty(0, dtype=self._dtype))
        some._device, some._generators = self._device, [self._generators[index] for index in indices]
        return some

    def sent(self, *draws: Tensor) -> Sequence[Tensor]:
        """Return what was drawn on the images' device, in one copy, for which the device is not waited."""
        return send_together(draws, self._device)

    def numbers(self, low: float, high: float) -> list[float]:
        """Return a number between two for each image, as `uniform` does."""
        return [low + (high - low) * torch.rand(1, generator=each).item() for each in self._generators]

    def uniform(self, low: float, high: float) -> Tensor:
        """Return a number between two for each image, ``(N, 1, 1, 1)``."""
        return self.uniforms(1, low, high)

    def uniforms(self, channels: int, low: float, high: float) -> Tensor:
        """Return numbers between two for each channel of each image, ``(N, channels, 1, 1)``."""
        draws = _stacked([torch.rand(channels, generator=each) for each in self._generators], channels)
        return (low + (high - low) * draws).to(self._dtype).view(-1, channels, 1, 1)

    def choice(self, odds: Sequence[float]) -> list[int]:
        """Return the index of one of several things for each image, by their odds."""
        bounds = list(accumulate(odds))
        draws = (torch.rand((), generator=each, dtype=torch.float64).item() for each in self._generators)
        return [bisect_right(bounds, draw * bounds[-1]) for draw in draws]

    def happens(self, probability: float) -> list[bool]:
        """Return whether something happens to each image."""
        return [number < probability for number in self.numbers(0.0, 1.0)]

    def normal(self, *shape: int) -> Tensor:
        """Return normally distributed numbers, ``(N, *shape)``."""
        pinned = self._device.type == "cuda"  # where there may be many, so that they are not copied to be sent
        draws = torch.empty(len(self._generators), *shape, pin_memory=pinned)
        for draw, each in zip(draws, self._generators, strict=True):
            torch.randn(shape, generator=each, out=draw)
        return draws.to(self._dtype)


Change: TypeAlias = Callable[[Tensor, Chance], Tensor]
"""What happens to images ``(N, 3, H, W)``, sRGB-encoded, [0, 1], by chance."""


def _stacked(draws: list[Tensor], *shape: int) -> Tensor:
    """Return what was drawn for each image, ``(N, *shape)``, even if there is none."""
    return torch.stack(draws) if draws else torch.empty(0, *shape)

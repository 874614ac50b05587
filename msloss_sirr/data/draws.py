"""What an epoch is drawn from: crops of real pairs, and of photos to make reflections on."""

import random
from collections.abc import Sequence
from enum import IntEnum
from itertools import accumulate
from typing import NamedTuple

import torch
import torchvision.transforms.v2.functional as transforms
from torch import Tensor
from torch.utils.data import Dataset

from msloss_sirr.data.folders import Cache, ImageSequence, Pairs
from msloss_sirr.data.reflections import Reflections
from msloss_sirr.errors import InputError

_TRIES = 100
"""Damaged files in a row after which a draw is given up."""


class Kind(IntEnum):
    """What a training image is made of."""

    REAL = 0
    """A pair: the ambient image, and its transmission."""
    REFLECTED = 1
    """Two photos: the scene behind the glass, and the one to be reflected."""
    TRANSPLANTED = 2
    """A photo, and the reflection of a real pair to be laid on it."""
    CLEAN = 3
    """A photo that stays as it is, twice."""
    DEGRADED = 4
    """A photo twice, of which one is to be degraded otherwise than by a reflection."""


class Draw(NamedTuple):
    """Two images of which a training image is made, ``(3, H, W)`` uint8."""

    first: Tensor
    second: Tensor
    kind: Kind
    seed: int
    """What the synthesis of this draw is seeded with."""
    depth: Tensor | None = None
    """The depth image of the first, ``(1, H, W)`` float32, if there is one."""
    damaged: tuple[str, ...] = ()
    """What was wrong with files that were to be drawn; others were drawn instead."""


class Draws(Dataset[Draw]):
    """Random crops of pairs and photos; every draw is a function of the seed, the epoch and its number alone.

    A crop is a square of random side, between ``crop`` and the short side of the image, at a random place, resized to
    ``crop`` and mirrored half the time. An image smaller than ``crop`` is enlarged. Instead of an image that is damaged
    another is drawn, and the draw says so.

    Args:
        length: draws in an epoch.
        crop: side of the crops in pixels.
        pairs: real pairs.
        photos: images to make reflections on.
        real_share: probability that a draw is a real pair, if others can be made.
        transplant_share: probability that the reflection of another draw is that of a real pair. It is laid on a photo
            or, half the time and where there are no photos, on the transmission of a pair.
        clean_share: probability that a draw which is no real pair is a photo without reflection.
        degraded: whether every draw is a photo that is to be degraded otherwise than by a reflection.
        pair_odds: how often each pair is drawn, relative to the others.
        seed: any integer.
        photo_depths: depth images of the photos, in their order.
        cache: where reflections that are taken out of pairs are kept; ``None`` is one of their own.

    Raises:
        ValueError: if there is nothing to draw from.
    """

    def __init__(
        self,
        *,
        length: int,
        crop: int,
        pairs: Pairs | None = None,
        photos: ImageSequence | None = None,
        real_share: float = 0.3,
        transplant_share: float = 0.0,
        clean_share: float = 0.0,
        degraded: bool = False,
        pair_odds: Sequence[float] | None = None,
        seed: int = 0,
        photo_depths: ImageSequence | None = None,
        cache: Cache | None = None,
    ) -> None:
        if not pairs and not photos:
            raise ValueError("no pairs and no photos: nothing to draw from")
        if transplant_share and not pairs:
            raise ValueError("no pairs: no reflection to transplant")
        if clean_share and not photos:
            raise ValueError("no photos: none to leave without a reflection")
        if degraded and (pairs or not photos):
            raise ValueError("photos alone are degraded; give some, and no pairs")
        self.length = length
        self.crop = crop
        self.photos = photos
        self.photo_depths = photo_depths
        self.seed = seed
        self._epoch = torch.zeros((), dtype=torch.int64)
        self._epoch.share_memory_()  # type: ignore[no-untyped-call]  # loader processes live longer than an epoch
        self._pairs = pairs
        self._odds = None if pair_odds is None else list(accumulate(pair_odds))
        self._reflections = Reflections(pairs, cache) if pairs and transplant_share else None
        self._transplants = 1.0 if not photos and transplant_share else transplant_share
        self._clean = clean_share
        self._degraded = degraded
        self.real_share = real_share if pairs and (photos or transplant_share) else 1.0 if pairs else 0.0
        """Probability that a draw is a real pair, of what there is to draw from."""

    @property
    def epoch(self) -> int:
        """The epoch that draws are of."""
        return int(self._epoch)

    def set_epoch(self, epoch: int) -> None:
        """Make the draws those of another epoch, in all loader processes."""
        self._epoch.fill_(epoch)

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Draw:
        rng = random.Random(f"{self.seed}:{self.epoch}:{index}")  # noqa: S311
        damaged: list[str] = []
        while True:
            try:
                return self._draw(rng)._replace(damaged=tuple(damaged))
            except InputError as error:
                damaged.append(str(error))
                if len(damaged) == _TRIES:
                    raise

    def _draw(self, rng: random.Random) -> Draw:
        if self._degraded:
            return self._photo(rng, Kind.DEGRADED)
        if rng.random() < self.real_share:
            pair = self._some_pair()[self._pair_number(rng)]
            first, second, *others = _crop(rng, self.crop, *present(*pair))
            return Draw(first, second, Kind.REAL, rng.getrandbits(63), next(iter(others), None))
        if self._clean and rng.random() < self._clean:
            return self._photo(rng, Kind.CLEAN)
        kind = Kind.TRANSPLANTED if rng.random() < self._transplants else Kind.REFLECTED
        first, *others = _crop(rng, self.crop, *present(*self._scene(rng, kind)))
        (second,) = _crop(rng, self.crop, self._reflected(rng, kind))
        return Draw(first, second, kind, rng.getrandbits(63), next(iter(others), None))

    def _photo(self, rng: random.Random, kind: Kind) -> Draw:
        """Return a photo twice."""
        first, *others = _crop(rng, self.crop, *present(*self._scene(rng, kind)))
        return Draw(first, first, kind, rng.getrandbits(63), next(iter(others), None))

    def _scene(self, rng: random.Random, kind: Kind) -> tuple[Tensor, Tensor | None]:
        """Return what is behind the glass, and its depth image if there is one."""
        if kind is Kind.TRANSPLANTED and (not self.photos or rng.random() < 0.5):
            pair = self._some_pair()[self._pair_number(rng)]
            return pair.transmission, pair.depth
        assert self.photos is not None  # noqa: S101
        number = rng.randrange(len(self.photos))
        return self.photos[number], None if self.photo_depths is None else self.photo_depths[number]

    def _reflected(self, rng: random.Random, kind: Kind) -> Tensor:
        if kind is Kind.REFLECTED:
            assert self.photos is not None  # noqa: S101
            return self.photos[rng.randrange(len(self.photos))]
        assert self._reflections is not None  # noqa: S101
        for _ in range(_TRIES):
            reflection = self._reflections[self._pair_number(rng)]
            if reflection is not None:
                return reflection
        raise InputError("hardly any pair shows one scene twice; no reflection can be taken out of them")

    def _some_pair(self) -> Pairs:
        assert self._pairs is not None  # noqa: S101
        return self._pairs

    def _pair_number(self, rng: random.Random) -> int:
        if self._odds is None:
            return rng.randrange(len(self._some_pair()))
        return rng.choices(range(len(self._odds)), cum_weights=self._odds)[0]


def present(*images: Tensor | None) -> list[Tensor]:
    """Return those of several images that there are."""
    return [image for image in images if image is not None]


def _crop(rng: random.Random, size: int, *images: Tensor) -> list[Tensor]:
    """Return the same random crop of images of one size."""
    height, width = images[0].shape[-2:]
    short = min(height, width)
    side = rng.randint(min(size, short), short)
    top, left = rng.randint(0, height - side), rng.randint(0, width - side)
    mirrored = rng.random() < 0.5
    crops = [transforms.resized_crop(image, top, left, side, side, [size, size], antialias=True) for image in images]
    return [crop.flip(-1) for crop in crops] if mirrored else crops

"""What an epoch is drawn from: crops of real pairs, and of photos to make reflections on."""

import random
from typing import NamedTuple

import torch
import torchvision.transforms.v2.functional as transforms
from torch import Tensor
from torch.utils.data import Dataset

from msloss_sirr.data.folders import ImageSequence, Pairs


class Draw(NamedTuple):
    """A real pair, or two photos of which one is going to be reflected in front of the other; ``(3, H, W)`` uint8."""

    first: Tensor
    """The ambient of a real pair; of two photos, the scene behind the glass."""
    second: Tensor
    """The transmission of a real pair; of two photos, the one to be reflected."""
    real: bool
    seed: int
    """What the synthesis of this draw is seeded with."""
    depth: Tensor | None = None
    """The depth image of the first, ``(1, H, W)`` float32, if there is one."""


class DrawBatch(NamedTuple):
    """Several draws: images ``(N, 3, H, W)`` uint8, ``real`` ``(N,)`` bool, ``seed`` ``(N,)`` int64."""

    first: Tensor
    second: Tensor
    real: Tensor
    seed: Tensor
    depth: Tensor | None = None
    """``(N, 1, H, W)`` float32, if all have one."""


class Draws(Dataset[Draw]):
    """Random crops of pairs and photos; every draw is a function of the seed, the epoch and its number alone.

    A crop is a square of random side, between ``crop`` and the short side of the image, at a random place, resized to
    ``crop`` and mirrored half the time. An image smaller than ``crop`` is enlarged.

    Args:
        length: draws in an epoch.
        crop: side of the crops in pixels.
        pairs: real pairs.
        photos: images to make reflections on.
        real_share: probability that a draw is a real pair, if there are both.
        seed: any integer.
        photo_depths: depth images of the photos, in their order.

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
        seed: int = 0,
        photo_depths: ImageSequence | None = None,
    ) -> None:
        if not pairs and not photos:
            raise ValueError("no pairs and no photos: nothing to draw from")
        self.length = length
        self.crop = crop
        self.pairs = pairs
        self.photos = photos
        self.real_share = 1.0 if not photos else real_share if pairs else 0.0
        self.seed = seed
        self.photo_depths = photo_depths
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Make the draws those of another epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Draw:
        rng = random.Random(f"{self.seed}:{self.epoch}:{index}")  # noqa: S311
        real = rng.random() < self.real_share
        if real:
            assert self.pairs is not None  # noqa: S101
            first, second, *depth = _crop(rng, self.crop, *_present(*self.pairs[rng.randrange(len(self.pairs))]))
        else:
            assert self.photos is not None  # noqa: S101
            number = rng.randrange(len(self.photos))
            depths = None if self.photo_depths is None else self.photo_depths[number]
            first, *depth = _crop(rng, self.crop, *_present(self.photos[number], depths))
            (second,) = _crop(rng, self.crop, self.photos[rng.randrange(len(self.photos))])
        return Draw(first, second, real, rng.getrandbits(63), *depth)


def _present(*images: Tensor | None) -> list[Tensor]:
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


def collate(draws: list[Draw]) -> DrawBatch:
    """Return draws as a batch."""
    depths = _present(*(draw.depth for draw in draws))
    return DrawBatch(
        torch.stack([draw.first for draw in draws]),
        torch.stack([draw.second for draw in draws]),
        torch.tensor([draw.real for draw in draws]),
        torch.tensor([draw.seed for draw in draws]),
        torch.stack(depths) if len(depths) == len(draws) else None,
    )

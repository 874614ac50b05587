"""Channels of 16 bits, of which Pillow keeps eight in images of several channels.

It decodes them all the same: told that the two bytes of a number stand the other way round, it keeps the other one. So
such a file is decoded twice. No library that reads more is needed: imagecodecs and OpenCV are tens of megabytes, and
keep no metadata; tifffile reads none of the usual compressions without imagecodecs.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

from msloss_sirr.errors import InputError
from msloss_sirr.images.opening import opened
from msloss_sirr.images.reading import DEEPEST, PHOTOMETRIC
from msloss_sirr.photo_files.channels import Channel

_BITS, _PLANES, _KIND = 258, 284, 339
_OTHER = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}


def is_deep(image: Image.Image) -> bool:
    """Return whether an image that is not loaded yet has more than 8 bits a channel."""
    return image.mode in ("I", "F") or image.mode.startswith("I;16") or ";16" in _rawmode(image)


def read_deep(path: Path, image: Image.Image) -> list[Channel]:
    """Return the channels of an image, ``(H, W)`` each, 1 or 3 of colour and perhaps one of straight alpha.

    Args:
        path: its file, which may be read a second time.
        image: not loaded yet; it will be.

    Raises:
        InputError: if its numbers are not whole ones of 16 bits, or cannot be read for another reason.
    """
    tags = getattr(image, "tag_v2", {})
    if image.mode == "F" or 3 in _numbers(tags.get(_KIND)):
        raise InputError(f"{path} holds floating-point numbers; convert it to 8 or 16 bits a channel")
    if tags and ({*_numbers(tags.get(_BITS))} != {16} or {*_numbers(tags.get(_KIND))} - {1}):
        raise InputError(f"{path} has other numbers than bytes and whole ones of 16 bits; convert it to one of them")
    if tags and tags.get(_PLANES, 1) != 1 and len(_numbers(tags.get(_BITS))) > 1:
        raise InputError(f"{path} has its channels of 16 bits one after the other; save it with interleaved channels")
    if image.mode not in ("RGB", "RGBA", "LA"):
        return _single(path, image)
    raw, key = _rawmode(image), image.info.get("transparency")
    if raw == "LA;16B":  # four bytes a pixel, as RGBA has
        _retell(image, "RGBA", "RGBA")
        both = _channels(image, 4)
        return [np.bitwise_or(high << 8, low, dtype=np.uint16) for high, low in (both[:2], both[2:])]
    premultiplied = raw.startswith("RGBa")
    raw = raw.replace("RGBa", "RGBA")
    _retell(image, image.mode, raw)
    count = len(image.mode)
    channels = _channels(image, count)
    with opened(path, (image.format or "",)) as again:
        _retell(again, image.mode, raw[:-1] + _OTHER[raw[-1]])
        for high, low in zip(channels, _channels(again, count), strict=True):
            high <<= 8
            high |= low
    if premultiplied:
        _divide(channels)
    if count == 3 and isinstance(key, tuple) and len(key) == 3:
        clear = np.logical_and.reduce([channel == level for channel, level in zip(channels, key, strict=True)])
        channels.append(np.where(clear, 0, DEEPEST).astype(np.uint16))
    return channels


def _single(path: Path, image: Image.Image) -> list[Channel]:
    """Return the one channel of a grey image, and its alpha if one of its levels is transparent."""
    values = np.array(image)
    if values.min() < 0 or values.max() > DEEPEST:
        raise InputError(f"{path} has more than 16 bits a channel; convert it to 8 or 16")
    grey = values.astype(np.uint16)
    if getattr(image, "tag_v2", {}).get(PHOTOMETRIC) == 0:  # of 8 bits, Pillow turns these over itself
        grey = DEEPEST - grey
    key = image.info.get("transparency")
    return [grey, np.where(grey == key, 0, DEEPEST).astype(np.uint16)] if isinstance(key, int) else [grey]


def _divide(channels: list[Channel]) -> None:
    """Make colours straight that have been multiplied by their alpha, the last channel."""
    *colours, alpha = channels
    share = np.maximum(alpha, 1).astype(np.uint64)
    for colour in colours:
        colour[:] = np.minimum((colour * np.uint64(DEEPEST) + share // 2) // share, DEEPEST)


def _rawmode(image: Image.Image) -> str:
    """Return how Pillow will read the bytes of an image, as it names it; empty if it has no such name."""
    tiles = getattr(image, "tile", None)
    told = tiles[0][3] if tiles else ""
    first = told[0] if isinstance(told, tuple) and told else told
    return first if isinstance(first, str) else ""


def _retell(image: Image.Image, mode: str, raw: str) -> None:
    """Have Pillow read the bytes of an image that is not loaded yet in another way."""
    tiles = []
    for codec, box, offset, told in image.tile:  # type: ignore[attr-defined]
        tiles.append((codec, box, offset, (raw, *told[1:]) if isinstance(told, tuple) else raw))
    kind = type(image.tile[0])  # type: ignore[attr-defined]
    image.tile = [kind(*tile) if kind is not tuple else tile for tile in tiles]  # type: ignore[attr-defined]
    image._mode = mode


def _channels(image: Image.Image, count: int) -> list[Channel]:
    return [np.asarray(image.getchannel(number)).astype(np.uint16) for number in range(count)]


def _numbers(value: object) -> tuple[object, ...]:
    return value if isinstance(value, tuple) else () if value is None else (value,)

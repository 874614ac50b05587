"""From image files to pixels."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from msloss_sirr.errors import InputError
from msloss_sirr.images.colour import profile_of
from msloss_sirr.images.opening import opened

DEEPEST = 2**16 - 1
"""What stands for 1, of 16 bits."""
ORIENTATION = 0x0112
"""The tag, of EXIF and TIFF, that tells how pixels are turned."""
PHOTOMETRIC = 262
"""The TIFF tag that is 0 where white is 0."""
_ONE_CHANNEL = frozenset({"F", "I", "I;16", "I;16B", "I;16L", "L"})
_EIGHT_BIT = frozenset({"1", "CMYK", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBX", "RGBa", "YCbCr"})


class Coloured(NamedTuple):
    """The pixels of an image file, and what colours they mean."""

    pixels: Tensor
    """``(3, H, W)``, uint8, RGB, upright."""
    icc_profile: bytes | None
    """The colour profile that the pixels are meant in."""


def read_pixels(path: Path) -> Tensor:
    """Return the upright pixels of an image file, ``(3, H, W)``, uint8, RGB; 16 bits are scaled to 8, alpha is dropped.

    Raises:
        InputError: if the file cannot be read or decoded whole, or has more than 16 bits a channel.
    """
    return read_coloured(path).pixels


def read_coloured(path: Path) -> Coloured:
    """Return the pixels of an image file, as `read_pixels` does, and their colour profile.

    Raises:
        InputError: if the file cannot be read or decoded whole, or has more than 16 bits a channel.
    """
    with opened(path) as image:
        shallow = image if image.mode in _EIGHT_BIT else _in_eight_bits(path, image)
        ImageOps.exif_transpose(shallow, in_place=True)
        rgb = shallow if shallow.mode == "RGB" else shallow.convert("RGB")  # either would make a copy
        pixels = torch.from_numpy(np.array(rgb)).permute(2, 0, 1).contiguous()
        return Coloured(pixels, profile_of(image, grey=False))  # the pixels are RGB now


def read_depth(path: Path) -> Tensor:
    """Return the values of a depth image, upright, ``(1, H, W)``, float32: one channel of 8, 16 or 32 bits.

    Raises:
        InputError: if the file cannot be read or decoded whole, has several channels, or no finite number.
    """
    with opened(path) as image:
        _check_channels(path, image)
        array = np.array(ImageOps.exif_transpose(image), dtype=np.float32)
        if not np.isfinite(array).any():
            raise InputError(f"{path} has no finite number, so no depth")
        return torch.from_numpy(array)[None]


def read_size(path: Path, *, depth: bool = False) -> tuple[int, int]:
    """Return height and width of an image file, upright, from its header; a TIFF is decoded.

    Args:
        path: the file.
        depth: whether it must be a depth image, of one channel.

    Raises:
        InputError: if the file cannot be read or is no image, or no depth image.
    """
    with opened(path) as image:
        if depth:
            _check_channels(path, image)
        if image.format == "TIFF":  # whether its size is upright before it is decoded depends on Pillow's version
            width, height = ImageOps.exif_transpose(image).size
            return height, width
        width, height = image.size
        exif = Image.Exif()
        exif.load(image.info.get("exif", b""))
        return (width, height) if exif.get(ORIENTATION, 1) in (5, 6, 7, 8) else (height, width)


def to_float(pixels: Tensor) -> Tensor:
    """Return pixels of 8 or 16 bits as float32 in [0, 1]."""
    return pixels.to(torch.float32) / (DEEPEST if pixels.dtype == torch.uint16 else 255)


def to_bytes(pixels: Tensor) -> Tensor:
    """Return pixels in [0, 1], of any floating-point type, as uint8; values outside are clipped."""
    return (pixels.to(torch.float32).clamp(0, 1) * 255).round().to(torch.uint8)


def to_pixels(pixels: Tensor, dtype: torch.dtype) -> Tensor:
    """Return pixels in [0, 1], of any floating-point type, as uint8 or uint16; values outside are clipped."""
    if dtype == torch.uint8:
        return to_bytes(pixels)
    wide = pixels if pixels.dtype == torch.float64 else pixels.to(torch.float32)
    return (wide.clamp(0, 1) * DEEPEST).round().to(torch.int32).to(torch.uint16)


def _in_eight_bits(path: Path, image: Image.Image) -> Image.Image:
    """Return a grey image of 16 bits in 8, with what else its file says about it."""
    values = np.array(image)
    if values.dtype.kind == "f" or values.min() < 0 or values.max() > DEEPEST:
        raise InputError(f"{path} has more than 16 bits a channel; convert it to 8 or 16")
    if getattr(image, "tag_v2", {}).get(PHOTOMETRIC) == 0:  # of 8 bits, Pillow turns these over itself
        values = DEEPEST - values
    scaled = Image.fromarray((values.astype(np.uint32) * 255 + DEEPEST // 2) // DEEPEST).convert("L")
    scaled.info = image.info
    return scaled


def _check_channels(path: Path, image: Image.Image) -> None:
    if image.mode not in _ONE_CHANNEL:
        raise InputError(f"{path} is a {image.mode} image; a depth image has one channel")

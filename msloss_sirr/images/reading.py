"""From image files to pixels."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from msloss_sirr.errors import InputError

_EIGHT_BIT = frozenset({"1", "CMYK", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBX", "RGBa", "YCbCr"})


@dataclass(frozen=True)
class Photo:
    """A decoded photograph, upright, with what else its file says about it."""

    pixels: Tensor
    """``(3, H, W)``, uint8, RGB."""
    exif: bytes
    """EXIF data without the orientation, which the pixels have already; empty if there is none."""
    icc_profile: bytes | None
    """The colour profile the pixels are meant in."""


def read_pixels(path: Path) -> Tensor:
    """Return the upright pixels of an image file, ``(3, H, W)``, uint8, RGB.

    Raises:
        InputError: if the file cannot be read or decoded whole, or has more than 8 bits a channel.
    """
    return read_photo(path).pixels


def read_photo(path: Path) -> Photo:
    """Return an image file as a `Photo`; alpha is dropped.

    Raises:
        InputError: if the file cannot be read or decoded whole, or has more than 8 bits a channel.
    """
    with _opened(path) as image:
        if image.mode not in _EIGHT_BIT:
            raise InputError(f"{path} has pixels of type {image.mode!r}; convert it to 8 bits a channel")
        upright = ImageOps.exif_transpose(image)
        array = np.array(upright.convert("RGB"))
        exif = upright.getexif()
        return Photo(
            pixels=torch.from_numpy(array).permute(2, 0, 1).contiguous(),
            exif=exif.tobytes() if exif else b"",
            icc_profile=image.info.get("icc_profile") if image.mode != "CMYK" else None,
        )


def read_size(path: Path) -> tuple[int, int]:
    """Return height and width of an image file, upright, from its header alone.

    Raises:
        InputError: if the file cannot be read or is no image.
    """
    with _opened(path) as image:
        width, height = image.size
        sideways = image.getexif().get(0x0112, 1) in (5, 6, 7, 8)
        return (width, height) if sideways else (height, width)


def to_float(pixels: Tensor) -> Tensor:
    """Return 8-bit pixels as float32 in [0, 1]."""
    return pixels.to(torch.float32) / 255


def to_bytes(pixels: Tensor) -> Tensor:
    """Return pixels in [0, 1], of any floating-point type, as uint8; values outside are clipped."""
    return (pixels.to(torch.float32).clamp(0, 1) * 255).round().to(torch.uint8)


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """Open an image; whatever goes wrong until it is closed becomes one sentence about the file."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            warnings.filterwarnings("ignore", "Corrupt EXIF data|Palette images with Transparency")
            with Image.open(path) as image:
                yield image
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{path} does not exist") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise InputError(f"{path} is too large: {error}") from error
    except (OSError, SyntaxError, ValueError) as error:  # what Pillow raises for files that are damaged
        reason = "it is no image file" if isinstance(error, UnidentifiedImageError) else str(error)
        raise InputError(f"cannot read {path}: {reason}") from error

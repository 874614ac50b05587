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
from msloss_sirr.files import check_file

_ORIENTATION = 0x0112
_DEEPEST = 2**16 - 1
_PHOTOMETRIC = 262
"""The TIFF tag that is 0 where white is 0."""
_LAYOUT = frozenset(
    {*range(254, 260), *range(262, 267), 273, *range(277, 280), 284, *range(288, 294), 297, 301, 317, *range(320, 326)}
    | {330, *range(332, 348), *range(512, 522), *range(529, 533), 34675}
)
"""The TIFF tags that tell how a file holds its pixels, which another file holds otherwise, and its colour profile."""
_ONE_CHANNEL = frozenset({"F", "I", "I;16", "I;16B", "I;16L", "L"})
_EIGHT_BIT = frozenset({"1", "CMYK", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBX", "RGBa", "YCbCr"})


@dataclass(frozen=True)
class Photo:
    """A decoded photograph, upright, with what else its file says about it."""

    pixels: Tensor
    """``(3, H, W)``, uint8, RGB."""
    exif: bytes
    """EXIF data without the orientation, which the pixels have already, and without the layout of a TIFF file; empty if
    there is none."""
    icc_profile: bytes | None
    """The colour profile the pixels are meant in."""


def read_pixels(path: Path) -> Tensor:
    """Return the upright pixels of an image file, ``(3, H, W)``, uint8, RGB; 16 bits are scaled to 8, alpha is dropped.

    Raises:
        InputError: if the file cannot be read or decoded whole, or has more than 16 bits a channel.
    """
    return read_photo(path, scaled=True).pixels


def read_photo(path: Path, *, scaled: bool = False) -> Photo:
    """Return an image file as a `Photo`; alpha is dropped.

    Args:
        path: the file.
        scaled: whether 16 bits are scaled to 8, and not refused.

    Raises:
        InputError: if the file cannot be read or decoded whole, or has more than 8 bits a channel (``scaled``: 16).
    """
    with _opened(path) as image:
        deep = image.mode not in _EIGHT_BIT or any(";16" in str(tile) for tile in getattr(image, "tile", ()))
        if deep and not scaled:
            raise InputError(f"{path} has more than 8 bits a channel; convert it to 8")
        shallow = image if image.mode in _EIGHT_BIT else _in_eight_bits(path, image)
        ImageOps.exif_transpose(shallow, in_place=True)
        rgb = shallow if shallow.mode == "RGB" else shallow.convert("RGB")  # either would make a copy
        profile = image.info.get("icc_profile")
        return Photo(
            pixels=torch.from_numpy(np.array(rgb)).permute(2, 0, 1).contiguous(),
            exif=_exif_of(shallow),
            icc_profile=profile if profile and profile[16:20] == b"RGB " else None,  # the pixels are RGB now
        )


def read_depth(path: Path) -> Tensor:
    """Return the values of a depth image, upright, ``(1, H, W)``, float32: one channel of 8, 16 or 32 bits.

    Raises:
        InputError: if the file cannot be read or decoded whole, has several channels, or no finite number.
    """
    with _opened(path) as image:
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
    with _opened(path) as image:
        if depth:
            _check_channels(path, image)
        if image.format == "TIFF":  # whether its size is upright before it is decoded depends on Pillow's version
            width, height = ImageOps.exif_transpose(image).size
            return height, width
        width, height = image.size
        exif = Image.Exif()
        exif.load(image.info.get("exif", b""))
        return (width, height) if exif.get(_ORIENTATION, 1) in (5, 6, 7, 8) else (height, width)


def to_float(pixels: Tensor) -> Tensor:
    """Return 8-bit pixels as float32 in [0, 1]."""
    return pixels.to(torch.float32) / 255


def to_bytes(pixels: Tensor) -> Tensor:
    """Return pixels in [0, 1], of any floating-point type, as uint8; values outside are clipped."""
    return (pixels.to(torch.float32).clamp(0, 1) * 255).round().to(torch.uint8)


def _in_eight_bits(path: Path, image: Image.Image) -> Image.Image:
    """Return a grey image of 16 bits in 8, with what else its file says about it."""
    values = np.array(image)
    if values.dtype.kind == "f" or values.min() < 0 or values.max() > _DEEPEST:
        raise InputError(f"{path} has more than 16 bits a channel; convert it to 8 or 16")
    if getattr(image, "tag_v2", {}).get(_PHOTOMETRIC) == 0:  # of 8 bits, Pillow turns these over itself
        values = _DEEPEST - values
    scaled = Image.fromarray((values.astype(np.uint32) * 255 + _DEEPEST // 2) // _DEEPEST).convert("L")
    scaled.info = image.info
    return scaled


def _check_channels(path: Path, image: Image.Image) -> None:
    if image.mode not in _ONE_CHANNEL:
        raise InputError(f"{path} is a {image.mode} image; a depth image has one channel")


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """Open an image; whatever goes wrong until it is closed becomes one sentence about the file."""
    try:
        check_file(path)
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            warnings.filterwarnings("ignore", "Corrupt EXIF data|Palette images with Transparency")
            # given a path, Pillow maps plain TIFF files into memory, and takes the sides of turned ones for each other
            with path.open("rb") as file, Image.open(file) as image:
                yield image
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{path} does not exist") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise InputError(f"{path} is too large: {error}") from error
    except Exception as error:  # Pillow raises anything at all for files that are damaged
        reason = "it is no image file" if isinstance(error, UnidentifiedImageError) else _first_line(error)
        raise InputError(f"cannot read {path}: {reason}") from error


def _exif_of(image: Image.Image) -> bytes:
    """Return an image's EXIF data, or nothing if what its file holds cannot be written again."""
    try:
        exif = image.getexif()
        for tag in _LAYOUT.intersection(exif):
            del exif[tag]
        return exif.tobytes() if exif else b""
    except Exception:  # as above; the pixels are sound, and worth more than their data
        return b""


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]

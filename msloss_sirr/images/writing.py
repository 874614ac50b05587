"""From pixels to files, whole or not at all."""

from pathlib import Path
from typing import BinaryIO

from PIL import Image
from torch import Tensor

from msloss_sirr.errors import InputError
from msloss_sirr.files import whole_file
from msloss_sirr.images.listing import SUFFIXES

_SETTINGS: dict[str, dict[str, object]] = {
    ".jpg": {"quality": 95, "subsampling": 0},
    ".jpeg": {"quality": 95, "subsampling": 0},
    ".webp": {"lossless": True},
    ".tif": {"compression": "tiff_deflate"},
    ".tiff": {"compression": "tiff_deflate"},
}


def write_pixels(path: Path, pixels: Tensor, *, exif: bytes = b"", icc_profile: bytes | None = None) -> None:
    """Write ``(3, H, W)`` uint8 RGB pixels to an image file of the kind that its suffix names.

    Raises:
        InputError: if the suffix names no kind of image.
        OSError: if the file cannot be written; an older file of the name is then as it was.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise InputError(f"{path} names no kind of image; end it in one of {', '.join(sorted(SUFFIXES))}")
    image = Image.fromarray(pixels.permute(1, 2, 0).contiguous().cpu().numpy())
    known: dict[str, object] = {"exif": exif} if exif and suffix != ".bmp" else {}
    if icc_profile and suffix != ".bmp":
        known["icc_profile"] = icc_profile
    with whole_file(path) as partial:
        try:
            save_image(image, partial, Image.registered_extensions()[suffix], **known, **_SETTINGS.get(suffix, {}))
        except ValueError as error:  # EXIF data too long for the format, a side too long for it
            raise InputError(f"{path} cannot be written: {error}") from error


def save_image(image: Image.Image, path: Path, kind: str, **settings: object) -> None:
    """Save an image.

    To a file of the system's, Pillow writes with calls that may take a part of what they are given, as where the disk
    is filling up, and takes no notice: the end of a JPEG file is lost without an error. What it is given here is no
    such file.

    Args:
        image: of Pillow.
        path: where to.
        kind: the format, as Pillow names it.
        **settings: of the format.

    Raises:
        OSError: if the system refuses any of it.
    """
    with path.open("wb") as file:
        image.save(_Stream(file), format=kind, **settings)  # type: ignore[arg-type]  # all that it asks for is there


class _Stream:
    """A file that can be written to, and nothing else."""

    def __init__(self, file: BinaryIO) -> None:
        self.write = file.write
        self.seek = file.seek
        self.tell = file.tell
        self.flush = file.flush

"""From pixels to files, whole or not at all."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from torch import Tensor

from msloss_sirr.errors import InputError
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
            image.save(partial, format=Image.registered_extensions()[suffix], **known, **_SETTINGS.get(suffix, {}))
        except ValueError as error:  # EXIF data too long for the format, a side too long for it
            raise InputError(f"{path} cannot be written: {error}") from error


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a path to write to; the file takes the name ``path`` when the block ends, and vanishes if it fails."""
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    try:
        partial.touch(exist_ok=False)
        mode = partial.stat().st_mode
        yield partial
        partial.chmod(mode)  # some writers make files that only their owner may read
        with partial.open("rb") as written:
            os.fsync(written.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)

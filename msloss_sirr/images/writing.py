"""From pixels to files, whole or not at all."""

from pathlib import Path

from PIL import Image
from torch import Tensor

from msloss_sirr.errors import InputError
from msloss_sirr.files import whole_file
from msloss_sirr.images.listing import SUFFIXES
from msloss_sirr.images.saving import save_image

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

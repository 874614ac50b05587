"""Photographs with new pixels, to files that hold all else that the photograph's own file held."""

import threading
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageFile
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from msloss_sirr.errors import InputError
from msloss_sirr.files import whole_file
from msloss_sirr.images import heif
from msloss_sirr.images.listing import PHOTO_SUFFIXES
from msloss_sirr.images.opening import quiet
from msloss_sirr.images.reading import DEEPEST, to_pixels
from msloss_sirr.images.writing import save_image
from msloss_sirr.photo_files.channels import Channel, brightness, in_eight_bits
from msloss_sirr.photo_files.icc import Colours
from msloss_sirr.photo_files.metadata import XMP_HEADER
from msloss_sirr.photo_files.photo import Photo
from msloss_sirr.photo_files.png import write_png16
from msloss_sirr.photo_files.tiff import write_tiff

_LONGEST = {"JPEG": 65500, "WEBP": 16383}
"""Pixels of a side, at most; libjpeg says so on standard error by itself."""
_FORMATS = {
    ".avif": "AVIF",
    ".bmp": "BMP",
    ".heic": "HEIF",
    ".heif": "HEIF",
    ".jpeg": "JPEG",
    ".jpg": "JPEG",
    ".png": "PNG",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".webp": "WEBP",
}
_DEEP = frozenset({"PNG", "TIFF"})
_GREY = frozenset({"BMP", "JPEG", "PNG", "TIFF"})
"""Formats that hold grey pixels as such."""
_ALPHA = frozenset({"AVIF", "HEIF", "PNG", "TIFF", "WEBP"})
_SEGMENT = 65533
"""Bytes that a segment of a JPEG file can hold."""

_room = threading.Lock()


def write_photo(path: Path, photo: Photo, pixels: Tensor) -> None:
    """Write new pixels to an image file of the kind that its suffix names, with all else that the photograph holds.

    What the kind of file cannot hold is left out: alpha, 16 bits, EXIF and XMP data (too long for JPEG, any for BMP).
    A colour profile that it cannot hold is not: the pixels are then converted to sRGB. A JPEG file that comes of one
    is compressed with the same tables and sub-sampling: pixels that have not changed then hardly change again.

    Args:
        path: of the file.
        photo: what the pixels are of.
        pixels: ``(3, H, W)``, of the size and type of the photograph's own, in its colour space.

    Raises:
        ValueError: if the pixels are of another shape or type than the photograph's own.
        InputError: if the suffix names no kind of image, or one that cannot hold so many pixels.
        OSError: if the file cannot be written; an older file of the name is then as it was.
    """
    if pixels.shape != photo.pixels.shape or pixels.dtype != photo.pixels.dtype:
        told = f"{tuple(photo.pixels.shape)} of {photo.pixels.dtype}"
        raise ValueError(f"pixels is {tuple(pixels.shape)} of {pixels.dtype}; give {told}, as the photograph is")
    kind = _FORMATS.get(path.suffix.lower())
    if kind is None:
        raise InputError(f"{path} names no kind of image; end it in one of {', '.join(sorted(PHOTO_SUFFIXES))}")
    if kind == "HEIF":
        heif.load(path)
    elif kind == "AVIF":
        heif.check_avif(path)
    longest, most = max(pixels.shape[1:]), _LONGEST.get(kind)
    if most is not None and longest > most:
        raise InputError(f"{path} cannot be written: a side of {longest} pixels, and {kind} files have up to {most}")
    grey = photo.grey and kind in _GREY
    profile = photo.icc_profile
    if profile and (kind == "BMP" or (photo.grey and not grey)):
        whole = Colours(profile).to_srgb(
            pixels.cpu().to(torch.float64) / (255 if pixels.dtype == torch.uint8 else DEEPEST)
        )
        pixels, profile = to_pixels(whole, pixels.dtype), None
    channels = _channels(photo, pixels.cpu(), kind, grey=grey)
    with whole_file(path) as partial, quiet:
        try:
            _write(partial, kind, channels, photo, profile)
        except (ValueError, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            raise InputError(f"{path} cannot be written: {error}") from error  # a side too long for the format


def _write(partial: Path, kind: str, channels: list[Channel], photo: Photo, profile: bytes | None) -> None:
    if kind == "TIFF" or (kind == "PNG" and channels[0].dtype == np.uint16):
        with partial.open("wb") as file:
            if kind == "TIFF":
                write_tiff(file, channels, exif=photo.exif, icc_profile=profile, xmp=photo.xmp, dpi=photo.dpi)
            else:
                told = photo.png_colours
                write_png16(
                    file, channels, exif=photo.exif, icc_profile=profile, xmp=photo.xmp, dpi=photo.dpi, colours=told
                )
        return
    bands = [Image.fromarray(channel) for channel in channels]
    image = bands[0] if len(bands) == 1 else Image.merge(("LA", "RGB", "RGBA")[len(bands) - 2], bands)
    known: dict[str, object] = {}
    if profile:
        known["icc_profile"] = profile
    if photo.dpi and kind in ("BMP", "JPEG", "PNG"):
        known["dpi"] = photo.dpi
    if photo.exif and kind != "BMP" and (kind != "JPEG" or len(photo.exif) <= _SEGMENT):
        known["exif"] = photo.exif
    if photo.xmp and kind in ("AVIF", "HEIF", "WEBP"):
        known["xmp"] = photo.xmp
    _save(image, partial, kind, {**known, **_settings(kind, photo)})


def _save(image: Image.Image, partial: Path, kind: str, settings: Mapping[str, object]) -> None:
    """Save an image; if its EXIF data cannot be written again, without them."""
    try:
        _save_roomy(image, partial, kind, settings)
    except Exception as error:  # of what makers of cameras write, Pillow raises anything at all
        if (isinstance(error, OSError) and error.errno is not None) or "exif" not in settings:
            raise
        _save_roomy(image, partial, kind, {name: value for name, value in settings.items() if name != "exif"})


def _save_roomy(image: Image.Image, partial: Path, kind: str, settings: Mapping[str, object]) -> None:
    """Save an image; a progressive JPEG file of noise needs more room than Pillow makes for it."""
    try:
        save_image(image, partial, kind, **settings)
    except OSError as error:
        if error.errno is not None or not settings.get("progressive"):
            raise
        with _room:
            before = ImageFile.MAXBLOCK
            ImageFile.MAXBLOCK = max(before, 8 * image.width * image.height + 2**20)
            try:
                save_image(image, partial, kind, **settings)
            finally:
                ImageFile.MAXBLOCK = before


def _settings(kind: str, photo: Photo) -> dict[str, object]:
    """Return how a file is compressed: as the photograph's own, if it is of the same format, else nearly lossless."""
    if kind == "JPEG":
        return _jpeg(photo)
    if kind == "PNG":
        told = PngInfo()
        for name, data in photo.png_colours:
            told.add(name, data)
        if photo.xmp:
            told.add_itxt("XML:com.adobe.xmp", photo.xmp.decode(errors="replace"))
        return {"pnginfo": told}
    if kind == "WEBP":
        # at its best, lossy WebP is 46 dB from pixels that have been through it before
        return {"lossless": photo.lossless, "quality": 80 if photo.lossless else 100, "exact": True}
    if kind == "AVIF":
        return {"quality": 95, "subsampling": ":".join(str(photo.chroma))}
    if kind == "HEIF":
        return {"quality": 95, "chroma": photo.chroma}
    return {}


def _jpeg(photo: Photo) -> dict[str, object]:
    segments = b""
    if photo.xmp and len(XMP_HEADER + photo.xmp) <= _SEGMENT:
        length = len(XMP_HEADER + photo.xmp) + 2
        segments = b"\xff\xe1" + length.to_bytes(2, "big") + XMP_HEADER + photo.xmp
    coding = photo.jpeg
    if coding is None or not 1 <= len(coding.tables) <= 4:
        return {"quality": 95, "subsampling": 0, "extra": segments}
    tables = [list(table) for table in coding.tables]
    sampling = coding.sampling
    return {"qtables": tables, "subsampling": sampling, "progressive": coding.progressive, "extra": segments}


def _channels(photo: Photo, pixels: Tensor, kind: str, *, grey: bool) -> list[Channel]:
    """Return what a file of a kind holds of pixels and alpha, channel by channel."""
    colours: list[Channel] = [channel.numpy() for channel in pixels]
    if grey:
        colours = [brightness(*colours)]
    alpha = [] if photo.alpha is None or kind not in _ALPHA else [photo.alpha[0].cpu().numpy()]
    if grey and alpha and kind == "TIFF" and pixels.dtype == torch.uint16:
        colours = colours * 3  # Pillow, and so `read_photo`, does not read grey of 16 bits with alpha from TIFF
    channels = [*colours, *alpha]
    return channels if kind in _DEEP else [in_eight_bits(channel) for channel in channels]

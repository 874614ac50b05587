"""Photographs read with all that their files hold."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from PIL.JpegImagePlugin import get_sampling

from msloss_sirr.errors import InputError
from msloss_sirr.images import heif
from msloss_sirr.images.colour import profile_of
from msloss_sirr.images.opening import opened
from msloss_sirr.images.reading import ORIENTATION
from msloss_sirr.photo_files import metadata
from msloss_sirr.photo_files.channels import Channel, turned
from msloss_sirr.photo_files.photo import JpegCoding, Photo
from msloss_sirr.photo_files.png import colour_chunks
from msloss_sirr.photo_files.sixteen_bits import is_deep, read_deep

FORMATS = ("AVIF", "BMP", "GIF", "HEIF", "JPEG", "MPO", "PNG", "TIFF", "WEBP")
"""What may be in a file, whatever its name, as Pillow names it."""
_GREY = frozenset({"1", "L", "LA", "La"})
_COLOUR = frozenset({"P", "PA", "RGB", "RGBA", "RGBX", "RGBa", "YCbCr"})
_NOT_A_PAGE = 0b101
"""Bits of the TIFF tag of that number below: an image is a small copy, or a mask, of another."""
_PAGE_KIND = 254
_LEAST = {"1": 1 / 8, "L": 1 / 8, "P": 1 / 8, "LA": 2, "RGB": 3, "RGBA": 4}
"""Bytes a pixel of a PNG file, at least, by Pillow's mode."""
_INFLATED = 1032
"""Bytes that a byte of a PNG file can stand for. Where some are missing, Pillow takes zeros for them, and time."""


def read_photo(path: Path) -> Photo:
    """Return an image file as a `Photo`.

    Of a JPEG file with several pictures (MPO), it is the first. A TIFF file may have small copies and masks beside its
    one page. Metadata that are damaged are left out.

    Raises:
        InputError: if the file cannot be read or decoded whole; has several frames or pages, more than 16 bits a
            channel, floating-point numbers, CMYK or other colours than RGB and grey; or more than 268 megapixels.
    """
    with opened(path, FORMATS) as image:
        coding = _coding(image) if image.format in ("JPEG", "MPO") else None
        chroma = _check(path, image)
        before = _orientation(image) if image.format == "TIFF" else 1  # of a PNG file, to ask is to decode
        channels = read_deep(path, image) if is_deep(image) else _shallow(image)
        orientation = _orientation(image)  # Pillow has turned TIFF files by now
        grey, alpha = len(channels) < 3, len(channels) in (2, 4)
        height, width = channels[0].shape[:: -1 if orientation >= 5 else 1]
        pixels = np.empty((3, height, width), channels[0].dtype)
        for number in range(3):
            pixels[number] = turned(channels[0 if grey else number], orientation)
        opacity = turned(channels[-1], orientation).copy()[None] if alpha else None
        return Photo(
            pixels=torch.from_numpy(pixels),
            alpha=None if opacity is None else torch.from_numpy(opacity),
            grey=grey,
            exif=metadata.exif_of(image, turned=max(before, orientation) >= 5),
            icc_profile=profile_of(image, grey=grey),
            xmp=metadata.xmp_of(image),
            dpi=metadata.dpi_of(image),
            format="JPEG" if coding else image.format or "",
            jpeg=coding,
            lossless=image.format != "WEBP" or _is_lossless(path),
            chroma=chroma,
            png_colours=colour_chunks(path) if image.format == "PNG" else (),
        )


def _check(path: Path, image: Image.Image) -> int:
    """Raise ``InputError`` if an image is no photograph that can be kept whole; return its chroma sub-sampling."""
    if image.mode not in _GREY | _COLOUR and not is_deep(image):
        raise InputError(f"{path} is a {image.mode} image; convert it to RGB")
    if image.format == "TIFF":
        _check_pages(path, image)
    elif (
        image.format == "PNG"
        and image.width * image.height * _LEAST.get(image.mode, 1) > _INFLATED * path.stat().st_size
    ):
        raise InputError(f"{path} is damaged: it is too small a file for {image.width}x{image.height} pixels")
    if image.format not in ("HEIF", "MPO", "TIFF") and getattr(image, "is_animated", False):
        raise InputError(f"{path} is animated; give a photograph, or one frame")
    if image.format == "HEIF":
        bits, chroma = image.info.get("bit_depth", 8), image.info.get("chroma", 444)
    elif image.format == "AVIF":
        bits, chroma = heif.avif_coding(path)
    else:
        return 444
    if bits > 8:
        raise InputError(
            f"{path} has {bits} bits a channel, as {image.format} 8 are read; convert it to a TIFF file of 16"
        )
    return int(chroma) if chroma in (420, 422, 444) else 444


def _check_pages(path: Path, image: Image.Image) -> None:
    """Raise ``InputError`` if a TIFF file holds more than one picture."""
    if getattr(image, "n_frames", 1) == 1:
        return
    with path.open("rb") as file, Image.open(file, formats=("TIFF",)) as pages:
        for number in range(1, getattr(pages, "n_frames", 1)):
            pages.seek(number)
            if not int(getattr(pages, "tag_v2", {}).get(_PAGE_KIND, 0)) & _NOT_A_PAGE:
                raise InputError(f"{path} has several pages; save each as a file of its own")


def _shallow(image: Image.Image) -> list[Channel]:
    """Return the channels of an image of 8 bits or less, ``(H, W)`` each, 1 or 3 of colour and perhaps alpha."""
    image.load()
    clear = image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info
    mode = ("LA" if clear else "L") if image.mode in _GREY else "RGBA" if clear else "RGB"
    if image.mode == "1" and clear:
        image = image.convert("L")
    plain = image if image.mode == mode else image.convert("RGBA" if image.mode == "PA" else mode)
    return [np.asarray(plain.getchannel(number)) for number in range(len(mode))]


def _orientation(image: Image.Image) -> int:
    try:
        told = image.getexif().get(ORIENTATION, 1)
    except Exception:  # Pillow raises anything at all for damaged data; the pixels are as they are
        return 1
    return told if told in range(1, 9) else 1


def _coding(image: Image.Image) -> JpegCoding:
    tables = getattr(image, "quantization", {})
    whole = tuple(tuple(tables[key]) for key in sorted(tables))
    return JpegCoding(whole, max(get_sampling(image), 0), bool(image.info.get("progressive")))


def _is_lossless(path: Path) -> bool:
    """Return whether a WebP file is compressed without loss: its pixels are in a chunk of that name."""
    with path.open("rb") as file:
        file.seek(12)
        while len(head := file.read(8)) == 8:
            if head[:4] in (b"VP8 ", b"VP8L"):
                return head[:4] == b"VP8L"
            length = int.from_bytes(head[4:], "little")
            file.seek(length + length % 2, 1)
    return False

"""A photograph with all that its file holds."""

from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor


class JpegCoding(NamedTuple):
    """How a JPEG file is compressed."""

    tables: tuple[tuple[int, ...], ...]
    """Of quantisation, 64 numbers each: first that of brightness."""
    sampling: int
    """As Pillow numbers it: 0 is 4:4:4, 1 is 4:2:2, 2 is 4:2:0."""
    progressive: bool


@dataclass(frozen=True, eq=False)
class Photo:
    """A photograph, upright, with all that its file holds."""

    pixels: Tensor
    """``(3, H, W)``, uint8 or uint16, RGB in the file's own colour space; straight, if there is alpha."""
    alpha: Tensor | None = None
    """``(1, H, W)`` of the same type, if the file has any."""
    grey: bool = False
    """Whether the file is grey: the three channels are equal, and one is written."""
    exif: bytes = b""
    """EXIF data with its header, true of upright pixels; empty if there is none."""
    icc_profile: bytes | None = None
    """The colour profile that the pixels are meant in."""
    xmp: bytes = b""
    """XMP data, true of upright pixels; empty if there is none."""
    dpi: tuple[float, float] | None = None
    """Pixels per inch, across and down."""
    format: str = ""
    """As Pillow names it; ``"JPEG"`` for MPO."""
    jpeg: JpegCoding | None = None
    """Of a JPEG file."""
    lossless: bool = True
    """Whether a WebP file is compressed without loss."""
    chroma: int = 444
    """The sub-sampling of a HEIC file: 444, 422 or 420."""
    png_colours: tuple[tuple[bytes, bytes], ...] = ()
    """What a PNG file says of its colours beside a profile, kinds of chunks and their data. It is kept in PNG files;
    the pixels are taken for sRGB all the same."""

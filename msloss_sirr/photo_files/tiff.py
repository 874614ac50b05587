"""TIFF files of 8 and 16 bits a channel, with EXIF data.

Pillow writes 16 bits of one channel only, and hands metadata to libtiff, which cannot take all of them. Here it makes
the directory, and the pixels are compressed with zlib, after prediction: what Adobe calls deflate.

Source: Adobe, TIFF Revision 6.0, and its Technical Notes of 2002.
"""

import zlib
from collections.abc import Sequence
from contextlib import suppress
from io import BytesIO
from typing import BinaryIO

import numpy as np
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from msloss_sirr.images.reading import ORIENTATION
from msloss_sirr.photo_files.channels import Channel
from msloss_sirr.photo_files.metadata import LAYOUT

_GROUPS = (34665, 34853)
"""The tags of the directories of EXIF and GPS."""
_INTEROP = 40965
_BYTE, _UNDEFINED, _LONG = 1, 7, 4
_ROWS = 2**22
"""Bytes that are compressed at a time."""
_MOST = 2**32 - 2**20


def write_tiff(
    file: BinaryIO,
    channels: Sequence[Channel],
    *,
    exif: bytes = b"",
    icc_profile: bytes | None = None,
    xmp: bytes = b"",
    dpi: tuple[float, float] | None = None,
) -> None:
    """Write channels ``(H, W)``, 1 or 3 of colour and perhaps one of straight alpha, as a TIFF file.

    Args:
        file: open for writing.
        channels: of one size and type.
        exif: EXIF data; what of it cannot be written is left out.
        icc_profile: of the colours.
        xmp: as UTF-8.
        dpi: pixels per inch, across and down; where EXIF data do not tell.

    Raises:
        ValueError: if the file would have more than 4 gigabytes.
    """
    height, width = channels[0].shape
    count, bits = len(channels), channels[0].dtype.itemsize * 8
    packed = _packed(channels)
    size = sum(map(len, packed))
    if size > _MOST:
        raise ValueError("a TIFF file cannot have more than 4 gigabytes")
    told = _directory(exif)
    told.update({256: width, 257: height, 258: (bits,) * count, 259: 8, 262: 2 if count > 2 else 1})
    told.update({277: count, 278: height, 284: 1, 317: 2})
    if count in (2, 4):
        told[338] = 2
    if dpi and not {282, 283} <= told.keys():
        told.update({282: dpi[0], 283: dpi[1], 296: 2})
    directory = ImageFileDirectory_v2()
    for tag, value in told.items():
        directory[tag] = value
    for tag, data, kind in ((700, xmp, _BYTE), (34675, icc_profile, _UNDEFINED)):
        if data:
            directory.tagtype[tag] = kind
            directory[tag] = data
    directory.tagtype[273] = directory.tagtype[279] = _LONG
    directory[273] = 0  # Pillow adds where the directory ends
    directory[279] = size
    directory.save(file)
    for part in packed:
        file.write(part)


def _directory(exif: bytes) -> dict[int, object]:
    """Return the entries of EXIF data that can be written, without those about the layout of a file."""
    read = Image.Exif()
    try:
        read.load(exif)
        tags = list(read)
    except Exception:  # damaged in a way that only reading shows; as elsewhere, the pixels are worth more
        return {}
    kept: dict[int, object] = {}
    for tag in tags:
        if tag in LAYOUT or tag == ORIENTATION:
            continue
        with suppress(Exception):  # as above, of one entry
            value = _group(read, tag) if tag in _GROUPS else read[tag]
            alone = ImageFileDirectory_v2()
            alone[tag] = value
            alone.save(BytesIO())
            kept[tag] = value
    return kept


def _group(exif: Image.Exif, tag: int) -> dict[int, object]:
    """Return a directory within EXIF data, without offsets of others, which lead nowhere in another file."""
    return {inner: value for inner, value in exif.get_ifd(tag).items() if inner != _INTEROP or isinstance(value, dict)}


def _packed(channels: Sequence[Channel]) -> list[bytes]:
    """Return the pixels compressed, each as its difference from the one on its left."""
    height, width = channels[0].shape
    packer = zlib.compressobj()
    parts = []
    size = max(1, _ROWS // (width * len(channels) * channels[0].dtype.itemsize))
    for top in range(0, height, size):
        rows = np.stack([channel[top : top + size] for channel in channels], axis=2)
        rows[:, 1:] = rows[:, 1:] - rows[:, :-1]
        parts.append(packer.compress(rows.astype(rows.dtype.newbyteorder("<")).tobytes()))
    parts.append(packer.flush())
    return parts

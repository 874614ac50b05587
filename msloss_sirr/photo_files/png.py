"""PNG files of 16 bits a channel, which Pillow writes of one channel only.

Source: W3C, Portable Network Graphics (PNG) Specification, third edition.
"""

import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from msloss_sirr.photo_files.channels import Channel
from msloss_sirr.photo_files.metadata import HEADER

_COLOUR = {1: 0, 2: 4, 3: 2, 4: 6}
"""PNG's colour types, by the number of channels."""
_ROWS = 2**22
"""Bytes that are compressed at a time."""

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_OF_COLOURS = frozenset({b"gAMA", b"cHRM", b"sRGB", b"cICP"})
_LONGEST_OF_COLOURS = 32


def colour_chunks(path: Path) -> tuple[tuple[bytes, bytes], ...]:
    """Return what a PNG file says of its colours beside a profile, kinds and data: gAMA, cHRM, sRGB, cICP."""
    found = []
    with path.open("rb") as file:
        file.seek(len(_SIGNATURE))
        while len(head := file.read(8)) == 8 and head[4:] != b"IDAT":
            length, kind = struct.unpack(">I4s", head)
            if kind in _OF_COLOURS and length <= _LONGEST_OF_COLOURS:
                found.append((kind, file.read(length)))
                file.seek(4, 1)  # its check sum
            else:
                file.seek(length + 4, 1)
    return tuple(found)


def write_png16(
    file: BinaryIO,
    channels: Sequence[Channel],
    *,
    exif: bytes = b"",
    icc_profile: bytes | None = None,
    xmp: bytes = b"",
    dpi: tuple[float, float] | None = None,
    colours: Sequence[tuple[bytes, bytes]] = (),
) -> None:
    """Write channels ``(H, W)`` of 16 bits, 1 or 3 of colour and perhaps one of alpha, as a PNG file.

    Args:
        file: open for writing.
        channels: of one size.
        exif: EXIF data.
        icc_profile: of the colours.
        xmp: as UTF-8.
        dpi: pixels per inch, across and down.
        colours: chunks that tell of the colours, as `colour_chunks` returns them.
    """
    height, width = channels[0].shape
    file.write(_SIGNATURE)
    _chunk(file, b"IHDR", struct.pack(">IIBBBBB", width, height, 16, _COLOUR[len(channels)], 0, 0, 0))
    for kind, data in colours:
        _chunk(file, kind, data)
    if icc_profile:
        _chunk(file, b"iCCP", b"ICC Profile\0\0" + zlib.compress(icc_profile))
    if dpi:
        _chunk(file, b"pHYs", struct.pack(">IIB", *(round(number / 0.0254) for number in dpi), 1))
    if exif:
        _chunk(file, b"eXIf", exif.removeprefix(HEADER))
    if xmp:
        _chunk(file, b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp)
    packer = zlib.compressobj(4)  # a hundredth larger than at 6, in two thirds of the time: the low bytes are noise
    for rows in _filtered(channels):
        if packed := packer.compress(rows):
            _chunk(file, b"IDAT", packed)
    _chunk(file, b"IDAT", packer.flush())
    _chunk(file, b"IEND", b"")


def _chunk(file: BinaryIO, kind: bytes, data: bytes) -> None:
    file.write(struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)))


def _filtered(channels: Sequence[Channel]) -> Iterator[bytes]:
    """Yield blocks of rows, each row as its differences from Paeth's predictions: filter 4 of the specification."""
    height, width = channels[0].shape
    step = 2 * len(channels)
    last = np.zeros((1, width * step), np.uint8)
    size = max(1, _ROWS // (width * step))
    for top in range(0, height, size):
        block = np.stack([channel[top : top + size] for channel in channels], axis=2).astype(">u2")
        rows = block.view(np.uint8).reshape(len(block), width * step)
        above = np.concatenate([last, rows[:-1]]).astype(np.int16)
        left = np.zeros_like(above)
        left[:, step:] = rows[:, :-step]
        corner = np.zeros_like(above)
        corner[:, step:] = above[:, :-step]
        from_left, from_above = np.abs(above - corner), np.abs(left - corner)
        from_corner = np.abs(left + above - 2 * corner)
        nearer = np.where(from_above <= from_corner, above, corner)
        best = np.where((from_left <= from_above) & (from_left <= from_corner), left, nearer)
        out = np.empty((len(rows), 1 + width * step), np.uint8)
        out[:, 0] = 4
        out[:, 1:] = rows - best.astype(np.uint8)
        last = rows[-1:].copy()
        yield out.tobytes()

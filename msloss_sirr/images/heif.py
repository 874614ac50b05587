"""HEIC files, which Pillow reads through its plugin pillow-heif; it is an extra of its own."""

from pathlib import Path

from PIL import Image

from msloss_sirr.errors import InputError

_BRANDS = frozenset({b"heic", b"heim", b"heis", b"heix", b"hevc", b"hevm", b"hevs", b"hevx"})
_EITHER = frozenset({b"mif1", b"msf1"})
"""Brands of HEIC and of AVIF files."""


def register(path: Path) -> None:
    """Have Pillow read a file, if it is a HEIC file.

    Raises:
        InputError: if it is one, and pillow-heif is missing.
    """
    with path.open("rb") as file:
        start = file.read(64)
    if start[4:8] != b"ftyp":
        return
    length = min(max(int.from_bytes(start[:4], "big"), 12), 64)
    brands = {start[8:12]} | {start[at : at + 4] for at in range(16, length, 4)}
    if start[8:12] in _BRANDS or (start[8:12] in _EITHER and brands & _BRANDS):
        load(path)


def load(path: Path) -> None:
    """Have Pillow read and write HEIC files.

    Raises:
        InputError: that names ``path``, if pillow-heif is missing.
    """
    if "HEIF" in Image.OPEN:
        return
    try:
        import pillow_heif
    except ImportError as error:
        raise InputError(f"{path} is a HEIC file, and pillow-heif is missing: pip install 'msloss[heif]'") from error
    pillow_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False)


def check_avif(path: Path) -> None:
    """Raise ``InputError`` if Pillow has no AVIF."""
    Image.init()
    if "AVIF" not in Image.SAVE:
        raise InputError(f"{path} is an AVIF file, which Pillow reads and writes from 11.3 on; install a newer one")


def avif_coding(path: Path) -> tuple[int, int]:
    """Return bits a channel and chroma sub-sampling (444, 422, 420) of an AVIF file; 8 and 420 if it does not say.

    Source: AV1 Codec ISO Media File Format Binding, 2.3, AV1CodecConfigurationRecord.
    """
    with path.open("rb") as file:
        start = file.read(2**16)
    records = [part[2] for part in start.split(b"av1C")[1:] if len(part) > 2]
    bits = max((8 if not flags & 0x40 else 12 if flags & 0x20 else 10 for flags in records), default=8)
    colour = next((flags for flags in records if not flags & 0x10), 0x0C)
    return bits, {0x00: 444, 0x08: 422}.get(colour & 0x0C, 420)

"""What files say about their pixels, made true of pixels that are upright."""

import re
import struct

from PIL import Image

from msloss_sirr.images.reading import ORIENTATION

HEADER = b"Exif\0\0"
XMP_HEADER = b"http://ns.adobe.com/xap/1.0/\0"
"""Of XMP data in a JPEG file."""
_EXIF_IFD = 0x8769
_WIDTH, _HEIGHT = 0xA002, 0xA003
_RESOLUTION = frozenset({282, 283})
"""The TIFF tags of pixels per inch, across and down."""
LAYOUT = frozenset(
    {*range(254, 260), *range(262, 267), 273, *range(277, 280), 284, *range(288, 294), 297, 301, 317, *range(320, 326)}
    | {330, *range(332, 348), *range(512, 522), *range(529, 533), 34675}
)
"""The TIFF tags that tell how a file holds its pixels, which another file holds otherwise, and its colour profile."""
_ASIDE = frozenset({700, 34377, 37724})
"""The TIFF tags of XMP, which is kept by itself, and of Photoshop's resources and layers, which show old pixels."""
_TURNED = re.compile(rb"(tiff:Orientation\s*(?:=\s*[\"']|>)\s*)\d+")


def exif_of(image: Image.Image, *, turned: bool = False) -> bytes:
    """Return an image's EXIF data for its upright pixels, or nothing if there is none or it is damaged.

    The bytes stay as they are, so that what makers of cameras put there stays readable, but: the orientation is 1, the
    sizes of the image are exchanged where its sides are, and the thumbnail is unlinked, as it would stay sideways. Of
    a TIFF file, what it says itself becomes EXIF data, without its layout.

    Args:
        image: after its pixels have been loaded.
        turned: whether width and height are those of the file exchanged.
    """
    try:
        raw = image.info.get("exif") if image.format != "TIFF" else None
        return upright_exif(raw if isinstance(raw, bytes) else collected_exif(image), turned=turned)
    except Exception:  # Pillow raises anything at all; the pixels are sound, and worth more than their data
        return b""


def collected_exif(image: Image.Image) -> bytes:
    """Return EXIF data made of what Pillow has read, for an image that holds none as such."""
    exif = image.getexif()
    for tag in (LAYOUT | _ASIDE).intersection(exif):
        del exif[tag]
    return exif.tobytes() if exif else b""


def upright_exif(raw: bytes, *, turned: bool) -> bytes:
    """Return EXIF data with its header, for upright pixels; nothing if it is empty or damaged."""
    body = bytearray(raw.removeprefix(HEADER))
    if not body:
        return b""
    try:
        order = {b"II": "<", b"MM": ">"}[bytes(body[:2])]
        magic, first = struct.unpack_from(f"{order}HI", body, 2)
        if magic != 42:
            return b""
        places, end = _entries(body, order, first)
        if ORIENTATION in places:
            struct.pack_into(f"{order}HIHH", body, places[ORIENTATION] + 2, 3, 1, 1, 0)
        struct.pack_into(f"{order}I", body, end, 0)
        if turned and _EXIF_IFD in places:
            (inner,) = struct.unpack_from(f"{order}I", body, places[_EXIF_IFD] + 8)
            sizes, _ = _entries(body, order, inner)
            if {_WIDTH, _HEIGHT} <= sizes.keys():
                across, down = (slice(sizes[tag] + 2, sizes[tag] + 12) for tag in (_WIDTH, _HEIGHT))
                body[across], body[down] = body[down], body[across]
    except (KeyError, struct.error):
        return b""
    return HEADER + bytes(body)


def xmp_of(image: Image.Image) -> bytes:
    """Return an image's XMP data for its upright pixels; nothing if there is none."""
    tags = getattr(image, "tag_v2", {})
    try:
        found = next((image.info[key] for key in ("xmp", "XML:com.adobe.xmp") if image.info.get(key)), None)
        found = found or tags.get(700) or _segment(image)
    except Exception:  # as above
        return b""
    if isinstance(found, str):
        found = found.encode(errors="replace")
    return _TURNED.sub(rb"\g<1>1", found.rstrip(b"\0")) if isinstance(found, bytes) else b""


def dpi_of(image: Image.Image) -> tuple[float, float] | None:
    """Return pixels per inch, across and down, as an image's file tells them."""
    tags = getattr(image, "tag_v2", None)
    if tags is not None and not tags.keys() >= _RESOLUTION:
        return None  # Pillow takes one pixel per inch for granted
    try:
        across, down = (float(number) for number in image.info.get("dpi", ()))
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None
    return (across, down) if 0.5 <= across < 65535 and 0.5 <= down < 65535 else None


def _segment(image: Image.Image) -> bytes:
    """Return the XMP data of a JPEG file, which older versions of Pillow leave among its segments."""
    segments = getattr(image, "applist", ())
    return next((data.removeprefix(XMP_HEADER) for _, data in segments if data.startswith(XMP_HEADER)), b"")


def _entries(body: bytearray, order: str, start: int) -> tuple[dict[int, int], int]:
    """Return where the entries of an IFD are, by their tags, and where they end."""
    (count,) = struct.unpack_from(f"{order}H", body, start)
    places: dict[int, int] = {}
    for place in range(start + 2, start + 2 + 12 * count, 12):
        (tag,) = struct.unpack_from(f"{order}H10x", body, place)
        places.setdefault(tag, place)
    return places, start + 2 + 12 * count

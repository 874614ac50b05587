"""Image files opened: whatever is wrong with one becomes one sentence about it."""

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from msloss_sirr.errors import InputError, in_words
from msloss_sirr.files import check_file
from msloss_sirr.images import heif

MOST_PIXELS = 2**28
"""Larger images are refused, by their headers: 268 megapixels, which take a gibibyte once decoded."""


class _Quiet:
    """While any file is open, in any thread, Pillow warns of nothing, and its limit of size is ours."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._limit: int | None = None
        self._caught = warnings.catch_warnings()

    def __enter__(self) -> None:
        with self._lock:
            self._users += 1
            if self._users == 1:
                self._limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, MOST_PIXELS // 2  # it raises at twice it
                self._caught = warnings.catch_warnings()
                self._caught.__enter__()
                warnings.filterwarnings("ignore", module=r"(PIL|pillow_heif|msloss_sirr\.(images|photo_files))\b")

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._users -= 1
            if self._users == 0:
                Image.MAX_IMAGE_PIXELS = self._limit
                self._caught.__exit__(None, None, None)


quiet = _Quiet()
"""Of every reading, and of every writing: metadata may be odd, and Pillow would warn of each oddity."""


@contextmanager
def opened(path: Path, formats: tuple[str, ...] | None = None) -> Iterator[Image.Image]:
    """Open an image for the time of a block; its header has been read, its pixels have not.

    Args:
        path: the file.
        formats: as Pillow names them; ``None`` allows all that it reads.

    Raises:
        InputError: for whatever goes wrong until the block ends, or if the image has more than `MOST_PIXELS`.
    """
    try:
        check_file(path)
        with quiet, path.open("rb") as file:  # a path, Pillow may map into memory, and take turned sides for each other
            heif.register(path)
            Image.init()
            known = None if formats is None else tuple(name for name in formats if name in Image.OPEN)
            with Image.open(file, formats=known) as image:
                check_size(path, *image.size)
                yield image
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{path} does not exist") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise InputError(f"{path} is too large: {in_words(error)}") from error
    except UnidentifiedImageError as error:
        raise InputError(f"cannot read {path}: {_unidentified(path)}") from error
    except Exception as error:  # Pillow raises anything at all for files that are damaged
        raise InputError(f"cannot read {path}: {in_words(error)}") from error


def check_size(path: Path, width: int, height: int) -> None:
    """Raise ``InputError`` if an image is larger than any that is read."""
    if width * height > MOST_PIXELS:
        most = MOST_PIXELS // 10**6
        raise InputError(f"{path} is too large: {width}x{height} pixels; up to {most} megapixels are read")


def _unidentified(path: Path) -> str:
    """Return why Pillow reads no image from a file."""
    with path.open("rb") as file:
        start = file.read(12)
    if not start:
        return "it is empty, and so no image file"
    if start[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return "it is a TIFF file of a kind that is not read; save it with 8 or 16 bits a channel, RGB or grey"
    if start[4:8] == b"ftyp":
        return f"it is a {start[8:12].decode('latin-1')!r} file, which this installation of Pillow does not read"
    return "it is no image file"

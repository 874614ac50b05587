"""Images saved by Pillow, whole or with an error."""

from pathlib import Path
from typing import BinaryIO

from PIL import Image


def save_image(image: Image.Image, path: Path, kind: str, **settings: object) -> None:
    """Save an image.

    To a file of the system's, Pillow writes with calls that may take a part of what they are given, as where the disk
    is filling up, and takes no notice: the end of a JPEG file is lost without an error. What it is given here is no
    such file.

    Args:
        image: of Pillow.
        path: where to.
        kind: the format, as Pillow names it.
        **settings: of the format.

    Raises:
        OSError: if the system refuses any of it.
    """
    with path.open("wb") as file:
        image.save(_Stream(file), format=kind, **settings)  # type: ignore[arg-type]  # all that it asks for is there


class _Stream:
    """A file that can be written to, and nothing else."""

    def __init__(self, file: BinaryIO) -> None:
        self.write = file.write
        self.seek = file.seek
        self.tell = file.tell
        self.flush = file.flush

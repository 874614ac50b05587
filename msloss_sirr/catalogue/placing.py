"""Images put into a folder that has a manifest: none of others' is replaced, and nothing half written stays."""

import re
import secrets
from collections.abc import Iterable
from pathlib import Path

from torch import Tensor

from msloss_sirr.catalogue.manifest import digest
from msloss_sirr.errors import InputError
from msloss_sirr.holding import LOCK
from msloss_sirr.images.writing import write_pixels

LEFTOVER = re.compile(r"\.(.*\.)?[0-9a-f]{8}\.(partial|candidate\.(png|jpg))")
"""What files are called while they are written."""


def foreign(out: Path) -> list[Path]:
    """Return what a folder holds that preparing it did not leave there."""
    return [path for path in out.iterdir() if path.name != LOCK and not LEFTOVER.fullmatch(path.name)]


def place(path: Path, pixels: Tensor, ours: str) -> None:
    """Write an image, unless that would replace one that is not ours.

    Args:
        path: where it goes.
        pixels: ``(3, H, W)`` uint8 RGB.
        ours: the SHA-256 of what was written there before; empty if nothing was.

    Raises:
        InputError: if there is another file.
    """
    candidate = path.with_name(f".{secrets.token_hex(4)}.candidate{path.suffix}")
    try:
        write_pixels(candidate, pixels)
        if (path.exists() or path.is_symlink()) and not is_file(path, ours) and not is_file(path, digest(candidate)):
            raise InputError(f"{path} is there already, and not what was written here; move it away")
        candidate.replace(path)
    finally:
        candidate.unlink(missing_ok=True)


def is_file(path: Path, sha256: str) -> bool:
    """Return whether a path is a file itself, no link, and has that digest."""
    return path.is_file() and not path.is_symlink() and digest(path) == sha256


def make_room(out: Path, folders: Iterable[Path]) -> None:
    """Make folders to write to, and take away what a run that was killed left half written in them.

    Raises:
        InputError: if one leads out of ``out``.
    """
    home = out.resolve()
    for folder in {out, *folders}:
        if home not in (folder.resolve(), *folder.resolve().parents):
            raise InputError(f"{folder} leads out of {out}; give --out another folder")
        folder.mkdir(parents=True, exist_ok=True)
        for path in folder.iterdir():
            if LEFTOVER.fullmatch(path.name):
                path.unlink()

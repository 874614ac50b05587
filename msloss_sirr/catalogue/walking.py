"""The files below a folder, however its links are laid."""

import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import NamedTuple

from msloss_sirr.errors import InputError
from msloss_sirr.files import other_kind
from msloss_sirr.images.listing import is_image_name

_MOST, _DEEPEST = 20_000, 50
"""Folders that are looked into, and how deep."""


class Entry(NamedTuple):
    """What a folder holds: a file, a link that leads nowhere, or what has the name of an image and is none."""

    path: Path
    """Below the folder given, as it is named there."""
    broken: str = ""
    """Why a link is not followed; empty for files."""
    kind: str = ""
    """What it is if no file: ``"a folder"``, ``"a named pipe"``, ``"a socket"``, ``"a device"``."""


def walk(folder: Path, *, deep: bool) -> Iterator[Entry]:
    """Yield the files of a folder by name, without hidden ones; nothing if there is no such folder.

    Links are followed unless they lead in circles or nowhere: such links are yielded as broken. Folders, pipes, sockets
    and devices are yielded as what they are if they have the name of an image, and else left out. A folder is looked
    into whatever it is called.

    Args:
        folder: what to look through.
        deep: whether to look into the folders in it, too.

    Raises:
        InputError: if there are too many folders to look into.
    """
    reason = _broken(folder, ())
    if reason:
        yield Entry(folder, reason)
    elif folder.is_dir():
        yield from _walk(folder, (folder.resolve(),), count(1), deep=deep)


def _walk(folder: Path, above: tuple[Path, ...], visits: Iterator[int], *, deep: bool) -> Iterator[Entry]:
    if next(visits) > _MOST or len(above) > _DEEPEST:
        raise InputError(f"{folder}: too many folders, or links that lead back and forth; give a folder with fewer")
    for name in sorted(os.listdir(folder)):  # noqa: PTH208 - names that are no text must not end the walk
        path = folder / name
        if name.startswith("."):
            continue
        reason = _broken(path, above)
        if reason:
            yield Entry(path, reason)
            continue
        kind = other_kind(path)
        if not kind or is_image_name(path):
            yield Entry(path, kind=kind)
        if deep and path.is_dir():
            yield from _walk(path, (*above, path.resolve()), visits, deep=True)


def _broken(path: Path, above: tuple[Path, ...]) -> str:
    """Return why a path cannot be followed, or nothing."""
    try:
        target = path.resolve(strict=True)
    except (OSError, RuntimeError) as error:  # RuntimeError: how Python before 3.13 says that links go in circles
        if not path.is_symlink():
            return "" if isinstance(error, FileNotFoundError) else "it cannot be opened"
        return "it leads nowhere" if isinstance(error, FileNotFoundError) else "it leads in a circle"
    return "it leads in a circle" if target in above else ""

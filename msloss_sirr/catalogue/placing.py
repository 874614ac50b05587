"""Images put into a folder that has a manifest: none of others' is replaced, and nothing half written stays.

An image is put in place before the manifest says so, since the manifest names what is there. What is about to be put in
place is noted in a journal first, by its digest: what a run that was killed in between has left can be told from what
others have put there.
"""

import json
import os
import re
import secrets
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path

from torch import Tensor

from msloss_sirr.catalogue.manifest import NAME, Record, digest
from msloss_sirr.errors import InputError
from msloss_sirr.files import other_kind
from msloss_sirr.images.writing import write_pixels
from msloss_sirr.locks import LOCK

LEFTOVER = re.compile(r"\.(.*\.)?[0-9a-f]{8}\.(partial|candidate\.(png|jpg))")
"""What files are called while they are written."""
JOURNAL = f".{NAME}.journal"
"""What images that are put in place are noted in, a line for each item, until the manifest has them."""


def foreign(out: Path) -> list[Path]:
    """Return what a folder holds that preparing it did not leave there."""
    return [path for path in out.iterdir() if path.name not in (LOCK, JOURNAL) and not LEFTOVER.fullmatch(path.name)]


def place(path: Path, pixels: Tensor, ours: str) -> None:
    """Write an image, unless that would replace one that is not ours.

    Args:
        path: where it goes.
        pixels: ``(3, H, W)`` uint8 RGB.
        ours: the SHA-256 of what was written there before; empty if nothing was.

    Raises:
        InputError: if there is another file.
    """
    candidate = _candidate(path)
    try:
        write_pixels(candidate, pixels)
        _check_replaceable(path, (ours, digest(candidate)))
        candidate.replace(path)
    finally:
        candidate.unlink(missing_ok=True)


def place_together(out: Path, images: Mapping[str, Tensor], ours: Mapping[str, str]) -> dict[str, str]:
    """Write the images of an item, all or, if one would replace what is not ours, none; and note them in the journal.

    Args:
        out: the folder.
        images: by their paths in it, ``(3, H, W)`` uint8 RGB.
        ours: likewise, the SHA-256 of what was written there before.

    Returns:
        Likewise, the SHA-256 of what is there now.

    Raises:
        InputError: if there is another file.
    """
    candidates = {name: _candidate(out / name) for name in images}
    try:
        for name, pixels in images.items():
            write_pixels(candidates[name], pixels)
        digests = {name: digest(candidate) for name, candidate in candidates.items()}
        for name, sha256 in digests.items():
            _check_replaceable(out / name, (ours.get(name, ""), sha256))
        _note(out, digests)
        for name, candidate in candidates.items():
            candidate.replace(out / name)
        return digests
    finally:
        for candidate in candidates.values():
            candidate.unlink(missing_ok=True)


def settle(out: Path, records: Collection[Record]) -> None:
    """Take away images that the journal has and the manifest has not, and then the journal.

    Those that are not as they were put in place stay: they are not ours any more.

    Raises:
        InputError: if what has the name of the journal is no file.
    """
    journal = out / JOURNAL
    if journal.is_symlink() or other_kind(journal):  # to open a pipe may never end
        raise InputError(f"{journal} is there already, and no journal that a run has left; move it away")
    if not journal.exists():
        return
    known = {(path, record.digests.get(layer)) for record in records for layer, path in record.files.items()}
    for name, sha256 in _noted(out):
        if (name, sha256) not in known and is_file(out / name, sha256):
            (out / name).unlink()
    journal.unlink()


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


def _candidate(path: Path) -> Path:
    return path.with_name(f".{secrets.token_hex(4)}.candidate{path.suffix}")


def _check_replaceable(path: Path, ours: Iterable[str]) -> None:
    """Raise ``InputError`` if there is a file of another digest, or anything else."""
    if (path.exists() or path.is_symlink()) and not any(is_file(path, sha256) for sha256 in ours):
        raise InputError(f"{path} is there already, and not what was written here; move it away")


def _note(out: Path, digests: Mapping[str, str]) -> None:
    """Add a line to the journal, in one piece, since several processes do."""
    journal = os.open(out / JOURNAL, os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0), 0o666)
    try:
        os.write(journal, f"{json.dumps(digests)}\n".encode())
        os.fsync(journal)
    finally:
        os.close(journal)


def _noted(out: Path) -> Iterator[tuple[str, str]]:
    """Yield the paths and digests of a journal; lines that were not written whole do not count."""
    home = out.resolve()
    for line in (out / JOURNAL).read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            told = dict(json.loads(line))
        except (TypeError, ValueError):
            continue
        for name, sha256 in told.items():
            folder = (out / name).parent.resolve()
            if home in (folder, *folder.parents):
                yield name, str(sha256)

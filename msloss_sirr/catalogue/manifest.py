"""What the images of a folder were made from: a line for each item, with the digests of its files."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Any

from msloss_sirr.errors import InputError
from msloss_sirr.files import check_file, whole_file

NAME = "manifest.jsonl"
_FORMAT = "msloss_sirr.manifest/1"


@dataclass(frozen=True)
class Record:
    """An item of a folder: a pair, a photo, or what else was made together."""

    name: str
    """What its files are called, without suffix."""
    files: Mapping[str, str]
    """By layer (``"ambient"``, ``"transmission"``, ...), where its files lie in the folder, parted by ``/``."""
    digests: Mapping[str, str]
    """By layer, the SHA-256 of its files."""
    origin: Mapping[str, Any]
    """What it was made from; anything that JSON can hold."""


class Manifest:
    """The file ``manifest.jsonl`` of a folder: how all items were made, and what each was made from.

    Items are added as they are finished, so that work that was interrupted can go on where it was: a last line that
    was not written whole does not count. Names are in order once `finish` has been called.

    Args:
        folder: made if it does not exist.
        about: how the items are made; anything that JSON can hold.

    Raises:
        InputError: if the folder has a manifest that cannot be read, or whose items were made otherwise.
    """

    def __init__(self, folder: Path, about: Mapping[str, Any]) -> None:
        self.folder = folder
        self.about = json.loads(json.dumps(about))
        self.records: dict[str, Record] = {}
        self._path = folder / NAME
        folder.mkdir(parents=True, exist_ok=True)
        if self._path.exists():
            then, records = read_manifest(folder)
            if then != self.about:
                keys = sorted(key for key in {*then, *self.about} if then.get(key) != self.about.get(key))
                raise InputError(
                    f"{folder} was made otherwise: {', '.join(keys)} differ, see {self._path}; give another folder"
                )
            self.records = {record.name: record for record in records}
        self.finish()

    def add(self, record: Record) -> None:
        """Add an item, or replace the one of its name."""
        self.records[record.name] = record
        with self._path.open("a", encoding="utf-8") as file:
            file.write(_line(asdict(record)))
            file.flush()
            os.fsync(file.fileno())

    def intact(self, name: str) -> bool:
        """Return whether an item is recorded, and all its files are as they were when it was."""
        record = self.records.get(name)
        if record is None:
            return False
        paths = {layer: self.folder / path for layer, path in record.files.items()}
        return bool(paths) and all(
            path.is_file() and digest(path) == record.digests.get(layer) for layer, path in paths.items()
        )

    def finish(self) -> None:
        """Write the manifest anew, its items in the order of their names."""
        lines = [_line({"format": _FORMAT, "about": self.about})]
        lines += [_line(asdict(self.records[name])) for name in sorted(self.records)]
        with whole_file(self._path) as partial:
            partial.write_text("".join(lines), encoding="utf-8")


def read_manifest(folder: Path) -> tuple[dict[str, Any], list[Record]]:
    """Return how the items of a folder were made, and the items; of two with one name, the later.

    Raises:
        InputError: if there is no manifest, or it is none.
    """
    path = folder / NAME
    if not path.is_file():
        raise InputError(f"{folder} has no {NAME}")
    try:
        first, *others = path.read_text(encoding="utf-8").splitlines(keepends=True)
        head = json.loads(first)
        if head["format"] != _FORMAT:
            raise InputError(f"{path} is of another version of msloss; give another folder")
        about = dict(head["about"])
        records = {r.name: r for r in (_record(json.loads(line)) for line in others if line.endswith("\n"))}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} is damaged ({error}); give another folder") from error
    return about, list(records.values())


def _record(told: Mapping[str, Any]) -> Record:
    record = Record(**told)
    if not all(isinstance(each, dict) for each in (record.files, record.digests, record.origin)):
        raise TypeError("an item has no files by layer")
    if not all(isinstance(word, str) for word in (record.name, *record.files.values(), *record.digests.values())):
        raise TypeError("an item's files are no text")
    for path in map(PurePosixPath, record.files.values()):
        if path.is_absolute() or ".." in path.parts or "\0" in str(path):
            raise ValueError("an item's files are elsewhere")
    return record


def digest(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal digits.

    Raises:
        InputError: if it is no file.
        OSError: if it cannot be read.
    """
    check_file(path)
    found = sha256()
    with path.open("rb") as file:
        while piece := file.read(2**20):
            found.update(piece)
    return found.hexdigest()


def _line(value: Mapping[str, Any]) -> str:
    return json.dumps(value) + "\n"  # in ASCII: no letter can be cut in two, and any name of a file be written

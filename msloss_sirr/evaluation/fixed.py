"""Pairs that are made of photographs, always the same, and kept as folders of files."""

import json
import shutil
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple, TypeAlias, overload

from torch import Tensor

from msloss_sirr.errors import InputError
from msloss_sirr.files import whole_file
from msloss_sirr.images.listing import find_images
from msloss_sirr.images.reading import read_pixels, to_bytes, to_float
from msloss_sirr.images.writing import write_pixels

_MANIFEST = "made-of.json"


class FixedPair(NamedTuple):
    """What was made of a photograph, and what it is to be restored to, ``(3, H, W)`` each in [0, 1]."""

    number: int
    """Of the photograph."""
    ambient: Tensor
    truth: Tensor


Making: TypeAlias = Callable[[Sequence[Tensor]], Iterable[FixedPair]]
"""From photographs, ``(3, H, W)`` each in [0, 1], to what is made of them."""


def write_fixed(photos: Path, folder: Path, how: str, making: Making) -> Path:
    """Write what is made of photographs as a folder of pairs, unless it is there, and return the folder.

    Args:
        photos: folder of photographs.
        folder: for the pairs, ``ambient/NAME.png`` and ``transmission/NAME.png``.
        how: they are made, in a word that is another for another way.
        making: of pairs.

    Raises:
        InputError: if there are no photographs, two have the same name but for the suffix, or the pairs there are made
            of others, or otherwise.
    """
    files = find_images(photos)
    for first, second in pairwise(sorted(files, key=lambda path: path.stem)):
        if first.stem == second.stem:
            raise InputError(f"{first} and {second.name} have the same name; keep one of them")
    told = {"how": how, "photos": [path.name for path in files], "bytes": [path.stat().st_size for path in files]}
    manifest = folder / _MANIFEST
    if not manifest.exists():
        _write(folder, making(_Photos(files)), files)
        with whole_file(manifest) as partial:
            partial.write_text(json.dumps(told) + "\n")
    elif manifest.read_bytes() != f"{json.dumps(told)}\n".encode():
        raise InputError(f"{folder} holds what is made of other photographs, or otherwise; give another folder")
    return folder


class _Photos(Sequence[Tensor]):
    """Photographs that are read when they are asked for: a folder of them need not fit in memory."""

    def __init__(self, files: Sequence[Path]) -> None:
        self.files = files

    def __len__(self) -> int:
        return len(self.files)

    @overload
    def __getitem__(self, index: int) -> Tensor: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Tensor]: ...
    def __getitem__(self, index: int | slice) -> Tensor | Sequence[Tensor]:
        return _Photos(self.files[index]) if isinstance(index, slice) else to_float(read_pixels(self.files[index]))


def _write(folder: Path, pairs: Iterable[FixedPair], files: Sequence[Path]) -> None:
    shutil.rmtree(folder, ignore_errors=True)  # what a process left that was killed as it wrote
    for layer in ("ambient", "transmission"):
        (folder / layer).mkdir(parents=True)
    for made in pairs:
        name = f"{files[made.number].stem}.png"
        write_pixels(folder / "ambient" / name, to_bytes(made.ambient))
        write_pixels(folder / "transmission" / name, to_bytes(made.truth))

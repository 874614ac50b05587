"""Composites that are always the same: photographs, each behind a reflection of another."""

import json
import shutil
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple, overload

from torch import Tensor

from msloss_sirr.errors import InputError
from msloss_sirr.files import whole_file
from msloss_sirr.images.listing import find_images
from msloss_sirr.images.reading import read_pixels, to_bytes, to_float
from msloss_sirr.images.writing import write_pixels
from msloss_sirr.synthesis.recipes import RECIPES, Recipe

_APART = 7
_MANIFEST = "composites.json"


class FixedComposite(NamedTuple):
    """A composite, ``(3, H, W)`` each in [0, 1]."""

    number: int
    """Of the photograph that it is made of."""
    ambient: Tensor
    truth: Tensor


def composites(recipe: Recipe, photos: Sequence[Tensor]) -> Iterator[FixedComposite]:
    """Yield photograph i behind a reflection of photograph i + 7, with seed i, unless the recipe rejects it.

    Of seven photographs, that would be itself: it is the next one, then.

    Args:
        recipe: makes them, as it is published.
        photos: two or more, ``(3, H, W)`` each in [0, 1]; two are cut to the size that they share.

    Raises:
        ValueError: if there are fewer.
    """
    if len(photos) < 2:
        raise ValueError("one photograph has no other to reflect; give two or more")
    apart = _APART if _APART % len(photos) else 1
    for number, scene in enumerate(photos):
        other = photos[(number + apart) % len(photos)]
        height, width = (min(a, b) for a, b in zip(scene.shape[1:], other.shape[1:], strict=True))
        made = recipe(scene[None, :, :height, :width], other[None, :, :height, :width], [number])
        if made.kept.all():
            yield FixedComposite(number, made.ambient[0], made.layers.transmission[0])


def write_composites(photos: Path, out: Path, recipes: Iterable[str] = tuple(RECIPES)) -> list[Path]:
    """Write composites as folders of pairs, ``out/composites-RECIPE``, unless they are there, and return these.

    Args:
        photos: folder of photographs without reflections.
        out: folder for them.
        recipes: names of recipes.

    Raises:
        InputError: if there are no two photographs, two have the same name but for the suffix, or the composites there
            are of others.
    """
    files = find_images(photos)
    if len(files) < 2:
        raise InputError(f"{photos} holds one photograph, which has no other to reflect; give two or more")
    for first, second in pairwise(sorted(files, key=lambda path: path.stem)):
        if first.stem == second.stem:
            raise InputError(f"{first} and {second.name} have the same name; keep one of them")
    told = {"photos": [path.name for path in files], "bytes": [path.stat().st_size for path in files]}
    folders = []
    for name in recipes:
        folder = out / f"composites-{name}"
        if not (folder / _MANIFEST).exists():
            _write(folder, _Photos(files), RECIPES[name], files)
            with whole_file(folder / _MANIFEST) as partial:
                partial.write_text(json.dumps(told) + "\n")
        elif (folder / _MANIFEST).read_bytes() != f"{json.dumps(told)}\n".encode():
            raise InputError(f"{folder} holds composites of other photographs; give another folder")
        folders.append(folder)
    return folders


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


def _write(folder: Path, photos: Sequence[Tensor], recipe: Recipe, files: Sequence[Path]) -> None:
    shutil.rmtree(folder, ignore_errors=True)  # what a process left that was killed as it wrote
    for layer in ("ambient", "transmission"):
        (folder / layer).mkdir(parents=True)
    for made in composites(recipe, photos):
        name = f"{files[made.number].stem}.png"
        write_pixels(folder / "ambient" / name, to_bytes(made.ambient))
        write_pixels(folder / "transmission" / name, to_bytes(made.truth))

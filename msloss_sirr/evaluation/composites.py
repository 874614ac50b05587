"""Composites that are always the same: photographs, each behind a reflection of another."""

import json
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from msloss_sirr.errors import InputError
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

    Args:
        recipe: makes them, as it is published.
        photos: ``(3, H, W)`` each in [0, 1]; two are cut to the size that they share.
    """
    for number, scene in enumerate(photos):
        other = photos[(number + _APART) % len(photos)]
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
        InputError: if there are no photographs, or the composites there are of others.
    """
    files = find_images(photos)
    told = {"photos": [path.name for path in files], "bytes": [path.stat().st_size for path in files]}
    folders = []
    for name in recipes:
        folder = out / f"composites-{name}"
        if not (folder / _MANIFEST).exists():
            _write(folder, [to_float(read_pixels(path)) for path in files], RECIPES[name], files)
            (folder / _MANIFEST).write_text(json.dumps(told) + "\n")
        elif json.loads((folder / _MANIFEST).read_text()) != told:
            raise InputError(f"{folder} holds composites of other photographs; give another folder")
        folders.append(folder)
    return folders


def _write(folder: Path, photos: Sequence[Tensor], recipe: Recipe, files: Sequence[Path]) -> None:
    shutil.rmtree(folder, ignore_errors=True)  # what a process left that was killed as it wrote
    for layer in ("ambient", "transmission"):
        (folder / layer).mkdir(parents=True)
    for made in composites(recipe, photos):
        name = f"{files[made.number].stem}.png"
        write_pixels(folder / "ambient" / name, to_bytes(made.ambient))
        write_pixels(folder / "transmission" / name, to_bytes(made.truth))

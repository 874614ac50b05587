"""Composites that are always the same: photographs, each behind a reflection of another."""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

from torch import Tensor

from msloss_sirr.errors import InputError
from msloss_sirr.evaluation.fixed import FixedPair, write_fixed
from msloss_sirr.images.listing import find_images
from msloss_sirr.synthesis.recipes import RECIPES, Recipe

_APART = 7


def composites(recipe: Recipe, photos: Sequence[Tensor]) -> Iterator[FixedPair]:
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
            yield FixedPair(number, made.ambient[0], made.layers.transmission[0])


def write_composites(photos: Path, out: Path, recipes: Iterable[str] = tuple(RECIPES)) -> list[Path]:
    """Write composites as folders of pairs, ``out/composites-RECIPE``, unless they are there, and return these.

    Args:
        photos: folder of photographs without reflections.
        out: folder for them.
        recipes: names of recipes.

    Raises:
        InputError: if there are no two photographs, two have the same name but for the suffix, or the composites there
            are of others, or made otherwise.
    """
    if len(find_images(photos)) < 2:
        raise InputError(f"{photos} holds one photograph, which has no other to reflect; give two or more")
    return [
        write_fixed(photos, out / f"composites-{name}", name, partial(composites, RECIPES[name])) for name in recipes
    ]

"""A table of what reflections do to the pictures of several sets."""

import random
from collections.abc import Iterator
from pathlib import Path

import torchvision.transforms.v2.functional as transforms
from torch import Tensor

from msloss_sirr.data.draws import Draws
from msloss_sirr.data.folders import Images, Pairs, photo_folder
from msloss_sirr.data.loader import collate
from msloss_sirr.data.reflections import Reflections
from msloss_sirr.data.sources import open_pairs
from msloss_sirr.data.statistics import ReflectionStatistics, SetStatistics, set_statistics
from msloss_sirr.errors import InputError
from msloss_sirr.images.reading import to_bytes, to_float
from msloss_sirr.refgan.config import RefganCompareConfig
from msloss_sirr.refgan.generate import Window
from msloss_sirr.synthesis.recipes import RECIPES, Composite, Recipe
from msloss_sirr.synthesis.transplant import transplant

_LEAST = 3


def compare(config: RefganCompareConfig) -> str:
    """Return the statistics of I - T of sets of pairs as a table: the mean over pairs, and their standard deviation.

    Raises:
        InputError: if no set is given, or one cannot be used.
    """
    if not config.sets:
        raise InputError("no sets given; name folders of pairs")
    sets = {text: open_pairs(text) for text in config.sets}
    found = {name: set_statistics(_resized(pairs, config, name)) for name, pairs in sets.items()}
    if config.photos is not None:
        found |= _recipes(config.photos, next(iter(sets.values())), config)
    rows = [["set", "pairs", *ReflectionStatistics._fields]]
    rows += [_row(name, statistics) for name, statistics in found.items()]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    return "\n".join([lines[0], "| " + " | ".join("-" * width for width in widths) + " |", *lines[1:]])


def _row(name: str, statistics: SetStatistics) -> list[str]:
    values = zip(statistics.mean, statistics.spread, strict=True)
    return [name, str(statistics.pairs), *(f"{mean:.3f} ± {spread:.3f}" for mean, spread in values)]


def _resized(pairs: Pairs, config: RefganCompareConfig, name: str) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield pairs I, T in [0, 1], as many and as large as asked for."""
    count = len(pairs) if config.limit is None else min(config.limit, len(pairs))
    for turn in range(count):
        pair = pairs[turn * len(pairs) // count]
        images = (to_float(pair.ambient), to_float(pair.transmission))
        if config.side is not None:
            ambient, transmission = (transforms.resize(image, [config.side], antialias=True) for image in images)
        else:
            ambient, transmission = images
        if min(ambient.shape[1:]) < _LEAST:
            raise InputError(f"{name} holds pictures of less than {_LEAST} pixels a side; give --side")
        yield ambient, transmission


def _recipes(folder: Path, pairs: Pairs, config: RefganCompareConfig) -> dict[str, SetStatistics]:
    """Return the statistics of what each recipe makes of photos, ``transplant`` with the reflections of pairs.

    A recipe that rejects all it made has none.
    """
    photos = photo_folder(folder)
    made = {name: list(_made(photos, recipe, config)) for name, recipe in RECIPES.items()}
    made["transplant"] = list(_made(photos, transplant, config, pairs))
    return {name: set_statistics(each) for name, each in made.items() if each}


def _made(
    photos: Images, recipe: Recipe, config: RefganCompareConfig, pairs: Pairs | None = None
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield pairs I, T in [0, 1] of 8 bits, made by a recipe from two photos, or a photo and the reflection of a pair.

    What the recipe would rather reject is left out.
    """
    side = config.side or 256
    reflections = None if pairs is None else Reflections(pairs)
    draws = Draws(length=config.limit or 200, crop=side, photos=photos, seed=0)
    for turn in range(len(draws)):
        draw = collate([draws[turn]])
        for what in draw.damaged:
            raise InputError(what)
        second = to_float(draw.second) if reflections is None else _reflection(reflections, turn, side)
        made: Composite = recipe(to_float(draw.first), second, draw.seed.tolist())
        if bool(made.kept):
            ambient, transmission = (to_float(to_bytes(part[0])) for part in (made.ambient, made.layers.transmission))
            yield ambient, transmission


def _reflection(reflections: Reflections, turn: int, side: int) -> Tensor:
    """Return a random part of the reflection of a pair, or of the next that has one, ``(1, 3, side, side)``."""
    for number in range(turn, turn + len(reflections)):
        reflection = reflections[number % len(reflections)]
        if reflection is not None:
            window = Window.drawn(random.Random(turn), reflection, (side, side))  # noqa: S311
            return to_float(window.cut(reflection, (side, side)))[None]
    raise InputError("none of the first set's pairs shows one scene twice; no reflection can be taken out of them")

"""Draw the contact sheets of the documentation: what each recipe makes of photographs, and what glass and cameras add.

The photographs are those that travel inside scikit-image. A real pair may not be passed on, so that of the sheet of
`transplant` is made, too.

python docs/draw_recipes.py docs/images
"""

import argparse
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import skimage
import torch
import torch.nn.functional as F
import torchvision.transforms.v2.functional as transforms
from PIL import Image
from torch import Tensor

from msloss_sirr.images.reading import read_pixels, to_bytes, to_float
from msloss_sirr.images.sheet import strip
from msloss_sirr.synthesis.glass import GlassConfig, through
from msloss_sirr.synthesis.recipes import RECIPES, Composite, linear
from msloss_sirr.synthesis.transplant import reflection_of, transplant

PAIRS = (("coffee.png", "astronaut.png"), ("rocket.jpg", "motorcycle_left.png"), ("chelsea.png", "coffee.png"))
SEEDS = (1, 2, 3)
EFFECTS = {  # their titles, and the share of the picture that shows them
    "ghosting": ("ghosting", 0.5),
    "local": ("local", 1.0),
    "lighting": ("lighting", 1.0),
    "tint": ("tint", 1.0),
    "noise": ("noise", 0.25),
    "jpeg": ("JPEG", 0.25),
}
LABEL = 20


class Panel(NamedTuple):
    """A picture ``(3, H, W)`` in [0, 1], and what is written above it."""

    title: str
    image: Tensor


def photo(name: str, side: int) -> Tensor:
    """Return the middle of one of scikit-image's photographs, ``(1, 3, side, side)`` in [0, 1]."""
    pixels = read_pixels(Path(skimage.__file__).parent / "data" / name)
    return to_float(transforms.center_crop(transforms.resize(pixels, [side], antialias=True), [side, side]))[None]


def shown(made: Composite, seed: int) -> list[Panel]:
    """Return the panels of a composite and its reflection."""
    name = f"I, seed {seed}" if made.kept else f"I, seed {seed}, rejected"
    return [Panel(name, made.ambient[0]), Panel(f"R = I - T, seed {seed}", made.layers.reflection[0])]


def recipe_sheet(name: str, side: int) -> list[list[Panel]]:
    """Return the panels of a recipe, row by row: two photographs, and what it makes of them by several seeds."""
    rows = []
    for behind, before in PAIRS:
        scene, mirrored = photo(behind, side), photo(before, side).flip(3)
        row = [Panel("scene", scene[0]), Panel("mirrored", mirrored[0])]
        for seed in SEEDS:
            row += shown(RECIPES[name](scene, mirrored, [seed]), seed)
        rows.append(row)
    return rows


def transplant_sheet(side: int) -> list[list[Panel]]:
    """Return the panels of `transplant`: a pair, made, the reflection taken out of it, and that on another scene."""
    rows = []
    for (behind, before), (other, _) in zip(PAIRS, (PAIRS[2], *PAIRS[:2]), strict=True):
        pair = linear(photo(behind, side), photo(before, side).flip(3), [1], sharp=1.0)
        reflection, scene = reflection_of(pair.ambient, pair.layers.transmission), photo(other, side)
        row = [
            Panel("I of a made pair", pair.ambient[0]),
            Panel("T of the pair", pair.layers.transmission[0]),
            Panel("R taken out", reflection[0]),
            Panel("scene", scene[0]),
        ]
        for seed in (0, 1):
            row += shown(transplant(scene, reflection.flip(3), [seed]), seed)
        rows.append(row)
    return rows


def glass_sheet(side: int) -> list[list[Panel]]:
    """Return the panels of what glass and cameras add, an effect a row, beside the same composites without it."""
    scene, mirrored = photo("rocket.jpg", side), photo("astronaut.png", side).flip(3)
    rows = []
    for effect, (title, share) in EFFECTS.items():
        part = slice(side // 4, side // 4 + round(side * share)) if share < 1 else slice(None)
        recipe = through(GlassConfig(**{effect: 1.0}), sharp)
        row = []
        for seed in SEEDS:
            made = recipe(scene, mirrored, [seed])
            row.append(Panel(f"without, seed {seed}", sharp(scene, mirrored, [seed]).ambient[0]))
            row.append(Panel(f"{title}, seed {seed}", made.ambient[0]))
        row.append(Panel(f"T, seed {SEEDS[-1]}", made.layers.transmission[0]))
        rows.append([Panel(name, enlarged(image[:, part, part], side)) for name, image in row])
    return rows


def sharp(scene: Tensor, mirrored: Tensor, seeds: Sequence[int]) -> Composite:
    """Reflect as `linear` does, in focus."""
    return linear(scene, mirrored, seeds, sharp=1.0)


def enlarged(image: Tensor, side: int) -> Tensor:
    """Return a picture with every pixel a square."""
    return F.interpolate(image[None], (side, side), mode="nearest")[0]


def sheet(rows: Iterable[Iterable[Panel]]) -> Image.Image:
    """Return rows of panels as one picture."""
    return Image.fromarray(
        to_bytes(torch.cat([torch.cat([titled(*each) for each in row], 2) for row in rows], 1)).permute(1, 2, 0).numpy()
    )


def titled(title: str, image: Tensor) -> Tensor:
    """Return a picture under its title, with a margin."""
    label = to_float(strip(title, image.shape[2], height=LABEL))
    return F.pad(torch.cat([label, image], dim=1), (0, 4, 0, 4), value=1.0)


SHEETS: dict[str, Callable[[int], list[list[Panel]]]] = {
    **{name: lambda side, name=name: recipe_sheet(name, side) for name in RECIPES},
    "transplant": transplant_sheet,
    "glass": glass_sheet,
}


def main() -> None:
    """Draw all sheets."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder to write them to")
    parser.add_argument("--side", type=int, default=176, help="of a panel, in pixels")
    options = parser.parse_args()
    for name, panels in SHEETS.items():
        sheet(panels(options.side)).save(options.folder / f"recipe-{name}.jpg", quality=84, optimize=True)


if __name__ == "__main__":
    main()

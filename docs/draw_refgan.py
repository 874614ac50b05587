"""Draw what a RefGAN generator makes of the photographs that travel inside scikit-image.

python docs/draw_refgan.py --checkpoint FILE [--out docs/images/refgan.jpg]
"""

import argparse
from pathlib import Path

import skimage
import torch
import torch.nn.functional as F
import torchvision.transforms.v2.functional as transforms
from torch import Tensor

from msloss_sirr.images.reading import read_pixels, to_float
from msloss_sirr.images.sheet import strip
from msloss_sirr.images.writing import write_pixels
from msloss_sirr.refgan.checkpoint import load_generator
from msloss_sirr.refgan.generator import Generator
from msloss_sirr.refgan.pairs import Example
from msloss_sirr.refgan.sheet import contact_sheet
from msloss_sirr.refgan.style import training_style
from msloss_sirr.synthesis.recipes import linear

PHOTOS = ("astronaut.png", "chelsea.png", "coffee.png", "motorcycle_left.png", "rocket.jpg")
SIDE = 160
STRIP = 24


def photos() -> Tensor:
    """Return the middle squares of the photographs, ``(N, 3, 160, 160)`` in [0, 1]."""
    folder = Path(skimage.__file__).parent / "data"
    small = (transforms.resize(read_pixels(folder / name), [SIDE], antialias=True) for name in PHOTOS)
    return torch.stack([to_float(transforms.center_crop(image, [SIDE, SIDE])) for image in small])


def draw(generator: Generator) -> Tensor:
    """Return the sheet, ``(3, H, W)`` uint8: each photograph behind reflections of the others."""
    scenes = photos()
    seeds = range(len(scenes))
    composite = linear(scenes, scenes.roll(1, 0), seeds)
    transmission = composite.layers.transmission
    style = training_style(generator.config.style, composite.ambient, transmission, seeds)
    sheet = contact_sheet(generator, Example(transmission, style, composite.ambient))
    made = 1 if style is None else 3
    names = ["T", "I by the recipe", *(f"I by RefGAN, {i + 1}" for i in range(made))]
    titles = [*names, *(f"{name.replace('I', 'I - T', 1)}" for name in names[1:])]
    labels = torch.cat([strip(title, SIDE + 2, height=STRIP, size=14) for title in titles], dim=2)
    return torch.cat([F.pad(labels, (0, 2), value=255), sheet], dim=1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, required=True, help="a file that msloss-sirr refgan train wrote")
    parser.add_argument("--out", type=Path, default=Path("docs/images/refgan.jpg"), help="picture to write")
    options = parser.parse_args()
    write_pixels(options.out, draw(load_generator(options.checkpoint)))

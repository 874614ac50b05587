"""Draw the picture of the front page: the remover in the package on the median of sixty composites.

Every photograph that travels inside scikit-image and the demo uses stands behind a reflection of every other, by three
recipes; of these the one that gains the median is drawn, so that it is neither the best nor the worst.

python docs/draw_front.py docs/images/front.jpg
"""

import sys
from itertools import product
from pathlib import Path
from typing import NamedTuple

import skimage
import torch
import torchvision.transforms.v2.functional as transforms
from PIL import Image
from torch import Tensor

from msloss_sirr import Evaluation, Remover, score
from msloss_sirr.images.reading import read_pixels, to_bytes, to_float
from msloss_sirr.synthesis.recipes import RECIPES, Composite

PHOTOS = ("astronaut.png", "chelsea.png", "coffee.png", "motorcycle_left.png", "rocket.jpg")
SIDE = 240
MARGIN = 6


class Judged(NamedTuple):
    """A composite, what the remover makes of it, and what that scores."""

    composite: Composite
    estimate: Tensor
    scores: Evaluation

    @property
    def gain(self) -> float:
        """How much better the estimate is, in dB."""
        return self.scores.after.psnr - self.scores.before.psnr


def photo(name: str) -> Tensor:
    """Return one of the photographs, reduced, ``(1, 3, 240, W)`` in [0, 1]."""
    pixels = read_pixels(Path(skimage.__file__).parent / "data" / name)
    return to_float(transforms.resize(pixels, [SIDE], antialias=True))[None]


@torch.no_grad()
def judged(remover: Remover, recipe: str, behind: str, before: str) -> Judged:
    """Return what the remover makes of one photograph behind a reflection of another."""
    scene, mirrored = photo(behind), photo(before)
    width = min(scene.shape[3], mirrored.shape[3])
    seed = len(PHOTOS) * PHOTOS.index(behind) + PHOTOS.index(before)
    made = RECIPES[recipe](scene[..., :width], mirrored[..., :width], [seed])
    estimate, truth = remover(made.ambient).transmission.clamp(0, 1), made.layers.transmission
    scores = Evaluation(score(made.ambient[0], truth[0]), score(estimate[0], truth[0]))
    return Judged(made, estimate, scores)


def median(remover: Remover) -> Judged:
    """Return the composite whose gain is the lower median of all."""
    pairs = ((recipe, *pair) for recipe, *pair in product(RECIPES, PHOTOS, PHOTOS) if pair[0] != pair[1])
    every = sorted((judged(remover, *names) for names in pairs), key=lambda each: each.gain)
    return every[(len(every) - 1) // 2]


def draw(one: Judged) -> Image.Image:
    """Return the photograph, the estimate and the truth side by side."""
    panels = [to_bytes(image[0]) for image in (one.composite.ambient, one.estimate, one.composite.layers.transmission)]
    gap = torch.full((3, SIDE, MARGIN), 255, dtype=torch.uint8)
    row = torch.cat([panels[0], gap, panels[1], gap, panels[2]], dim=2)
    return Image.fromarray(row.permute(1, 2, 0).numpy())


if __name__ == "__main__":
    draw(median(Remover.from_pretrained())).save(sys.argv[1], quality=88, optimize=True)

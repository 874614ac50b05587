"""What a remover does: to real pairs, to photographs without a reflection, and to composites with a fixed seed.

    python tests/benchmarks/bench_remover.py --pairs VAL --photos PHOTOS [--checkpoint FILE] [--flip] [--json FILE]

Whole RGB images in 8 bits at their stored size, as `score` measures. Composites: photograph i behind a reflection of
photograph i + 7, both cut to the size that they share, by each recipe as it is published, with seed i.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from msloss_sirr import Evaluation, Remover, evaluate, score
from msloss_sirr.data.sources import open_pairs
from msloss_sirr.evaluation.composites import composites
from msloss_sirr.images.listing import find_images
from msloss_sirr.images.reading import read_pixels, to_float
from msloss_sirr.models.ensemble import FlipEnsemble
from msloss_sirr.synthesis.recipes import RECIPES, Recipe

_WORSE = 0.5
_MOST = 100.0
"""dB that a photograph counts with which is left as it is: infinity would make the mean so."""


def main() -> None:
    """Measure, print a line for each, and write them as JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=Path, help="folder of ambient/NAME and transmission/NAME")
    parser.add_argument("--photos", type=Path, help="folder of photographs without reflections")
    parser.add_argument("--checkpoint", type=Path, help="remover; the default is the one in the package")
    parser.add_argument("--flip", action="store_true", help="average with the estimate of the mirror image")
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    options = parser.parse_args()
    remover: Remover | FlipEnsemble = Remover.from_pretrained(options.checkpoint)
    if options.flip:
        remover = FlipEnsemble(remover)
    found: dict[str, Any] = {}
    if options.pairs is not None:
        found["real pairs"] = summary(evaluate(remover, open_pairs(options.pairs)))
    if options.photos is not None:
        photos = [to_float(read_pixels(path)) for path in find_images(options.photos)]
        kept = [min(_MOST, score(estimate(remover, photo), photo).psnr) for photo in photos]
        found["clean photographs"] = {"images": len(kept), "psnr": sum(kept) / len(kept), "least": min(kept)}
        for name, recipe in RECIPES.items():
            found[f"composites, {name}"] = summary(scored(remover, recipe, photos))
    for name, figures in found.items():
        print(f"{name}: {', '.join(f'{what} {value:.4g}' for what, value in figures.items())}")
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(found, indent=2) + "\n")


@torch.no_grad()
def estimate(remover: Remover | FlipEnsemble, image: Tensor) -> Tensor:
    """Return the estimated transmission of one image ``(3, H, W)``."""
    return remover(image[None]).transmission[0]


def scored(remover: Remover | FlipEnsemble, recipe: Recipe, photos: Sequence[Tensor]) -> list[Evaluation]:
    """Return the scores on composites of photographs; those that the recipe rejects are left out."""
    return [
        Evaluation(score(made.ambient, made.truth), score(estimate(remover, made.ambient), made.truth))
        for made in composites(recipe, photos)
    ]


def summary(scores: Sequence[Evaluation]) -> dict[str, float]:
    """Return the means of several scores, the gain, and how many images were made worse."""
    gains = [each.after.psnr - each.before.psnr for each in scores]
    columns = {
        "PSNR in": [each.before.psnr for each in scores],
        "PSNR out": [each.after.psnr for each in scores],
        "gain": gains,
        "SSIM in": [each.before.ssim for each in scores],
        "SSIM out": [each.after.ssim for each in scores],
    }
    means = {name: sum(values) / len(values) for name, values in columns.items()}
    return {"images": len(scores), **means, "worse by more than 0.5 dB": sum(gain < -_WORSE for gain in gains)}


if __name__ == "__main__":
    main()

"""Speed of the recipes: images a second on one core, beside the same recipes written with numpy and scipy, in one run.

python tests/benchmarks/bench_synthesis.py --json out/bench_synthesis.json
"""

import argparse
import json
import math
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from scipy.ndimage import gaussian_filter

from msloss_sirr.synthesis.recipes import RECIPES

Image = np.ndarray


def blurred(image: Image, sigma: float, radius: int) -> Image:
    """Blur an image ``(3, H, W)``."""
    return gaussian_filter(image, (0, sigma, sigma), mode="mirror", radius=(0, radius, radius))


def linear(scene: Image, mirrored: Image, random: np.random.Generator, mask: Image) -> tuple[Image, ...]:
    """Zhang et al. 2018, image by image."""
    sigma = random.uniform(1, 5)
    t, r = scene**2.2, blurred(mirrored**2.2, sigma, math.ceil(2 * sigma))
    total, attenuation = t + r, random.uniform(1.08, 1.18)
    for channel in range(3):
        over = total[channel] > 1
        mean = max(1.0, total[channel].sum(where=over) / (over.sum() + 1e-6))
        r[channel] -= (mean - 1) * attenuation
    height, width = scene.shape[1:]
    top, left = (int(random.integers(0, mask.shape[0] - side - 10)) for side in (height, width))
    r = r.clip(0, 1) * mask[top : top + height, left : left + width]
    t = t * random.uniform(0.8, 1)
    ambient, transmission = (t + r).clip(0, 1) ** (1 / 2.2), t ** (1 / 2.2)
    return ambient, transmission, (ambient - transmission).clip(0, 1)


def summed(t: Image, r: Image) -> Image:
    """Add, without 1.3 of the mean excess."""
    total = t + r
    if total.max() > 1:
        r = (r - (total[total > 1].mean() - 1) * 1.3).clip(0, 1)
    return (t + r).clip(0, 1)


def clip(scene: Image, mirrored: Image, random: np.random.Generator, mask: Image) -> tuple[Image, ...]:
    """CEILNet, image by image."""
    ambient = summed(scene, blurred(mirrored, random.uniform(2, 5), 5))
    return ambient, scene, (ambient - scene).clip(0, 1)


def screen(scene: Image, mirrored: Image, random: np.random.Generator, mask: Image) -> tuple[Image, ...]:
    """DSRNet, image by image."""
    r = blurred(mirrored, random.uniform(2, 5), int(random.choice([2, 3, 4, 5], p=[0.1, 0.2, 0.3, 0.4])))
    t, r = random.uniform(0.8, 1) * scene, random.uniform(0.4, 1) * r
    ambient = t + r - t * r if random.random() < 0.7 else summed(t, r)
    return ambient, t, (ambient - t).clip(0, 1)


BY_HAND = {"linear": linear, "clip": clip, "screen": screen}


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=3.0, help="for each of the six")
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    options = parser.parse_args()
    torch.set_num_threads(1)
    random = np.random.default_rng(0)
    scenes, mirrored = (random.random((options.batch, 3, options.size, options.size), np.float32) for _ in range(2))
    edge = np.exp(-(np.linspace(-3, 3, max(560, options.size + 20), dtype=np.float32) ** 2) / 4)
    mask, tensors = np.outer(edge, edge), (torch.from_numpy(scenes), torch.from_numpy(mirrored))

    def ours(name: str) -> None:
        RECIPES[name](*tensors, range(options.batch))

    def by_hand(name: str) -> None:
        for scene, other in zip(scenes, mirrored, strict=True):
            BY_HAND[name](scene, other, random, mask)

    rows = {}
    print("| recipe | images/s a core | numpy and scipy | ratio |\n| --- | --- | --- | --- |")
    for name in BY_HAND:
        rates = rates_of([lambda name=name: ours(name), lambda name=name: by_hand(name)], options)
        rows[name] = {"images_per_second": rates[0], "numpy": rates[1], "ratio": rates[0] / rates[1]}
        print(f"| {name} | {rates[0]:.0f} | {rates[1]:.0f} | {rates[0] / rates[1]:.1f} |")
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps({"size": options.size, "batch": options.batch, **rows}, indent=2) + "\n")


def rates_of(runs: list[Callable[[], None]], options: argparse.Namespace) -> list[float]:
    """Return images a second of each, in processor time, taken in turns."""
    spent, images = [0.0] * len(runs), [0] * len(runs)
    for run in runs:
        run()
    while min(spent) < options.seconds:
        for index, run in enumerate(runs):
            start = time.process_time()
            run()
            spent[index] += time.process_time() - start
            images[index] += options.batch
    return [count / seconds for count, seconds in zip(images, spent, strict=True)]


if __name__ == "__main__":
    main()

"""Speed of synthesis: images a second on one core, beside the same recipes written with numpy and scipy, in one run.

These stand beside the recipes twice: with a separable Gaussian, `scipy.ndimage.gaussian_filter`, and with the dense
kernel that published code of the field convolves every channel with, `scipy.signal.convolve2d`. What is given is the
median over calls, taken in turns, in processor time.

python tests/benchmarks/bench_synthesis.py --json out/bench_synthesis.json
"""

import argparse
import json
import math
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from scipy.signal import convolve2d

from msloss_sirr.synthesis import glass
from msloss_sirr.synthesis.chance import Chance
from msloss_sirr.synthesis.recipes import RECIPES
from msloss_sirr.synthesis.transplant import transplant

Image = np.ndarray
Blur = Callable[[Image, float, int], Image]
EFFECTS = (glass.ghosted, glass.covering, glass.relit, glass.tinted, glass.noisy, glass.compressed)


def separable(image: Image, sigma: float, radius: int) -> Image:
    """Blur an image ``(3, H, W)`` across and down."""
    return gaussian_filter(image, (0, sigma, sigma), mode="mirror", radius=(0, radius, radius))


def dense(image: Image, sigma: float, radius: int) -> Image:
    """Blur an image ``(3, H, W)`` with a square kernel, channel by channel."""
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1, dtype=np.float32) / np.float32(sigma)) ** 2)
    kernel = np.outer(weights, weights) / weights.sum() ** 2
    framed = np.pad(image, ((0, 0), (radius, radius), (radius, radius)), mode="reflect")
    return np.stack([convolve2d(channel, kernel, mode="valid") for channel in framed])


def linear(scene: Image, mirrored: Image, random: np.random.Generator, mask: Image, blurred: Blur) -> tuple[Image, ...]:
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


def clip(scene: Image, mirrored: Image, random: np.random.Generator, mask: Image, blurred: Blur) -> tuple[Image, ...]:
    """CEILNet, image by image."""
    ambient = summed(scene, blurred(mirrored, random.uniform(2, 5), 5))
    return ambient, scene, (ambient - scene).clip(0, 1)


def screen(scene: Image, mirrored: Image, random: np.random.Generator, mask: Image, blurred: Blur) -> tuple[Image, ...]:
    """DSRNet, image by image."""
    r = blurred(mirrored, random.uniform(2, 5), int(random.choice([2, 3, 4, 5], p=[0.1, 0.2, 0.3, 0.4])))
    t, r = random.uniform(0.8, 1) * scene, random.uniform(0.4, 1) * r
    ambient = t + r - t * r if random.random() < 0.7 else summed(t, r)
    return ambient, t, (ambient - t).clip(0, 1)


BY_HAND = {"linear": linear, "clip": clip, "screen": screen}


def main() -> None:
    """Measure, and print tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--batch", type=int, nargs="+", default=[4, 16])
    parser.add_argument("--turns", type=int, default=20, help="how often each is measured, for a twentieth of a second")
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    options = parser.parse_args()
    torch.set_num_threads(1)
    figures = {f"batch {batch}": measured(batch, options.size, options.turns) for batch in options.batch}
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps({"size": options.size, **figures}, indent=2) + "\n")


def measured(batch: int, size: int, turns: int) -> dict[str, dict[str, float]]:
    """Print and return images a second in batches of so many."""
    random = np.random.default_rng(0)
    scenes, mirrored = (random.random((batch, 3, size, size), np.float32) for _ in range(2))
    scene, other = torch.from_numpy(scenes), torch.from_numpy(mirrored)
    edge = np.exp(-(np.linspace(-3, 3, max(560, size + 20), dtype=np.float32) ** 2) / 4)
    mask = np.outer(edge, edge)
    seed = 0

    def seeds() -> range:
        nonlocal seed
        seed += batch
        return range(seed, seed + batch)

    def by_hand(name: str, blurred: Blur, images: int) -> int:
        for behind, before in zip(scenes[:images], mirrored[:images], strict=True):
            BY_HAND[name](behind, before, random, mask, blurred)
        return images

    def ours(recipe: Callable[..., object]) -> int:
        recipe(scene, other, seeds())
        return batch

    def effect(change: glass.Change) -> int:
        change(scene, Chance(seeds(), scene))
        return batch

    rows = {}
    print(f"\nbatches of {batch}, {size} x {size}\n")
    print("| | images/s a core | separable, numpy and scipy | ratio | dense, numpy and scipy | ratio |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name in BY_HAND:
        runs = [
            partial(ours, RECIPES[name]),
            partial(by_hand, name, separable, batch),
            partial(by_hand, name, dense, 1),
        ]
        rate, *others = rates_of(runs, turns)
        rows[name] = {"images_per_second": rate, "separable": others[0], "dense": others[1]}
        print(f"| {name} | {rate:.0f} |" + "".join(f" {each:.0f} | {rate / each:.1f} |" for each in others))
    for name, run in {
        "transplant": partial(ours, transplant),
        **{change.__name__: partial(effect, change) for change in EFFECTS},
    }.items():
        (rate,) = rates_of([run], turns)
        rows[name] = {"images_per_second": rate}
        print(f"| {name} | {rate:.0f} | | | | |")
    return rows


def rates_of(runs: list[Callable[[], int]], turns: int) -> list[float]:
    """Return images a second of each, in processor time."""
    spent: list[list[float]] = [[] for _ in runs]
    for turn in range(turns + 1):
        for run, times in zip(runs, spent, strict=True):
            begun = time.process_time()
            while (start := time.process_time()) - begun < 0.05:
                images = run()
                if turn:
                    times.append((time.process_time() - start) / images)
    return [1 / median(times) for times in spent]


if __name__ == "__main__":
    main()

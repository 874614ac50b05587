"""Speed and memory of a training, beside the same written by hand, in one run.

Images a second of each preset's networks, with the default loss on reflections made by `linear`; the share of the time
that passes waiting for data; and the memory at the peak with one to four steps. The loop by hand calls the networks and
the criterion and adds the losses up, as one would without `msloss`; both are given the same batches, in turns.

python tests/benchmarks/bench_training.py --json out/bench_training.json
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import torch
from PIL import Image

from msloss import MultiStepLoss
from msloss._memory import Peak
from msloss_sirr import DataConfig, Layers, LayersCriterion, LossConfig, Remover
from msloss_sirr.data.batches import Batch, compose
from msloss_sirr.data.loader import DrawBatch, load
from msloss_sirr.data.sources import build_draws
from msloss_sirr.losses.criterion import term_weights
from msloss_sirr.synthesis.making import build_synthesis
from msloss_sirr.training.presets import PRESETS

STEPS = 3
SIZES = {"shipped": (224, 4), "compact": (192, 4), "paper": (336, 1)}
"""Crop and batch of the presets."""


class Figures(NamedTuple):
    """What was measured of a preset."""

    images_per_second: float
    by_hand: float
    """Images a second of the loop by hand."""
    waiting: float
    """Share of the time that passes without a network running."""


def main() -> None:
    """Measure, and print tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", type=int, default=8, help="how many are measured, after one that is not")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--presets", nargs="+", default=list(SIZES), choices=SIZES)
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    options = parser.parse_args()
    found: dict[str, Any] = {}
    print("| preset | images/s | by hand | ratio | waits for data |\n| --- | --- | --- | --- | --- |")
    for name in options.presets:
        ours, by_hand, waiting = speed(name, options.batches, options.device)
        found[name] = {"images_per_second": ours, "by_hand": by_hand, "waiting": waiting}
        print(f"| {name} | {ours:.2f} | {by_hand:.2f} | {ours / by_hand:.2f} | {100 * waiting:.1f} % |")
    print("\n| memory at the peak, MiB | " + " | ".join(f"M = {steps}" for steps in range(1, 5)) + " |")
    print("| --- |" + " --- |" * 4)
    for name in options.presets:
        for how in ("msloss", "by hand"):
            peaks = [peak(name, steps, how, options.device) for steps in range(1, 5)]
            found[name][f"memory, {how}"] = peaks
            print(f"| {name}, {how} | " + " | ".join(f"{bytes_ / 2**20:.0f}" for bytes_ in peaks) + " |")
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(found, indent=2) + "\n")


class Bench:
    """A preset's network, what it is trained on, and how a step of the optimiser is made."""

    def __init__(self, name: str, steps: int, device: str) -> None:
        torch.manual_seed(0)
        config = PRESETS[name]
        crop, self.size = SIZES[name]
        model = {**vars(config.model), "depth": "none"}  # its weights are not to be had everywhere
        self.remover = Remover(type(config.model)(**model)).to(device).to(memory_format=torch.channels_last)
        self.criterion, self.weights = LayersCriterion(), term_weights(LossConfig())
        self.steps, self.device = steps, torch.device(device)
        self.loss = MultiStepLoss(self.remover, self.criterion, steps, weights=self.weights, feedback="transmission")
        self.optimizer = torch.optim.Adam(self.remover.parameters(), lr=1e-4)
        self.synthesis = build_synthesis(DataConfig().synthesis)
        self.crop = crop

    def batch(self, draws: DrawBatch) -> Batch:
        """Return a batch on the device."""
        return compose(draws.on(self.device), self.synthesis)

    def with_msloss(self, batch: Batch) -> None:
        """Make a step of the optimiser."""
        self.loss(batch.ambient.contiguous(memory_format=torch.channels_last), batch.target).backward()
        self._move()

    def by_hand(self, batch: Batch) -> None:
        """Make the same step without msloss."""
        current = batch.ambient.contiguous(memory_format=torch.channels_last)
        target = self.criterion.prepare(batch.target)
        total: Any = 0.0
        for step in range(self.steps):
            output: Layers = self.remover(current)
            for term, value in self.criterion(output, target).items():
                weight = self.weights[term]
                total = total + value * (weight(self.steps)[step] if callable(weight) else weight)
            current = output.transmission
        total.backward()
        self._move()

    def _move(self) -> None:
        self.optimizer.step()
        self.optimizer.zero_grad()
        if self.device.type == "cuda":
            torch.cuda.synchronize()


def speed(name: str, batches: int, device: str) -> Figures:
    """Return the speed of a preset's training with photographs from files, and of the loop by hand."""
    bench = Bench(name, STEPS, device)
    with tempfile.TemporaryDirectory() as folder:
        for number in range(8):
            pixels = torch.randint(
                0, 256, (12, 16, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(number)
            )
            Image.fromarray(pixels.numpy()).resize((640, 480), Image.Resampling.BICUBIC).save(f"{folder}/{number}.jpg")
        config = DataConfig(photos=(Path(folder),), crop=bench.crop)
        draws = build_draws(config, length=(batches + 1) * bench.size, seed=0)
        times: dict[str, list[float]] = {"data": [], "msloss": [], "by hand": []}
        loader = iter(load(draws, bench.size, 0))
        for turn in range(batches + 1):
            start = time.perf_counter()
            batch = bench.batch(next(loader))
            spent = {"data": time.perf_counter() - start}
            for how, step in (("msloss", bench.with_msloss), ("by hand", bench.by_hand)):
                start = time.perf_counter()
                step(batch)
                spent[how] = time.perf_counter() - start
            if turn:
                for what, seconds in spent.items():
                    times[what].append(seconds)
    data, ours, by_hand = (median(times[what]) for what in ("data", "msloss", "by hand"))
    return Figures(bench.size / (data + ours), bench.size / (data + by_hand), data / (data + ours))


def peak(name: str, steps: int, how: str, device: str) -> int:
    """Return the peak of bytes in tensors during a step of the optimiser, beside what is there before it."""
    bench = Bench(name, steps, device)
    images = torch.rand(3, bench.size, 3, bench.crop, bench.crop, device=device)
    batch = Batch(images[0], Layers(images[1], images[2]))
    step = bench.with_msloss if how == "msloss" else bench.by_hand
    step(batch)  # the optimiser has its moments now
    memory = Peak(bench.device)
    with memory.measured():
        step(batch)
    return memory.bytes


if __name__ == "__main__":
    main()

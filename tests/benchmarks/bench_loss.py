"""Time and memory of ``MultiStepLoss`` beside the loop written by hand, in one run.

Memory is the peak of bytes in live tensors, counted at every operation on a CPU and by the allocator on a GPU; time is
the median over alternating rounds. Ratios are what to quote; both sides of a ratio come from the same run on the same
machine.

    python tests/benchmarks/bench_loss.py --json out/bench.json
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn

from msloss import MultiStepLoss
from msloss._memory import Peak
from msloss_sirr.losses.features import Backbone, FeatureLoss
from msloss_sirr.models.unet import UNet

Loss = Callable[[Tensor, Tensor], Tensor]

MODES: dict[str, dict[str, Any]] = {
    "default": {},
    "checkpoint=True": {"checkpoint": True},
    "truncate=1": {"truncate": 1},
}
STEP = 0.020
"""Seconds of the training step that the overhead is a share of."""


class Criterion(nn.Module):
    """Pixels and VGG19 features up to conv4_1; random weights cost as much as trained ones."""

    def __init__(self) -> None:
        super().__init__()
        self.features = FeatureLoss(Backbone(torchvision.models.vgg19(weights=None).features, (0, 19)))

    def prepare(self, target: Tensor) -> tuple[Tensor, list[Tensor]]:
        return target, self.features.prepare(target)

    def forward(self, output: Tensor, target: tuple[Tensor, list[Tensor]]) -> Tensor:
        return F.mse_loss(output, target[0]) + self.features(output, target[1])


def by_hand(
    model: nn.Module, criterion: Callable[..., Tensor], steps: int, *, detached: bool = False, hoisted: bool = False
) -> Loss:
    """Return the loop as one would write it; ``hoisted``, as one would who prepares the target before it."""
    prepare = getattr(criterion, "prepare", lambda target: target)

    def loss(x: Tensor, y: Tensor) -> Tensor:
        total = torch.zeros((), device=x.device)
        target = prepare(y) if hoisted else None
        for _ in range(steps):
            x = model(x.detach() if detached else x)
            total = total + criterion(x, target if hoisted else prepare(y))
        return total

    return loss


class Bench:
    """A model, its data, and how they are measured."""

    def __init__(self, model: nn.Module, x: Tensor, y: Tensor, rounds: int) -> None:
        self.model, self.x, self.y, self.rounds = model, x, y, rounds

    def step(self, loss: Loss) -> None:
        loss(self.x, self.y).backward()
        self.model.zero_grad(set_to_none=True)
        if self.x.is_cuda:
            torch.cuda.synchronize()

    def seconds(self, *losses: Loss) -> list[float]:
        """Return the median time of a step of each, taken in turns."""
        taken: list[list[float]] = [[] for _ in losses]
        for _ in range(self.rounds):
            for which, loss in enumerate(losses):
                start = time.perf_counter()
                self.step(loss)
                taken[which].append(time.perf_counter() - start)
        return [statistics.median(times) for times in taken]

    def peak(self, loss: Loss) -> int:
        """Return the peak of bytes in tensors during a step."""
        memory = Peak(self.x.device)
        with memory.measured():
            self.step(loss)
        return memory.bytes


def compared(bench: Bench, criterion: Criterion, steps: int) -> dict[str, dict[str, float]]:
    """Return time and memory of every mode over those of the loop by hand."""
    rows = {}
    for name, options in MODES.items():
        detached = "truncate" in options
        losses = (
            MultiStepLoss(bench.model, criterion, steps, **options),
            by_hand(bench.model, criterion, steps, detached=detached),
            by_hand(bench.model, criterion, steps, detached=detached, hoisted=True),
        )
        for loss in losses:
            bench.step(loss)  # warm up
        ours, hand, hoisted = bench.seconds(*losses)
        memory, memory_by_hand, memory_hoisted = map(bench.peak, losses)
        rows[name] = {
            "time": ours / hand,
            "time_hoisted": ours / hoisted,
            "memory": memory / memory_by_hand,
            "memory_hoisted": memory / memory_hoisted,
            "seconds": ours,
            "bytes": memory,
        }
    return rows


def growth(bench: Bench, criterion: Criterion) -> dict[str, float]:
    """Return the memory at M = 6 over that at M = 2."""
    peaks = {
        name: [bench.peak(MultiStepLoss(bench.model, criterion, steps, **options)) for steps in (2, 6)]
        for name, options in MODES.items()
    }
    return {name: six / two for name, (two, six) in peaks.items()}


def overhead(device: str) -> dict[str, float]:
    """Return what three steps of a tiny network cost beyond the loop by hand, as a share of a step of 20 ms."""
    model = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 3, 3, padding=1)).to(device)
    x, y = torch.rand(2, 1, 3, 16, 16, device=device)
    bench = Bench(model, x, y, rounds=300)
    names = [name for name in MODES if name != "checkpoint=True"]  # which computes twice, on purpose
    losses = [MultiStepLoss(model, F.mse_loss, **MODES[name]) for name in names]
    hand = [by_hand(model, F.mse_loss, 3, detached=name != "default") for name in names]
    bench.seconds(*losses, *hand)  # warm up
    seconds = bench.seconds(*losses, *hand)
    return {name: (seconds[i] - seconds[i + len(names)]) / STEP for i, name in enumerate(names)}


def main() -> None:
    """Measure, print the tables, and write them as JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--size", type=int, default=256, help="side of the image")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    options = parser.parse_args()

    torch.manual_seed(0)
    shares = overhead(options.device)  # first, before large tensors have come and gone
    model, criterion = UNet(3, 3, (32, 64, 128, 256)).to(options.device), Criterion().to(options.device)
    x, y = torch.rand(2, options.batch, 3, options.size, options.size, device=options.device)
    bench = Bench(model, x, y, options.rounds)
    figures: dict[str, Any] = {
        "settings": {
            "steps": options.steps,
            "batch": options.batch,
            "size": options.size,
            "device": torch.cuda.get_device_name() if x.is_cuda else f"CPU, {torch.get_num_threads()} threads",
            "torch": torch.__version__,
        },
        "compared": compared(bench, criterion, options.steps),
        "growth": growth(bench, criterion),
        "overhead": shares,
    }
    print(", ".join(f"{name} {value}" for name, value in figures["settings"].items()))
    titles = ["time / hand loop", "hoisted", "memory / hand loop", "hoisted", "memory, M = 6 / 2", "overhead / 20 ms"]
    print(f"| {'':15} | {' | '.join(titles)} |")
    print(f"| {'-' * 15} | {' | '.join('-' * len(title) for title in titles)} |")
    for name, row in figures["compared"].items():
        share = f"{100 * figures['overhead'][name]:.1f} %" if name in figures["overhead"] else ""
        cells = [f"{row['time']:.2f}", f"{row['time_hoisted']:.2f}"]
        cells += [f"{row['memory']:.3f}", f"{row['memory_hoisted']:.3f}", f"{figures['growth'][name]:.2f}", share]
        padded = (cell.rjust(len(title)) for cell, title in zip(cells, titles, strict=True))
        print(f"| {name:15} | {' | '.join(padded)} |")
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()

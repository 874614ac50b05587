"""Time and memory of ``MultiStepLoss`` beside the loop written by hand, in one run.

Memory is the peak of bytes in live tensors, counted at every operation; time is the median over alternating rounds.
Ratios are what to quote; both columns of a ratio come from the same run on the same machine.

    python tests/benchmarks/bench_loss.py --json out/bench.json
"""

import argparse
import json
import statistics
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from msloss import MultiStepLoss
from msloss_sirr.losses.features import Backbone, FeatureLoss
from msloss_sirr.models.unet import UNet


class LiveBytes(TorchDispatchMode):
    """Count the bytes of the storages that operations make, as they come and go."""

    def __init__(self) -> None:
        super().__init__()
        self.live = self.peak = 0
        self._known: dict[int, weakref.ref[Any]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(out):
            if isinstance(leaf, Tensor):
                self._count(leaf.untyped_storage())
        return out

    def _count(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self._known:
            return

        def gone(_: Any) -> None:
            self.live -= size
            del self._known[key]

        self._known[key] = weakref.ref(storage, gone)
        self.live += size
        self.peak = max(self.peak, self.live)


class Criterion(nn.Module):
    """Pixels and VGG19 features up to conv4_1; random weights cost as much as trained ones."""

    def __init__(self) -> None:
        super().__init__()
        self.features = FeatureLoss(Backbone(torchvision.models.vgg19(weights=None).features, (0, 19)))

    def prepare(self, target: Tensor) -> tuple[Tensor, list[Tensor]]:
        return target, self.features.prepare(target)

    def forward(self, output: Tensor, target: tuple[Tensor, list[Tensor]]) -> Tensor:
        return F.mse_loss(output, target[0]) + self.features(output, target[1])


def by_hand(model: nn.Module, criterion: Criterion, steps: int, *, detached: bool = False) -> Callable[..., Tensor]:
    """Return the loop as one would write it."""

    def loss(x: Tensor, y: Tensor) -> Tensor:
        total = torch.zeros(())
        for _ in range(steps):
            x = model(x.detach() if detached else x)
            total = total + criterion(x, criterion.prepare(y))
        return total

    return loss


def step(loss: Callable[..., Tensor], model: nn.Module, x: Tensor, y: Tensor) -> None:
    loss(x, y).backward()
    model.zero_grad(set_to_none=True)


def main() -> None:
    """Measure, print the table, and write it as JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--size", type=int, default=256, help="side of the image")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    options = parser.parse_args()

    torch.manual_seed(0)
    model, criterion = UNet(3, 3, (32, 64, 128, 256)), Criterion()
    x, y = torch.rand(2, 1, 3, options.size, options.size)
    hand = by_hand(model, criterion, options.steps)
    cut = by_hand(model, criterion, options.steps, detached=True)
    rows = {
        "default": (MultiStepLoss(model, criterion, options.steps), hand),
        "checkpoint=True": (MultiStepLoss(model, criterion, options.steps, checkpoint=True), hand),
        "truncate=1": (MultiStepLoss(model, criterion, options.steps, truncate=1), cut),
    }
    figures = {}
    threads = torch.get_num_threads()
    print(f"M = {options.steps}, {options.size}x{options.size}, torch {torch.__version__}, {threads} threads")
    print(f"{'':16}{'time / by hand':>16}{'memory / by hand':>18}")
    for name, pair in rows.items():
        for loss in pair:
            step(loss, model, x, y)  # warm up
        seconds: list[list[float]] = [[], []]
        for _ in range(options.rounds):
            for which, loss in enumerate(pair):
                start = time.perf_counter()
                step(loss, model, x, y)
                seconds[which].append(time.perf_counter() - start)
        peaks = []
        for loss in pair:
            with LiveBytes() as memory:
                step(loss, model, x, y)
            peaks.append(memory.peak)
        ours, theirs = map(statistics.median, seconds)
        figures[name] = {"time": ours / theirs, "memory": peaks[0] / peaks[1], "seconds": ours, "bytes": peaks[0]}
        print(f"{name:16}{ours / theirs:16.2f}{peaks[0] / peaks[1]:18.2f}")
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()

"""The pairs that a training is judged by."""

from collections.abc import Callable

import torch
from torch import nn

from msloss_sirr.data.folders import Pairs
from msloss_sirr.depth.source import DepthSource
from msloss_sirr.errors import InputError
from msloss_sirr.evaluation.scores import SMALLEST_SIDE, Evaluation, evaluate
from msloss_sirr.layers import Layers
from msloss_sirr.trainer.loop import Trainer


class Validation:
    """Scores networks on pairs, each process its share of them.

    Args:
        pairs: what is scored; all are decoded once, so that one which cannot be scored ends the run before it begins.
        trainer: of the training.

    Raises:
        InputError: if a pair cannot be scored.
    """

    def __init__(self, pairs: Pairs, trainer: Trainer) -> None:
        for index in range(len(pairs)):
            height, width = pairs[index].ambient.shape[1:]
            if min(height, width) < SMALLEST_SIDE:
                raise InputError(
                    f"validation pair {index} is {width}x{height}; {SMALLEST_SIDE} pixels a side is the least"
                )
        self.pairs = pairs
        self._trainer = trainer

    def score(self, network: nn.Module, depth: DepthSource | None, seen: Callable[[int, Layers], None]) -> Evaluation:
        """Return the mean scores of a network over all pairs.

        Args:
            network: a remover.
            depth: where the depth comes from that it is guided by.
            seen: called with the number of each pair and its estimate, in the process that has scored it.
        """
        accelerator, progress = self._trainer.accelerator, self._trainer.progress
        share = range(accelerator.process_index, len(self.pairs), accelerator.num_processes)
        progress.validated(0, len(share))

        def shown(index: int, layers: Layers) -> None:
            seen(index, layers)
            progress.validated(share.index(index) + 1, len(share))

        with self._trainer.processes.failing_together():
            scores = evaluate(network, self.pairs, indices=share, device=accelerator.device, source=depth, seen=shown)
        sums = torch.tensor([s.counted for s in scores], dtype=torch.float64).reshape(-1, 4).sum(dim=0)
        if accelerator.num_processes > 1:  # else there is nothing to reduce, and not every device has float64
            sums = accelerator.reduce(sums.to(accelerator.device), reduction="sum")
        return Evaluation.of([float(value) / len(self.pairs) for value in sums])

"""From what is drawn to what the loss of a training is called with."""

from collections.abc import Sequence
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from msloss_sirr.data.batches import Batch, compose
from msloss_sirr.data.draws import Draw, Kind
from msloss_sirr.data.loader import DrawBatch, collate
from msloss_sirr.depth.source import DepthSource, build_source, estimated_depth
from msloss_sirr.devices import send
from msloss_sirr.layers import Layers, Truth
from msloss_sirr.synthesis.making import Synthesis
from msloss_sirr.training.config import TrainConfig
from msloss_sirr.training.distillation import build_teacher


class LossInputs:
    """Makes ambient image, target, and the depth of the ambient image, if any, of what is drawn.

    Args:
        config: the training.
        remover: what is trained; it prepares the depth.
        synthesis: makes reflections on photos, or degrades them otherwise.
        depth: where the depth comes from; ``None`` for what the configuration says.
        accelerator: of the training; depth and teachers are put on its device, and teachers run in its arithmetic.

    Raises:
        InputError: if the depth or a teacher that the configuration asks for cannot be had.
    """

    def __init__(
        self,
        config: TrainConfig,
        remover: Any,
        synthesis: Synthesis,
        depth: DepthSource | None,
        accelerator: Accelerator,
    ) -> None:
        self._tolerance = config.loss.tolerance
        self._remover = remover
        self._synthesis = synthesis
        self._accelerator = accelerator
        self.depth = build_source(config.model.depth, config.depth) if depth is None else depth
        """Where the depth comes from, if the remover is guided by any."""
        if isinstance(self.depth, nn.Module):
            self.depth.to(accelerator.device).eval().requires_grad_(False)
        self._teacher = build_teacher(config.distill, guided=self.depth is not None)
        if self._teacher is not None:
            self._teacher.to(accelerator.device).to(memory_format=torch.channels_last)

    def of(self, draws: DrawBatch) -> tuple[Any, ...]:
        """Return what the loss is called with for a batch of draws, on the device."""
        batch = compose(draws, self._synthesis)
        ambient = batch.ambient.contiguous(memory_format=torch.channels_last)
        depth = estimated_depth(self.depth, ambient, batch.depth)
        guide = () if depth is None else (self._remover.prepare_depth(depth),)
        return ambient, self._target(batch, ambient, depth), *guide

    def of_several(self, draws: Sequence[Draw]) -> tuple[Any, ...]:
        """Return what the loss is called with for some draws."""
        return self.of(collate(list(draws)).on(self._accelerator.device))

    def _target(self, batch: Batch, ambient: Tensor, depth: Tensor | None) -> Layers | Truth:
        """Return what the estimates are held to: the truth, and what a teacher makes of it if there is one."""
        assert batch.kind is not None  # noqa: S101
        if self._teacher is not None:
            with self._accelerator.autocast():
                clean = send(batch.kind == Kind.CLEAN, ambient.device)
                blended: Layers = self._teacher(ambient, batch.target, clean, depth)
            return blended
        if self._tolerance:
            return Truth(batch.target.transmission, batch.target.reflection, batch.kind == Kind.REAL)
        return batch.target

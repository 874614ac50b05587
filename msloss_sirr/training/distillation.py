"""Distillation: removers that were trained before, and that another learns from beside the truth."""

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from msloss_sirr.errors import InputError
from msloss_sirr.layers import Layers
from msloss_sirr.models.checkpoint import shipped_file
from msloss_sirr.models.remover import Remover
from msloss_sirr.training.config import DistillConfig
from msloss_sirr.training.initial_weights import SHIPPED, networks_of


class Teacher(nn.Module):
    """Trained removers, frozen, whose mean estimate is blended into what another is held to.

    ``T* = (1 - share) T + share T'``, of the estimate T' of the ambient image, and R likewise, both cut off at 0 and 1
    as pictures are. Several teachers, of any networks, are one whose estimate is the mean of theirs. They estimate once
    a batch; T* is the same at every step, as T is.

    For the mean squared error, of pixels and of gradients, this is the sum of two losses, ``(1 - share)`` of that to
    the truth and ``share`` of that to the teacher, but for a constant. For the mean absolute error it is not, and is
    chosen for that: the sum is least at whichever of the two weighs more, and a share beyond a half would leave the
    truth without a say. A blend goes from one to the other with the share, whatever the measure, and costs no second
    comparison at every step.

    Args:
        removers: the teachers; put into evaluation mode, in which they stay, and frozen.
        share: of the teacher, above 0, to 1.
    """

    def __init__(self, removers: Sequence[Remover], share: float) -> None:
        super().__init__()
        self.removers = nn.ModuleList(removers)
        self.share = share
        self.requires_grad_(False).eval()

    @torch.no_grad()
    def forward(self, ambient: Tensor, target: Layers, known: Tensor, depth: Tensor | None = None) -> Layers:
        """Return the blend, ``(N, 3, H, W)`` each.

        Args:
            ambient: photographs taken through glass, ``(N, 3, H, W)``.
            target: the layers that they are made of.
            known: ``(N,)`` bool: those to whose truth there is nothing to add, as they have no reflection.
            depth: of the photographs, ``(N, 1, H, W)`` on any scale, if one of them is guided by depth.
        """
        shares = torch.where(known, 0.0, self.share).view(-1, 1, 1, 1).to(target.transmission)
        estimates = [_estimate(cast(Remover, remover), ambient, depth) for remover in self.removers]
        blends = []
        for true, theirs in zip(target, zip(*estimates, strict=True), strict=True):
            mean = torch.stack([each.to(true) for each in theirs]).mean(dim=0)
            blends.append(torch.lerp(true, mean.clamp(0, 1), shares))
        return Layers(*blends)

    def train(self, mode: bool = True) -> "Teacher":
        """Stay in evaluation mode."""
        return super().train(False)


def _estimate(remover: Remover, ambient: Tensor, depth: Tensor | None) -> Layers:
    """Return what one teacher makes of photographs, with the depth that it is guided by."""
    if remover.config.depth == "none":
        depth = None
    layers: Layers = remover(ambient, None if depth is None else remover.prepare_depth(depth))
    return layers


def build_teacher(config: DistillConfig, *, guided: bool) -> Teacher | None:
    """Return the teacher that a configuration tells of, or ``None`` if it names none.

    Args:
        config: which, and its share.
        guided: whether there is a depth of the photographs.

    Raises:
        InputError: if there is no such checkpoint, or the remover in it needs a depth that there is not.
    """
    if not config.teachers:
        return None
    removers = [networks_of(name) for name in config.teachers]
    for name, remover in zip(config.teachers, removers, strict=True):
        if remover.config.depth != "none" and not guided:
            raise InputError(
                f"the teacher {name} is guided by depth, but the remover that is trained by none; give another "
                f"--distill.teachers, or train --model.depth {remover.config.depth}"
            )
    return Teacher(removers, config.share)


def teacher_files(config: DistillConfig) -> list[Path]:
    """Return the files of the teachers."""
    return [shipped_file() if name == SHIPPED else Path(name) for name in config.teachers]

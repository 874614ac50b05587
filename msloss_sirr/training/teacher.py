"""Distillation: a remover that was trained before, and that another learns from beside the truth."""

from pathlib import Path

import torch
from torch import Tensor, nn

from msloss_sirr.errors import InputError
from msloss_sirr.layers import Layers
from msloss_sirr.models.checkpoint import shipped_file
from msloss_sirr.models.remover import Remover
from msloss_sirr.training.beginning import SHIPPED, networks_of
from msloss_sirr.training.config import DistillConfig


class Teacher(nn.Module):
    """A trained remover, frozen, whose estimate is blended into what another is held to.

    ``T* = (1 - share) T + share T'``, of the teacher's estimate T' of the ambient image, and R likewise, both cut off
    at 0 and 1 as pictures are. It estimates once a batch; T* is the same at every step, as T is.

    For the mean squared error, of pixels and of gradients, this is the sum of two losses, ``(1 - share)`` of that to
    the truth and ``share`` of that to the teacher, but for a constant. For the mean absolute error it is not, and is
    chosen for that: the sum is least at whichever of the two weighs more, and a share beyond a half would leave the
    truth without a say. A blend goes from one to the other with the share, whatever the measure, and costs no second
    comparison at every step.

    Args:
        remover: the teacher; put into evaluation mode, in which it stays, and frozen.
        share: of the teacher, above 0, to 1.
    """

    def __init__(self, remover: Remover, share: float) -> None:
        super().__init__()
        self.remover = remover
        self.share = share
        self.requires_grad_(False).eval()

    @torch.no_grad()
    def forward(self, ambient: Tensor, target: Layers, known: Tensor, depth: Tensor | None = None) -> Layers:
        """Return the blend, ``(N, 3, H, W)`` each.

        Args:
            ambient: photographs taken through glass, ``(N, 3, H, W)``.
            target: the layers that they are made of.
            known: ``(N,)`` bool: those to whose truth there is nothing to add, as they have no reflection.
            depth: of the photographs, ``(N, 1, H, W)`` on any scale, if the remover is guided by depth.
        """
        shares = torch.where(known, 0.0, self.share).view(-1, 1, 1, 1).to(target.transmission)
        prepared = None
        if depth is not None and self.remover.config.depth != "none":
            prepared = self.remover.prepare_depth(depth)
        blends = [
            torch.lerp(true, estimate.to(true).clamp(0, 1), shares)
            for true, estimate in zip(target, self.remover(ambient, prepared), strict=True)
        ]
        return Layers(*blends)

    def train(self, mode: bool = True) -> "Teacher":
        """Stay in evaluation mode."""
        return super().train(False)


def build_teacher(config: DistillConfig, *, guided: bool) -> Teacher | None:
    """Return the teacher that a configuration names, or ``None`` if it names none.

    Args:
        config: which, and its share.
        guided: whether there is a depth of the photographs.

    Raises:
        InputError: if there is no such checkpoint, or the remover in it needs a depth that there is not.
    """
    if config.teacher is None:
        return None
    remover = networks_of(config.teacher)
    if remover.config.depth != "none" and not guided:
        raise InputError(
            f"the teacher {config.teacher} is guided by depth, but the remover that is trained by none; give another "
            f"--distill.teacher, or train --model.depth {remover.config.depth}"
        )
    return Teacher(remover, config.share)


def teacher_files(config: DistillConfig) -> list[Path]:
    """Return the file of the teacher, if there is one."""
    if config.teacher is None:
        return []
    return [shipped_file() if config.teacher == SHIPPED else Path(config.teacher)]

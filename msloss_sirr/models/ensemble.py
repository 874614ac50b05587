"""One estimate out of two: of a photograph and of its mirror image."""

from typing import Protocol

import torch
from torch import Tensor

from msloss_sirr.layers import Layers
from msloss_sirr.models.calling import OnImages
from msloss_sirr.models.config import RemoverConfig


class Estimator(Protocol):
    """A `Remover`, or what is called as one."""

    @property
    def config(self) -> RemoverConfig:
        """Return what the networks are made of."""

    def prepare_depth(self, depth: Tensor) -> Tensor:
        """Return what the networks are given of a depth map."""

    def __call__(self, ambient: Tensor, depth: Tensor | None = None, /) -> Layers:
        """Return the estimated layers of ``ambient`` ``(N, 3, H, W)``."""


class FlipEnsemble(OnImages):
    """The mean of what a remover estimates of a photograph, and of its mirror image, turned back.

    Called as a `Remover` is, in twice its time. The estimate of a mirrored photograph is that of the photograph,
    mirrored.

    Args:
        remover: estimates the layers.

    Source: the self-ensemble of Timofte et al., "Seven Ways to Improve Example-Based Single Image Super Resolution",
    CVPR 2016, of two of its eight views: photographs are seldom upside down.
    """

    def __init__(self, remover: Estimator) -> None:
        super().__init__()
        self.remover = remover
        self.config = remover.config
        self.prepare_depth = remover.prepare_depth

    def forward(self, ambient: Tensor, depth: Tensor | None = None) -> Layers:
        """Return the estimated layers of ``ambient`` ``(N, 3, H, W)``."""
        straight = self.remover(ambient, depth)
        mirrored = self.remover(ambient.flip(-1), None if depth is None else depth.flip(-1))
        return Layers(*(torch.lerp(a, b.flip(-1), 0.5) for a, b in zip(straight, mirrored, strict=True)))

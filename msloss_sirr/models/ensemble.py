"""Several as one: the estimates of a photograph and of its mirror image, the weights of several removers."""

from collections.abc import Mapping
from copy import deepcopy
from math import inf
from typing import Protocol

import torch
from torch import Tensor

from msloss_sirr.layers import Layers
from msloss_sirr.models.calling import OnImages
from msloss_sirr.models.config import RemoverConfig
from msloss_sirr.models.remover import Remover


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


def mean_remover(removers: Mapping[Remover, float]) -> Remover:
    """Return the remover whose weights are the mean of those of several.

    Of trainings that began at the same remover, the mean often does on unknown photographs what all of them do, and
    errs less than any.

    Args:
        removers: each with how much it counts, relative to the others.

    Raises:
        ValueError: if there are none, they have several configurations, or what they count together is not a number
            greater than 0.

    Source: Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022.
    """
    total = sum(removers.values())
    if len({remover.config for remover in removers}) != 1 or not 0 < total < inf:
        raise ValueError("give removers of one configuration, that count something together")
    mean = deepcopy(next(iter(removers)))  # a new one would draw random numbers
    states = [(remover.state_dict(), share / total) for remover, share in removers.items()]
    mean.load_state_dict({key: sum(share * state[key] for state, share in states) for key in mean.state_dict()})
    return mean.eval()

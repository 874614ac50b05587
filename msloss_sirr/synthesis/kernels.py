"""Kernels of blur, and images convolved with them."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from kornia.filters import filter2d
from torch import Tensor

from msloss_sirr.devices import send
from msloss_sirr.synthesis.portions import portions

_DENSE = 8
"""Points on a stretch of one pixel."""


def line(length: float, angle: float) -> Tensor:
    """Return what becomes of a point that moves at constant speed while the shutter is open.

    Light is shared among the four pixels around each point of the way, by bilinear interpolation.

    Args:
        length: pixels that it passes, 1 or more; with 1 it stays where it is.
        angle: in radians, from the rightward direction, downward.

    Returns:
        ``(2 r + 1, 2 r + 1)`` for half the way r = (length - 1) / 2, rounded up; the weights add up to 1.

    Source: Sun et al., "Learning a Convolutional Neural Network for Non-uniform Motion Blur Removal", CVPR 2015, whose
    kernels are such lines of 1 to 25 pixels.
    """
    half = (length - 1) / 2
    radius = math.ceil(half)
    way = torch.linspace(-half, half, 2 * math.ceil(half * _DENSE) + 1)
    x, y = way * math.cos(angle) + radius, way * math.sin(angle) + radius
    side = 2 * radius + 1
    kernel = torch.zeros(side + 1, side + 1)  # the last row and column are met by no light
    left, top = x.floor().clamp(0, side - 1), y.floor().clamp(0, side - 1)
    across, down = x - left, y - top
    for right, below in ((0, 0), (0, 1), (1, 0), (1, 1)):
        share = (across if right else 1 - across) * (down if below else 1 - down)
        kernel.index_put_((top.long() + below, left.long() + right), share, accumulate=True)
    return kernel[:side, :side] / len(way)


def convolved(images: Tensor, kernels: Sequence[Tensor]) -> Tensor:
    """Return every image convolved with a kernel of its own, borders continued by reflection.

    Args:
        images: ``(N, C, H, W)``, sides greater than half of the kernels.
        kernels: ``(k, k)`` each, k odd, on the processor.
    """
    made = torch.empty_like(images)
    for part in portions(images):
        weights = send(_alike(kernels[part]).to(images.dtype), images.device)
        made[part] = filter2d(images[part], weights, border_type="reflect", behaviour="conv")
    return made


def _alike(kernels: Sequence[Tensor]) -> Tensor:
    """Return kernels with margins of zeros, so that all are as large as the largest, ``(N, k, k)``."""
    side = max(map(len, kernels))
    return torch.stack([F.pad(kernel, ((side - len(kernel)) // 2,) * 4) for kernel in kernels])

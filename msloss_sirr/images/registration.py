"""How far two photographs of one scene are shifted against each other."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from kornia.filters import spatial_gradient
from torch import Tensor

FARTHEST = 16
"""Shifts are looked for up to so many pixels."""
DOUBTFUL = 0.05
"""Likeness below which two photographs do not show one scene, or not at one place.

By chance, two that have nothing in common come to more where sides are shorter than 128 pixels.
"""


class Registration(NamedTuple):
    """Where the second photograph has what the first has, for each of a batch."""

    down: Tensor
    """``(N,)``: pixels that the first is further down."""
    right: Tensor
    """``(N,)``: pixels that the first is further to the right."""
    likeness: Tensor
    """``(N,)``: from 0, nothing in common, to 1, the same picture at another place."""


@torch.no_grad()
def register(first: Tensor, second: Tensor) -> Registration:
    """Return the shift between photographs, to parts of a pixel, by the phases of their gradients.

    A reflection in one of them hardly matters: what counts is the edges that both have.

    Args:
        first: ``(N, 3, H, W)``.
        second: the same shape.

    Source: Argyriou and Vlachos, "Estimation of sub-pixel motion using gradient cross-correlation", Electronics
    Letters 2003.
    """
    height, width = first.shape[-2:]
    window = _window(height, first)[:, None] * _window(width, first)
    one, two = (torch.fft.fft2(_gradient(images) * window) for images in (first, second))
    product = one * two.conj()
    surface = torch.fft.ifft2(product / product.abs().clamp(min=1e-12)).real
    reach = [min(FARTHEST, (length - 1) // 2) for length in (height, width)]
    near = surface.roll(reach, (1, 2))[:, : 2 * reach[0] + 1, : 2 * reach[1] + 1]
    likeness, place = near.flatten(1).max(dim=1)
    row, column = place // near.shape[2], place % near.shape[2]
    number = torch.arange(len(near), device=near.device)
    down = _vertex(near[number, :, column], row) - reach[0]
    right = _vertex(near[number, row, :], column) - reach[1]
    return Registration(down, right, likeness)


def registered(image: Tensor, like: Tensor) -> Tensor:
    """Return photographs ``(N, 3, H, W)`` shifted to where others of the same scene have it; doubtful ones as they are.

    Borders are continued by their last pixels.
    """
    down, right, likeness = register(like, image)
    height, width = image.shape[-2:]
    sure = likeness > DOUBTFUL
    rows = torch.arange(height, device=image.device) - down[:, None]
    columns = torch.arange(width, device=image.device) - right[:, None]
    across = _unit(columns, width)[:, None, :].expand(-1, height, -1)
    grid = torch.stack([across, _unit(rows, height)[:, :, None].expand(-1, -1, width)], dim=3)
    moved = F.grid_sample(image, grid.to(image), mode="bicubic", padding_mode="border", align_corners=True)
    return moved.clamp(0, 1).where(sure.view(-1, 1, 1, 1), image)


def _gradient(images: Tensor) -> Tensor:
    across, down = spatial_gradient(images.mean(1, keepdim=True), mode="diff")[:, 0].unbind(1)
    return torch.complex(across, down)


def _window(length: int, like: Tensor) -> Tensor:
    return torch.hann_window(length + 2, periodic=False)[1:-1].to(like)


def _vertex(values: Tensor, place: Tensor) -> Tensor:
    """Return where the parabola through the greatest of the values ``(N, L)`` and its neighbours has its vertex."""
    inner = place.clamp(1, max(values.shape[1] - 2, 1)).clamp(max=values.shape[1] - 1)
    number = torch.arange(len(values), device=values.device)
    if values.shape[1] < 3:
        return place.to(values)
    left, middle, right = (values[number, inner + step] for step in (-1, 0, 1))
    bend = left - 2 * middle + right
    part = (0.5 * (left - right) / bend.clamp(max=-1e-12)).where((bend < 0) & (inner == place), 0.0)
    return place + part


def _unit(pixels: Tensor, length: int) -> Tensor:
    return 2 * pixels / max(length - 1, 1) - 1

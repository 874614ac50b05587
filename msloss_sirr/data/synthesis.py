"""Reflections made on photographs: recipes from two photos to a photograph taken through glass."""

import math
from collections.abc import Sequence

import torch
from kornia.filters import filter2d_separable
from torch import Tensor

from msloss_sirr.data.batches import Batch
from msloss_sirr.layers import Layers

_GAMMA = 2.2
_SIGMA = (1.0, 5.0)
_KERNEL = 2 * math.ceil(2 * _SIGMA[1]) + 1
_ATTENUATION = (1.08, 1.18)
_TRANSMITTED = (0.8, 1.0)
_VIGNETTE, _VIGNETTE_MARGIN = 560, 10
_VIGNETTE_SPAN = 2 * 3 + 7 / 560  # standard deviations across: three and half a bin either way


def linear(scene: Tensor, mirrored: Tensor, seeds: Sequence[int]) -> Batch:
    """Reflect one photo in front of another, in linear light, as Zhang et al. 2018 do.

    Both photos are taken to linear light by the power 2.2. The mirrored one is blurred (sigma 1 to 5), darkened where
    the sum would overflow, and multiplied by a random window of a Gaussian vignette; the scene is dimmed to between 0.8
    and 1. Their sum goes back by the power 1/2.2.

    Two things are done otherwise than published: the target is the dimmed scene, so that no reflection means I = T,
    and borders are continued by reflection, so that they do not darken. The published rejection of photos by their
    brightness is left out.

    Args:
        scene: ``(N, 3, H, W)``, RGB, sRGB-encoded, [0, 1]; sides of at least 11.
        mirrored: the same shape.
        seeds: one for each image of the batch; the composite is a function of it and the two photos.

    Returns:
        I, T and R in [0, 1], with R = I - T.

    Source: "Single Image Reflection Separation with Perceptual Losses", CVPR 2018, and the code published with it.
    """
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]

    def uniform(low: float, high: float) -> Tensor:
        draws = torch.stack([torch.rand((), generator=g) for g in generators])
        return (low + (high - low) * draws).to(scene).view(-1, 1, 1, 1)

    t, r = scene**_GAMMA, _blur(mirrored**_GAMMA, uniform(*_SIGMA).view(-1))
    overflow = (t + r) * (t + r > 1)
    mean = overflow.sum(dim=(2, 3), keepdim=True) / (overflow > 0).sum(dim=(2, 3), keepdim=True).clamp(min=1)
    r = (r - (mean.clamp(min=1) - 1) * uniform(*_ATTENUATION)).clamp(0, 1)
    r = r * _vignette(uniform(0, 1), uniform(0, 1), *scene.shape[-2:])
    t = t * uniform(*_TRANSMITTED)
    ambient, transmission = ((t + r).clamp(0, 1) ** (1 / _GAMMA)), t ** (1 / _GAMMA)
    return Batch(ambient, Layers(transmission, (ambient - transmission).clamp(0, 1)))


def _blur(images: Tensor, sigma: Tensor) -> Tensor:
    """Blur each image with its own sigma ``(N,)``, by a Gaussian cut off at ceil(2 sigma)."""
    offset = torch.arange(_KERNEL, device=images.device, dtype=images.dtype) - _KERNEL // 2
    kernel = torch.exp(-0.5 * (offset / sigma[:, None]) ** 2) * (offset.abs() <= torch.ceil(2 * sigma[:, None]))
    kernel = kernel / kernel.sum(dim=1, keepdim=True)
    return filter2d_separable(images, kernel, kernel, border_type="reflect")


def _vignette(top: Tensor, left: Tensor, height: int, width: int) -> Tensor:
    """Return a random window of the published Gaussian vignette, 1 at its middle.

    ``top`` and ``left``, ``(N, 1, 1, 1)`` in [0, 1], place the window. The vignette is 560 pixels wide, or as much
    wider as a larger window needs.
    """

    def axis(start: Tensor, length: int) -> Tensor:
        size = max(_VIGNETTE, length + _VIGNETTE_MARGIN)
        pixel = torch.arange(length, device=start.device, dtype=start.dtype)
        position = start * (size - length - _VIGNETTE_MARGIN) + pixel + 0.5
        deviations = (position / size - 0.5) * _VIGNETTE_SPAN
        return torch.exp(-(deviations**2) / 4)  # published as the square root of the product of two Gaussians

    return axis(top, height).transpose(-1, -2) * axis(left, width)

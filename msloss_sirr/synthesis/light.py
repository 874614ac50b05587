"""Light: from encoded pixels to linear light and back, out of focus, and falling off."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from msloss_sirr.devices import send
from msloss_sirr.synthesis.portions import portions

GAMMA = 2.2
"""The power that takes encoded pixels to linear light in the literature of reflection removal."""

_VIGNETTE, _VIGNETTE_MARGIN = 560, 10
_VIGNETTE_SPAN = 2 * 3 + 7 / 560  # standard deviations across: three and half a bin either way
_LANES = 16  # numbers that the widest registers of a processor hold


def linear_light(pixels: Tensor, out: Tensor | None = None) -> Tensor:
    """Return encoded pixels in [0, 1] as linear light, by the power 2.2."""
    return torch.log2(pixels, out=out).mul_(GAMMA).exp2_()  # twice as fast on a processor as the power itself


def encoded(light: Tensor) -> Tensor:
    """Return linear light, clipped to [0, 1], as encoded pixels, by the power 1/2.2."""
    return encode_(light.clamp(0, 1))


def encode_(light: Tensor) -> Tensor:
    """Turn linear light in [0, 1] into encoded pixels where it lies."""
    return light.log2_().mul_(1 / GAMMA).exp2_()


def gaussian(sigma: float, radius: int | None = None) -> list[float]:
    """Return a Gaussian, cut off at a radius, whose weights add up to 1.

    Args:
        sigma: in pixels; 0 is all weight in the middle.
        radius: weights on either side of the middle; ``None`` for ceil(2 sigma).
    """
    radius = math.ceil(2 * sigma) if radius is None else radius
    weights = [math.exp(-0.5 * (offset / sigma) ** 2) if sigma else not offset for offset in range(-radius, radius + 1)]
    return [weight / sum(weights) for weight in weights]


def smeared(images: Tensor, kernels: Sequence[Sequence[float]]) -> Tensor:
    """Return images, each convolved with a kernel of its own across and down, borders continued by reflection.

    Args:
        images: ``(N, C, H, W)``, N at least 1, sides greater than half the largest kernel.
        kernels: an odd number of weights for each image.
    """
    if len(images) == 1 and images.device.type == "cpu" and images.dtype == torch.float32:
        return _smeared_in_lanes(images, kernels[0])
    channels, radius = images.shape[1], max(map(len, kernels)) // 2
    margins = [[0.0] * (radius - len(kernel) // 2) for kernel in kernels]
    rows = [[*margin, *kernel, *margin] for margin, kernel in zip(margins, kernels, strict=True)]
    weights = send(torch.tensor(rows, dtype=images.dtype), images.device).repeat_interleave(channels, dim=0)
    framed = F.pad(images, (radius,) * 4, mode="reflect").flatten(0, 1)[None]
    across = F.conv2d(framed, weights[:, None, None, :], groups=len(weights))
    return F.conv2d(across, weights[:, None, :, None], groups=len(weights)).reshape(images.shape)


def _smeared_in_lanes(image: Tensor, kernel: Sequence[float]) -> Tensor:
    """Do what `smeared` does, with one image on a processor, ``(1, C, H, W)``.

    There, a convolution is fast that has sixteen channels side by side. Across, those are the sums for sixteen pixels
    in a row, from all that these are made of; down, the columns themselves.
    """
    weights = torch.tensor(kernel, dtype=image.dtype)
    size, (_, channels, _, width) = len(kernel), image.shape
    framed = F.pad(image, (size // 2,) * 4, mode="reflect")
    if surplus := -width % _LANES:
        framed = F.pad(framed, (0, surplus))
    _, _, rows, columns = framed.shape
    band = weights.new_zeros(_LANES, _LANES + size)
    band[:, :size] = weights
    band = band.view(-1)[:-_LANES].view(_LANES, 1, -1, 1)  # in every row, the kernel is one pixel further to the right
    across = F.conv2d(_first(framed.reshape(1, -1, columns, 1)), _first(band), stride=(1, _LANES))
    across = _first(_last(across).reshape(1, channels, rows, -1))
    down = F.conv2d(across, weights.expand(across.shape[1], 1, 1, -1), groups=across.shape[1])
    return _last(down)[..., :width]


def blurred(images: Tensor, sigma: Tensor, radius: Tensor | None = None) -> Tensor:
    """Blur every image with a Gaussian of its own, borders continued by reflection.

    Args:
        images: ``(N, C, H, W)``, sides greater than the largest radius.
        sigma: ``(N,)`` or ``(N, 1, 1, 1)``, on the processor, in pixels; 0 leaves an image as it is.
        radius: where each Gaussian is cut off, likewise; ``None`` for ceil(2 sigma).
    """
    radii = [None] * len(images) if radius is None else radius.flatten().int().tolist()
    kernels = list(map(gaussian, sigma.flatten().tolist(), radii))
    made = torch.empty_like(images)
    for part in portions(images):
        made[part] = smeared(images[part], kernels[part])
    return made


def vignette(top: Tensor, left: Tensor, height: int, width: int) -> Tensor:
    """Return a random window of the published Gaussian vignette, 1 at its middle.

    ``top`` and ``left``, ``(N, 1, 1, 1)`` in [0, 1], place the window. The vignette is 560 pixels wide, or as much
    wider as a larger window needs.

    Source: the code published with Zhang et al., CVPR 2018.
    """

    def axis(start: Tensor, length: int) -> Tensor:
        size = max(_VIGNETTE, length + _VIGNETTE_MARGIN)
        pixel = torch.arange(length, device=start.device, dtype=start.dtype)
        position = start * (size - length - _VIGNETTE_MARGIN) + pixel + 0.5
        deviations = (position / size - 0.5) * _VIGNETTE_SPAN
        return torch.exp(-(deviations**2) / 4)  # published as the square root of the product of two Gaussians

    return axis(top, height).transpose(-1, -2) * axis(left, width)


def excess(light: Tensor, dim: tuple[int, ...]) -> Tensor:
    """Return by how much light exceeds 1, in the mean over where it does; dimensions are kept. The light is used up."""
    over = F.threshold(light, 1.0, 0.0, inplace=True)
    total = over.sum(dim, keepdim=True)
    return (total / over.clamp_(max=1).sum(dim, keepdim=True).clamp_(min=1) - 1).relu_()


def _first(pixels: Tensor) -> Tensor:
    """Return images whose channels come last with channels first, where they lie."""
    return pixels.permute(0, 3, 1, 2)


def _last(pixels: Tensor) -> Tensor:
    return pixels.permute(0, 2, 3, 1)

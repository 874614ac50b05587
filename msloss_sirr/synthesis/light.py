"""Light: from encoded pixels to linear light and back, out of focus, and falling off."""

import torch
from kornia.filters import filter2d_separable
from torch import Tensor

GAMMA = 2.2
"""The power that takes encoded pixels to linear light in the literature of reflection removal."""

_VIGNETTE, _VIGNETTE_MARGIN = 560, 10
_VIGNETTE_SPAN = 2 * 3 + 7 / 560  # standard deviations across: three and half a bin either way
_SMALLEST = 1e-3  # a kernel of a thousandth of a pixel changes nothing


def linear_light(pixels: Tensor) -> Tensor:
    """Return encoded pixels in [0, 1] as linear light, by the power 2.2."""
    return pixels.log().mul_(GAMMA).exp_()  # twice as fast on a processor as the power itself


def encoded(light: Tensor) -> Tensor:
    """Return linear light, clipped to [0, 1], as encoded pixels, by the power 1/2.2."""
    return light.clamp(0, 1).log_().mul_(1 / GAMMA).exp_()


def blurred(images: Tensor, sigma: Tensor, radius: Tensor | None = None) -> Tensor:
    """Blur every image with a Gaussian of its own, borders continued by reflection.

    Args:
        images: ``(N, C, H, W)``, sides greater than the largest radius.
        sigma: ``(N,)`` or ``(N, 1, 1, 1)``, in pixels; 0 leaves an image as it is.
        radius: where each Gaussian is cut off, likewise; ``None`` for ceil(2 sigma).
    """
    sigma = sigma.reshape(-1, 1)
    radius = torch.ceil(2 * sigma) if radius is None else radius.reshape(-1, 1)
    widest = int(radius.max())
    offset = torch.arange(-widest, widest + 1, device=images.device, dtype=images.dtype)
    kernel = torch.exp(-0.5 * (offset / sigma.clamp(min=_SMALLEST)) ** 2) * (offset.abs() <= radius)
    kernel = kernel / kernel.sum(dim=1, keepdim=True)
    return filter2d_separable(images, kernel, kernel, border_type="reflect")


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
    """Return by how much light exceeds 1, in the mean over where it does; dimensions are kept."""
    over = (light - 1).relu_()
    return over.sum(dim, keepdim=True) / over.count_nonzero(dim).clamp(min=1).view(
        -1, *over.shape[1 : dim[0]], *[1] * len(dim)
    )

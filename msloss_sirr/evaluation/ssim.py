"""SSIM by the windows that are in use."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

UNIFORM = 7
"""Pixels along a side of the uniform window."""
GAUSSIAN = 11
"""Pixels along a side of the Gaussian window."""


def mean_ssim(a: Tensor, b: Tensor, windowed: Callable[[Tensor], Tensor], sample: float = 1.0) -> float:
    """Return the mean SSIM over channels and over windows that lie in the image, in the precision of the images.

    In single precision it is wrong by some 0.00002 where images are flat. torchmetrics has no covariance of a sample,
    and takes many times as long in double precision.

    Args:
        a: ``(3, H, W)`` in [0, 1].
        b: likewise.
        windowed: from ``(N, 1, H, W)`` to the weighted means in all windows.
        sample: what variances and covariances are multiplied by.

    Source: Wang et al. 2004, equation 13, with K1 = 0.01 and K2 = 0.03.
    """
    c1, c2 = 0.01**2, 0.03**2
    found = []
    for x, y in zip(a[:, None], b[:, None], strict=True):  # one at a time: photographs may be large
        mean_x, mean_y, square_x, square_y, product = windowed(torch.stack([x, y, x * x, y * y, x * y]))
        spread = sample * ((square_x - mean_x**2) + (square_y - mean_y**2))  # of equal images exactly twice the shared
        shared = sample * (product - mean_x * mean_y)
        ratio = (2 * mean_x * mean_y + c1) * (2 * shared + c2) / ((mean_x**2 + mean_y**2 + c1) * (spread + c2))
        found.append(float(ratio.mean()))
    return sum(found) / len(found)


def uniform(images: Tensor) -> Tensor:
    """Return the means of images ``(N, 1, H, W)`` over squares of 7 pixels, lying in them."""
    return F.avg_pool2d(images, UNIFORM, stride=1)


def gaussian(images: Tensor) -> Tensor:
    """Return the means of images ``(N, 1, H, W)`` under a Gaussian of sigma 1.5, 11 pixels, lying in them."""
    distances = torch.arange(GAUSSIAN, dtype=images.dtype) - GAUSSIAN // 2
    weights = torch.exp(-(distances**2) / (2 * 1.5**2))
    weights /= weights.sum()
    for axis in (2, 3):
        length = images.shape[axis] - GAUSSIAN + 1
        total = torch.zeros_like(images.narrow(axis, 0, length))
        for place, weight in enumerate(weights.tolist()):
            total.add_(images.narrow(axis, place, length), alpha=weight)
        images = total
    return images


def continued(images: Tensor) -> Tensor:
    """Return images ``(C, H, W)`` with borders by reflection, so that each pixel has a Gaussian window around it."""
    return F.pad(images[None], (GAUSSIAN // 2,) * 4, mode="reflect")[0]

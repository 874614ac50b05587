"""The gradient loss."""

import torch.nn.functional as F
from kornia.filters import spatial_gradient
from torch import Tensor


def image_gradient(images: Tensor) -> Tensor:
    """Return the horizontal and vertical central differences of ``(N, C, H, W)``, as ``(N, C, 2, H, W)``."""
    return spatial_gradient(images, mode="diff", order=1)


def gradient_loss(estimate: Tensor, target: Tensor) -> Tensor:
    """Return the mean squared error of the image gradients, ``MSE(grad T, grad T^)`` (equation 3 of the paper).

    Args:
        estimate: ``(N, C, H, W)``.
        target: the same shape.

    >>> import torch
    >>> image = torch.rand(1, 3, 8, 8)
    >>> float(gradient_loss(image + 0.5, image)) < 1e-12
    True
    """
    return F.mse_loss(image_gradient(estimate), image_gradient(target))

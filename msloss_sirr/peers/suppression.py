"""Reflections suppressed without learning: weak gradients are set to zero, and the picture made of the others."""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.fft import dctn, idctn
from torch import Tensor

from msloss_sirr.layers import Layers

THRESHOLD = 0.033
"""That of the sample run in the authors' code."""
_EPSILON = 1e-8
"""Likewise."""
_Image = NDArray[np.float64]


def suppress(ambient: Tensor, threshold: float = THRESHOLD) -> Layers:
    """Return the layers of a photograph ``(1, 3, H, W)`` in [0, 1]: T without weak gradients, R what is left of it.

    Reflections are mostly out of focus, so that their gradients are weak. In each channel Y of its own, gradients
    shorter than the threshold h are set to zero, ``g = d_h(grad Y)``, and T minimises ::

        1/2 |L T - div g|^2 + eps/2 |T - Y|^2,    that is    (L^2 + eps) T = L div g + eps Y

    with the Laplacian L under Neumann's boundary conditions, whose eigenvectors are those of the discrete cosine
    transform (equations 3 and 7, theorem 1): two transforms a channel. With h = 0 T is Y; the mean of a channel stays
    as it is. What is known to suffer are weak gradients of the scene, and low frequencies, which eps alone holds.

    Source: Yang, Ma, Zheng, Cai and Xu, "Fast Single Image Reflection Suppression via Convex Optimization", CVPR 2019.
    T is not stretched to [0, 1], as the package fast-reflection-removal does, which changes its brightness.

    Args:
        ambient: the photograph, RGB.
        threshold: h, on the scale [0, 1]; the authors' code has a slider for it, to be set for each photograph.

    Returns:
        The layers, on the device and of the type of the photograph, not clipped.

    Raises:
        ValueError: if the photograph has another shape, or the threshold is negative or not finite.
    """
    if ambient.dim() != 4 or ambient.shape[0] != 1:
        raise ValueError(f"the photograph is {tuple(ambient.shape)}; give one, (1, 3, H, W)")
    if not 0 <= threshold < np.inf:
        raise ValueError(f"threshold is {threshold}; give 0 or more, 0.033 say")
    channels = ambient[0].double().cpu().numpy()
    found = np.stack([_suppressed(channel, threshold) for channel in channels])
    transmission = torch.from_numpy(found)[None].to(ambient)
    return Layers(transmission, ambient - transmission)


def _suppressed(image: _Image, threshold: float) -> _Image:
    """Return a channel ``(H, W)`` without gradients shorter than the threshold."""
    down, right = _gradient(image)
    weak = np.hypot(down, right) < threshold
    kept = _divergence(np.where(weak, 0, down), np.where(weak, 0, right))
    given = _divergence(*_gradient(kept)) + _EPSILON * image
    height, width = image.shape
    laplacian = 2 * (np.cos(np.pi * np.arange(height) / height)[:, None] + np.cos(np.pi * np.arange(width) / width) - 2)
    result: _Image = idctn(dctn(given, norm="ortho") / (laplacian**2 + _EPSILON), norm="ortho")
    return result


def _gradient(image: _Image) -> tuple[_Image, _Image]:
    """Return the differences to the pixel below and to the right, 0 at the border."""
    return np.diff(image, axis=0, append=image[-1:]), np.diff(image, axis=1, append=image[:, -1:])


def _divergence(down: _Image, right: _Image) -> _Image:
    """Return the negative adjoint of `_gradient`."""
    result: _Image = np.diff(down, axis=0, prepend=0) + np.diff(right, axis=1, prepend=0)
    return result

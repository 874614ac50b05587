"""Pictures compared with others that may lie some pixels beside them."""

from collections.abc import Callable
from itertools import product

import torch
from torch import Tensor


def inner(images: Tensor, reach: int) -> Tensor:
    """Return images ``(N, C, H, W)`` without ``reach`` pixels, 1 or more, at every border."""
    return images[..., reach:-reach, reach:-reach]


def nearest(estimate: Tensor, target: Tensor, reach: int, measure: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Return of each target the part that lies where its estimate has it, to whole pixels.

    Every estimate is compared, without ``reach`` pixels at its borders, with the parts of its target that are of that
    size: ``(2 reach + 1)**2`` of them, each up to ``reach`` pixels further up, down, left or right. It is over the same
    pixels of the estimate each time, over as many of the target, and no place costs more than another. The least error
    decides; among equals the place that is nearest to no shift at all.

    Args:
        estimate: ``(N, C, H, W)``.
        target: the same shape.
        reach: the farthest shift, 1 pixel or more.
        measure: the error of images, from two batches to a scalar; it is given one image each time.

    Returns:
        ``(N, C, H - 2 * reach, W - 2 * reach)``, to be compared with ``inner(estimate, reach)``.

    Raises:
        ValueError: if nothing is left of the images.

    >>> image = torch.rand(1, 3, 12, 12)
    >>> shifted = image.roll((1, -2), (2, 3))
    >>> torch.equal(nearest(shifted, image, 2, torch.nn.functional.l1_loss), inner(shifted, 2))
    True
    """
    height, width = (side - 2 * reach for side in target.shape[-2:])
    if min(height, width) < 1:
        raise ValueError(f"nothing is left of images {tuple(target.shape)} without {reach} pixels at each border")
    kept = inner(estimate, reach).contiguous()
    parts = target.unfold(2, height, 1).unfold(3, width, 1)  # (N, C, 2 reach + 1, 2 reach + 1, height, width), a view
    places = sorted(product(range(2 * reach + 1), repeat=2), key=lambda at: sum((side - reach) ** 2 for side in at))
    with torch.no_grad():
        errors = torch.stack([_each(measure, kept, parts[:, :, down, right]) for down, right in places])
        best = torch.tensor(places, device=target.device)[errors.argmin(dim=0)]
    return parts[torch.arange(len(target), device=target.device), :, best[:, 0], best[:, 1]]


def _each(measure: Callable[[Tensor, Tensor], Tensor], ours: Tensor, theirs: Tensor) -> Tensor:
    """Return the error of each of several images, ``(N,)``."""
    return torch.stack([measure(one[None], other[None]) for one, other in zip(ours, theirs, strict=True)])

"""Depth on a scale of its own."""

import torch
from torch import Tensor


@torch.no_grad()
def scaled_depth(depth: Tensor) -> Tensor:
    """Return depth with the finite [min, max] of every image as [0, 1].

    Constant images are 0. NaN and negative infinity are 0, infinity is 1, as `RangedQuantizer` has them.

    Args:
        depth: ``(N, 1, H, W)``, on any scale.

    Returns:
        The same shape, float32, or float64 if it was.

    Raises:
        ValueError: if the depth is of another shape.

    >>> scaled_depth(torch.tensor([2.0, 3.0, 6.0]).reshape(1, 1, 1, 3)).flatten().tolist()
    [0.0, 0.25, 1.0]
    """
    if depth.dim() != 4 or depth.shape[1] != 1:
        raise ValueError(f"depth has shape {tuple(depth.shape)}; give (N, 1, H, W)")
    values = depth if depth.dtype == torch.float64 else depth.to(torch.float32)
    if values.numel() == 0:
        return values
    finite = values.isfinite()
    low = values.where(finite, torch.inf).amin(dim=(2, 3), keepdim=True)
    high = values.where(finite, -torch.inf).amax(dim=(2, 3), keepdim=True)
    low, high = low.where(low.isfinite(), 0.0), high.where(high.isfinite(), 0.0)  # if nothing is finite
    half_span = high / 2 - low / 2  # a whole one may be beyond the type's largest number
    part = (values / 2 - low / 2) / half_span.where(half_span > 0, 1.0)
    return part.nan_to_num(nan=0.0, posinf=1.0, neginf=0.0).clamp(0, 1)

"""Pictures of any size for networks that halve them: how they are padded, and what of that counts."""

import torch
import torch.nn.functional as F
from torch import Tensor


def padded(x: Tensor, multiple: int, least: int = 0) -> Tensor:
    """Return pictures padded to the right and below by their last pixels, until their sides are multiples.

    Args:
        x: ``(N, C, H, W)``.
        multiple: of what the sides shall be multiples.
        least: what they shall be at least, a multiple too.
    """
    right, below = (max(-side % multiple, least - side) for side in reversed(x.shape[-2:]))
    return F.pad(x, (0, right, 0, below), mode="replicate")


def shares(height: int, width: int, side: int, like: Tensor) -> Tensor:
    """Return what each feature counts in a mean over the picture alone, ``(H', W')``, 1 together.

    A feature counts as much as its square of pixels holds of the picture.

    Args:
        height: of the picture, in pixels, before it was padded.
        width: of the picture.
        side: of the squares of pixels that the features stand for.
        like: features ``(N, C, H', W')`` of the padded picture.
    """

    def axis(length: int, features: int) -> Tensor:
        start = torch.arange(features, device=like.device) * side
        inside = (length - start).clamp(0, side).to(torch.promote_types(like.dtype, torch.float32))
        return (inside / length).to(like.dtype)

    return axis(height, like.shape[-2])[:, None] * axis(width, like.shape[-1])

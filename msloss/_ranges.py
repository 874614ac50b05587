"""Cutting a depth map into a few ranges."""

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from msloss._checks import whole_number

_MOST = 1024
Mode = Literal["uniform", "quantile", "fixed"]
Output = Literal["level", "index", "onehot"]


class RangedQuantizer(nn.Module):
    """Cut a depth map into k ranges: each pixel becomes the range it falls in (section 3 of the paper, k = 4).

    The modes cut every image of the batch by itself, k = ``ranges``:

    - ``"uniform"``: the image's own [min, max] in k equal parts,
      ``index = floor(k * (depth - min) / (max - min))``, the maximum itself in the last one. Blind to
      ``a * depth + b`` with a > 0, such as the unknown scale and shift of a relative depth.
    - ``"quantile"``: by rank, ``index = floor(k * (pixels below) / (pixels))``: parts of about equal area; equal
      depths stay together. Blind to any increasing function of the depth.
    - ``"fixed"``: at the given ``boundaries``, each of which belongs to the range above it.

    A constant image is all range 0. NaN counts as negative infinity, the lowest of all. In ``"uniform"``, min and max
    are those of the finite pixels, and infinities are the first and the last range; in ``"quantile"`` they have the
    lowest and the highest rank.

    The input is ``(N, 1, H, W)``, real, on any scale. The result carries no gradient and is, by ``output``:

    - ``"level"``: ``(N, 1, H, W)``, ``index / (k - 1)``: k evenly spaced values from 0 to 1 (0 if k = 1), in the
      input's floating-point type (float32 for integers; float16 and bfloat16 tell 45 and 16 levels apart),
    - ``"index"``: ``(N, 1, H, W)``, int64, 0 to k - 1,
    - ``"onehot"``: ``(N, k, H, W)``, 1 in the channel of the pixel's range and 0 elsewhere, typed as ``"level"``.

    Args:
        ranges: k, from 1 to 1024.
        mode: where the cuts fall.
        output: what a pixel becomes.
        boundaries: for ``"fixed"``: k - 1 increasing numbers, in the unit of the depth.

    Raises:
        ValueError: if an argument is out of range, or ``boundaries`` do not fit the mode and k; at a call, if the
            depth is not ``(N, 1, H, W)``, or complex.

    >>> depth = torch.tensor([0.0, 1.0, 2.0, 10.0]).reshape(1, 1, 1, 4)
    >>> RangedQuantizer(ranges=4, output="index")(depth).flatten().tolist()
    [0, 0, 0, 3]
    >>> RangedQuantizer(ranges=4, mode="quantile", output="index")(depth).flatten().tolist()
    [0, 1, 2, 3]
    """

    def __init__(
        self,
        ranges: int = 4,
        mode: Mode = "uniform",
        output: Output = "level",
        *,
        boundaries: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        whole_number("ranges", ranges)
        if ranges > _MOST:
            raise ValueError(f"ranges is {ranges}; give at most {_MOST}, whose levels float32 tells apart")
        if mode not in ("uniform", "quantile", "fixed"):
            raise ValueError(f"mode is {mode!r}; give 'uniform', 'quantile' or 'fixed'")
        if output not in ("level", "index", "onehot"):
            raise ValueError(f"output is {output!r}; give 'level', 'index' or 'onehot'")
        if (mode == "fixed") != (boundaries is not None):
            raise ValueError(
                f"boundaries={boundaries} with mode={mode!r}; 'fixed' needs them, the others choose theirs"
            )
        self.ranges = ranges
        self.mode = mode
        self.output = output
        self.boundaries = None if boundaries is None else _increasing(boundaries, ranges)

    @torch.no_grad()
    def forward(self, depth: Tensor) -> Tensor:
        """Return the ranges of ``depth`` ``(N, 1, H, W)``; see the class."""
        if depth.dim() != 4 or depth.shape[1] != 1 or depth.is_complex():
            raise ValueError(f"depth has shape {tuple(depth.shape)} of {depth.dtype}; give (N, 1, H, W), real")
        wide = depth.dtype in (torch.float64, torch.int64, torch.int32)
        images = depth.to(torch.float64 if wide else torch.float32).flatten(1)
        images = images.masked_fill(images.isnan(), -torch.inf)
        if images.numel() == 0:
            index = torch.zeros_like(images, dtype=torch.int64)
        elif self.boundaries is not None:
            index = torch.bucketize(images, images.new_tensor(self.boundaries), right=True)
        elif self.mode == "uniform":
            index = _uniform(images, self.ranges)
        else:
            index = _quantile(images, self.ranges)
        index = index.view(depth.shape)
        dtype = depth.dtype if depth.is_floating_point() else torch.float32
        if self.output == "level":
            return index.to(dtype) / max(self.ranges - 1, 1)
        if self.output == "onehot":
            channels = torch.arange(self.ranges, device=depth.device).view(1, -1, 1, 1)
            return (index == channels).to(dtype)
        return index

    def extra_repr(self) -> str:
        """Return the settings."""
        cuts = "" if self.boundaries is None else f", boundaries={self.boundaries}"
        return f"ranges={self.ranges}, mode={self.mode!r}, output={self.output!r}{cuts}"


def _uniform(images: Tensor, ranges: int) -> Tensor:
    """Return the index of every pixel of ``(N, pixels)`` in its image's own [min, max]."""
    finite = images.isfinite()
    low = images.masked_fill(~finite, torch.inf).amin(dim=1, keepdim=True)
    high = images.masked_fill(~finite, -torch.inf).amax(dim=1, keepdim=True)
    scale = torch.where((high - low).isinf(), 0.5, 1.0).to(images)  # a span beyond the type's largest number
    span = high * scale - low * scale
    part = (images * scale - low * scale) / torch.where(span > 0, span, torch.ones_like(span))
    part = part.masked_fill(images == torch.inf, 1.0).masked_fill(images == -torch.inf, 0.0).nan_to_num(0.0)
    constant = images.amin(dim=1, keepdim=True) == images.amax(dim=1, keepdim=True)
    return (part * ranges).floor().clamp(0, ranges - 1).to(torch.int64).masked_fill(constant, 0)


def _quantile(images: Tensor, ranges: int) -> Tensor:
    """Return the index of every pixel of ``(N, pixels)`` by its rank in its image."""
    below = torch.searchsorted(images.sort(dim=1).values, images)
    return below * ranges // images.shape[1]


def _increasing(boundaries: Sequence[float], ranges: int) -> tuple[float, ...]:
    values = tuple(float(b) for b in boundaries)
    if len(values) != ranges - 1:
        raise ValueError(f"{len(values)} boundaries make {len(values) + 1} ranges, but ranges={ranges}")
    if any(math.isnan(b) for b in values) or list(values) != sorted(set(values)):
        raise ValueError(f"boundaries are {values}; give increasing numbers")
    return values

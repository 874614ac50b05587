"""What a remover changes in a photograph of any size."""

from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from msloss import refine
from msloss_sirr.depth.source import DepthSource, guidance
from msloss_sirr.errors import InputError
from msloss_sirr.layers import Layers
from msloss_sirr.photo.changes import CarriedChange, Change, WholeChange
from msloss_sirr.photo.memory import bytes_per_pixel
from msloss_sirr.photo.options import RemovalOptions
from msloss_sirr.photo.resizing import reduced_size
from msloss_sirr.photo.scene import Scene
from msloss_sirr.photo.tiling import tiled_change

_MOST_STEPS, _SETTLED = 5, 2 / 255
"""Steps that ``auto`` takes at most, and the root mean square of a change after which it takes no more."""
_LEAST_TILE, _TILE_STEP = 64, 16


class Restorer(NamedTuple):
    """A remover, and what it is given."""

    estimator: Callable[..., Layers]
    """A `Remover`, or what is called as one."""
    steps: int | Literal["auto"] = 1
    source: DepthSource | None = None
    """Where depth comes from, if the remover is guided by it."""
    stored: Tensor | None = None
    """A depth image of the photograph, ``(1, H, W)``."""

    def guide(self, ambient: Tensor) -> tuple[Tensor, ...]:
        """Return what the remover is given beside a photograph ``(3, h, w)``, ``(1, 1, h, w)``, or nothing."""
        stored = None
        if self.stored is not None:
            stored = F.interpolate(self.stored[None].to(ambient), size=ambient.shape[1:], mode="area")
        return guidance(self.estimator, self.source, ambient[None], stored)

    def change(self, ambient: Tensor, guide: tuple[Tensor, ...]) -> Tensor:
        """Return T - I of a photograph or a part, ``(3, h, w)``.

        Raises:
            ValueError: if it holds NaN or infinity.
        """
        automatic = self.steps == "auto"
        steps = _MOST_STEPS if self.steps == "auto" else self.steps
        tol = _SETTLED if automatic else None
        layers: Layers = refine(self.estimator, ambient[None], *guide, steps=steps, feedback="transmission", tol=tol)
        transmission = layers.transmission[0]
        if not transmission.isfinite().all():
            raise ValueError("the remover's estimate holds NaN or infinity; give another checkpoint, or fewer steps")
        return transmission - ambient


def estimated(scene: Scene, restorer: Restorer, options: RemovalOptions, free: int) -> tuple[Change, float]:
    """Return what a remover changes in a photograph, and the root of its mean square.

    Args:
        scene: the photograph.
        restorer: the remover.
        options: by which method, at which size.
        free: bytes that it may take.

    Raises:
        InputError: if that is too little memory.
        ValueError: if the estimate holds NaN or infinity.
    """
    small = reduced_size(*scene.size, options.work_size)
    method = options.method
    if method == "auto":
        method = "whole" if small == scene.size else "guided"
    each = bytes_per_pixel(restorer.estimator, restorer.source is not None)
    if method == "tiles":
        return _in_tiles(scene, restorer, options, free, each)
    height, width = scene.size if method == "whole" else small
    if height * width * each > free:
        other = "--method guided or tiles" if method == "whole" else "a smaller --work-size"
        raise InputError(
            f"{width}x{height} pixels at once take {_readable(height * width * each)} of memory, and {_readable(free)} "
            f"are left; give {other}, or a larger --max-memory"
        )
    ambient = scene.part(0, height, 0, width) if method == "whole" else scene.reduced(height, width)
    change = restorer.change(ambient, restorer.guide(ambient))
    carried: Change = WholeChange(change) if method == "whole" else CarriedChange(ambient, change, *scene.size)
    return carried, root_mean_square(change)


def root_mean_square(change: Tensor) -> float:
    """Return how large a change is in the mean."""
    return float(change.square().mean().sqrt())


def _in_tiles(
    scene: Scene, restorer: Restorer, options: RemovalOptions, free: int, each: float
) -> tuple[Change, float]:
    """Return what a remover changes in parts of a photograph, told of the whole by its means over blocks."""
    height, width = scene.size
    left = free - 3 * 2 * height * width  # what tiles are blended into, in half precision
    tile = min(options.tile, int((max(left, 0) / each) ** 0.5) // _TILE_STEP * _TILE_STEP)
    factor = -(-min(height, width) // options.work_size)
    blocks = (-(-height // factor), -(-width // factor))
    if tile < _LEAST_TILE or tile // 2 <= options.overlap or blocks[0] * blocks[1] * each > left:
        raise InputError(f"{_readable(free)} of memory are too little for tiles; give a larger --max-memory")
    ambient = scene.pooled(factor)
    guide = restorer.guide(ambient)
    whole = restorer.change(ambient, guide)

    def change_of(top: int, bottom: int, left: int, right: int) -> Tensor:
        cut = tuple(_cut(each, top, bottom, left, right, factor) for each in guide)
        return restorer.change(scene.part(top, bottom, left, right), cut)

    change = tiled_change(
        change_of,
        height,
        width,
        tile=tile,
        overlap=options.overlap,
        whole=whole if factor > 1 else None,
        factor=factor,
        device=scene.pixels.device,
    )
    return change, root_mean_square(whole)


def _cut(guide: Tensor, top: int, bottom: int, left: int, right: int, factor: int) -> Tensor:
    """Return what guides a tile, out of what guides the reduced photograph: levels stay levels."""
    rows = (top + _count(bottom - top, guide)) // factor
    columns = (left + _count(right - left, guide)) // factor
    return guide[:, :, rows][..., columns]


def _count(number: int, like: Tensor) -> Tensor:
    return torch.arange(number, device=like.device)


def _readable(size: float) -> str:
    return f"{size / 2**30:.1f} GiB"

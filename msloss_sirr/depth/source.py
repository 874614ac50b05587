"""What tells the depth of photographs, and what a remover is given of it."""

from typing import Any, Protocol

import torch
from torch import Tensor, nn

from msloss_sirr.depth.config import DepthConfig
from msloss_sirr.errors import InputError


class DepthSource(Protocol):
    """Anything that tells the depth of photographs: a network, depth images from elsewhere, a function of your own."""

    def __call__(self, ambient: Tensor, stored: Tensor | None, /) -> Tensor:
        """Return a depth for every pixel.

        Args:
            ambient: photographs taken through glass, ``(N, 3, H, W)``, RGB, sRGB-encoded, [0, 1].
            stored: depth images that lie beside them, ``(N, 1, H, W)``, cut and mirrored as they are; ``None`` if
                there are none.

        Returns:
            ``(N, 1, H, W)``, on any scale, large where things are near.
        """


def stored_depth(ambient: Tensor, stored: Tensor | None, /) -> Tensor:
    """Return the depth images that lie beside the photographs; a `DepthSource`.

    Raises:
        InputError: if there are none, or of another size.
    """
    if stored is None:
        raise InputError("there are no depth images; give every photograph one, depth/NAME beside it")
    if stored.shape[-2:] != ambient.shape[-2:]:
        (height, width), (other_height, other_width) = ambient.shape[-2:], stored.shape[-2:]
        raise InputError(f"a depth image is {other_width}x{other_height} but its photograph {width}x{height}")
    return stored


def build_source(wanted: str, config: DepthConfig) -> DepthSource | None:
    """Return the source that a configuration names, or ``None`` for a remover that wants no depth.

    Args:
        wanted: the remover's ``config.depth``.
        config: where it is to come from.

    Raises:
        InputError: if the weights of the depth network cannot be had.
    """
    if wanted == "none":
        return None
    if config.source == "stored":
        return stored_depth
    from msloss_sirr.depth.midas import load_midas

    return load_midas(config.weights)


def estimated_depth(source: DepthSource | None, ambient: Tensor, stored: Tensor | None = None) -> Tensor | None:
    """Return the depth of photographs, ``(N, 1, H, W)`` on the source's scale, or ``None`` without a source.

    Args:
        source: where depth comes from. A module is put into evaluation mode.
        ambient: ``(N, 3, H, W)``, the photographs as they were taken, not the output of a step.
        stored: depth images beside them.

    Raises:
        InputError: if a depth has no finite number.
    """
    if source is None:
        return None
    if isinstance(source, nn.Module):
        source.eval()  # whatever else it has been told since: statistics of batches are no depth
    with torch.no_grad():
        depth = source(ambient, stored)
    if not depth.isfinite().flatten(1).any(dim=1).all():
        raise InputError("the depth of a photograph has no finite number; give another, or better weights")
    return depth


def guidance(
    remover: Any, source: DepthSource | None, ambient: Tensor, stored: Tensor | None = None
) -> tuple[Tensor, ...]:
    """Return what a remover is given beside the ambient image at every step: its depth, prepared; or nothing.

    Args:
        remover: has a method ``prepare_depth`` if it wants any.
        source: where depth comes from; ``None`` if the remover wants none.
        ambient: as for `estimated_depth`, whose errors are raised, too.
        stored: likewise.
    """
    depth = estimated_depth(source, ambient, stored)
    return () if depth is None else (remover.prepare_depth(depth),)

"""The reflection taken off one photograph, of any size, in bounded memory."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from msloss_sirr.depth.source import DepthSource
from msloss_sirr.errors import InputError
from msloss_sirr.layers import Layers
from msloss_sirr.photo.changes import Change
from msloss_sirr.photo.estimating import Restorer, estimated
from msloss_sirr.photo.memory import allowed
from msloss_sirr.photo.options import RemovalOptions
from msloss_sirr.photo.resizing import strips
from msloss_sirr.photo.scene import Colours, Scene

_SPENT = 200 * 2**20
"""Bytes for what strips of a photograph are computed with."""


class Found(NamedTuple):
    """What a remover has found in a photograph."""

    change: Change
    """T - I, at strength 1."""
    visible: float
    """The root of its mean square."""


class Removal(NamedTuple):
    """What became of a photograph."""

    transmission: Tensor
    """Its pixels without the reflection, of its own type, size and colours."""
    reflection: Tensor | None
    """What was taken off, of the same type, if asked for."""
    visible: float
    """Root mean square of what was estimated to be reflection, on the scale of [0, 1], at strength 1."""
    changed: bool
    """Whether the photograph was changed: not if no reflection was found, or the strength is 0."""


@torch.no_grad()
def remove(
    estimator: Callable[..., Layers],
    pixels: Tensor,
    options: RemovalOptions = RemovalOptions(),  # noqa: B008  # it never changes
    *,
    colours: Colours | None = None,
    source: DepthSource | None = None,
    stored: Tensor | None = None,
    mask: Tensor | None = None,
    reflection: bool = False,
    device: torch.device | str = "cpu",
) -> Removal:
    """Return what becomes of a photograph when its reflection is taken off.

    The estimate is made in sRGB; what changes is carried back to the photograph's own colours, so that what does not
    change keeps its values, also those that sRGB does not have.

    Args:
        estimator: a remover, on ``device``.
        pixels: ``(3, H, W)``, uint8 or uint16, RGB, in memory.
        options: how.
        colours: of the photograph; ``None`` is sRGB.
        source: where depth comes from, if the remover is guided by it.
        stored: a depth image of the photograph, ``(1, H, W)``, for a source that uses one.
        mask: ``(1, H, W)``, in [0, 1]: how much of the change is to be made where.
        reflection: whether to return what was taken off, too.
        device: where to compute.

    Raises:
        InputError: if the options cannot be met, in this memory say, or the mask is of another size.
        ValueError: if the photograph is of another shape or type, or the estimate of a step goes astray.
    """
    _check(pixels, mask)
    scene = Scene(pixels, colours, torch.device(device))
    found = None
    if options.strength > 0:
        found = find_reflection(scene, Restorer(estimator, options.steps, source, stored), options)
    return take_off(scene, found, options, mask=mask, reflection=reflection)


@torch.no_grad()
def find_reflection(scene: Scene, restorer: Restorer, options: RemovalOptions) -> Found:
    """Return what a remover finds in a photograph, at strength 1: what is slow of `remove`.

    Args:
        scene: the photograph.
        restorer: the remover.
        options: how; of the strength and the threshold, nothing here depends.

    Raises:
        InputError: if the options cannot be met.
        ValueError: if the estimate of a step goes astray.
    """
    free = allowed(options.max_memory) - 2 * scene.pixels.nbytes - _SPENT
    return Found(*estimated(scene, restorer, options, free))


@torch.no_grad()
def take_off(
    scene: Scene,
    found: Found | None,
    options: RemovalOptions,
    *,
    mask: Tensor | None = None,
    reflection: bool = False,
) -> Removal:
    """Return what becomes of a photograph when what was found is taken off it: what is quick of `remove`.

    Args:
        scene: the photograph.
        found: by `find_reflection`; ``None``, if nobody has looked, only for strength 0.
        options: how strong, and from which threshold on.
        mask: ``(1, H, W)``, in [0, 1]: how much of the change is to be made where.
        reflection: whether to return what was taken off, too.
    """
    pixels = scene.pixels
    if found is None or options.strength == 0 or found.visible < options.threshold:
        nothing = torch.zeros_like(pixels) if reflection else None
        return Removal(pixels, nothing, 0.0 if found is None else found.visible, changed=False)
    transmission = _applied(scene, found.change, options.strength, mask)
    taken = _difference(pixels, transmission) if reflection else None
    return Removal(transmission, taken, found.visible, changed=True)


def _applied(scene: Scene, change: Change, strength: float, mask: Tensor | None) -> Tensor:
    """Return a photograph with a change, so strong, where a mask has it."""
    result = torch.empty_like(scene.pixels)
    for top, bottom in strips(*scene.size):
        wanted = change.rows(top, bottom, scene.rows(top, bottom)) * strength
        if mask is not None:
            wanted = wanted * mask[:, top:bottom].to(wanted)
        result[:, top:bottom] = scene.changed(top, bottom, wanted).to(result.device)
    return result


def _difference(pixels: Tensor, transmission: Tensor) -> Tensor:
    """Return what was taken off, where that is more than nothing."""
    taken = torch.empty_like(pixels)
    for top, bottom in strips(pixels.shape[1], pixels.shape[2]):
        more = pixels[:, top:bottom].to(torch.int32) - transmission[:, top:bottom].to(torch.int32)
        taken[:, top:bottom] = more.clamp(min=0).to(pixels.dtype)
    return taken


def _check(pixels: Tensor, mask: Tensor | None) -> None:
    if pixels.dim() != 3 or pixels.shape[0] != 3 or pixels.dtype not in (torch.uint8, torch.uint16):
        raise ValueError(
            f"the photograph is {tuple(pixels.shape)} of {pixels.dtype}; give (3, H, W) of torch.uint8 or torch.uint16"
        )
    if 0 in pixels.shape:
        raise ValueError(f"the photograph is {tuple(pixels.shape)}; it has no pixels")
    if mask is not None and mask.shape != (1, *pixels.shape[1:]):
        raise InputError(
            f"the mask is {mask.shape[-1]}x{mask.shape[-2]} pixels but the photograph {pixels.shape[2]}x"
            f"{pixels.shape[1]}; give one of the same size"
        )

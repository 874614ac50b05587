"""Recipes of the literature: from two photographs to one taken through glass."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, TypeAlias

import torch
from torch import Tensor

from msloss_sirr.devices import send
from msloss_sirr.layers import Layers
from msloss_sirr.synthesis.chance import Chance
from msloss_sirr.synthesis.light import GAMMA, encode_, excess, gaussian, linear_light, smeared, vignette
from msloss_sirr.synthesis.portions import portions

_WHOLE = (1, 2, 3)


class Composite(NamedTuple):
    """Photographs that were made, ``(N, 3, H, W)``, RGB, sRGB-encoded, [0, 1], and the layers they are made of."""

    ambient: Tensor
    """I: what the camera sees."""
    layers: Layers
    """T: the scene as the camera would see it if nothing were reflected, and R = I - T, what the reflection adds."""
    kept: Tensor
    """``(N,)`` bool: whether the publication would train on the image, or reject it."""


Recipe: TypeAlias = Callable[[Tensor, Tensor, Sequence[int]], Composite]
"""From photographs of scenes, photographs of what is reflected in front of them, and a seed for each, to composites."""


@torch.no_grad()
def linear(scene: Tensor, mirrored: Tensor, seeds: Sequence[int], *, sharp: float = 0.0) -> Composite:
    """Reflect one photograph in front of another, in linear light, as Zhang et al. 2018 do.

    Both are taken to linear light by the power 2.2. The mirrored one is blurred (sigma 1 to 5, cut off at 2 sigma),
    darkened channel by channel where the sum would overflow (by 1.08 to 1.18 of the mean excess), and multiplied by a
    random window of a Gaussian vignette; the scene is dimmed to between 0.8 and 1. Their sum goes back by the power
    1/2.2. Not kept are images whose scene is more than twice as bright as what is reflected, or of which one photograph
    has no pixel above 0.15, or the composite none above 0.1 (which follows from the scene having one above 0.15).

    Three things are done otherwise than published. The target is the dimmed scene, so that no reflection means I = T. R
    is what the reflection adds to the picture, not the reflected light by itself. And it is the mirrored photograph
    that needs a pixel above 0.15, not what of it is left on the glass: a faint reflection is one, too.

    Args:
        scene: ``(N, 3, H, W)``, RGB, sRGB-encoded, [0, 1]; sides of at least 11. N may be 0.
        mirrored: the same shape.
        seeds: one for each image of the batch; the composite is a function of it and the two photographs.
        sharp: probability that what is reflected is in focus, and left as it is where it would be blurred.

    Returns:
        I, T and R in [0, 1], with R = I - T.

    Raises:
        ValueError: if there are more or fewer seeds than images.

    Source: "Single Image Reflection Separation with Perceptual Losses", CVPR 2018, and the code published with it.
    """
    chance = Chance(seeds, scene)
    kernels = [gaussian(sigma) for sigma in _sigmas(chance, 1.0, 5.0, sharp)]
    bounds = (1.08, 1.18), (0.0, 1.0), (0.0, 1.0), (0.8, 1.0)
    attenuation, top, left, dimming = chance.sent(*(chance.uniform(*each) for each in bounds))
    windows, encoded_dimming = vignette(top, left, *scene.shape[-2:]), dimming ** (1 / GAMMA)
    made, statistics = _room(scene, 3), scene.new_empty(4, len(scene))
    for part in portions(scene):
        i, t, r, behind, before = (images[part] for images in (*made, scene, mirrored))
        reflected = smeared(linear_light(before, out=r), kernels[part])
        light = linear_light(behind, out=t)
        seen = (behind.mean(_WHOLE), before.mean(_WHOLE), behind.amax(_WHOLE), before.amax(_WHOLE))
        torch.stack(seen, out=statistics[:, part])
        over = excess(torch.add(light, reflected, out=i), (2, 3))
        reflected.sub_(over.mul_(attenuation[part])).relu_().mul_(windows[part])
        encode_(torch.addcmul(reflected, light, dimming[part], out=i).clamp_(max=1))
        torch.mul(behind, encoded_dimming[part], out=t)
        torch.sub(i, t, out=r).relu_()
    behind_mean, before_mean, behind_most, before_most = statistics
    # composites have the published 0.1 then, too: encoded pixels are dimmed to no less than 0.9
    kept = (behind_mean <= 2 * before_mean) & (behind_most >= 0.15) & (before_most >= 0.15)
    return Composite(made[0], Layers(made[1], made[2]), kept)


@torch.no_grad()
def clip(scene: Tensor, mirrored: Tensor, seeds: Sequence[int], *, sharp: float = 0.0) -> Composite:
    """Reflect one photograph in front of another, on encoded pixels, as CEILNet does.

    The mirrored one is blurred (sigma 2 to 5, a kernel of 11 pixels), and darkened by 1.3 of the mean excess over 1 of
    their sum. Arguments and result are those of `linear`. Every image is kept. Borders are continued by reflection,
    where published code goes on with zeros, which darkens them.

    Source: Fan et al., "A Generic Deep Architecture for Single Image Reflection Removal and Image Smoothing", ICCV
    2017.
    """
    kernels = [gaussian(sigma, 5) for sigma in _sigmas(Chance(seeds, scene), 2.0, 5.0, sharp)]
    ambient, reflection = _room(scene, 2)
    for part in portions(scene):
        _add(scene[part], smeared(mirrored[part], kernels[part]), ambient[part], reflection[part])
    return _all_kept(ambient, scene, reflection)


@torch.no_grad()
def screen(scene: Tensor, mirrored: Tensor, seeds: Sequence[int], *, sharp: float = 0.0) -> Composite:
    """Reflect one photograph in front of another, on encoded pixels, as a projector would, as DSRNet does.

    The mirrored one is blurred (sigma 2 to 5, kernels of 5, 7, 9 or 11 pixels with odds of 1 to 2 to 3 to 4). With a
    from 0.8 to 1 and b from 0.4 to 1, I is ``a T + b R - a b T R`` for seven images in ten, and for the others the sum
    of ``a T`` and ``b R``, darkened as in `clip`. Arguments and result are those of `linear`; the target is ``a T``,
    not T as published, so that no reflection means I = T, and borders are continued as in `clip`. Every image is kept.

    Source: Hu and Guo, "Single Image Reflection Separation via Component Synergy", ICCV 2023, and the code published
    with it; the three images in ten are those of later work on it.
    """
    chance = Chance(seeds, scene)
    radii = [2 + size for size in chance.choice((0.1, 0.2, 0.3, 0.4))]
    kernels = list(map(gaussian, _sigmas(chance, 2.0, 5.0, sharp), radii))
    (dimming,), strengths = chance.sent(chance.uniform(0.8, 1.0)), chance.numbers(0.4, 1.0)
    kernels = [[w * math.sqrt(b) for w in kernel] for kernel, b in zip(kernels, strengths, strict=True)]
    projected = chance.happens(0.7)
    is_projected = send(torch.tensor(projected, dtype=torch.bool).view(-1, 1, 1, 1), scene.device)
    made = _room(scene, 3)
    for part in portions(scene):
        i, t, r = (images[part] for images in made)
        torch.mul(scene[part], dimming[part], out=t)
        reflected = smeared(mirrored[part], kernels[part])
        if not any(projected[part]):
            _add(t, reflected, i, r)
            continue
        torch.add(t, torch.addcmul(reflected, t, reflected, value=-1, out=r), out=i).clamp_(max=1)
        if not all(projected[part]):
            sums = _room(t, 2)
            _add(t, reflected, *sums)
            torch.where(is_projected[part], i, sums[0], out=i)
            torch.where(is_projected[part], r, sums[1], out=r)
    return _all_kept(*made)


class Mirroring(Protocol):
    """A recipe that reflects one photograph in front of another, out of focus, or with a probability in focus."""

    def __call__(self, scene: Tensor, mirrored: Tensor, seeds: Sequence[int], /, *, sharp: float = 0.0) -> Composite:
        """Return composites; see `linear`."""


RECIPES: dict[str, Mirroring] = {"linear": linear, "clip": clip, "screen": screen}
"""The recipes that reflect one photograph in front of another, by name."""


def composed(ambient: Tensor, transmission: Tensor, kept: Tensor | None = None) -> Composite:
    """Return a composite with R = I - T."""
    kept = torch.ones(len(ambient), dtype=torch.bool, device=ambient.device) if kept is None else kept
    return Composite(ambient, Layers(transmission, (ambient - transmission).clamp_(min=0)), kept)


def _room(scene: Tensor, parts: int) -> Sequence[Tensor]:
    """Return tensors like a batch, to be written to portion by portion.

    As many as fit into 32 MiB lie in one block: what is larger, and several smaller ones in a row, glibc takes from the
    operating system each time anew, and pages that have never been touched take longer than a recipe does.
    """
    together = max(1, 2**25 // max(1, scene.numel() * scene.element_size()))
    blocks = (min(together, parts - first) for first in range(0, parts, together))
    return [part for block in blocks for part in scene.new_empty((block, *scene.shape))]


def _sigmas(chance: Chance, low: float, high: float, sharp: float) -> list[float]:
    """Return how far each image is out of focus, in pixels."""
    sigmas, in_focus = chance.numbers(low, high), chance.happens(sharp)
    return [0.0 if so else sigma for sigma, so in zip(sigmas, in_focus, strict=True)]


def _add(scene: Tensor, mirrored: Tensor, ambient: Tensor, reflection: Tensor) -> None:
    """Add what is mirrored without 1.3 of the mean excess over 1 of the sum, wherever in an image that is."""
    over = excess(torch.add(scene, mirrored, out=ambient), _WHOLE)
    torch.add(scene, mirrored.sub_(over.mul_(1.3)).relu_(), out=ambient).clamp_(max=1)
    torch.sub(ambient, scene, out=reflection)


def _all_kept(ambient: Tensor, transmission: Tensor, reflection: Tensor) -> Composite:
    kept = torch.ones(len(ambient), dtype=torch.bool, device=ambient.device)
    return Composite(ambient, Layers(transmission, reflection), kept)

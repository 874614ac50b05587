"""Recipes of the literature: from two photographs to one taken through glass."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, TypeAlias

import torch
from torch import Tensor

from msloss_sirr.layers import Layers
from msloss_sirr.synthesis.chance import Chance
from msloss_sirr.synthesis.light import GAMMA, blurred, encoded, excess, linear_light, vignette

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


def linear(scene: Tensor, mirrored: Tensor, seeds: Sequence[int], *, sharp: float = 0.0) -> Composite:
    """Reflect one photograph in front of another, in linear light, as Zhang et al. 2018 do.

    Both are taken to linear light by the power 2.2. The mirrored one is blurred (sigma 1 to 5, cut off at 2 sigma),
    darkened channel by channel where the sum would overflow (by 1.08 to 1.18 of the mean excess), and multiplied by a
    random window of a Gaussian vignette; the scene is dimmed to between 0.8 and 1. Their sum goes back by the power
    1/2.2. Not kept are images whose scene is more than twice as bright as what is reflected, or of which one photograph
    has no pixel above 0.15, or the composite none above 0.1.

    Two things are done otherwise than published: the target is the dimmed scene, so that no reflection means I = T;
    and borders are continued by reflection, so that they do not darken.

    Args:
        scene: ``(N, 3, H, W)``, RGB, sRGB-encoded, [0, 1]; sides of at least 11.
        mirrored: the same shape.
        seeds: one for each image of the batch; the composite is a function of it and the two photographs.
        sharp: probability that what is reflected is in focus, and left as it is where it would be blurred.

    Returns:
        I, T and R in [0, 1], with R = I - T.

    Source: "Single Image Reflection Separation with Perceptual Losses", CVPR 2018, and the code published with it.
    """
    chance = Chance(seeds, scene)
    t = linear_light(scene)
    r = blurred(linear_light(mirrored), _sigma(chance, 1.0, 5.0, sharp))
    r = (r - excess(t + r, (2, 3)) * chance.uniform(1.08, 1.18)).clamp_(0, 1)
    r *= vignette(chance.uniform(0, 1), chance.uniform(0, 1), *scene.shape[-2:])
    dimming = chance.uniform(0.8, 1.0)
    ambient, transmission = encoded(r.addcmul_(t, dimming)), scene * dimming ** (1 / GAMMA)
    kept = scene.mean(_WHOLE) <= 2 * mirrored.mean(_WHOLE)
    for photo, least in ((scene, 0.15), (mirrored, 0.15), (ambient, 0.1)):
        kept = kept & (photo.amax(_WHOLE) >= least)
    return composed(ambient, transmission, kept)


def clip(scene: Tensor, mirrored: Tensor, seeds: Sequence[int], *, sharp: float = 0.0) -> Composite:
    """Reflect one photograph in front of another, on encoded pixels, as CEILNet does.

    The mirrored one is blurred (sigma 2 to 5, a kernel of 11 pixels), and darkened by 1.3 of the mean excess over 1 of
    their sum. Arguments and result are those of `linear`. Every image is kept.

    Source: Fan et al., "A Generic Deep Architecture for Single Image Reflection Removal and Image Smoothing", ICCV
    2017.
    """
    chance = Chance(seeds, scene)
    sigma = _sigma(chance, 2.0, 5.0, sharp)
    r = blurred(mirrored, sigma, torch.full_like(sigma, 5.0))
    return composed((scene + _darkened(scene, r)).clamp_(0, 1), scene)


def screen(scene: Tensor, mirrored: Tensor, seeds: Sequence[int], *, sharp: float = 0.0) -> Composite:
    """Reflect one photograph in front of another, on encoded pixels, as a projector would, as DSRNet does.

    The mirrored one is blurred (sigma 2 to 5, kernels of 5, 7, 9 or 11 pixels with odds of 1 to 2 to 3 to 4). With a
    from 0.8 to 1 and b from 0.4 to 1, I is ``a T + b R - a b T R`` for seven images in ten, and for the others the sum
    of ``a T`` and ``b R``, darkened as in `clip`. Arguments and result are those of `linear`; the target is ``a T``,
    not T as published, so that no reflection means I = T. Every image is kept.

    Source: Hu and Guo, "Single Image Reflection Separation via Component Synergy", ICCV 2023, and the code published
    with it; the three images in ten are those of later work on it.
    """
    chance = Chance(seeds, scene)
    radius = 2 + chance.choice((0.1, 0.2, 0.3, 0.4)).to(scene)
    r = blurred(mirrored, _sigma(chance, 2.0, 5.0, sharp), radius)
    t, r = scene * chance.uniform(0.8, 1.0), r * chance.uniform(0.4, 1.0)
    projected = t + r - t * r
    summed = (t + _darkened(t, r)).clamp_(0, 1)
    return composed(projected.where(chance.happens(0.7), summed), t)


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


def _sigma(chance: Chance, low: float, high: float, sharp: float) -> Tensor:
    """Return how far each image is out of focus, in pixels."""
    sigma = chance.uniform(low, high)
    return sigma.where(~chance.happens(sharp), 0.0)


def _darkened(scene: Tensor, mirrored: Tensor) -> Tensor:
    """Return what is mirrored without 1.3 of the mean excess over 1 of the sum, wherever in the image that is."""
    return (mirrored - 1.3 * excess(scene + mirrored, _WHOLE)).clamp_(0, 1)

"""Real reflections, taken out of real pairs and laid on other photographs."""

from collections.abc import Sequence

import torch
from kornia.filters import spatial_gradient
from torch import Tensor

from msloss_sirr.images.registration import registered
from msloss_sirr.synthesis.chance import Chance
from msloss_sirr.synthesis.light import blurred, encoded, linear_light
from msloss_sirr.synthesis.recipes import Composite, composed

_DARKEST, _BRIGHTEST = 0.02, 0.95
"""Linear light between which a camera's response can be trusted."""
_UNREFLECTED = 0.1
"""Share of a photograph that no reflection is assumed to reach."""
_EDGE = 0.1
"""Relative change of T from pixel to pixel that makes an edge, where what remains of T hides what was reflected."""


@torch.no_grad()
def transplant(scene: Tensor, reflection: Tensor, seeds: Sequence[int]) -> Composite:
    """Lay a real reflection on a photograph: in linear light, at 0 to 1.4 times the strength it was taken at.

    Args:
        scene: ``(N, 3, H, W)``, RGB, sRGB-encoded, [0, 1].
        reflection: what `reflection_of` returned for other pairs, the same shape.
        seeds: one for each image of the batch.

    Returns:
        I, T and R in [0, 1]; T is the scene, and R = I - T. Every image is kept.

    Raises:
        ValueError: if there are more or fewer seeds than images.
    """
    chance = Chance(seeds, scene)
    (strength,) = chance.sent(chance.uniform(0.0, 1.4))
    return composed(encoded(linear_light(scene) + strength * linear_light(reflection)), scene)


@torch.no_grad()
def reflection_of(ambient: Tensor, transmission: Tensor) -> Tensor:
    """Return the reflection of a real pair: the light that the ambient image has more than the scene behind the glass.

    The transmission is shifted to where the ambient image has it, and multiplied, channel by channel, by what the glass
    lets through: what nine tenths of the picture exceed. Where it has edges, which no two photographs have in exactly
    the same place, the difference is replaced by that of the surroundings.

    Args:
        ambient: ``(N, 3, H, W)``, RGB, sRGB-encoded, [0, 1].
        transmission: the same scene without the glass, the same shape.

    Returns:
        An image of that shape, the reflection on black, sRGB-encoded, [0, 1].
    """
    seen, behind = linear_light(ambient), linear_light(registered(transmission, ambient))
    two, three = (torch.full((len(ambient),), sigma) for sigma in (2.0, 3.0))
    smooth = blurred(behind, two)
    ratio = blurred(seen, two) / smooth.clamp(min=_DARKEST)
    usable = (smooth > _DARKEST) & (blurred(seen, two) < _BRIGHTEST)
    behind = behind * _quantile(ratio, usable, _UNREFLECTED)
    difference = (seen - behind).clamp(min=0)
    change = spatial_gradient(behind.mean(1, keepdim=True), mode="diff")[:, 0].square().sum(1, keepdim=True).sqrt()
    trust = 1 / (1 + (change / (_EDGE * (behind.mean(1, keepdim=True) + _DARKEST))) ** 2)
    surroundings = blurred(difference * trust, three) / blurred(trust, three).clamp(min=1e-6)
    return encoded(trust * difference + (1 - trust) * surroundings)


def _quantile(values: Tensor, usable: Tensor, share: float) -> Tensor:
    """Return a quantile of the usable values of each channel, ``(N, C, 1, 1)``; 1 where hardly any are."""
    flat = values.where(usable, torch.inf).flatten(2).sort(dim=2).values
    count = usable.flatten(2).sum(dim=2, keepdim=True)
    found = flat.gather(2, (share * count).long().clamp(max=flat.shape[2] - 1))
    return found.where(count > flat.shape[2] // 100, 1.0)[..., None]

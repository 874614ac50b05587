"""What the generator is given beside a photograph, so that one photograph has many reflections."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from msloss_sirr.synthesis.chance import Chance
from msloss_sirr.synthesis.light import blurred, encoded, linear_light
from msloss_sirr.synthesis.transplant import reflection_of

_GRIDS = (3, 8, 24)
"""Random numbers along the sides of each channel of noise."""
_BLUR = 3.0
_STRENGTHS = (0.7, 1.4)


def training_style(kind: str, ambient: Tensor, transmission: Tensor, seeds: Sequence[int]) -> Tensor | None:
    """Return the style of each pair of a batch, ``(N, 3, H, W)``, or ``None`` of kind ``"none"``.

    Args:
        kind: ``"none"``, ``"noise"``, or ``"reference"``: the pair's own reflection, in poorer condition.
        ambient: ``(N, 3, H, W)``, sRGB-encoded, [0, 1].
        transmission: likewise.
        seeds: one for each pair.
    """
    if kind == "none":
        return None
    if kind == "noise":
        return smooth_noise(seeds, ambient)
    return degraded(reflection_of(ambient, transmission), seeds)


def degraded(reflection: Tensor, seeds: Sequence[int]) -> Tensor:
    """Return reflections in poorer condition: blurred, by 0 to 3 pixels, and 0.7 to 1.4 times as strong, as light.

    Half of them are blurred by less than 0.75 pixels.

    What the generator is given is not what it has to lay on, so that it cannot merely add it to the photograph: how
    sharp the reflection is, how strong, and where it saturates, it has to make up, and the discriminator judges it. It
    also learns to do with reflections that were taken out of pairs badly.

    Args:
        reflection: ``(N, 3, H, W)``, sRGB-encoded, [0, 1], sides of at least 8.
        seeds: one for each.
    """
    chance = Chance.beside(seeds, "style", reflection)
    softened = blurred(linear_light(reflection), _BLUR * chance.uniform(0.0, 1.0).square())
    (strength,) = chance.sent(chance.uniform(*_STRENGTHS))
    return encoded(softened * strength)


def smooth_noise(seeds: Sequence[int], like: Tensor) -> Tensor:
    """Return normally distributed noise, one scale a channel, interpolated, as large as ``like`` ``(N, 3, H, W)``."""
    chance = Chance.beside(seeds, "style", like)
    grids = chance.sent(*(chance.normal(1, grid, grid) for grid in _GRIDS))
    size = like.shape[-2:]
    return torch.cat([F.interpolate(grid, size, mode="bicubic", align_corners=True) for grid in grids], dim=1)

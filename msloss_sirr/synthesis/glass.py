"""What real glass and cameras add to a recipe."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from msloss_sirr.devices import send
from msloss_sirr.synthesis.camera import as_jpeg, sensed
from msloss_sirr.synthesis.chance import Chance, Change
from msloss_sirr.synthesis.config import GlassConfig
from msloss_sirr.synthesis.light import encoded, linear_light
from msloss_sirr.synthesis.recipes import Composite, Recipe


def through(glass: GlassConfig, recipe: Recipe) -> Recipe:
    """Return a recipe with what glass and camera add.

    Without noise and compression, no reflection still means I = T; R is what the reflection adds before them. More or
    fewer seeds than images are a ``ValueError``.
    """

    @torch.no_grad()
    def made(scene: Tensor, mirrored: Tensor, seeds: Sequence[int]) -> Composite:
        def some(images: Tensor, name: str, change: Change) -> Tensor:
            return sometimes(images, getattr(glass, name), change, Chance.beside(seeds, name, images))

        mirrored = some(some(some(mirrored, "lighting", relit), "ghosting", ghosted), "local", covering)
        composite = recipe(some(scene, "tint", tinted), mirrored, seeds)
        return composite._replace(ambient=some(some(composite.ambient, "noise", noisy), "jpeg", compressed))

    return made


def sometimes(images: Tensor, probability: float, change: Change, chance: Chance) -> Tensor:
    """Return images ``(N, 3, H, W)``, those changed to which it happens, as often as ``probability`` says."""
    if probability == 0:
        return images
    indices = [index for index, happens in enumerate(chance.happens(probability)) if happens]
    if not indices:
        return images
    which = send(torch.tensor(indices), images.device)
    return images.index_copy(0, which, change(images.index_select(0, which), chance.only(indices)))


def ghosted(images: Tensor, chance: Chance) -> Tensor:
    """Add each image to itself, shifted by up to a fortieth of its height and dimmed to between 0.3 and 0.9.

    In linear light, and divided by the sum of the two, so that it is as bright as before.

    Source: Shih et al., "Reflection removal using ghosting cues", CVPR 2015: a pane reflects from both of its sides.
    """
    height, width = images.shape[-2:]
    distance, angle = chance.uniform(1.0, max(2.0, height / 40)), chance.uniform(0, 2 * math.pi)
    dimming = chance.uniform(0.3, 0.9)
    rows = _reflected(torch.arange(height) - _whole(distance * angle.sin()), height)
    columns = _reflected(torch.arange(width) - _whole(distance * angle.cos()), width)
    (dimming,), (rows, columns) = chance.sent(dimming), chance.sent(rows, columns)
    number = torch.arange(len(images), device=images.device).view(-1, 1, 1)
    light = linear_light(images)
    shifted = light.permute(0, 2, 3, 1)[number, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
    return encoded((light + dimming * shifted) / (1 + dimming))


def covering(images: Tensor, chance: Chance) -> Tensor:
    """Leave a part of each image, with soft borders, and darken the rest.

    The part is where a field of 3x3 random numbers, interpolated, is above its median: half of the picture.

    Source: Dong et al., "Location-aware Single Image Reflection Removal", ICCV 2021: reflections are local.
    """
    (coarse,) = chance.sent(chance.normal(1, 3, 3))
    field = F.interpolate(coarse, images.shape[-2:], mode="bicubic", align_corners=False)
    middle = field.flatten(1).median(dim=1).values.view(-1, 1, 1, 1)
    return encoded(linear_light(images) * torch.sigmoid(6 * (field - middle)))


def relit(images: Tensor, chance: Chance) -> Tensor:
    """Multiply light by between 1/2 and 2, and red and blue each by between 0.8 and 1.25 of that.

    Source: Kim et al., "Single Image Reflection Removal with Physically-Based Training Images", CVPR 2020: the two
    sides of the glass are lit by different lights.
    """
    exposure, red, blue = chance.uniform(-1, 1), chance.uniform(-_FIFTH, _FIFTH), chance.uniform(-_FIFTH, _FIFTH)
    return _lit(images, chance, exposure, red, blue)


def exposed(images: Tensor, chance: Chance) -> Tensor:
    """Multiply light by between 0.71 and 1.41, and red and blue each by between 0.89 and 1.12 of that."""
    half = _FIFTH / 2
    exposure, red, blue = chance.uniform(-0.5, 0.5), chance.uniform(-half, half), chance.uniform(-half, half)
    return _lit(images, chance, exposure, red, blue)


def strengthened(pairs: Tensor, chance: Chance) -> Tensor:
    """Multiply what photographs differ from their transmissions by, by between 0.3 and 1.2.

    Args:
        pairs: ``(N, 6, H, W)``, photographs and transmissions, which stay as they are.
        chance: random numbers for every pair.
    """
    ambient, transmission = pairs.chunk(2, dim=1)
    (strength,) = chance.sent(chance.uniform(0.3, 1.2))
    changed = transmission + strength * (ambient - transmission)
    return torch.cat([changed.clamp(0, 1), transmission], dim=1)


def tinted(images: Tensor, chance: Chance) -> Tensor:
    """Let each channel of light through to between 0.85 and 1.

    Source: panes of soda-lime glass let through 0.8 to 0.9 of visible light, coated and coloured ones less.
    """
    (shares,) = chance.sent(chance.uniforms(3, 0.85, 1.0))
    return encoded(linear_light(images) * shares)


def noisy(images: Tensor, chance: Chance) -> Tensor:
    """Add a sensor's noise: in linear light, of variance ``a x + b**2``, a up to 0.004 and b up to 0.01.

    Source: see `sensed`.
    """
    shot, read = chance.sent(chance.uniform(0, 0.004), chance.uniform(0, 0.01))
    return encoded(sensed(linear_light(images), shot, read, chance))


def compressed(images: Tensor, chance: Chance, *, lowest: int = 60, highest: int = 95) -> Tensor:
    """Write each image as a JPEG file of a quality from 60 to 95, or of others, and read it again; see `as_jpeg`."""
    qualities = chance.uniform(lowest, highest).flatten().tolist()
    return as_jpeg(images, [round(quality) for quality in qualities])


_FIFTH = math.log2(1.25)


def _lit(images: Tensor, chance: Chance, exposure: Tensor, red: Tensor, blue: Tensor) -> Tensor:
    """Multiply light by powers of two, ``(N, 1, 1, 1)``, on the processor."""
    (factors,) = chance.sent(2 ** (exposure + torch.cat([red, torch.zeros_like(red), blue], dim=1)))
    return encoded(linear_light(images) * factors)


def _whole(shift: Tensor) -> Tensor:
    return shift.round().long().view(-1, 1)


def _reflected(index: Tensor, length: int) -> Tensor:
    """Return indices beyond either end as those of the same pixels in a mirror there."""
    index = index.abs() % max(2 * length - 2, 1)
    return torch.minimum(index, 2 * length - 2 - index).clamp(min=0)

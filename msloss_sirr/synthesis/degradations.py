"""What photographs suffer besides reflections: noise, blur, compression, darkness, rain and small sizes.

Each is a function of images ``(N, 3, H, W)``, RGB, sRGB-encoded, [0, 1], and of random numbers for every image, and
returns the same shape in [0, 1]. How strong it is lies between two bounds, or is what both are.
"""

import math
from collections.abc import Sequence
from functools import partial
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

from msloss_sirr.devices import send
from msloss_sirr.synthesis.camera import sensed
from msloss_sirr.synthesis.chance import Chance, Change
from msloss_sirr.synthesis.kernels import convolved, line
from msloss_sirr.synthesis.light import blurred, encoded, linear_light

Bounds: TypeAlias = tuple[float, float]


def noise(images: Tensor, chance: Chance, *, sigma: Bounds = (0.0, 50.0)) -> Tensor:
    """Add white Gaussian noise of a standard deviation of some of 255 levels, and clip.

    Source: Zhang et al., "Beyond a Gaussian Denoiser" (DnCNN), IEEE TIP 2017, whose blind denoiser is trained on 0 to
    55, and tested on 15, 25 and 50; it does not clip, as files do.
    """
    deviation, normal = chance.sent(chance.uniform(*sigma) / 255, chance.normal(*images.shape[1:]))
    return (images + deviation * normal).clamp(0, 1)


def defocus(images: Tensor, chance: Chance, *, sigma: Bounds = (0.0, 3.0)) -> Tensor:
    """Blur by a Gaussian of a standard deviation of some pixels, cut off at three of them.

    Source: Zhang et al., "Learning Deep CNN Denoiser Prior for Image Restoration" (IRCNN), CVPR 2017, where it is 1.6.
    """
    deviation = chance.uniform(*sigma)
    return blurred(images, deviation, (3 * deviation).ceil()).clamp(0, 1)


def motion(images: Tensor, chance: Chance, *, length: Bounds = (1.0, 15.0)) -> Tensor:
    """Blur along a line of some pixels, in any direction; see `line` for its source."""
    lengths, angles = chance.numbers(*length), chance.numbers(0, math.pi)
    return convolved(images, [line(*each) for each in zip(lengths, angles, strict=True)]).clamp(0, 1)


def darkness(
    images: Tensor, chance: Chance, *, stops: Bounds = (1.0, 4.0), shot: float = 0.0005, read: float = 0.001
) -> Tensor:
    """Halve the light some times, and let the sensor see what is left, with its noise; see `sensed`.

    Source: the two parts of Lore et al., "LLNet", Pattern Recognition 2017, darkness and noise, each as in a camera:
    light is halved, where they raise encoded pixels to a power, and the noise is the sensor's.
    """
    (left,) = chance.sent(2 ** -chance.uniform(*stops))
    return encoded(sensed(left * linear_light(images), shot, read, chance))


def rain(
    images: Tensor,
    chance: Chance,
    *,
    drops: Bounds = (0.0, 0.02),
    length: Bounds = (9.0, 25.0),
    brightness: Bounds = (0.2, 0.6),
) -> Tensor:
    """Add streaks: bright points, so many for each pixel, drawn out along a line up to 20 degrees from upright.

    One streak adds what ``brightness`` says, and where several cross, all add as much as one. Streaks are a pixel or
    two wide.

    Source: the model of Yang et al., "Deep Joint Rain Detection and Removal from a Single Image", CVPR 2017, on whose
    sets streaks are added to encoded pixels; streaks of noise that is blurred along a line are those of Zhang et al.,
    "Image De-raining Using a Conditional Generative Adversarial Network", IEEE TCSVT 2019.
    """
    share, bright = chance.uniform(*drops), chance.uniform(*brightness)
    lengths, tilts = chance.numbers(*length), chance.numbers(-_TILT, _TILT)
    drawn = torch.special.ndtr(chance.normal(1, *images.shape[-2:])) > 1 - share
    bright, fallen = chance.sent(bright, drawn.to(bright))
    kernels = [line(long, math.pi / 2 + tilt) for long, tilt in zip(lengths, tilts, strict=True)]
    kernels = [kernel / kernel.max() for kernel in kernels]
    streaks = convolved(fallen, kernels).clamp(max=1)
    return (images + bright * streaks).clamp(0, 1)


def small(images: Tensor, chance: Chance, *, factors: Sequence[int] = (2, 3, 4)) -> Tensor:
    """Reduce by one of several factors, and enlarge to the size as it was, both by bicubic interpolation.

    Pixels are averaged as the reduction needs it, so that no pattern appears that was not there.

    Source: Kim et al., "Accurate Image Super-Resolution Using Very Deep Convolutional Networks" (VDSR), CVPR 2016,
    where one network enlarges by 2, 3 and 4, from what bicubic interpolation has enlarged. Sizes that a factor does not
    divide are rounded here, where they are cut there.
    """
    return one_of(*(partial(_again, factor=factor) for factor in factors))(images, chance)


def in_turn(*changes: Change) -> Change:
    """Return a change that is several, one after the other."""

    def changed(images: Tensor, chance: Chance) -> Tensor:
        for change in changes:
            images = change(images, chance)
        return images

    return changed


def one_of(*changes: Change) -> Change:
    """Return a change that is one of several for each image, all of them as often."""

    def changed(images: Tensor, chance: Chance) -> Tensor:
        made = torch.empty_like(images)
        chosen = chance.choice([1.0] * len(changes))
        for number, change in enumerate(changes):
            indices = [index for index, other in enumerate(chosen) if other == number]
            if indices:
                which = send(torch.tensor(indices), images.device)
                made.index_copy_(0, which, change(images.index_select(0, which), chance.only(indices)))
        return made

    return changed


_TILT = math.radians(20)


def _again(images: Tensor, _: Chance, *, factor: int) -> Tensor:
    height, width = images.shape[-2:]
    size = max(round(height / factor), 1), max(round(width / factor), 1)
    reduced = F.interpolate(images, size, mode="bicubic", antialias=True).clamp(0, 1)
    enlarged = F.interpolate(reduced, (height, width), mode="bicubic", antialias=True)  # the kernel of the reduction
    return enlarged.clamp(0, 1)

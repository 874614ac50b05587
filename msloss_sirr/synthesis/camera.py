"""What cameras and their files do to a picture."""

from collections.abc import Sequence
from io import BytesIO

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from msloss_sirr.devices import send
from msloss_sirr.images.reading import to_bytes, to_float
from msloss_sirr.synthesis.chance import Chance


def sensed(light: Tensor, shot: Tensor | float, read: Tensor | float, chance: Chance) -> Tensor:
    """Return linear light as a sensor has it: with noise of variance ``shot * light + read**2``.

    Args:
        light: ``(N, C, H, W)``, 0 or more; 1 fills the sensor.
        shot: variance for each unit of light, a number or ``(N, 1, 1, 1)``.
        read: standard deviation in the dark, likewise.
        chance: random numbers for every image.

    Returns:
        The same shape, not clipped.

    Source: Foi et al., "Practical Poissonian-Gaussian Noise Modeling and Fitting", IEEE TIP 2008.
    """
    (normal,) = chance.sent(chance.normal(*light.shape[1:]))
    return light + (shot * light + read**2).sqrt() * normal


def as_jpeg(images: Tensor, qualities: Sequence[int]) -> Tensor:
    """Return images ``(N, 3, H, W)`` in [0, 1] as JPEG files of these qualities have them, as libjpeg counts them.

    Colours have half the resolution each way, as Pillow writes them if nothing is said.
    """
    pixels = to_bytes(images).cpu()
    again = [_written(image, quality) for image, quality in zip(pixels, qualities, strict=True)]
    return to_float(send(torch.stack(again), images.device)).to(images) if again else images.clone()


def _written(pixels: Tensor, quality: int) -> Tensor:
    """Return pixels ``(3, H, W)`` uint8 as a JPEG file of that quality has them."""
    file = BytesIO()
    Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(file, "JPEG", quality=quality)
    with Image.open(file) as image:
        return torch.from_numpy(np.array(image)).permute(2, 0, 1)

"""The two layers of a photograph taken through glass, and estimates of them."""

from typing import NamedTuple

from torch import Tensor


class Layers(NamedTuple):
    """What a photograph taken through glass is made of; both ``(N, 3, H, W)``, RGB, sRGB-encoded, [0, 1]."""

    transmission: Tensor
    """T: the scene behind the glass."""
    reflection: Tensor
    """R: what the glass added to the pixel values, I - T where that is positive."""


class Estimate(NamedTuple):
    """Layers as they were estimated, with the image that they were estimated from."""

    transmission: Tensor
    reflection: Tensor
    ambient: Tensor
    """I, or at later steps what the step before has left of it."""

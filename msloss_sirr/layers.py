"""The two layers of a photograph taken through glass, as they are known, and estimates of them."""

from types import GenericAlias
from typing import TYPE_CHECKING, NamedTuple

from torch import Tensor

if TYPE_CHECKING:
    from typing import Generic

    from typing_extensions import NamedTuple as GenericTuple
    from typing_extensions import TypeVar

    _Image = TypeVar("_Image", default=Tensor)

    class Layers(GenericTuple, Generic[_Image]):
        """As below; type checkers are told of what kind the images are, and code that records operations is not."""

        transmission: _Image
        reflection: _Image

else:

    class Layers(NamedTuple):
        """What a photograph taken through glass is made of.

        Both ``(N, 3, H, W)``, RGB, sRGB-encoded, [0, 1]; or, where a remover was given an image of another kind, both
        of that kind. ``Layers[Image]`` has images for a type checker, and ``Layers`` tensors.
        """

        transmission: Tensor
        """T: the scene behind the glass."""
        reflection: Tensor
        """R: what the glass added to the pixel values, I - T where that is positive."""

        __class_getitem__ = classmethod(GenericAlias)


class Estimate(NamedTuple):
    """Layers as they were estimated, with the image that they were estimated from."""

    transmission: Tensor
    reflection: Tensor
    ambient: Tensor
    """I, or at later steps what the step before has left of it."""


class Truth(NamedTuple):
    """Layers as they are known, with which of them may lie beside the image that they are estimated from."""

    transmission: Tensor
    reflection: Tensor
    misaligned: Tensor
    """``(N,)`` bool: those that may, by some pixels, as those of two photographs taken one after the other do; best on
    the processor, where which these are is known without waiting for a device."""

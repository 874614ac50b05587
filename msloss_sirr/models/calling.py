"""How removers are called: with tensors as networks are, and with images as users have them."""

from collections.abc import Sequence
from typing import Any, TypeVar, overload

import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from msloss import refine
from msloss_sirr.images.kinds import pictures
from msloss_sirr.layers import Layers
from msloss_sirr.models.config import STRONGEST

_One = TypeVar("_One", Tensor, Image.Image, NDArray[Any])


class OnImages(nn.Module):
    """A module from ``(N, 3, H, W)`` to `Layers` that can be called with images of other kinds, too.

    A subclass has a ``forward(ambient, depth=None)``.
    """

    @overload
    def __call__(
        self, ambient: _One, depth: Tensor | None = None, *, steps: int = 1, strength: float = 1.0
    ) -> Layers[_One]: ...

    @overload
    def __call__(
        self, ambient: Sequence[_One], depth: None = None, *, steps: int = 1, strength: float = 1.0
    ) -> Layers[list[_One]]: ...

    def __call__(
        self, ambient: Any, depth: Tensor | None = None, *, steps: int = 1, strength: float = 1.0
    ) -> Layers[Any]:
        """Return the estimated layers of an image, both of its kind, type, size and device.

        A floating-point tensor, with one step at full strength, is given to the network as it is, with gradients, in
        the mode that the module is in; the result is not clipped. Everything else is inference: without gradients, in
        evaluation mode for the call, on the module's device, and rounded to the type of the image. The picture is taken
        for sRGB and looked at as it is, however large.

        Args:
            ambient: a ``PIL.Image.Image``; an array ``(H, W, 3)``, ``(H, W)``, ``(H, W, 4)`` or ``(N, H, W, 3)``, or a
                tensor ``(3, H, W)`` or ``(N, 3, H, W)``, uint8, uint16 or floating-point in [0, 1]; or a list of such,
                whose sizes and kinds may differ, which are taken one after the other. Alpha, grey and the profile of
                the colours are kept; see `pictures` for other modes of PIL images.
            depth: ``(N, 1, H, W)`` as `Remover.prepare_depth` returns it, or ``(1, H, W)`` for a single image, if the
                remover is guided by one.
            steps: how many times the remover is applied to its own output, as by `msloss.refine`. The reflection is
                that of the one step, and of several all that they took off, I - T.
            strength: how much of what it finds is taken off, 0 to 1.5. 0 returns a copy of the image, bit for bit.

        Raises:
            ValueError: if the image, the steps or the strength are none of these; see `Remover`, too.
        """
        _check_numbers(steps, strength)
        if isinstance(ambient, Tensor) and ambient.is_floating_point() and steps == strength == 1:
            if ambient.is_nested or ambient.dim() != 3:
                return super().__call__(ambient, depth)  # type: ignore[no-any-return]
            single: Layers = super().__call__(ambient[None], _of_one(depth))
            return Layers(single.transmission[0], single.reflection[0])
        if type(ambient) in (list, tuple):
            return self._one_by_one(ambient, depth, steps, strength)
        return self._infer(ambient, depth, steps, strength)

    def _one_by_one(
        self, images: Sequence[Any], depth: Tensor | None, steps: int, strength: float
    ) -> Layers[list[Any]]:
        if not images:
            raise ValueError("the list of images is empty; give one or more")
        if depth is not None:
            raise ValueError("depth was given for a list of images; give them one by one, each with its own")
        found = []
        for index, image in enumerate(images):
            try:
                found.append(self._infer(image, None, steps, strength))
            except ValueError as error:
                raise ValueError(f"image {index} of the list: {error}") from error
        return Layers([each.transmission for each in found], [each.reflection for each in found])

    @torch.no_grad()
    def _infer(self, image: object, depth: Tensor | None, steps: int, strength: float) -> Layers[Any]:
        given, weight = pictures(image), next(self.parameters())
        if strength == 0:
            return Layers(given.again(), given.back(torch.zeros_like(given.pixels)))
        ambient = given.pixels.to(weight.device, weight.dtype)
        guide = () if depth is None else (_of_one(depth).to(weight.device),)
        estimate: Layers = refine(self, ambient, *guide, steps=steps, feedback="transmission")
        transmission = estimate.transmission
        reflection = estimate.reflection if steps == 1 else ambient - transmission
        if strength != 1:
            transmission, reflection = torch.lerp(ambient, transmission, strength), strength * reflection
        if not (transmission.isfinite().all() and reflection.isfinite().all()):
            raise ValueError("the remover's estimate holds NaN or infinity; give another checkpoint, or fewer steps")
        return Layers(given.back(transmission), given.back(reflection))


def _of_one(depth: Tensor | None) -> Any:
    return depth[None] if depth is not None and depth.dim() == 3 else depth


def _check_numbers(steps: int, strength: float) -> None:
    if not isinstance(steps, int) or isinstance(steps, bool) or steps < 1:
        raise ValueError(f"steps is {steps!r}; give a whole number, 1 or more")
    if not isinstance(strength, int | float) or isinstance(strength, bool) or not 0 <= strength <= STRONGEST:
        raise ValueError(f"strength is {strength!r}; give a number from 0 to {STRONGEST:g}")

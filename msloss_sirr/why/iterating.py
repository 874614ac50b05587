"""A remover applied to its own output again and again, beside the truth."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor
from torchmetrics.functional.image import peak_signal_noise_ratio

from msloss import unroll
from msloss_sirr.evaluation.scores import CEILING
from msloss_sirr.images.reading import to_bytes, to_float
from msloss_sirr.layers import Layers


class Iterate(NamedTuple):
    """What is left of a photograph after some steps; ``x_0 = I`` is the photograph itself, ``x_t = T_t`` an estimate.

    What parts an estimate from the truth, ``x_t - T``, is so much of the reflection, ``along * (I - T)``, and something
    else that is orthogonal to it: ``left = along ** 2 + beside ** 2``. ``None`` where there was no reflection.
    """

    step: int
    """t, from 0."""
    psnr: float
    """In dB, of the whole image in 8 bits, 100 at most."""
    distance: float
    """The mean of ``|x_t - T|``, on the scale [0, 1]."""
    left: float | None
    """The energy of ``x_t - T`` as a share of that of ``I - T``."""
    along: float | None
    """How much of the reflection is left: 1 for all of it, 0 for none, less if more than all was taken."""
    beside: float | None
    """How much is wrong that was no reflection, as a root mean square over that of ``I - T``."""
    change: float | None
    """The root mean square of ``x_t - x_{t-1}``; ``None`` at step 0."""


@torch.no_grad()
def iterate(
    remover: Callable[..., Layers], ambient: Tensor, truth: Tensor, *guide: Tensor, steps: int
) -> Iterator[Iterate]:
    """Yield what a remover leaves of a photograph after 0, 1, ... steps.

    Args:
        remover: from an image ``(1, 3, H, W)``, and its prepared depth if it is guided by one, to `Layers`.
        ambient: I, ``(1, 3, H, W)`` in [0, 1].
        truth: T, likewise.
        *guide: the prepared depth.
        steps: how many times the remover is applied.
    """
    there = (ambient - truth).double()
    yield _iterate(0, ambient, truth, there, None)
    for step in unroll(remover, ambient, *guide, steps=steps, feedback="transmission"):
        estimate: Tensor = step.output.transmission
        change = float((estimate - step.input).double().square().mean().sqrt())
        yield _iterate(step.index, estimate, truth, there, change)


def _iterate(step: int, image: Tensor, truth: Tensor, there: Tensor, change: float | None) -> Iterate:
    wrong = (image - truth).double()
    energy = float(there.square().sum())
    left = along = beside = None
    if energy:
        left = float(wrong.square().sum()) / energy
        along = float((wrong * there).sum()) / energy
        beside = max(left - along**2, 0.0) ** 0.5
    ours, theirs = (to_float(to_bytes(each.cpu().contiguous())) for each in (image, truth))
    psnr = min(float(peak_signal_noise_ratio(ours, theirs, data_range=1.0)), CEILING)
    return Iterate(step, psnr, float(wrong.abs().mean()), left, along, beside, change)

"""Pairs that RefGAN is trained on."""

from typing import NamedTuple

from torch import Tensor

from msloss_sirr.data.batches import compose
from msloss_sirr.data.draws import Kind
from msloss_sirr.data.loader import DrawBatch
from msloss_sirr.devices import send
from msloss_sirr.images.registration import registered
from msloss_sirr.refgan.style import training_style
from msloss_sirr.synthesis.making import Synthesis


class Example(NamedTuple):
    """What the generator is given, and the picture it should have made; ``(N, 3, H, W)``, sRGB-encoded, [0, 1]."""

    transmission: Tensor
    style: Tensor | None
    ambient: Tensor


def examples(draws: DrawBatch, synthesis: Synthesis, style: str) -> Example:
    """Return draws as examples.

    The transmission of a real pair is shifted to where the ambient image has it, so that the generator need not learn
    how cameras were moved between two photographs.
    """
    batch = compose(draws, synthesis)
    ambient, transmission = batch.ambient, batch.target.transmission
    real = (draws.kind == Kind.REAL).view(-1, 1, 1, 1)
    if bool(real.any()):
        transmission = registered(transmission, ambient).where(send(real, ambient.device), transmission)
    return Example(transmission, training_style(style, ambient, transmission, draws.seed.tolist()), ambient)

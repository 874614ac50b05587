"""Pairs that RefGAN is trained on."""

from typing import NamedTuple

from torch import Tensor

from msloss_sirr.data.batches import compose
from msloss_sirr.data.draws import DrawBatch, Draws
from msloss_sirr.data.folders import pair_folder, photo_folder
from msloss_sirr.errors import InputError
from msloss_sirr.images.registration import registered
from msloss_sirr.refgan.config import RefganTrainConfig
from msloss_sirr.refgan.style import training_style
from msloss_sirr.synthesis.recipes import Recipe


class Example(NamedTuple):
    """What the generator is given, and the picture it should have made; ``(N, 3, H, W)``, sRGB-encoded, [0, 1]."""

    transmission: Tensor
    style: Tensor | None
    ambient: Tensor


def build_draws(config: RefganTrainConfig, length: int) -> Draws:
    """Return what an epoch of so many images is drawn from.

    Raises:
        InputError: if there is nothing to draw from, or a folder cannot be used.
    """
    if config.pairs is None and config.photos is None:
        raise InputError("nothing to train on; give --pairs, --photos or both")
    return Draws(
        length=length,
        crop=config.crop,
        pairs=None if config.pairs is None else pair_folder(config.pairs),
        photos=None if config.photos is None else photo_folder(config.photos),
        real_share=config.real_share,
        seed=config.seed,
    )


def examples(draws: DrawBatch, recipe: Recipe, style: str) -> Example:
    """Return draws as examples.

    The transmission of a real pair is shifted to where the ambient image has it, so that the generator need not learn
    how cameras were moved between two photographs.
    """
    batch = compose(draws, recipe)
    ambient, transmission = batch.ambient, batch.target.transmission
    real = draws.real.view(-1, 1, 1, 1)
    if bool(real.any()):
        transmission = registered(transmission, ambient).where(real, transmission)
    return Example(transmission, training_style(style, ambient, transmission, draws.seed.tolist()), ambient)

"""Trainings by name."""

import argparse
from collections.abc import Sequence

import tyro

from msloss_sirr.losses.config import LossConfig
from msloss_sirr.models.config import RemoverConfig
from msloss_sirr.training.config import TrainConfig

PRESETS = {
    "compact": TrainConfig(val=tyro.MISSING, out=tyro.MISSING),
    "paper": TrainConfig(
        val=tyro.MISSING,
        out=tyro.MISSING,
        preset="paper",
        crop=336,
        steps=3,
        start_steps=2,
        epochs=100,
        batch=1,
        lr=1e-4,
        model=RemoverConfig(
            architecture="unet",
            depth="ranged",
            ranges=4,
            channels=(64, 128, 256, 512, 1024),
            patch=1,
            residual=False,
            norm="none",
            upsampling="transposed",
        ),
        loss=LossConfig(transmission=1.0, reflection=1.0, gradient=1.0, feature=1.0, backbone="vgg19"),
    ),
}
"""The defaults of a training, with the folders it needs left open."""


def defaults(words: Sequence[str]) -> TrainConfig:
    """Return the defaults that the words of a command line ask for, by ``--preset NAME``."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--preset")
    name = parser.parse_known_args(words)[0].preset
    return PRESETS.get(name, PRESETS["compact"])  # whoever parses the words refuses another name

"""The remover that a training begins with."""

import dataclasses
from pathlib import Path
from typing import Any

from torch import nn

from msloss_sirr.errors import InputError
from msloss_sirr.imagenet import imagenet_features
from msloss_sirr.losses.config import LossConfig
from msloss_sirr.models.remover import Remover, load_remover
from msloss_sirr.models.squeezenet import SqueezeUNet
from msloss_sirr.trainer.state import saved
from msloss_sirr.training.config import TrainConfig

SHIPPED = "shipped"
"""Instead of a checkpoint: the remover that comes with the package."""

_WEIGHTLESS = "view"
"""What networks may differ in, and have the same weights."""


def begin_remover(config: TrainConfig) -> Remover:
    """Return the remover that a training begins with: as its configuration says, or that of another checkpoint.

    A run that is resumed from a state has all weights there: what it began with is not looked for.

    Raises:
        InputError: if weights that it begins with cannot be had, the checkpoint's networks are not those that the
            configuration says, or they have no use for the encoder or the target of R that it names.
    """
    if config.resume and saved(config.out):
        return Remover(config.model)
    _check_encoder(config)
    _check_reflection(config)
    if config.weights is not None:
        return _continued(config, config.weights)
    remover = Remover(config.model)
    if config.model.architecture == "squeezenet" and config.encoder != "random":
        path = None if config.encoder == "imagenet" else Path(config.encoder)
        remedy = "give a file by --encoder, or begin with --encoder random or --weights shipped"
        known = imagenet_features("squeezenet1_1", path, remedy).state_dict()
        for network in remover.children():
            if isinstance(network, SqueezeUNet):
                network.encoder.load_state_dict(known)
    return remover


def beginnings(config: TrainConfig) -> list[Path]:
    """Return the files of weights, given by name, that a training makes use of."""
    named = [config.weights if config.weights != SHIPPED else None, config.loss.weights]
    named += [config.depth.weights if config.model.depth != "none" else None]
    if config.model.architecture == "squeezenet" and config.weights is None:
        named += [config.encoder if config.encoder not in {"imagenet", "random"} else None]
    return [Path(name) for name in named if name is not None]


def grouped(remover: nn.Module, share: float) -> list[dict[str, Any]]:
    """Return the weights of a remover as groups of an optimiser: new ones, and those learned elsewhere.

    Args:
        remover: any network.
        share: of the learning rate, for what is learned elsewhere: the way down of every `SqueezeUNet`.
    """
    known = [network.encoder for network in remover.modules() if isinstance(network, SqueezeUNet)]
    elsewhere = [parameter for encoder in known for parameter in encoder.parameters()]
    apart = {id(parameter) for parameter in elsewhere}
    new = [parameter for parameter in remover.parameters() if id(parameter) not in apart]
    groups: list[dict[str, Any]] = [{"params": new, "share": 1.0}]
    return [*groups, {"params": elsewhere, "share": share}] if elsewhere else groups


def networks_of(weights: str) -> Remover:
    """Return the remover of a checkpoint, or the one that comes with the package by the name ``shipped``."""
    return load_remover(None if weights == SHIPPED else weights)


def _check_encoder(config: TrainConfig) -> None:
    """Raise ``InputError`` if something is asked for the encoder of networks that have none."""
    if config.model.architecture == "squeezenet":
        return
    if (config.encoder, config.encoder_lr) != (TrainConfig.encoder, TrainConfig.encoder_lr):
        raise InputError(
            f"encoder is {config.encoder}, encoder_lr {config.encoder_lr}, but {config.model.architecture} networks "
            "have no encoder; leave them out"
        )


def _check_reflection(config: TrainConfig) -> None:
    """Raise ``InputError`` if a target is named for a reflection that no network estimates."""
    target = config.loss.reflection_target
    if config.model.networks == "transmission" and target != LossConfig.reflection_target:
        raise InputError(
            f"reflection_target is {target}, but without a reflection net R has no term in the loss; leave it out, or "
            "train --model.networks both"
        )


def _continued(config: TrainConfig, weights: str) -> Remover:
    known, remover = networks_of(weights), Remover(config.model)
    then, now = dataclasses.asdict(known.config), dataclasses.asdict(config.model)
    differ = [
        f"{name} {then[name]}, not {now[name]}" for name in now if then[name] != now[name] and name != _WEIGHTLESS
    ]
    if differ:
        raise InputError(
            f"{weights} has networks of {', '.join(differ)}; leave the model out to train them as they are"
        )
    remover.load_state_dict(known.state_dict())
    return remover

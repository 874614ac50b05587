"""Removers as files."""

import dataclasses
from collections.abc import Mapping
from copy import deepcopy
from importlib.resources import as_file, files
from math import inf
from pathlib import Path
from typing import Any

from msloss_sirr.errors import InputError
from msloss_sirr.models.config import RemoverConfig
from msloss_sirr.models.files import load_network, save_network
from msloss_sirr.models.remover import Remover

_FORMAT = "msloss_sirr.remover/1"
_OTHER = "msloss_sirr.network/1"
_OWN = "weights", "default.safetensors"


def save_remover(remover: Remover, path: Path, notes: Mapping[str, str] | None = None) -> None:
    """Write a remover to a file, whole or not at all.

    Args:
        remover: what to save. Of a network of another kind, without a `RemoverConfig` as its ``config``, the weights
            are written, for ``safetensors.torch.load_file``.
        path: ends in ``.safetensors``.
        notes: more to be said in the file's metadata.
    """
    known = isinstance(getattr(remover, "config", None), RemoverConfig)
    save_network(remover, remover.config if known else None, path, _FORMAT if known else _OTHER, notes)


def load_remover(path: Path | str | None = None) -> Remover:
    """Return the remover in a file, in evaluation mode, in float32.

    Args:
        path: checkpoint of ``msloss-sirr train``; ``None`` takes the remover that comes with the package.

    Raises:
        InputError: if the file is missing, damaged, or holds another model.
    """
    if path is not None:
        return load_network(Path(path), _FORMAT, _build, what="remover", command="msloss-sirr train")
    with as_file(files("msloss_sirr").joinpath(*_OWN)) as own:
        return load_remover(own)


def shipped_file() -> Path:
    """Return the file of the remover that comes with the package, where that is unpacked."""
    return Path(str(files("msloss_sirr").joinpath(*_OWN)))


def mean_remover(removers: Mapping[Remover, float]) -> Remover:
    """Return the remover whose weights are the mean of those of several.

    Of trainings that began at the same remover, the mean often does on unknown photographs what all of them do, and
    errs less than any.

    Args:
        removers: each with how much it counts, relative to the others.

    Raises:
        ValueError: if there are none, they have several configurations, or what they count together is not a number
            greater than 0.

    Source: Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022.
    """
    total = sum(removers.values())
    if len({remover.config for remover in removers}) != 1 or not 0 < total < inf:
        raise ValueError("give removers of one configuration, that count something together")
    mean = deepcopy(next(iter(removers)))  # a new one would draw random numbers
    states = [(remover.state_dict(), share / total) for remover, share in removers.items()]
    mean.load_state_dict({key: sum(share * state[key] for state, share in states) for key in mean.state_dict()})
    return mean.eval()


def _build(fields: dict[str, Any]) -> Remover:
    known = {field.name for field in dataclasses.fields(RemoverConfig)}
    for name in fields:
        if name not in known:
            raise InputError(f"{name!r} is no field of its configuration")
    if not isinstance(fields["channels"], list):
        raise InputError(f"channels is {fields['channels']!r}; give whole numbers")
    return Remover(RemoverConfig(**{**fields, "channels": tuple(fields["channels"])}))

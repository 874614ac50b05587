"""Removers as files: safetensors, with the configuration inside."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from msloss_sirr.errors import InputError
from msloss_sirr.files import whole_file
from msloss_sirr.models.config import RemoverConfig
from msloss_sirr.models.remover import Remover
from msloss_sirr.pretrained import load_state

_FORMAT = "msloss_sirr.remover/1"


def save_remover(remover: Remover, path: Path, notes: Mapping[str, str] | None = None) -> None:
    """Write a remover to a file, whole or not at all.

    Args:
        remover: what to save.
        path: ends in ``.safetensors``.
        notes: more to be said in the file's metadata.
    """
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in remover.state_dict().items()}
    config = json.dumps(dataclasses.asdict(remover.config))
    with whole_file(path) as partial:
        save_file(state, partial, {**(notes or {}), "format": _FORMAT, "config": config})


def load_remover(path: Path) -> Remover:
    """Return the remover in a file, in evaluation mode, in float32.

    Raises:
        InputError: if the file is missing, damaged, or holds another model.
    """
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise InputError(f"{path} {what}; give a checkpoint that msloss-sirr train wrote")
    try:
        with safe_open(path, framework="pt") as file:
            about = file.metadata() or {}
            state = {name: _wide(file.get_tensor(name)) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path} is no checkpoint of msloss-sirr, or is damaged: {error}") from error
    if about.get("format") != _FORMAT:
        raise InputError(f"{path} holds another model; give a checkpoint that msloss-sirr train wrote")
    try:
        fields = json.loads(about["config"])
        config = RemoverConfig(**{**fields, "channels": tuple(fields["channels"])})
    except (InputError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} does not fit this version of msloss: {error}") from error
    with torch.device("meta"):
        remover = Remover(config)
    load_state(remover, state, path, "remover of this version of msloss", assign=True)
    return remover.eval()


def _wide(tensor: torch.Tensor) -> torch.Tensor:
    """Return a tensor in memory of its own: a mapped file may change, and where it lies, sums are rounded otherwise."""
    return tensor.to(torch.float32 if tensor.is_floating_point() else tensor.dtype, copy=True)

"""Removers as files."""

import dataclasses
from collections.abc import Callable, Mapping
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, TypeVar

from torch import nn

from msloss_sirr.errors import InputError
from msloss_sirr.models.config import RemoverConfig
from msloss_sirr.models.files import load_network, save_network

_FORMAT = "msloss_sirr.remover/1"
_OTHER = "msloss_sirr.network/1"
_OWN = "weights", "default.safetensors"

_Remover = TypeVar("_Remover", bound=nn.Module)


def save_remover(remover: nn.Module, path: Path, notes: Mapping[str, str] | None = None) -> None:
    """Write a remover to a file, whole or not at all.

    Args:
        remover: what to save. Of a network of another kind, without a `RemoverConfig` as its ``config``, the weights
            are written, for ``safetensors.torch.load_file``.
        path: ends in ``.safetensors``.
        notes: more to be said in the file's metadata.
    """
    config = getattr(remover, "config", None)
    known = isinstance(config, RemoverConfig)
    save_network(remover, config if known else None, path, _FORMAT if known else _OTHER, notes)


def read_remover(path: Path | str | None, make: Callable[[RemoverConfig], _Remover]) -> _Remover:
    """Return the remover in a file, in evaluation mode, in float32.

    Args:
        path: checkpoint of ``msloss-sirr train``; ``None`` takes the remover that comes with the package.
        make: a remover of a configuration.

    Raises:
        InputError: if the file is missing, damaged, or holds another model.
    """
    if path is None:
        with as_file(files("msloss_sirr").joinpath(*_OWN)) as own:
            return read_remover(own, make)

    def build(fields: dict[str, Any]) -> _Remover:
        return make(_config(fields))

    return load_network(Path(path), _FORMAT, build, what="remover", command="msloss-sirr train")


def shipped_file() -> Path:
    """Return the file of the remover that comes with the package, where that is unpacked."""
    return Path(str(files("msloss_sirr").joinpath(*_OWN)))


def _config(fields: dict[str, Any]) -> RemoverConfig:
    known = {field.name for field in dataclasses.fields(RemoverConfig)}
    for name in fields:
        if name not in known:
            raise InputError(f"{name!r} is no field of its configuration")
    if not isinstance(fields["channels"], list):
        raise InputError(f"channels is {fields['channels']!r}; give whole numbers")
    return RemoverConfig(**{**fields, "channels": tuple(fields["channels"])})

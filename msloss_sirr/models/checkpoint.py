"""Removers as files."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msloss_sirr.models.config import RemoverConfig
from msloss_sirr.models.files import load_network, save_network
from msloss_sirr.models.remover import Remover

_FORMAT = "msloss_sirr.remover/1"
_OTHER = "msloss_sirr.network/1"


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


def load_remover(path: Path) -> Remover:
    """Return the remover in a file, in evaluation mode, in float32.

    Raises:
        InputError: if the file is missing, damaged, or holds another model.
    """
    return load_network(path, _FORMAT, _build, what="remover", command="msloss-sirr train")


def _build(fields: dict[str, Any]) -> Remover:
    return Remover(RemoverConfig(**{**fields, "channels": tuple(fields["channels"])}))

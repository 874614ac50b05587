"""Generators as files."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msloss_sirr.models.files import load_network, save_network
from msloss_sirr.refgan.config import RefganConfig
from msloss_sirr.refgan.generator import Generator

_FORMAT = "msloss_sirr.refgan/1"


def save_generator(generator: Generator, path: Path, notes: Mapping[str, str] | None = None) -> None:
    """Write a generator to a file, whole or not at all.

    Args:
        generator: what to save.
        path: ends in ``.safetensors``.
        notes: more to be said in the file's metadata.
    """
    save_network(generator, generator.config, path, _FORMAT, notes)


def load_generator(path: Path) -> Generator:
    """Return the generator in a file, in evaluation mode, in float32.

    Raises:
        InputError: if the file is missing, damaged, or holds another model.
    """
    return load_network(path, _FORMAT, _build, what="generator", command="msloss-sirr refgan train")


def _build(fields: dict[str, Any]) -> Generator:
    return Generator(RefganConfig(**fields))

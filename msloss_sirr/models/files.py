"""Networks as files: safetensors, with the configuration inside."""

import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from msloss_sirr.errors import InputError
from msloss_sirr.files import whole_file
from msloss_sirr.pretrained import check_shapes, load_state

WEIGHTS = "model.safetensors"
"""The file of a network in a folder, or a repository of the hub."""
_MOST_WEIGHTS = 2**29
_LONGEST = 300

_Network = TypeVar("_Network", bound=nn.Module)


def save_network(
    network: nn.Module, config: Any, path: Path, kind: str, notes: Mapping[str, str] | None = None
) -> None:
    """Write a network to a file, whole or not at all.

    Args:
        network: what to save.
        config: what it is made from, a dataclass; ``None`` if that is for others to know.
        path: ends in ``.safetensors``.
        kind: what `load_network` is to look for.
        notes: more to be said in the file's metadata.

    Raises:
        OSError: if the system refuses, as where the disk is full.
    """
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    told = json.dumps(None if config is None else dataclasses.asdict(config))
    with whole_file(path) as partial:
        partial.write_bytes(_ordered(save(state, {**(notes or {}), "format": kind, "config": told})))


def load_network(
    path: Path, kind: str, build: Callable[[dict[str, Any]], _Network], *, what: str, command: str
) -> _Network:
    """Return the network in a file, in evaluation mode, in float32.

    Args:
        path: what `save_network` wrote.
        kind: of what kind it must be.
        build: makes the network from the fields of its configuration; an `InputError`, ``TypeError``, ``KeyError`` or
            ``ValueError`` means that they do not fit.
        what: the network, in messages.
        command: what writes such files, in messages.

    Raises:
        InputError: if the file is missing, damaged, or holds another network.
    """
    wanted = f"{what} of this version of msloss"
    if not path.is_file():
        problem = "is a folder" if path.is_dir() else "does not exist"
        raise InputError(f"{path} {problem}; give a checkpoint that {command} wrote")
    try:
        with safe_open(path, framework="pt") as file:
            about = file.metadata() or {}
            if about.get("format") != kind:
                raise InputError(f"{path} holds another model; give a checkpoint that {command} wrote")
            network = _built(path, about.get("config", ""), build)
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
            check_shapes(network, shapes, path, wanted)
            state = {name: _wide(file.get_tensor(name)) for name in shapes}
    except (OSError, SafetensorError, TypeError, ValueError) as error:  # the latter of kinds of numbers torch has not
        raise InputError(f"{path} is no checkpoint of msloss-sirr, or is damaged: {_short(error)}") from error
    load_state(network, state, path, wanted, assign=True)
    return network.eval()


def _built(path: Path, told: str, build: Callable[[dict[str, Any]], _Network]) -> _Network:
    """Return the network of a configuration, without memory for its weights."""
    try:
        fields = json.loads(told)
        if not isinstance(fields, dict):
            raise InputError(f"its configuration is {_short(repr(fields))}, which has no fields")  # noqa: TRY301
        with torch.device("meta"):
            network = build(fields)
    except KeyError as error:
        raise InputError(f"{path} does not fit this version of msloss: {error} is not told") from error
    except (InputError, TypeError, ValueError, ArithmeticError, RuntimeError) as error:  # also of sizes beyond 64 bits
        raise InputError(f"{path} does not fit this version of msloss: {_short(error)}") from error
    if (weights := sum(each.numel() for each in network.parameters())) > _MOST_WEIGHTS:
        raise InputError(f"{path} is told to hold {weights:.2g} weights; more than {_MOST_WEIGHTS:.2g} are not read")
    return network


def _short(told: object) -> str:
    """Return what is told in one line, not too long: it may repeat what a file says."""
    line = " ".join("".join(char if char.isprintable() else " " for char in str(told)[:_LONGEST]).split())
    return f"{line} ..." if len(str(told)) > _LONGEST else line


def _ordered(content: bytes) -> bytes:
    """Return a file with its metadata in the order of their names: as it is made, their order is left to chance."""
    begin = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:begin])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    ordered = json.dumps(header, separators=(",", ":")).encode()
    ordered += b" " * (-len(ordered) % 8)
    return len(ordered).to_bytes(8, "little") + ordered + content[begin:]


def _wide(tensor: torch.Tensor) -> torch.Tensor:
    """Return a tensor in memory of its own: a mapped file may change, and where it lies, sums are rounded otherwise."""
    return tensor.to(torch.float32 if tensor.is_floating_point() else tensor.dtype, copy=True)

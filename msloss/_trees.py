"""What a model may return beside a tensor: tuples, mappings, dataclasses and other objects that hold tensors."""

import copy
import dataclasses
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn


def detach(value: Any) -> Any:
    """Return ``value`` with every tensor in it detached from the graph; containers are copied, as they are."""
    if isinstance(value, Tensor):
        return value.detach()
    if isinstance(value, dict):
        return _refilled(value, {key: detach(entry) for key, entry in value.items()}.items())
    if isinstance(value, Mapping):
        return {key: detach(entry) for key, entry in value.items()}
    if isinstance(value, tuple):
        return tuple.__new__(type(value), [detach(entry) for entry in value])
    if isinstance(value, list):
        return _refilled(value, enumerate([detach(entry) for entry in value]))
    names = _attributes(value)
    if not names:
        return value
    detached = copy.copy(value)
    for name in names:
        object.__setattr__(detached, name, detach(getattr(value, name)))
    return detached


def select(output: Any, part: str | int) -> Any:
    """Return one part of a structured output: a mapping's key, an attribute, or the index of a sequence.

    Raises:
        ValueError: if the output has no such part; the message names those it has.
    """
    if isinstance(output, Mapping):
        if part in output:
            return output[part]
        raise ValueError(f"feedback={part!r} but the model's output has the keys {sorted(map(str, output))}")
    if isinstance(part, int):
        if isinstance(output, (tuple, list)) and -len(output) <= part < len(output):
            return output[part]
        size = f" of {len(output)}" if isinstance(output, (tuple, list)) else ""
        raise ValueError(f"feedback={part} but the model returned a {type(output).__name__}{size}")
    names = [*getattr(output, "_fields", ()), *_attributes(output)]
    if part in names or (not isinstance(output, Tensor) and hasattr(output, part)):
        return getattr(output, part)
    has = f" with the fields {names}" if names else ""
    raise ValueError(f"feedback={part!r} but the model returned a {type(output).__name__}{has}")


def _attributes(value: Any) -> list[str]:
    """Return the names under which an object holds values of its own; none for tensors, modules, functions, classes."""
    if isinstance(value, (Tensor, nn.Module, type)) or callable(value):
        return []
    fields = [f.name for f in dataclasses.fields(value)] if dataclasses.is_dataclass(value) else []
    return [*dict.fromkeys([*(name for name in fields if hasattr(value, name)), *getattr(value, "__dict__", ())])]


def _refilled(container: Any, entries: Any) -> Any:
    copied = copy.copy(container)
    for key, entry in entries:
        copied[key] = entry
    return copied

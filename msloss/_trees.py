"""What a model may return beside a tensor: tuples, mappings, dataclasses and other objects that hold tensors."""

import copy
import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn


def mapped(value: Any, function: Callable[[Tensor], Any], *, objects: bool = True) -> Any:
    """Return ``value`` with ``function`` applied to every tensor in it; containers are copied, as they are.

    Args:
        value: a tensor, or tuples, lists, mappings, dataclasses and other objects that hold tensors, to any depth.
        function: applied to each tensor once, even if it is held in several places.
        objects: whether objects that are neither containers nor dataclasses are looked into.
    """
    return function(value) if isinstance(value, Tensor) else _Mapping(function, objects)(value)


def detach(value: Any) -> Any:
    """Return ``value`` with every tensor in it detached from the graph; containers are copied, as they are."""
    return mapped(value, Tensor.detach)


def tensors(value: Any) -> list[Tensor]:
    """Return every tensor in ``value``, each once."""
    if isinstance(value, Tensor):
        return [value]
    found: list[Tensor] = []
    mapped(value, found.append)
    return found


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


def exchanged(output: Any, part: str | int, replacement: Any) -> Any:
    """Return a copy of a structured output in which one part, as `select` finds it, is another."""
    select(output, part)
    if isinstance(output, dict):
        return _refilled(output, [(part, replacement)])
    if isinstance(output, Mapping):
        return {**output, part: replacement}
    if isinstance(output, tuple):
        index = part if isinstance(part, int) else getattr(output, "_fields", ()).index(part)
        entries = list(output)
        entries[index] = replacement
        return tuple.__new__(type(output), entries)
    if isinstance(part, int):
        return _refilled(output, [(part, replacement)])
    copied = copy.copy(output)
    object.__setattr__(copied, part, replacement)
    return copied


class _Mapping:
    """One pass over a tree; what occurs in several places is visited once."""

    def __init__(self, function: Callable[[Tensor], Any], objects: bool) -> None:
        self._function = function
        self._objects = objects
        self._done: dict[int, tuple[Any, Any]] = {}  # the original is kept, so that its id stays its own

    def __call__(self, value: Any) -> Any:
        if id(value) in self._done:
            return self._done[id(value)][1]
        result = self._function(value) if isinstance(value, Tensor) else self._rebuilt(value)
        self._done[id(value)] = value, result
        return result

    def _rebuilt(self, value: Any) -> Any:
        if isinstance(value, dict):
            return _refilled(value, {key: self(entry) for key, entry in value.items()}.items())
        if isinstance(value, Mapping):
            return {key: self(entry) for key, entry in value.items()}
        if isinstance(value, tuple):
            return tuple.__new__(type(value), [self(entry) for entry in value])
        if isinstance(value, list):
            return _refilled(value, enumerate([self(entry) for entry in value]))
        names = _attributes(value) if self._objects or dataclasses.is_dataclass(value) else []
        if not names:
            return value
        copied = copy.copy(value)
        self._done[id(value)] = value, copied  # an object may hold itself
        for name in names:
            object.__setattr__(copied, name, self(getattr(value, name)))
        return copied


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

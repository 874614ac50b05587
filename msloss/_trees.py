"""What a model may return beside a tensor: tuples, mappings, dataclasses and other objects that hold tensors."""

import copy
import dataclasses
import functools
import types
from collections.abc import Callable, Iterable, Mapping, MutableMapping, MutableSequence, Sequence
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor, nn

_FUNCTIONS = (types.FunctionType, types.MethodType, types.BuiltinFunctionType, functools.partial)

Build: TypeAlias = Callable[[Sequence[Any]], Any]


class Tree(NamedTuple):
    """What holds tensors, taken apart."""

    leaves: list[Tensor]
    """The tensors, to any depth, each once."""
    build: Build
    """Makes the like of it from as many others: copies the containers and objects that hold those tensors, as they
    are, and hands over the rest itself."""


def flattened(value: Any, wanted: Callable[[Tensor], bool] | None = None) -> Tree:
    """Take ``value`` apart into its tensors, or those that are wanted."""
    if isinstance(value, Tensor) and (wanted is None or wanted(value)):
        return Tree([value], _at(0))
    flattening = _Flattening(wanted)
    return Tree(flattening.leaves, flattening.builder(value) or (lambda _: value))


def together(one: Tree, other: Tree) -> Tree:
    """Return the pair of two trees as one."""
    if not other.leaves:
        return Tree(one.leaves, lambda leaves: (one.build(leaves), other.build(())))
    count, first, second = len(one.leaves), one.build, other.build
    return Tree(one.leaves + other.leaves, lambda leaves: (first(leaves[:count]), second(leaves[count:])))


def detach(value: Any) -> Any:
    """Return ``value`` with every tensor in it detached from the graph; containers are copied, as they are."""
    leaves, build = flattened(value)
    return build([leaf.detach() for leaf in leaves])


def versions(leaves: Iterable[Tensor]) -> list[tuple[Tensor, int]]:
    """Return tensors with the number of times they were modified in place, where that is known."""
    if torch.compiler.is_compiling():
        return []
    return [(leaf, leaf._version) for leaf in leaves if not leaf.is_inference()]


def device_of(value: Any) -> torch.device:
    """Return the device of the first tensor in ``value``; the CPU if there is none."""
    leaves = flattened(value).leaves
    return leaves[0].device if leaves else torch.device("cpu")


def select(output: Any, part: str | int) -> Any:
    """Return one part of a structured output: a mapping's key, an attribute, or the index of a sequence.

    Raises:
        ValueError: if the output has no such part; the message names those it has.
    """
    if isinstance(output, Mapping):
        if _key(output, part) in output:
            return output[_key(output, part)]
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
    if isinstance(output, MutableMapping):
        return _refilled(output, {_key(output, part): replacement})
    if isinstance(output, Mapping):
        return _as_dict(output, {part: replacement})
    if isinstance(output, tuple):
        place = part if isinstance(part, int) else getattr(output, "_fields", ()).index(part)
        return _with_entries(output, {place % len(output): replacement})
    if isinstance(part, int):
        return _refilled(output, {part: replacement})
    return _with_attributes(output, {part: replacement})


def _key(output: Mapping[Any, Any], part: str | int) -> Any:
    """Return the key of a part; the outputs of transformers, mappings with ``to_tuple``, can be counted as well."""
    counted = isinstance(part, int) and hasattr(output, "to_tuple") and -len(output) <= part < len(output)
    return list(output)[part] if counted and isinstance(part, int) else part


class _Flattening:
    """One pass over a tree."""

    def __init__(self, wanted: Callable[[Tensor], bool] | None) -> None:
        self.leaves: list[Tensor] = []
        self._wanted = wanted
        self._builders: dict[int, tuple[Any, Build | None]] = {}  # what is met is kept, so that its id stays its own

    def builder(self, value: Any) -> Build | None:
        """Return what makes the like of ``value`` from other tensors; ``None`` if there are none in it."""
        if id(value) not in self._builders:
            self._builders[id(value)] = value, None  # what holds itself is met again on the way
            self._builders[id(value)] = value, self._leaf(value) if isinstance(value, Tensor) else self._node(value)
        return self._builders[id(value)][1]

    def _leaf(self, tensor: Tensor) -> Build | None:
        if self._wanted is not None and not self._wanted(tensor):
            return None
        self.leaves.append(tensor)
        return _at(len(self.leaves) - 1)

    def _node(self, value: Any) -> Build | None:
        refill: Callable[[Any, Mapping[Any, Any]], Any]
        entries: Iterable[tuple[Any, Any]]
        if isinstance(value, Mapping):
            refill, entries = _refilled if isinstance(value, MutableMapping) else _as_dict, value.items()
        elif isinstance(value, (tuple, MutableSequence)):
            refill, entries = _with_entries if isinstance(value, tuple) else _refilled, enumerate(value)
        else:
            refill, entries = _with_attributes, ((name, getattr(value, name)) for name in _attributes(value))
        builders = [(key, found) for key, entry in entries if (found := self.builder(entry)) is not None]
        if not builders:
            return None
        return lambda leaves: refill(value, {key: build(leaves) for key, build in builders})


def _at(index: int) -> Build:
    return lambda leaves: leaves[index]


def _attributes(value: Any) -> list[str]:
    """Return the names under which an object holds values of its own; none for tensors, modules, functions, classes."""
    if isinstance(value, (Tensor, nn.Module, type, *_FUNCTIONS)):
        return []
    fields = [f.name for f in dataclasses.fields(value)] if dataclasses.is_dataclass(value) else []
    slots = [_inside(cls, name) for cls in type(value).__mro__ for name in _names(getattr(cls, "__slots__", ()))]
    held = [name for name in [*fields, *slots] if name not in ("__dict__", "__weakref__") and hasattr(value, name)]
    return [*dict.fromkeys([*held, *getattr(value, "__dict__", ())])]


def _inside(cls: type, name: str) -> str:
    """Return the name that Python gives to a private slot."""
    private = name.startswith("__") and not name.endswith("__")
    return f"_{cls.__name__.lstrip('_')}{name}" if private else name


def _names(slots: str | Iterable[str]) -> Iterable[str]:
    return (slots,) if isinstance(slots, str) else slots


def _refilled(container: Any, entries: Mapping[Any, Any]) -> Any:
    copied = copy.copy(container)
    for key, entry in entries.items():
        copied[key] = entry
    return copied


def _as_dict(mapping: Mapping[Any, Any], entries: Mapping[Any, Any]) -> Any:
    return {**mapping, **entries}


def _with_entries(value: tuple[Any, ...], entries: Mapping[Any, Any]) -> Any:
    together = [entries.get(i, entry) for i, entry in enumerate(value)]
    if hasattr(type(value), "n_sequence_fields"):  # what torch.sort returns
        return type(value)(together)
    return tuple.__new__(type(value), together)


def _with_attributes(value: Any, entries: Mapping[Any, Any]) -> Any:
    copied = copy.copy(value)
    for name, entry in entries.items():
        object.__setattr__(copied, name, entry)
    return copied

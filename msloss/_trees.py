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


class Copied(NamedTuple):
    """A container or object that was copied to hold other tensors."""

    original: Any
    copy: Any
    held: "Contents"
    """What the copy held at first."""


class Contents(NamedTuple):
    """What a container or object holds: entries by key, attributes by name."""

    entries: dict[Any, Any]
    attributes: dict[str, Any]


Copies: TypeAlias = dict[int, Copied]
"""What has been copied, by the identity of the original."""

Build: TypeAlias = Callable[[Sequence[Any], Copies], Any]


class Tree(NamedTuple):
    """What holds tensors, taken apart."""

    leaves: list[Tensor]
    """The tensors, to any depth, each once."""
    builder: Build

    def build(self, leaves: Sequence[Any], copies: Copies | None = None) -> Any:
        """Make the like of it from as many other tensors: copy the containers that hold them, hand over the rest.

        ``copies`` learns which were copied.
        """
        return self.builder(leaves, {} if copies is None else copies)


def flattened(value: Any, wanted: Callable[[Tensor], bool] | None = None) -> Tree:
    """Take ``value`` apart into its tensors, or those that are wanted."""
    if isinstance(value, Tensor) and (wanted is None or wanted(value)):
        return Tree([value], _at(0))
    flattening = _Flattening(wanted)
    return Tree(flattening.leaves, flattening.builder(value) or (lambda *_: value))


def together(one: Tree, other: Tree) -> Tree:
    """Return the pair of two trees as one."""
    count, first, second = len(one.leaves), one.builder, other.builder
    if not other.leaves:
        return Tree(one.leaves, lambda leaves, copies: (first(leaves, copies), second((), copies)))
    return Tree(
        one.leaves + other.leaves,
        lambda leaves, copies: (first(leaves[:count], copies), second(leaves[count:], copies)),
    )


def detach(value: Any) -> Any:
    """Return ``value`` with every tensor in it detached from the graph; containers are copied, as they are."""
    tree = flattened(value)
    return tree.build([leaf.detach() for leaf in tree.leaves])


def carry_back(copies: Copies, exchanged: Iterable[tuple[Any, Any]]) -> bool:
    """Do to the originals what has been done to their copies since; return whether there was anything.

    Args:
        copies: as `Tree.build` made them.
        exchanged: what the copies were given, with what was there instead of it in the originals.
    """
    changes = [(copied, now) for copied in copies.values() if not _same(now := _contents(copied.copy), copied.held)]
    if changes:
        pairs = [*exchanged, *((copied.copy, copied.original) for copied in copies.values())]
        originals = {id(new): old for new, old in pairs}
        for copied, now in changes:
            _change(copied.original, copied.held, now, originals)
    return bool(changes)


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

        def build(leaves: Sequence[Any], copies: Copies) -> Any:
            if id(value) not in copies:
                made = refill(value, {key: found(leaves, copies) for key, found in builders})
                copies[id(value)] = Copied(value, made, _contents(made))
            return copies[id(value)].copy

        return build


def _at(index: int) -> Build:
    return lambda leaves, _: leaves[index]


def _contents(container: Any) -> Contents:
    """Return what a container or object holds now; nothing of what cannot change."""
    if isinstance(container, tuple):
        return Contents({}, {})
    if isinstance(container, Mapping):
        entries = dict(container.items())
    else:
        entries = dict(enumerate(container)) if isinstance(container, MutableSequence) else {}
    return Contents(entries, {name: getattr(container, name) for name in _attributes(container)})


def _same(one: Contents, other: Contents) -> bool:
    """Whether the same objects are held under the same keys, in the same order."""
    return all(
        len(mine) == len(others)
        and all(j == k and a is b for (j, a), (k, b) in zip(mine.items(), others.items(), strict=True))
        for mine, others in zip(one, other, strict=True)
    )


def _change(container: Any, before: Contents, now: Contents, originals: Mapping[int, Any]) -> None:
    """Change a container as the like of it has changed, with the originals of what that holds."""
    had = before.entries
    if [*now.entries][: len(had)] != [*had]:
        had = {}
        container.clear()
    for key, entry in now.entries.items():
        if key not in had and isinstance(container, MutableSequence):
            container.append(originals.get(id(entry), entry))
        else:
            container[key] = originals.get(id(entry), entry)
    for name in before.attributes.keys() - now.attributes.keys():
        object.__delattr__(container, name)
    for name, held in now.attributes.items():
        if before.attributes.get(name, container) is not held:
            object.__setattr__(container, name, originals.get(id(held), held))


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

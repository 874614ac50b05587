"""What a model may return beside a tensor: tuples, mappings, dataclasses and other objects that hold tensors."""

import copy
import dataclasses
import functools
import types
from collections.abc import Callable, Iterable, Mapping, MutableMapping, MutableSequence
from typing import Any

import torch
from torch import Tensor, nn

PLAIN = frozenset({bool, bytes, complex, float, int, str, types.NoneType})
_KINDS: dict[Any, str] = {dict: "mapping", list: "sequence", tuple: "tuple"}
_FUNCTIONS = (types.FunctionType, types.MethodType, types.BuiltinFunctionType, functools.partial)


def tensors(value: Any, wanted: Callable[[Tensor], bool] | None = None) -> list[Tensor]:
    """Return the tensors in ``value``, or those that are wanted, to any depth, each once."""
    if isinstance(value, Tensor):
        return [value] if wanted is None or wanted(value) else []
    found: list[Tensor] = []
    met: dict[int, Any] = {}  # what is met is kept, so that its id stays its own
    pending = [value]
    while pending:
        value = pending.pop()
        if type(value) in PLAIN or id(value) in met:
            continue
        met[id(value)] = value
        if isinstance(value, Tensor):
            if wanted is None or wanted(value):
                found.append(value)
        elif type(value) is tuple:
            pending += value[::-1]
        else:
            pending += [entry for _, entry in entries_of(value, kind_of(value))][::-1]
    return found


def detach(value: Any) -> Any:
    """Return ``value`` with every tensor in it detached from the graph; containers are copied, as they are."""
    return value.detach() if isinstance(value, Tensor) else _Copying(Tensor.detach, copy_all=False).of(value)


def snapshot(value: Any) -> Any:
    """Return ``value`` with copies of all its containers that may change, and the same tensors.

    Raises:
        Exception: whatever a container raises that cannot be copied; ``TypeError`` if it is a mapping of somebody's
            own that cannot change but holds what can.
    """
    return value if isinstance(value, Tensor) else _Copying(lambda tensor: tensor, copy_all=True).of(value)


def versions(leaves: Iterable[Tensor]) -> list[tuple[Tensor, int]]:
    """Return tensors with the number of times they were modified in place, where that is known."""
    if torch.compiler.is_compiling():
        return []
    return [(leaf, leaf._version) for leaf in leaves if not leaf.is_inference()]


def device_of(value: Any) -> torch.device:
    """Return the device of the first tensor in ``value``; the CPU if there is none."""
    found = tensors(value)
    return found[0].device if found else torch.device("cpu")


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
        return {**output, part: replacement}
    if isinstance(output, tuple):
        place = part if isinstance(part, int) else getattr(output, "_fields", ()).index(part)
        return with_entries(output, {place % len(output): replacement})
    if isinstance(part, int):
        return _refilled(output, {part: replacement})
    return _with_attributes(output, {part: replacement})


def _key(output: Mapping[Any, Any], part: str | int) -> Any:
    """Return the key of a part; the outputs of transformers, mappings with ``to_tuple``, can be counted as well."""
    counted = isinstance(part, int) and hasattr(output, "to_tuple") and -len(output) <= part < len(output)
    return list(output)[part] if counted and isinstance(part, int) else part


class _Copying:
    """One pass over a value, of which a copy is made with other tensors; what need not be copied is handed over.

    Args:
        exchange: returns what takes the place of a tensor.
        copy_all: copy every container that may change, whether or not it holds what is exchanged.
    """

    def __init__(self, exchange: Callable[[Tensor], Tensor], *, copy_all: bool) -> None:
        self._exchange = exchange
        self._copy_all = copy_all
        self._made: dict[int, tuple[Any, Any]] = {}  # what is met is kept, so that its id stays its own

    def of(self, value: Any) -> Any:
        """Return the copy of a value, always the same one."""
        if type(value) in PLAIN:
            return value
        if id(value) not in self._made:
            self._made[id(value)] = value, value  # what holds itself is met again on the way
            self._made[id(value)] = value, self._exchange(value) if isinstance(value, Tensor) else self._copy(value)
        return self._made[id(value)][1]

    def _copy(self, value: Any) -> Any:
        kind = kind_of(value)
        if self._copy_all and _may_change(value, kind):
            copied = _REFILLED[kind](value, {})
            self._made[id(value)] = value, copied  # so that what holds itself does so in the copy
            return _changed(copied, kind, self._exchanged_in(value, kind))
        new = self._exchanged_in(value, kind)
        if kind != "mapping" or isinstance(value, MutableMapping) or not new:
            return _REFILLED[kind](value, new) if new else value
        if self._copy_all and not isinstance(value, types.MappingProxyType):
            raise TypeError(f"a {type(value).__name__} cannot be copied with other entries")
        return {**value, **new}

    def _exchanged_in(self, value: Any, kind: str) -> dict[Any, Any]:
        return {key: made for key, entry in entries_of(value, kind) if (made := self.of(entry)) is not entry}


def _may_change(value: Any, kind: str) -> bool:
    """Whether a value holds others, and may come to hold yet others."""
    if kind == "mapping":
        return isinstance(value, MutableMapping)
    return kind == "sequence" or (kind == "object" and bool(_attributes(value)))


def kind_of(value: Any) -> str:
    """Return how a value holds others: as a ``"mapping"``, ``"sequence"``, ``"tuple"`` or ``"object"``."""
    if type(value) in _KINDS:
        return _KINDS[type(value)]
    if isinstance(value, Mapping):
        return "mapping"
    if isinstance(value, tuple):
        return "tuple"
    return "sequence" if isinstance(value, MutableSequence) and not isinstance(value, bytearray) else "object"


def entries_of(value: Any, kind: str) -> Iterable[tuple[Any, Any]]:
    """Return keys, indices or names, and what a value of that kind holds under them."""
    if kind == "mapping":
        return list(value.items())
    if kind == "object":
        return [(name, getattr(value, name)) for name in _attributes(value)]
    return enumerate(value)


def put(container: Any, kind: str, key: Any, entry: Any) -> None:
    """Let a container or object hold something under a key, an index or a name."""
    if kind == "object":
        object.__setattr__(container, key, entry)
    else:
        container[key] = entry


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
    if getattr(container, "__dict__", None) is container:  # whose attributes are its entries
        copied.__dict__ = copied
    return _changed(copied, kind_of(container), entries)


def with_entries(value: tuple[Any, ...], entries: Mapping[Any, Any]) -> Any:
    """Return a copy of a tuple, of whatever kind, with other entries at some indices."""
    together = [entries.get(i, entry) for i, entry in enumerate(value)]
    if hasattr(type(value), "n_sequence_fields"):  # what torch.sort returns
        return type(value)(together)
    copied = tuple.__new__(type(value), together)
    if hasattr(value, "__dict__"):
        copied.__dict__.update(value.__dict__)
    return copied


def _with_attributes(value: Any, entries: Mapping[Any, Any]) -> Any:
    return _changed(copy.copy(value), "object", entries)


def _changed(container: Any, kind: str, entries: Mapping[Any, Any]) -> Any:
    for key, entry in entries.items():
        put(container, kind, key, entry)
    return container


_REFILLED = {"mapping": _refilled, "object": _with_attributes, "sequence": _refilled, "tuple": with_entries}

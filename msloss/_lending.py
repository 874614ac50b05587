"""Handing over a value with other tensors in the place of some, for a while, in the very containers that hold them."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from msloss._trees import PLAIN, entries_of, kind_of, put, with_entries


class Loan:
    """A value in which tensors are exchanged for others until they are given back.

    Containers and objects stay the same, so that whoever else holds them sees what is done to them; tuples, which
    cannot change, are copied. Attributes that Python code gives to a tensor go with it, there and back; so do hooks.

    Args:
        value: what holds the tensors.
        tensors: those to be exchanged.
        others: what stands in for them meanwhile.

    Raises:
        Exception: whatever a container raises that cannot hold others; everything is then as it was.
    """

    def __init__(self, value: Any, tensors: Sequence[Tensor], others: Sequence[Tensor]) -> None:
        self.others = others
        self._pairs = list(zip(tensors, others, strict=True))
        self._others = {id(one): other for one, other in self._pairs}
        self._own: dict[int, Any] = {id(other): one for one, other in self._pairs}
        self._handed: dict[int, Any] = {}
        self._met: list[Any] = []  # what has an identity here must live as long
        for one, other in self._pairs:
            other.__dict__.update(one.__dict__)
        try:
            self.value = self._exchanged(value)
        except BaseException:
            self.give_back()
            raise

    def give_back(self) -> None:
        """Put the tensors back wherever the others still stand in for them."""
        for container in self._met:
            for kind in _kinds(container):
                for key, entry in list(entries_of(container, kind)):
                    if id(entry) in self._own and kind != "tuple":
                        put(container, kind, key, self._own[id(entry)])
        for one, other in self._pairs:
            for name in one.__dict__.keys() - other.__dict__.keys():
                del one.__dict__[name]
            one.__dict__.update(other.__dict__)
            for hook in (other._backward_hooks or {}).values():
                one.register_hook(hook)  # type: ignore[no-untyped-call]  # torch's own
            (other._backward_hooks or {}).clear()
            if other.retains_grad:
                one.retain_grad()

    def _exchanged(self, value: Any) -> Any:
        if isinstance(value, Tensor):
            return self._others.get(id(value), value)
        if type(value) in PLAIN:
            return value
        if id(value) not in self._handed:
            self._met.append(value)
            self._handed[id(value)] = value  # what holds itself is met again on the way
            self._handed[id(value)] = self._within(value)
        return self._handed[id(value)]

    def _within(self, value: Any) -> Any:
        for kind in _kinds(value):
            entries = [(key, entry, self._exchanged(entry)) for key, entry in entries_of(value, kind)]
            new = {key: other for key, entry, other in entries if other is not entry}
            if kind == "tuple" and new:
                copied = with_entries(value, new)
                self._own[id(copied)] = value
                self._met.append(copied)
                return copied
            for key, other in new.items():
                put(value, kind, key, other)
        return value


def _kinds(container: Any) -> tuple[str, ...]:
    """Return the ways in which a container holds others; mappings have attributes, too."""
    kind = kind_of(container)
    return (kind, "object") if kind == "mapping" else (kind,)

"""Options of the command line made of configurations: in the order that users need them, with what is said of each."""

import ast
import dataclasses
import inspect
import textwrap
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from typing import Any, get_type_hints

from tyro import MISSING
from tyro.constructors import ConstructorRegistry, StructConstructorSpec, StructFieldSpec, StructTypeInfo

from msloss_sirr.trainer.config import RunConfig

_FIRST = ("photos", "pairs", "val", "out", "preset", "budget", "weights", "resume", "config")
"""Options of a training that go before all others, where it has them."""


def rules() -> ConstructorRegistry:
    """Return the rules by which tyro makes options of dataclasses."""
    registry = ConstructorRegistry()
    registry.struct_rule(_options)
    return registry


@cache
def docstrings(kind: type) -> dict[str, str]:
    """Return what is said of the fields of a dataclass, its own and those that it inherits, each in a single line.

    The parser, left to itself, would keep the lines of the source, and break each of them again.
    """
    told: dict[str, str] = {}
    for each in reversed(kind.__mro__):
        if dataclasses.is_dataclass(each):
            told.update(_own(each))
    return told


def _options(info: StructTypeInfo) -> StructConstructorSpec | None:
    """Return the options of a configuration; those of a training's data stand beside its own."""
    ours = isinstance(info.type, type) and info.type.__module__.startswith("msloss_sirr.")
    if not (ours and dataclasses.is_dataclass(info.type)):
        return None
    fields = _fields(info.type, info.default)
    if not issubclass(info.type, RunConfig):
        return StructConstructorSpec(info.type, tuple(fields))
    (data,) = (field for field in fields if field.name == "data")
    of_data = _fields(type(data.default), data.default)
    together = [*(field for field in fields if field is not data), *of_data]

    def instantiate(**given: Any) -> Any:
        drawn = {field.name: given.pop(field.name) for field in of_data}
        return info.type(data=type(data.default)(**drawn), **given)

    return StructConstructorSpec(instantiate, tuple(sorted(together, key=_place)))


def _place(field: StructFieldSpec) -> int:
    return _FIRST.index(field.name) if field.name in _FIRST else len(_FIRST)


def _fields(kind: type, given: Any) -> list[StructFieldSpec]:
    types, told = get_type_hints(kind, include_extras=True), docstrings(kind)
    return [
        StructFieldSpec(field.name, types[field.name], _default(field, given), told.get(field.name))
        for field in dataclasses.fields(kind)
    ]


def _default(field: dataclasses.Field[Any], given: Any) -> Any:
    if given is MISSING or hasattr(given, field.name):
        return getattr(given, field.name, MISSING)
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return MISSING if field.default is dataclasses.MISSING else field.default


def _own(kind: type) -> Iterator[tuple[str, str]]:
    """Yield the names of fields and the strings that follow them in the source of a class."""
    (told,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    body = told.body if isinstance(told, ast.ClassDef) else []
    for field, said in pairwise(body):
        if not (isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)):
            continue
        if isinstance(said, ast.Expr) and isinstance(said.value, ast.Constant):
            yield field.target.id, " ".join(str(said.value.value).split())

"""Fields of a configuration that must be what they are typed as."""

from collections.abc import Callable
from dataclasses import fields
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from msloss_sirr.errors import InputError


def check_fields(config: Any) -> None:
    """Raise ``InputError`` unless the words, numbers and switches of a dataclass are of their types."""
    types = get_type_hints(type(config))
    for name in (field.name for field in fields(config)):
        wanted, value = types[name], getattr(config, name)
        if value is not None and (given := [each for each in get_args(wanted) if each is not NoneType]) != list(
            get_args(wanted)
        ):
            (wanted,) = given  # a type or None
        if get_origin(wanted) is Literal:
            if value not in get_args(wanted):
                words = ", ".join(repr(word) for word in get_args(wanted))
                raise InputError(f"{name} is {value!r}; give one of {words}")
        elif wanted in _KINDS and not _KINDS[wanted](value):
            raise InputError(f"{name} is {value!r}; give {_NAMES[wanted]}")


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return _is_whole(value) or isinstance(value, float)


_KINDS: dict[Any, Callable[[Any], bool]] = {
    bool: lambda value: isinstance(value, bool),
    int: _is_whole,
    float: lambda value: _is_number(value),
    tuple[float, ...]: lambda value: isinstance(value, tuple) and all(map(_is_number, value)),
    tuple[int, ...]: lambda value: isinstance(value, tuple) and all(_is_whole(each) for each in value),
}
_NAMES: dict[Any, str] = {
    bool: "True or False",
    int: "a whole number",
    float: "a number",
    tuple[float, ...]: "numbers",
    tuple[int, ...]: "whole numbers",
}

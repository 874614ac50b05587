"""Configurations that are written in files."""

import dataclasses
from collections.abc import Mapping
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

import yaml

from msloss_sirr.errors import InputError

_Config = TypeVar("_Config")


def read_options(path: Path) -> dict[str, Any]:
    """Return the options in a YAML or JSON file, by name.

    Raises:
        InputError: if it cannot be read, or is something else.
    """
    try:
        told = yaml.safe_load(path.read_text())
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        first = " ".join(str(error).split())
        raise InputError(f"{path} is no YAML: {first}") from error
    if not isinstance(told, dict):
        raise InputError(f"{path} holds no options; write them as in NAME: VALUE, a line each")
    return {str(name).replace("-", "_"): value for name, value in told.items()}


def with_options(config: _Config, told: Mapping[str, Any], source: Path, flat: str = "") -> _Config:
    """Return a configuration with what options say in place of its own.

    Args:
        config: a dataclass; its fields that are dataclasses are given as mappings of their own.
        told: the options.
        source: where they stand, in messages.
        flat: the name of a field whose own fields may stand beside it.

    Raises:
        InputError: if there is no such option, or it cannot be what is said.
    """
    fields = {field.name for field in dataclasses.fields(config)}  # type: ignore[arg-type]
    inner = {field.name for field in dataclasses.fields(getattr(config, flat))} if flat else set()
    types = get_type_hints(type(config))
    changes: dict[str, Any] = {}
    below: dict[str, Any] = {}
    for name, value in told.items():
        if name in inner and name not in fields:
            below[name] = value
        elif name not in fields:
            close = get_close_matches(name, fields | inner, 1)
            raise InputError(f"{source}: there is no option {name}" + (f"; perhaps {close[0]}" if close else ""))
        elif dataclasses.is_dataclass(types[name]):
            if not isinstance(value, dict):
                raise InputError(f"{source}: {name} is {value!r}; give it options of its own")
            below = {**below, **value} if name == flat else below
            if name != flat:
                changes[name] = with_options(getattr(config, name), value, source)
        else:
            changes[name] = _as(types[name], value)
            if types[name] is Path and not isinstance(changes[name], Path):
                raise InputError(f"{source}: {name} is {value!r}; give a path")
    if below:
        changes[flat] = with_options(getattr(config, flat), below, source)
    try:
        return dataclasses.replace(config, **changes)  # type: ignore[type-var]
    except (InputError, TypeError) as error:
        raise InputError(f"{source}: {error}") from error


def changed(config: _Config, changes: Mapping[str, Any]) -> _Config:
    """Return a configuration with other options.

    Args:
        config: a dataclass.
        changes: options by their dotted names; ``{"model.depth": "none"}``.

    Raises:
        InputError: if there is no such option, or it cannot be what is said.
    """
    told: dict[str, Any] = {}
    for name, value in changes.items():
        *above, last = name.split(".")
        inner = told
        for part in above:
            inner = inner.setdefault(part, {})
        inner[last] = value
    return with_options(config, told, Path("options"))


def _as(kind: Any, value: Any) -> Any:
    """Return what stands in a file as what a field wants, where files have another form of it."""
    kinds = (kind, *get_args(kind))
    if isinstance(value, list):
        return tuple(_as(get_args(kind)[0], each) if get_args(kind) else each for each in value)
    if isinstance(value, int | float) and not isinstance(value, bool) and {str, Path} & {*kinds}:
        value = str(value)  # budget: 90, or a folder called 3
    if Path in kinds and isinstance(value, str):
        return Path(value)
    if float in kinds and isinstance(value, int | str) and not isinstance(value, bool):
        with suppress(ValueError):  # 1e-4 is a word to YAML
            return float(value)
    return value

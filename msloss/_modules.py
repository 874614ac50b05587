"""The modules that a model or a criterion runs, be it a module or a function around some."""

import functools
import types
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from torch import nn

_LARGEST = 1000
"""Most entries of a container that is looked into: what is longer holds data."""
_MOST = 10000
"""Most entries that are looked at in all containers together."""
_CONTAINERS: tuple[Any, ...] = (tuple, list, dict)
_REGISTRIES = set(vars(nn.Module()))


class Crew(NamedTuple):
    """Models, and the modules found in them."""

    models: tuple[Any, ...]
    modules: list[nn.Module]


def crew(*models: Any) -> Crew:
    """Return models with their modules."""
    return Crew(models, modules(*models))


def modules(*models: Any) -> list[nn.Module]:
    """Return the modules of models, which may be functions around modules.

    They are looked for in what the code of a function refers to (closures, defaults, globals), in partials, in
    attributes, in tuples, lists and dicts, and in the functions that are found there; so are those that a module hides
    from ``modules()``. What is near is looked at first. No code of the objects themselves is run.
    """
    found: dict[int, nn.Module] = {}
    pending, seen, looked_at = deque(models), set[int](), 0
    while pending:
        value = pending.popleft()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if _is(value, nn.Module):
            for module in value.modules():
                if id(module) not in found:
                    found[id(module)] = module
                    pending += _hidden(module)
        elif _is(value, _CONTAINERS):
            kind = next(kind for kind in _CONTAINERS if _is(value, kind))
            length = kind.__len__(value)
            looked_at += length
            if length <= _LARGEST and looked_at <= _MOST:
                pending += filter(_followed, kind.values(value) if kind is dict else kind.__iter__(value))
        else:
            pending += _held(value)
    return list(found.values())


def _is(value: Any, kinds: type | tuple[type, ...]) -> bool:
    """Whether a value is of a kind, whatever it pretends to be."""
    return issubclass(type(value), kinds)


def _held(value: Any) -> Iterable[Any]:
    """Return what a value holds that may hold modules."""
    if _is(value, functools.partial):
        return value.func, *value.args, *value.keywords.values()
    if _is(value, types.MethodType):
        return value.__self__, value.__func__
    if _is(value, types.FunctionType):
        return _referred_to(value)
    if _is(value, (type, types.ModuleType)):
        return ()
    return [*filter(_followed, _attributes(value)), type(value).__call__ if callable(value) else None]


def _hidden(module: nn.Module) -> Iterable[Any]:
    """Return what a module may use that is not registered with it."""
    own = vars(module)
    if type(module).__module__.startswith("torch."):  # they hide nothing, unless somebody has exchanged the method
        return [own["forward"]] if "forward" in own and type(module) is nn.Module else ()
    return [*(held for name, held in own.items() if name not in _REGISTRIES and _followed(held)), type(module).forward]


def _followed(value: Any) -> bool:
    """Whether a value that is held may lead to modules; objects that cannot be called may lead anywhere."""
    return _is(value, _CONTAINERS) or (callable(value) and not _is(value, type))


def _attributes(value: Any) -> Iterable[Any]:
    for cls in type(value).__mro__:
        if "__dict__" in vars(cls):
            kind = type(vars(cls)["__dict__"])
            return list(object.__getattribute__(value, "__dict__").values()) if kind is _ORDINARY else ()
    return ()


def _referred_to(function: types.FunctionType) -> Iterator[Any]:
    """Yield what the code of a function refers to from outside."""
    yield from filter(_followed, _attributes(function))
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # the name has no value yet
            continue
    yield from function.__defaults__ or ()
    yield from (function.__kwdefaults__ or {}).values()
    surroundings = function.__globals__
    if not str(surroundings.get("__name__")).startswith("torch."):
        yield from (surroundings[name] for name in _names(function.__code__) if name in surroundings)


def _names(code: types.CodeType) -> Iterator[str]:
    """Yield the names that code reads, that of functions and comprehensions in it included."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names(constant)


class _Plain:
    """An object like any other."""


_ORDINARY = type(vars(_Plain)["__dict__"])

"""The modules that a model or a criterion runs, be it a module or a function around some."""

import functools
import types
from collections.abc import Iterable, Iterator
from typing import Any

from torch import nn

_LARGEST = 1000
"""Most entries of a container that is looked into: what is longer holds data."""
_CONTAINERS = (tuple, list, dict)
_REGISTRIES = set(vars(nn.Module()))


def modules(*models: Any) -> list[nn.Module]:
    """Return the modules of models, which may be functions around modules.

    They are looked for in what the code of a function refers to (closures, defaults, globals), in partials, in
    attributes, in tuples, lists and dicts, and in the functions that are found there; so are those that a module hides
    from ``modules()``.
    """
    found: dict[int, nn.Module] = {}
    pending, seen = list(models), set[int]()
    while pending:
        value = pending.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, nn.Module):
            for module in value.modules():
                if id(module) not in found:
                    found[id(module)] = module
                    pending += _hidden(module)
        else:
            pending += _held(value)
    return list(found.values())


def _held(value: Any) -> Iterable[Any]:
    """Return what a value holds that may hold modules."""
    if isinstance(value, _CONTAINERS):
        entries = value.values() if isinstance(value, dict) else value
        return filter(_followed, entries) if len(value) <= _LARGEST else ()
    if isinstance(value, functools.partial):
        return value.func, *value.args, *value.keywords.values()
    if isinstance(value, types.MethodType):
        return value.__self__, value.__func__
    if isinstance(value, types.FunctionType):
        return _referred_to(value)
    if isinstance(value, (type, types.ModuleType)):
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
    return isinstance(value, _CONTAINERS) or (callable(value) and not isinstance(value, type))


def _attributes(value: Any) -> Iterable[Any]:
    return getattr(value, "__dict__", {}).values()


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

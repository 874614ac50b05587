"""Modules are found wherever a function may take them from, and data is not searched for them."""

from typing import Any

import torch
from torch import Tensor, nn

from msloss._modules import modules

shared = nn.Softplus()


class User(nn.Module):
    """A module that uses a global one."""

    def forward(self, x: Tensor) -> Any:
        return shared(x)


class Person:
    """An object whose method uses a global module."""

    def run(self, x: Tensor) -> Any:
        return shared(x)


def test_modules_that_are_referred_to() -> None:
    module = nn.Tanh()

    def with_attribute(x: Tensor) -> Any:
        return with_attribute.net(x)  # type: ignore[attr-defined]

    with_attribute.net = module  # type: ignore[attr-defined]
    exchanged = nn.Module()
    exchanged.forward = lambda x: module(x)
    assert modules(with_attribute) == [module]
    assert modules(exchanged) == [exchanged, module]
    assert shared in modules(User())
    assert modules(Person().run) == [shared]
    assert module in modules(torch.compile(lambda x: module(x), backend="eager"))


def test_names_without_a_value_are_passed_over() -> None:
    module = nn.Tanh()

    def run(x: Tensor) -> Any:
        return module(later(x))

    assert modules(run) == [module]

    def later(x: Tensor) -> Any:
        return shared(x)

    assert set(modules(run)) == {module, shared}


def test_data_is_not_searched() -> None:
    class Entry:
        seen = 0

        @property
        def __class__(self) -> type:
            Entry.seen += 1
            return Entry

    entries = [Entry() for _ in range(2000)]
    module = nn.Tanh()
    assert modules(lambda x: module(x) if entries else x) == [module]
    assert Entry.seen <= 10


def test_each_is_found_once() -> None:
    inner = nn.Tanh()
    outer = nn.Sequential(inner, nn.ModuleList([inner]))
    found = modules(outer, lambda x: outer(inner(x)), outer)
    assert len(found) == 3
    assert set(found) == set(outer.modules())


def test_no_code_of_the_objects_is_run() -> None:
    class Touchy(dict):
        def __getattribute__(self, name: str) -> Any:
            raise RuntimeError(f"touched {name}")

        def values(self) -> Any:
            raise RuntimeError("loads from disk")

        def __len__(self) -> int:
            raise RuntimeError("counts")

    class Lazy:
        @property
        def __dict__(self) -> Any:
            raise RuntimeError("loads from disk")

    module, touchy, lazy = nn.Tanh(), Touchy(a=nn.Tanh()), Lazy()
    assert len(modules(lambda x: (module(x), touchy, lazy))) == 2


def test_search_ends() -> None:
    module, data = nn.Tanh(), [{str(i): [i] for i in range(900)} for _ in range(900)]
    assert modules(lambda x: (module(x), data)) == [module]

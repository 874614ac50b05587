"""What the tests of gradients that are taken early have in common."""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from msloss import MultiStepLoss

from .cases import Network, assert_same

mse = F.mse_loss


@contextmanager
def counted() -> Iterator[list[int]]:
    """Count how often gradients are taken in the block, that is, before the backward pass."""
    taken = [0]
    original = torch.autograd.grad

    def counting(*words: Any, **options: Any) -> Any:
        taken[0] += 1
        return original(*words, **options)

    with mock.patch("torch.autograd.grad", counting):
        yield taken


def small(seed: int = 0, norm: str = "group", shared: bool = True) -> nn.Module:
    torch.manual_seed(seed)
    return Network(2, norm, dropout=0.0, shared=shared, structure="tensor").double()


def images() -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    x, y = torch.rand(2, 2, 2, 4, 5, dtype=torch.float64)
    return x, y


def after_backward(
    model: nn.Module, loss: Callable[..., Tensor], *given: Tensor, scale: float = 1.0
) -> dict[str, Tensor | None]:
    """Return value and gradients of a training step, for the parameters and for what the loss was given."""
    model.zero_grad()
    given = tuple(tensor.detach().clone().requires_grad_(tensor.requires_grad) for tensor in given)
    value = loss(*given)
    (scale * value).backward()
    grads = {name: None if p.grad is None else p.grad.clone() for name, p in model.named_parameters()}
    return {"value": value.detach(), **grads, **{f"given {i}": tensor.grad for i, tensor in enumerate(given)}}


def written_out(
    model: Callable[..., Any],
    criterion: Callable[..., Any],
    steps: int = 3,
    truncate: int | None = None,
    read: Callable[[Any], Tensor] = lambda output: output,
) -> Callable[..., Tensor]:
    """Return the loop written by hand."""

    def loss(x: Tensor, y: Tensor, *cond: Tensor) -> Tensor:
        total = torch.zeros((), dtype=x.real.dtype)
        for t in range(steps):
            if truncate is not None and t % truncate == 0:
                x = x.detach() if t else x
            output = model(x, *cond)
            total = total + criterion(output, y)
            x = read(output)
        return total

    return loss


class Trainer:
    """An object of a user's, with a module."""

    def __init__(self, net: nn.Module) -> None:
        self.net = net

    def run(self, x: Tensor) -> Tensor:
        return self.net(x)


class Hidden(nn.Module):
    """A module that keeps another out of its state."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.kept = [net]

    def forward(self, x: Tensor) -> Tensor:
        return self.kept[0](x)


class Calling:
    """An object that can be called."""

    def __call__(self, x: Tensor) -> Tensor:
        return shared(x)


def as_global(module: nn.Module) -> Callable[..., Any]:
    globals()["shared"] = module
    return lambda v: [shared(each) for each in (v,)][0]  # noqa: RUF015  # code within code


def as_global_of_a_method(module: nn.Module) -> Callable[..., Any]:
    globals()["shared"] = module
    return Calling()


shared: Any = None


WRAPPED: dict[str, Callable[[nn.Module], Any]] = {
    "bare": lambda m: m,
    "closure": lambda m: lambda v: m(v),
    "default": lambda m: lambda v, m=m: m(v),
    "named default": lambda m: lambda v, *, m=m: m(v),
    "function in a closure": lambda m: lambda v: WRAPPED["closure"](m)(v),
    "method": lambda m: m.forward,
    "partial": functools.partial,
    "list": lambda m: functools.partial(lambda layers, v: layers[0](v), [m]),
    "dict": lambda m: functools.partial(lambda v, layers: layers["a"][0](v), layers={"a": (m,)}),
    "object": lambda m: Trainer(m).run,
    "object in a closure": lambda m: functools.partial(lambda t, v: t.net(v), Trainer(m)),
    "hidden": Hidden,
    "global": as_global,
    "global of a method": as_global_of_a_method,
}


def both_ways(
    make: Callable[[], tuple[nn.Module, Callable[..., Any], Callable[..., Any]]],
    read: Callable[[Any], Tensor] = lambda output: output,
    *extra: Tensor,
    truncate: int | None = None,
    target: Callable[[Tensor], Any] = lambda y: y,
    watch: Tensor | None = None,
) -> None:
    """Hold the loss against the loop written by hand, each with a model, a function and a criterion of its own."""
    results = []
    for early in (True, False):
        model, run, criterion = make()
        x, y = images()
        loss = (
            MultiStepLoss(run, criterion, feedback=read, truncate=truncate)
            if early
            else written_out(run, criterion, read=read, truncate=truncate)
        )
        results.append(after_backward(model, lambda a, b, loss=loss: loss(a, target(b)), x, y))
        if watch is not None:
            results[-1]["watched"], watch.grad = watch.grad, None
    assert_same(*results)

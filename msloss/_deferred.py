"""A value whose gradients are known already, and what it takes to compute them again with a graph."""

import weakref
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor

from msloss._lending import Loan
from msloss._moment import Moment
from msloss._trees import snapshot

_ROUNDING = {torch.float64: 1e-8, torch.float32: 1e-4}


class Part(NamedTuple):
    """What it takes to compute a part again."""

    again: Callable[[Any], Any]
    moment: Moment
    given: tuple[Any, Any]
    """What it depends on, in containers as they were."""
    sources: list[Tensor]
    """The tensors in there that required gradients."""
    lent: bool
    """Whether it was given others in their place."""
    value: Tensor
    leaves: Sequence[Tensor]
    places: dict[int, int]
    """Where its gradients belong among those of all parts: by the number of the source, then of the leaf."""
    versions: list[tuple[Tensor, int]]


class Again:
    """Computes the parts again, for gradients that have a graph; lets them go with the last backward pass."""

    def __init__(self, name: str, parts: list[Part], sources: int, released: Tensor) -> None:
        self._name = name
        self._parts = parts
        self._sources = sources
        self._release = weakref.ref(released, lambda _: parts.clear())

    def __call__(self) -> list[Tensor | None]:
        """Return a gradient for every source."""
        if not self._parts:
            raise RuntimeError(f"{self._name} cannot be differentiated twice: a backward pass has let its parts go")
        totals: list[Tensor | None] = [None] * self._sources
        for part in self._parts:
            if any(tensor._version != version for tensor, version in part.versions):
                raise RuntimeError(
                    f"what {self._name} was given, or its parameters, were modified in place before the backward pass "
                    "with create_graph=True, which computes it again"
                )
            given: Any = snapshot(part.given)
            handed = part.sources
            if part.lent:
                handed = [source.view_as(source) for source in part.sources]
                given = Loan(given, part.sources, handed).value
            with part.moment.restored():
                value = part.again(given)
            self._check(value.detach(), part.value)
            gradients = torch.autograd.grad(value, [*handed, *part.leaves], create_graph=True, allow_unused=True)
            for i, place in part.places.items():
                totals[place] = plus(totals[place], gradients[i])
        return totals

    def _check(self, value: Tensor, before: Tensor) -> None:
        if value.is_meta:  # nothing to compare
            return
        if not torch.isclose(value, before, rtol=_ROUNDING.get(value.dtype, 1e-2), equal_nan=True):
            raise RuntimeError(
                f"{self._name} gave {value.item()} where it had given {before.item()} when it was computed again to be "
                "differentiated twice: it depends on more than its arguments, its buffers and torch's random state; "
                "give eager=False"
            )


class Anchor(torch.autograd.Function):
    """Stands for a tensor as it is now, whatever is done to it in place later: gradients go where its own would go."""

    @staticmethod
    def forward(ctx: Any, source: Tensor) -> Tensor:  # noqa: ARG004
        """Return a tensor of the same shape that takes no memory."""
        return source.new_empty(()).expand(source.shape)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:  # noqa: ARG004
        """Return the gradient."""
        return grad


class Deferred(torch.autograd.Function):
    """A value whose gradients are known."""

    @staticmethod
    def forward(ctx: Any, again: Again, count: int, value: Tensor, *tensors: Tensor | None) -> Tensor:
        """Return the value; ``tensors`` are those the gradients are for, the gradients, and what marks their end."""
        ctx.again, ctx.count = again, count
        ctx.save_for_backward(*tensors[count:])
        return value.clone()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        """Return the gradients, scaled; when gradients of them are to come, computed again with their graph."""
        gradients = ctx.saved_tensors[: ctx.count]
        if torch.is_grad_enabled():
            gradients = ctx.again()
        scaled = [None if gradient is None else grad.to(gradient.device) * gradient for gradient in gradients]
        return None, None, None, *scaled, *[None] * (ctx.count + 1)


def saved_as_they_are() -> AbstractContextManager[Any]:
    """Keep hooks that save copies in other places from doing so: what marks the end must live as long as the graph."""
    if not torch._C._autograd._saved_tensors_hooks_is_enabled():  # type: ignore[attr-defined]
        return nullcontext()
    return torch.autograd.graph.saved_tensors_hooks(_itself, _itself)


def _itself(tensor: Any) -> Any:
    return tensor


def differentiable(tensor: Tensor) -> bool:
    """Whether gradients flow to a tensor."""
    return tensor.requires_grad


def plus(one: Tensor | None, other: Tensor | None) -> Tensor | None:
    """Return the sum of two gradients, or of what there is of them."""
    if one is None or other is None:
        return other if one is None else one
    return other + one if one.is_sparse else one + other

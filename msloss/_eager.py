"""Differentiating a part of a loss as soon as it is computed, so that its graph can go before the next part comes.

The gradients wait, attached to the value, for the backward pass that asks for them. If that pass is to be
differentiated itself, the part is computed again, with its graph.
"""

import weakref
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn.modules import module as hooks_of_all

from msloss._graph import Reach, mark_spent, reach, recorded
from msloss._modules import modules
from msloss._moment import Moment, Surroundings
from msloss._trees import Copies, Tree, carry_back, device_of, flattened, together, versions

_HOOKS = ("forward_hooks", "forward_pre_hooks", "backward_hooks", "backward_pre_hooks")
_HARMLESS = ("torch.nn.utils.spectral_norm", "torch.nn.utils.weight_norm")  # their hooks compute weights, no more
_ROUNDING = {torch.float64: 1e-8, torch.float32: 1e-4}


class Early:
    """Parts of a loss that are differentiated already; together one value, for a backward pass to come.

    Args:
        part: what a part is called in messages.
        shared: what all parts depend on.
        by: what computes the parts, whose buffers may change meanwhile.
        reaches_leaves: whether leaves may be reached otherwise than through what a part is given: the parameters of a
            model. If not, a part that reaches some keeps its graph.
    """

    def __init__(self, part: str, shared: Any, by: Any, *, reaches_leaves: bool) -> None:
        self._part = part
        self._shared = shared
        self._by = by
        self._reaches_leaves = reaches_leaves
        self._surroundings: Surroundings | None = None
        self._value: Tensor | None = None
        self._sources: list[Tensor] = []
        self._gradients: list[Tensor | None] = []
        self._places: dict[int, int] = {}
        self._parts: list[_Part] = []

    def take(self, own: Any, run: Callable[[Any], Tensor | None], again: Callable[[Any], Any]) -> Tensor | None:
        """Compute a part and take its gradients now; return it with its graph instead if that would not be exact.

        Args:
            own: what this part depends on, and no other.
            run: a function of ``(own, shared)``, handed over with aliases for their tensors, that computes the part's
                value, or ``None`` if it has none.
            again: a function of the same that computes it once more, and leaves no trace.

        Raises:
            RuntimeError: if the part uses what an earlier one has computed, with its graph.
        """
        if self._surroundings is None:
            self._surroundings = Surroundings(device_of(own), self._by)
        moment = self._surroundings.now()
        given = _given(own, self._shared)
        if any(source.layout != torch.strided for source in given.leaves):
            return run((own, self._shared))
        before = versions(given.leaves)
        aliases = [source.view_as(source) for source in given.leaves]
        copies: Copies = {}
        opened = given.build(aliases, copies)
        as_given = given.build(given.leaves) if copies else (own, self._shared)
        since = recorded() if self._reaches_leaves else 0
        value = run(opened)
        changed = carry_back(copies, zip(aliases, given.leaves, strict=True))
        if value is None or not value.requires_grad:
            return value
        found = reach([value], {alias.grad_fn for alias in aliases}, since, _Deferred)
        outside = reach(given.leaves, (), 0, _Deferred) if self._reaches_leaves else None
        if found.spent or (outside is not None and outside.spent):
            raise RuntimeError(
                f"{self._part} uses what it computed at an earlier step together with its graph, which is gone; "
                "let it detach what it keeps, or give eager=False"
            )
        changed = changed or any(tensor._version != version for tensor, version in before)
        if changed or any(alias.dtype == torch.float16 for alias in aliases) or not self._exact(found, outside):
            return value
        wanted = [*aliases, *found.leaves]
        gradients: Sequence[Tensor | None] = torch.autograd.grad(value, wanted, allow_unused=True)
        mark_spent(found)
        # an alias that was not used has no gradient, and its source no part in the graph; a leaf was reached
        used = [i for i, g in enumerate(gradients) if g is not None or i >= len(aliases)]
        sources = [*given.leaves, *found.leaves]
        places = {i: self._add(sources[i], gradients[i]) for i in used}
        value = value.detach().clone()  # mse_loss returns a number in the storage of an image
        self._value = value if self._value is None else self._value + value
        before += versions(found.leaves)
        self._parts.append(_Part(again, moment, as_given, value, found.leaves, places, before))
        return None

    def value(self) -> Tensor | None:
        """Return the sum of the parts taken so far, with the gradients attached; ``None`` if there are none."""
        if self._value is None:
            return None
        released = torch.empty(0)  # autograd lets it go with the gradients, when the backward pass is done
        again = _Again(self._part, self._parts, len(self._sources), released)
        with _saved_as_they_are():
            result: Tensor = _Deferred.apply(
                again, len(self._sources), self._value, *self._sources, *self._gradients, released
            )
        return result

    def _exact(self, found: Reach, outside: Reach | None) -> bool:
        """Whether the graph of a part is the whole of what its backward pass would do, at any scale."""
        if not found.scalable or found.custom:
            return False
        if outside is None or not found.leaves:
            return not found.leaves
        if found.older or any(leaf._backward_hooks for leaf in found.leaves):
            return False
        # a leaf that is reached from outside, too, is one for which the engine would not stop at the aliases
        return {id(leaf) for leaf in outside.leaves}.isdisjoint(map(id, found.leaves))

    def _add(self, source: Tensor, gradient: Tensor | None) -> int:
        place = self._places.setdefault(id(source), len(self._sources))
        if place == len(self._sources):
            self._sources.append(source)
            self._gradients.append(gradient)
        else:
            self._gradients[place] = _sum(self._gradients[place], gradient)
        return place


def possible() -> bool:
    """Whether autograd records here, and in the ordinary way."""
    return torch.is_grad_enabled() and not (
        torch.compiler.is_compiling()
        or torch._C._get_tracing_state() is not None
        or torch._C._are_functorch_transforms_active()
        or forward_ad._current_level >= 0
    )


def watched(model: Any) -> bool:
    """Whether anything may be waiting for the model's backward pass: hooks, FSDP's among them, or its older wrapper."""
    if any(getattr(hooks_of_all, f"_global_{kind}") for kind in _HOOKS):
        return True
    return any(
        any(cls.__name__ == "FullyShardedDataParallel" for cls in type(module).__mro__)
        or any(
            type(hook).__module__ not in _HARMLESS for kind in _HOOKS for hook in getattr(module, f"_{kind}").values()
        )
        for module in modules(model)
    )


class _Part(NamedTuple):
    """What it takes to compute a part again."""

    again: Callable[[Any], Any]
    moment: Moment
    given: tuple[Any, Any]
    """What it depends on, in containers as they were."""
    value: Tensor
    leaves: Sequence[Tensor]
    places: dict[int, int]
    """Where its gradients belong among those of all parts: by the number of the alias, then of the leaf."""
    versions: list[tuple[Tensor, int]]


class _Again:
    """Computes the parts again, for gradients that have a graph; lets them go with the last backward pass."""

    def __init__(self, name: str, parts: list[_Part], sources: int, released: Tensor) -> None:
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
            given = _given(*part.given)
            aliases = [source.view_as(source) for source in given.leaves]
            with part.moment.restored():
                value = part.again(given.build(aliases))
            self._check(value.detach(), part.value)
            gradients = torch.autograd.grad(value, [*aliases, *part.leaves], create_graph=True, allow_unused=True)
            for i, place in part.places.items():
                totals[place] = _sum(totals[place], gradients[i])
        return totals

    def _check(self, value: Tensor, before: Tensor) -> None:
        if not torch.isclose(value, before, rtol=_ROUNDING.get(value.dtype, 1e-2), equal_nan=True):
            raise RuntimeError(
                f"{self._name} gave {value.item()} where it had given {before.item()} when it was computed again to be "
                "differentiated twice: it depends on more than its arguments, its buffers and torch's random state; "
                "give eager=False"
            )


class _Deferred(torch.autograd.Function):
    """A value whose gradients are known."""

    @staticmethod
    def forward(ctx: Any, again: _Again, count: int, value: Tensor, *tensors: Tensor | None) -> Tensor:
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


def _saved_as_they_are() -> AbstractContextManager[Any]:
    """Keep hooks that save copies in other places from doing so: what marks the end must live as long as the graph."""
    if not torch._C._autograd._saved_tensors_hooks_is_enabled():  # type: ignore[attr-defined]
        return nullcontext()
    return torch.autograd.graph.saved_tensors_hooks(_itself, _itself)


def _itself(tensor: Any) -> Any:
    return tensor


def _given(own: Any, shared: Any) -> Tree:
    """Take apart what a part depends on."""
    return together(flattened(own, _differentiable), flattened(shared, _differentiable))


def _differentiable(tensor: Tensor) -> bool:
    return tensor.requires_grad


def _sum(one: Tensor | None, other: Tensor | None) -> Tensor | None:
    return other if one is None else one if other is None else one + other

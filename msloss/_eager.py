"""Differentiating a part of a loss as soon as it is computed, so that its graph can go before the next part comes.

The gradients wait, attached to the value, for the backward pass that asks for them. If that pass is to be
differentiated itself, the part is computed again, with its graph.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn.modules import module as hooks_of_all

from msloss._deferred import Again, Anchor, Deferred, Part, differentiable, plus, saved_as_they_are
from msloss._graph import Reach, interdependent, reach, recorded
from msloss._lending import Loan
from msloss._modules import Crew
from msloss._moment import Surroundings
from msloss._trees import device_of, snapshot, tensors, versions

_HOOKS = ("forward_hooks", "forward_pre_hooks", "backward_hooks", "backward_pre_hooks")
_HARMLESS = ("torch.nn.utils.spectral_norm", "torch.nn.utils.weight_norm")  # their hooks compute weights, no more


class Early:
    """Parts of a loss that are differentiated already; together one value, for a backward pass to come.

    Args:
        part: what a part is called in messages.
        shared: what all parts depend on.
        by: what computes the parts, whose buffers may change meanwhile.
        gone: numbers of the operations of this call whose saved tensors are gone; more are added.
        reaches_leaves: whether leaves may be reached otherwise than through what a part is given: the parameters of a
            model. If not, a part that reaches some keeps its graph.
    """

    def __init__(self, part: str, shared: Any, by: Crew, gone: set[int], *, reaches_leaves: bool) -> None:
        self._part = part
        self._shared = shared
        self._by = by
        self._reaches_leaves = reaches_leaves
        self._gone = gone
        self._surroundings: Surroundings | None = None
        self._value: Tensor | None = None
        self._sources: list[Tensor] = []
        self._gradients: list[Tensor | None] = []
        self._places: dict[Any, int] = {}
        self._parts: list[Part] = []

    def take(self, own: Any, run: Callable[[Any], Tensor | None], again: Callable[[Any], Any]) -> Tensor | None:
        """Compute a part and take its gradients now; return it with its graph instead if that would not be exact.

        Args:
            own: what this part depends on, and no other.
            run: a function of ``(own, shared)`` that computes the part's value, or ``None`` if it has none.
            again: a function of the same that computes it once more, and leaves no trace.

        Raises:
            RuntimeError: if the part uses what an earlier one has computed, with its graph.
        """
        if self._surroundings is None:
            self._surroundings = Surroundings(device_of(own), self._by)
        moment = self._surroundings.now()
        sources = tensors((own, self._shared), differentiable)
        before, hooks = versions(sources), _hooks(sources)
        try:
            as_given = snapshot(own), snapshot(self._shared)
            loan = self._lend(own, sources)
        except Exception:  # a container that is not to be copied or changed, whatever it says
            return run((own, self._shared))
        since = recorded()
        value = run((own, self._shared)) if loan is None else self._run_on(loan, run)
        if value is None or not value.requires_grad:
            return value
        handed = sources if loan is None else loan.others
        found = reach([value], handed, since)
        used = sorted(found.ends)
        outside = reach([sources[i] for i in used], (), 0) if self._reaches_leaves else None
        if any(node._sequence_nr() in self._gone for node in found.older):
            raise RuntimeError(
                f"{self._part} uses what it computed at an earlier step together with its graph, which is gone; "
                "let it detach what it keeps, or give eager=False"
            )
        changed = any(tensor._version != version for tensor, version in before) or _hooks(sources) != hooks
        holds = as_given[0] is not own or as_given[1] is not self._shared  # containers, which were copied
        if changed or (holds and self._leaves_behind(own, (*sources, *handed))):
            return value
        if not self._exact([handed[i] for i in used], found, outside):
            return value
        with self._surroundings.plainly():
            gradients = torch.autograd.grad(value, [*(handed[i] for i in used), *found.leaves], allow_unused=True)
        self._gone.update(node._sequence_nr() for node in found.nodes)
        targets = [*(sources[i] for i in used), *found.leaves]
        numbers = [*used, *range(len(sources), len(sources) + len(found.leaves))]
        taken = zip(numbers, targets, gradients, strict=True)
        places = {i: self._add(target, gradient) for i, target, gradient in taken if gradient is not None}
        value = value.detach().clone()  # mse_loss returns a number in the storage of an image
        self._value = value if self._value is None else self._value + value
        before += versions(found.leaves)
        lent = loan is not None
        self._parts.append(Part(again, moment, as_given, sources, lent, value, found.leaves, places, before))
        return None

    def value(self) -> Tensor | None:
        """Return the sum of the parts taken so far, with the gradients attached; ``None`` if there are none."""
        if self._value is None:
            return None
        released = torch.empty(0)  # autograd lets it go with the gradients, when the backward pass is done
        again = Again(self._part, self._parts, len(self._sources), released)
        with saved_as_they_are():
            result: Tensor = Deferred.apply(
                again, len(self._sources), self._value, *self._sources, *self._gradients, released
            )
        return result

    def _lend(self, own: Any, sources: Sequence[Tensor]) -> Loan | None:
        """Lend what a part is given with aliases for its tensors, where the engine would not stop at themselves.

        That is where one of them may depend on another, and where hooks would see gradients too early. ``None`` if
        they can be given as they are.

        Raises:
            Exception: if neither is possible.
        """
        computed = [source for source in sources if source.grad_fn is not None]
        if len(sources) < 2 or not computed:
            related = False
        else:
            mine = set(map(id, tensors(own, differentiable)))
            related = interdependent([source for source in computed if id(source) in mine])
            apart = [source for source in sources if source.grad_fn is None or id(source) not in mine]
            if apart and _depend(computed, apart):
                raise ValueError("what is computed may be differentiated with respect to what it depends on")
        if not related and not any(_hooks(sources)):
            return None
        return Loan((own, self._shared), sources, [source.view_as(source) for source in sources])

    def _run_on(self, loan: Loan, run: Callable[[Any], Tensor | None]) -> Tensor | None:
        try:
            return run(loan.value)
        except RuntimeError as error:
            if "appears to not have been used" in str(error):
                raise RuntimeError(
                    f"{self._part} differentiates one of the tensors that it is given with respect to another; "
                    "give eager=False"
                ) from error
            raise
        finally:
            loan.give_back()

    def _leaves_behind(self, own: Any, known: Sequence[Tensor]) -> bool:
        """Whether a part has left something, with its graph, in a container where others will find it."""
        ids = set(map(id, known))
        return any(id(tensor) not in ids for tensor in tensors((own, self._shared), differentiable))

    def _exact(self, used: Sequence[Tensor], found: Reach, outside: Reach | None) -> bool:
        """Whether the graph of a part is the whole of what its backward pass would do, at any scale."""
        if not found.scalable or found.custom or not all(map(_ordinary, used)):
            return False
        if outside is None or not found.leaves:
            return not found.leaves
        if found.older or any(leaf._backward_hooks for leaf in found.leaves):
            return False
        # a leaf that is reached from outside, too, is one for which the engine would not stop at the ends
        return {id(leaf) for leaf in outside.leaves}.isdisjoint(map(id, found.leaves))

    def _add(self, source: Tensor, gradient: Tensor) -> int:
        """Keep a gradient for where it goes from now, and return its place among all."""
        at = id(source) if source.grad_fn is None else (source.grad_fn, source.output_nr)
        place = self._places.setdefault(at, len(self._sources))
        if place == len(self._sources):
            self._sources.append(source if source.grad_fn is None else Anchor.apply(source))
            self._gradients.append(gradient)
        else:
            self._gradients[place] = plus(self._gradients[place], gradient)
        return place


def possible() -> bool:
    """Whether autograd records here, and in the ordinary way."""
    return torch.is_grad_enabled() and not (
        torch.compiler.is_compiling()
        or torch._C._get_tracing_state() is not None
        or torch._C._are_functorch_transforms_active()
        or forward_ad._current_level >= 0
    )


def watched(by: Crew) -> bool:
    """Whether anything may be waiting for a model's backward pass: hooks, FSDP's among them, or its older wrapper."""
    if any(getattr(hooks_of_all, f"_global_{kind}") for kind in _HOOKS):
        return True
    return any(
        any(cls.__name__ == "FullyShardedDataParallel" for cls in type(module).__mro__)
        or any(
            type(hook).__module__ not in _HARMLESS for kind in _HOOKS for hook in getattr(module, f"_{kind}").values()
        )
        for module in by.modules
    )


def _hooks(tensors: Iterable[Tensor]) -> list[int]:
    """Return how many would see a gradient of each tensor, beside who asks for it."""
    return [len(tensor._backward_hooks or ()) + tensor.retains_grad for tensor in tensors]


def _ordinary(tensor: Tensor) -> bool:
    """Whether gradients of this tensor can be kept and scaled."""
    return tensor.layout == torch.strided and tensor.dtype != torch.float16


def _depend(tensors: Sequence[Tensor], others: Sequence[Tensor]) -> bool:
    """Whether one of some tensors depends on one of others."""
    mine = [tensor for tensor in tensors if not any(tensor is other for other in others)]
    return bool(mine and reach(mine, others, 0).ends) or any(
        reach([other], [*others[:i], *others[i + 1 :], *mine], 0).ends for i, other in enumerate(others)
    )

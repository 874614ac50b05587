"""The criterion of one call: its terms at every step, checked, weighted and summed, and the record of them."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor

from msloss._eager import Early
from msloss._loop import mixable
from msloss._trees import detach

Criterion: TypeAlias = Callable[[Any, Any], Tensor | Mapping[str, Tensor]]

_UNNAMED = ""
"""The name of the one term of a criterion that returns a tensor."""


class StepLosses(NamedTuple):
    """A multi-step loss in its parts; all but ``total`` are detached, and nothing is weighted but ``total``."""

    total: Tensor
    """The weighted sum, a scalar with its graph: call ``backward`` on it."""
    per_step: Tensor
    """The loss of every step, ``(M,)``, before weighting; with named terms, their plain sum."""
    terms: Mapping[str, Tensor]
    """Every named term of the criterion at every step, ``(M,)`` each; empty if it returns a tensor."""
    outputs: tuple[Any, ...]
    """o_1 to o_M."""

    @property
    def improvement(self) -> Tensor:
        """How much less each step loses than the step before it, ``(M - 1,)``; negative where a step makes it worse."""
        return self.per_step[:-1] - self.per_step[1:]


class StepWeights(NamedTuple):
    """What the terms weigh at the steps of a call."""

    named: Mapping[str, Sequence[float]]
    rest: Sequence[float]
    """The weights of terms that have none of their own."""

    def of(self, term: str, index: int) -> float:
        """Return the weight of a term at step ``index``."""
        return self.named.get(term, self.rest)[index - 1]


class Verdicts:
    """What the criterion says of the steps of one call.

    Args:
        criterion: compares an output with the target.
        weights: of its terms.
        record: whether to keep terms and outputs, detached.
        check_finite: whether to look at every term for NaN and infinities.
    """

    def __init__(self, criterion: Criterion, weights: StepWeights, *, record: bool, check_finite: bool) -> None:
        self.criterion = criterion
        self.weights = weights
        self.record = record
        self.check_finite = check_finite
        self._terms: list[dict[str, Tensor]] = []
        self._outputs: list[Any] = []
        self._names: set[str] | None = None

    def on(self, output: Any, target: Any, index: int, early: Early | None) -> Tensor | None:
        """Return the weighted loss of an output; ``None`` if all its weights are 0, or if it went into ``early``.

        The parts of ``early`` share the target.
        """
        if self.record:
            self._outputs.append(detach(output))
        if early is None:
            return self._first((output, target), index)
        run, again = partial(self._first, index=index), partial(self.again, index=index)
        return early.take(output, run, again)

    def again(self, given: tuple[Any, Any], index: int) -> Tensor | None:
        """Return what `on` has returned for an output and a target, with its graph, and record nothing."""
        return self._sum(_terms(self.criterion(*given), index), index)

    def recorded(self, total: Tensor) -> StepLosses:
        """Return the record of all steps, with their total."""
        terms = {name: torch.stack([values[name] for values in self._terms]) for name in self._terms[0]}
        per_step = torch.stack([torch.stack(list(values.values())).sum() for values in self._terms])
        return StepLosses(total, per_step, {} if set(terms) == {_UNNAMED} else terms, tuple(self._outputs))

    def _first(self, given: tuple[Any, Any], index: int) -> Tensor | None:
        terms = _terms(self.criterion(*given), index)
        _check_names(terms, self.weights.named, self._names, index)
        self._names = set(terms)
        if self.check_finite:
            _check_finite(terms, index)
        if self.record:
            self._terms.append({name: term.detach().clone() for name, term in terms.items()})
        return self._sum(terms, index)

    def _sum(self, terms: Mapping[str, Tensor], index: int) -> Tensor | None:
        total: Tensor | None = None
        for name, term in terms.items():
            weight = self.weights.of(name, index)
            if weight != 0:
                total = plus(total, term if weight == 1 else weight * term)
        return total


def plus(total: Tensor | None, value: Tensor | None) -> Tensor | None:
    """Return the sum of what there is."""
    if total is None or value is None:
        return value if total is None else total
    return total + value


def check_comparable(output: Any, target: Any, index: int) -> None:
    """Raise unless an output and a target, if both are tensors of the same kind of number, can be compared.

    Raises:
        ValueError: if their shapes or devices differ.
        TypeError: if their types differ in more than mixed precision does.
    """
    if not (isinstance(output, Tensor) and isinstance(target, Tensor)):
        return
    if not target.is_floating_point() or output.is_complex():
        return  # labels, say, or magnitudes: what they are compared with is the criterion's affair
    if output.shape != target.shape:
        raise ValueError(
            f"the output of step {index} has shape {tuple(output.shape)} but the target has {tuple(target.shape)}; "
            "if the target holds more than the image, give it as a tuple or a mapping"
        )
    if output.device != target.device:
        raise ValueError(f"the output of step {index} is on {output.device} but the target is on {target.device}")
    if not mixable(output.dtype, target.dtype):
        raise TypeError(
            f"the output of step {index} is {output.dtype} but the target is {target.dtype}; "
            f"convert one of them: y.to({output.dtype}), say"
        )


def _terms(value: Tensor | Mapping[str, Tensor], index: int) -> dict[str, Tensor]:
    terms = dict(value) if isinstance(value, Mapping) else {_UNNAMED: value}
    if not terms:
        raise ValueError(f"the criterion returned no terms at step {index}")
    for name, term in terms.items():
        if not isinstance(term, Tensor):
            raise TypeError(f"{_called(name)} at step {index} is a {type(term).__name__}; return a tensor")
        if term.dim() != 0:
            raise ValueError(f"{_called(name)} at step {index} has shape {tuple(term.shape)}; reduce it to a scalar")
        if term.is_complex():
            raise TypeError(f"{_called(name)} at step {index} is {term.dtype}; return a real number, its abs() say")
    return terms


def _check_names(terms: Mapping[str, Tensor], weights: Mapping[str, Any], earlier: set[str] | None, index: int) -> None:
    has = "a tensor" if set(terms) == {_UNNAMED} else f"the terms {sorted(terms)}"
    if not set(weights) <= set(terms):
        raise ValueError(f"weights names {sorted(set(weights) - set(terms))} but the criterion returns {has}")
    if earlier is not None and earlier != set(terms):
        raise ValueError(f"the criterion returns {has} at step {index}, and others before")


def _check_finite(terms: Mapping[str, Tensor], index: int) -> None:
    finite = torch.stack([term.detach().isfinite() for term in terms.values()]).tolist()  # one synchronisation
    for (name, term), is_finite in zip(terms.items(), finite, strict=True):
        if not is_finite:
            raise FloatingPointError(f"{_called(name)} at step {index} is {float(term)}")


def _called(name: str) -> str:
    return f"the criterion's term {name!r}" if name else "the criterion's value"

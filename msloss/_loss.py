"""The multi-step loss: the criterion of every step's output, summed."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor, nn

from msloss._checks import whole_number
from msloss._loop import Feedback, Loop, NormStats
from msloss._schedules import Schedule
from msloss._trees import detach
from msloss._unroll import check_unrolling
from msloss._weights import Weights, check_weights, step_weights

Criterion: TypeAlias = Callable[[Any, Any], Tensor | Mapping[str, Tensor]]


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


class MultiStepLoss(nn.Module):
    """Feed a model's output back in as its input, and sum the losses of all steps.

    ``o_t = model(x_{t-1}, cond)``, ``x_t = feedback(o_t)`` and ``L = sum_t w_t * criterion(o_t, y)`` for t = 1 to M
    (equation 5 of Elnenaey and Torki, "Utilizing Multi-Step Loss for Single Image Reflection Removal").

    Call it with the degraded input and the target, and with the conditioning if there is any, which every step is
    handed unchanged: ``loss(x, y, *cond, **cond)``. The result is a scalar tensor; with ``details=True`` it is a
    `StepLosses`. To save a training, save ``loss.model`` and ``loss.schedule``.

    Args:
        model: the network f; any callable of ``(x, *cond, **cond)``.
        criterion: a function of ``(output, target)`` that returns a scalar tensor, or a mapping of named scalar
            terms, whose sum is meant. If it has a method ``prepare(target)``, that runs once a call and its result
            takes the target's place.
        steps: M; with a schedule, the most steps there will ever be.
        schedule: how many of the steps run now (`AtEpochs`, `OnPlateau`, `RandomSteps`, or any `Schedule`); its
            ``step`` is yours to call, once an epoch. ``None`` runs all.
        weights: w_t: one number for every step, a sequence of ``steps`` numbers (the first are used while fewer
            steps run), a function from the number of steps that run to as many numbers (`gamma`, `last_only`,
            `mean`), or a mapping from the name of a term to any of these (a term it does not name weighs 1).
            ``None``: all 1, a plain sum, since the paper rejects averaging. A term of weight 0 is left out.
        feedback: what of the output is the next input: ``None`` (the output itself), a key, attribute or index of
            it, or a function of it.
        truncate: cut the graph after every so many steps; 1 gives every step an input without a past. ``None``:
            gradients flow through all steps. Changes the gradient, never the value.
        checkpoint: recompute the model's activations in the backward pass instead of keeping them. Changes time and
            memory, never a value, a gradient, a buffer or the random state.
        norm_stats: which steps update the running statistics of normalisation layers, ``"all"`` or ``"first"``.

    Raises:
        ValueError: at construction, if an argument is out of range, ``weights`` has the wrong length, or the
            schedule asks for more than ``steps``; at a call, if the criterion's value is not a scalar, or its terms
            are not those that ``weights`` names.

    >>> import torch
    >>> model = torch.nn.Conv2d(3, 3, 3, padding=1)
    >>> loss = MultiStepLoss(model, torch.nn.functional.mse_loss, steps=3)
    >>> x, y = torch.rand(2, 1, 3, 8, 8)
    >>> loss(x, y).backward()
    >>> loss(x, y, details=True).per_step.shape
    torch.Size([3])
    """

    def __init__(
        self,
        model: Callable[..., Any],
        criterion: Criterion,
        steps: int = 3,
        schedule: Schedule | None = None,
        *,
        weights: Weights | None = None,
        feedback: Feedback = None,
        truncate: int | None = None,
        checkpoint: bool = False,
        norm_stats: NormStats = "all",
    ) -> None:
        super().__init__()
        whole_number("steps", steps)
        check_unrolling(feedback, truncate, norm_stats)
        if weights is not None:
            check_weights(weights, steps)
        if schedule is not None and hasattr(schedule, "bind"):
            schedule.bind(steps)
        self.model = model
        self.criterion = criterion
        self.steps = steps
        self.schedule = schedule
        self.weights = weights
        self.feedback = feedback
        self.truncate = truncate
        self.checkpoint = checkpoint
        self.norm_stats = norm_stats
        _ = self.current_steps  # refuses a schedule that starts out of range

    @property
    def current_steps(self) -> int:
        """The number of steps that run now: the schedule's, or all."""
        if self.schedule is None:
            return self.steps
        current = self.schedule.steps
        if not 1 <= current <= self.steps:
            raise ValueError(f"the schedule asks for {current} steps but the loss has steps={self.steps}")
        return current

    def forward(self, x: Any, y: Any, /, *cond: Any, details: bool = False, **named_cond: Any) -> Tensor | StepLosses:
        """Return the multi-step loss of input ``x`` against target ``y``; see the class."""
        running = self.current_steps
        weights, rest = self._weights_now(running)
        target = self.criterion.prepare(y) if hasattr(self.criterion, "prepare") else y
        loop = Loop(self.model, x, cond, named_cond, self.feedback, self.checkpoint, self.norm_stats)
        chain = (step for segment in loop.segments(running, self.truncate) for step in segment)
        names: set[str] | None = None
        total: Tensor | None = None
        values: list[dict[str, Tensor]] = []
        outputs: list[Any] = []
        for step in chain:
            terms = _terms(self.criterion(step.output, target), step.index)
            _check_names(terms, weights, names, step.index)
            names = set(terms)
            for name, term in terms.items():
                weight = weights.get(name, rest)[step.index - 1]
                if weight != 0:
                    weighted = term if weight == 1 else weight * term
                    total = weighted if total is None else total + weighted
            if details:
                values.append(detach(terms))
                outputs.append(detach(step.output))
        if total is None:
            raise ValueError(f"every weight is 0 while {running} steps run; give one step a weight")
        return _details(total, values, outputs) if details else total

    def extra_repr(self) -> str:
        """Return the settings that differ from the defaults, after the number of steps."""
        settings = {
            "weights": self.weights,
            "feedback": self.feedback,
            "truncate": self.truncate,
            "checkpoint": self.checkpoint or None,
            "norm_stats": None if self.norm_stats == "all" else self.norm_stats,
            "schedule": self.schedule and type(self.schedule).__name__,
        }
        return ", ".join(
            [f"steps={self.steps}"] + [f"{name}={value!r}" for name, value in settings.items() if value is not None]
        )

    def _weights_now(self, running: int) -> tuple[dict[str, Sequence[float]], Sequence[float]]:
        """Return the weights of the terms that have their own, and those of the rest, for every step that runs."""
        own = self.weights if isinstance(self.weights, Mapping) else {}
        rest = 1.0 if self.weights is None or isinstance(self.weights, Mapping) else self.weights
        resolved = {name: step_weights(entry, running, self.steps) for name, entry in own.items()}
        return resolved, step_weights(rest, running, self.steps)


_UNNAMED = ""


def _terms(value: Tensor | Mapping[str, Tensor], index: int) -> dict[str, Tensor]:
    terms = dict(value) if isinstance(value, Mapping) else {_UNNAMED: value}
    if not terms:
        raise ValueError(f"the criterion returned no terms at step {index}")
    for name, term in terms.items():
        what = f"the criterion's term {name!r}" if name else "the criterion's value"
        if not isinstance(term, Tensor):
            raise TypeError(f"{what} at step {index} is a {type(term).__name__}; return a tensor")
        if term.dim() != 0:
            raise ValueError(f"{what} at step {index} has shape {tuple(term.shape)}; reduce it to a scalar")
    return terms


def _check_names(terms: Mapping[str, Tensor], weights: Mapping[str, Any], earlier: set[str] | None, index: int) -> None:
    has = "a tensor" if set(terms) == {_UNNAMED} else f"the terms {sorted(terms)}"
    if not set(weights) <= set(terms):
        raise ValueError(f"weights names {sorted(set(weights) - set(terms))} but the criterion returns {has}")
    if earlier is not None and earlier != set(terms):
        raise ValueError(f"the criterion returns {has} at step {index}, and others before")


def _details(total: Tensor, values: list[dict[str, Tensor]], outputs: list[Any]) -> StepLosses:
    terms = {name: torch.stack([value[name] for value in values]) for name in values[0]}
    per_step = torch.stack([torch.stack(list(value.values())).sum() for value in values])
    named = {} if set(terms) == {_UNNAMED} else terms
    return StepLosses(total, per_step, named, tuple(outputs))

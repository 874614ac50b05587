"""The multi-step loss: the criterion of every step's output, summed."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, overload

import torch
from torch import Tensor, nn

from msloss._checks import whole_number
from msloss._criterion import Criterion, StepLosses, StepWeights, Verdicts, check_comparable, plus
from msloss._diagnosis import Diagnosis, Identity, as_output
from msloss._eager import Early, possible, watched
from msloss._graph import leaves_of, only_accumulates
from msloss._loop import Feedback, Inputs, Loop, NormStats, Segment, change
from msloss._memory import Peak, Rehearsal
from msloss._modules import Crew, crew
from msloss._moment import Surroundings
from msloss._schedules import Schedule
from msloss._trees import device_of
from msloss._unroll import check_unrolling
from msloss._weights import Weights, check_weights, step_weights


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
        eager: take the criterion's gradient at once and let its graph go before the next step; with ``truncate``, the
            gradient of everything between two cuts. Changes time and memory, never a value or a gradient; where it
            would (see "Early gradients" in the documentation) the graph is kept. ``False`` always keeps it.
        check_finite: raise at the first term that is NaN or infinite, which costs a synchronisation a step.

    Raises:
        ValueError: at construction, if an argument is out of range, ``weights`` has the wrong length, or the
            schedule asks for more than ``steps``; at a call, if the criterion's value is not a scalar, its terms are
            not those that ``weights`` names, or the shape or device of an output is not that of the next input, or
            of the target.
        TypeError: likewise, for the types of arguments and tensors.
        RuntimeError: at a call, if the model modifies its input in place, or if the model or the criterion uses what
            it computed at an earlier step together with the graph of that, which ``eager`` has let go.
        FloatingPointError: at a call, if asked to ``check_finite``; the message names step and term.

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
        eager: bool = True,
        check_finite: bool = False,
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
        self.eager = eager
        self.check_finite = check_finite
        self._rehearsing = False
        _ = self.current_steps  # refuses a schedule that starts out of range

    @property
    def current_steps(self) -> int:
        """The number of steps that run now: the schedule's, or all."""
        if self.schedule is None or self._rehearsing:
            return self.steps
        current = self.schedule.steps
        if not 1 <= current <= self.steps:
            raise ValueError(f"the schedule asks for {current} steps but the loss has steps={self.steps}")
        return current

    if TYPE_CHECKING:  # nn.Module says of its calls nothing but Any

        @overload
        def __call__(self, x: Any, y: Any, /, *cond: Any, details: Literal[False] = False, **named: Any) -> Tensor: ...
        @overload
        def __call__(self, x: Any, y: Any, /, *cond: Any, details: Literal[True], **named: Any) -> StepLosses: ...
        @overload
        def __call__(self, x: Any, y: Any, /, *cond: Any, details: bool, **named: Any) -> Tensor | StepLosses: ...
        def __call__(self, x: Any, y: Any, /, *cond: Any, details: bool = False, **named: Any) -> Any: ...

    def forward(self, x: Any, y: Any, /, *cond: Any, details: bool = False, **named_cond: Any) -> Tensor | StepLosses:
        """Return the multi-step loss of input ``x`` against target ``y``; see the class."""
        running = self.current_steps
        judge = crew(self.criterion) if self.eager and possible() else None
        if judge is not None and watched(judge):
            judge = None
        prepare = getattr(self.criterion, "prepare", None)
        weights = self._weights_now(running)
        verdicts = Verdicts(self.criterion, weights, record=details, check_finite=self.check_finite)
        compared = y if prepare is None and not callable(self.feedback) else None
        target = y if prepare is None else prepare(y)
        loop = self._loop(x)
        whole = self.truncate is None or self.truncate >= running
        early = None
        gone: set[int] = set()
        if judge is not None and not whole:
            by = crew(self.model, self.criterion, self.feedback)
            early = None if watched(by) else Early("the model", target, by, gone, reaches_leaves=True)
        total: Tensor | None = None
        for segment in loop.segments(Inputs(x, cond, named_cond or None), running, self.truncate):
            alone = early is not None and len(segment.indices) == 1  # then the model's turn comes at once
            run = partial(_summed, segment, verdicts, compared, None if alone else judge, gone)
            if early is None:
                value = run((segment.inputs, target))
            else:
                again = partial(_summed_again, loop, segment.indices, verdicts)
                value = early.take(segment.inputs, run, again)
            total = plus(total, value)
        if early is not None:
            total = plus(total, early.value())
        if total is None:
            raise ValueError(f"every weight is 0 while {running} steps run; give one step a weight")
        return verdicts.recorded(total) if details else total

    def rehearse(self, x: Any, y: Any, /, *cond: Any, **named_cond: Any) -> Rehearsal:
        """Run one forward and backward pass with all ``steps``, whatever the schedule says, and report the memory.

        Before a training begins, this is where it runs out of memory, if it will when the schedule adds a step. It
        leaves no trace: gradients, buffers and random state are what they were. The optimiser's own state and the
        buckets of ``DistributedDataParallel`` count if they exist already.

        Args:
            x: an input of the size that training uses.
            y: its target.
            *cond: conditioning.
            **named_cond: conditioning by name.

        >>> loss = MultiStepLoss(torch.nn.Conv2d(3, 3, 1), torch.nn.functional.mse_loss, steps=3)
        >>> loss.rehearse(*torch.rand(2, 1, 3, 64, 64)).steps
        3
        """
        device = device_of(x)
        trained = [parameter for parameter in self.parameters() if parameter.requires_grad]
        memory = Peak(device)
        self._rehearsing = True
        try:
            with Surroundings(device, crew(self)).now().restored(), torch.enable_grad(), memory.measured():
                total = self(x, y, *cond, **named_cond)
                if total.requires_grad:
                    _differentiated(total, trained)
        finally:
            self._rehearsing = False
        return Rehearsal(self.steps, device, memory.bytes, memory.total)

    def diagnose(self, x: Any, y: Any, /, *cond: Any, identity: Identity | None = None, **named_cond: Any) -> Diagnosis:
        """Look at what every step brings: run the steps without gradients, and leave no trace.

        Args:
            x: the degraded input.
            y: its target.
            *cond: conditioning.
            identity: a function of ``(output, x)`` that returns the output a model would have that returned its
                input; needed if ``feedback`` is a function of a structured output.
            **named_cond: conditioning by name.

        Raises:
            ValueError: as in a call, or if ``identity`` is needed.
            TypeError: as in a call, or if what is fed back is not a tensor.

        >>> loss = MultiStepLoss(torch.nn.Identity(), torch.nn.functional.mse_loss, steps=2)
        >>> print(loss.diagnose(torch.ones(1, 1, 2, 2), torch.zeros(1, 1, 2, 2)))
        2 steps: loss 1, 1 (+0.0 %); total 2, of the input itself 2 (gap +0.0 %); change 0, 0
        """
        loop = self._loop(x)
        with Surroundings(device_of(x), crew(self)).now().restored(), torch.no_grad():
            losses = self(x, y, *cond, details=True, **named_cond)
            inputs = [x, *map(loop.fed_back, losses.outputs)]
            residuals = [change(inputs[t], inputs[t - 1], t) for t in range(1, len(inputs))]
            prepare = getattr(self.criterion, "prepare", None)
            weights = self._weights_now(len(residuals))
            verdicts = Verdicts(self.criterion, weights, record=False, check_finite=False)
            given = as_output(x, losses.outputs[0], self.feedback, identity), y if prepare is None else prepare(y)
            each = [verdicts.again(given, t) for t in range(1, len(inputs))]
        total = sum((value for value in each if value is not None), torch.zeros_like(losses.total))
        return Diagnosis(losses, total, torch.stack(residuals))

    def extra_repr(self) -> str:
        """Return the settings that differ from the defaults, after the number of steps."""
        settings = {
            "weights": self.weights,
            "feedback": self.feedback,
            "truncate": self.truncate,
            "checkpoint": self.checkpoint or None,
            "norm_stats": None if self.norm_stats == "all" else self.norm_stats,
            "eager": None if self.eager else False,
            "check_finite": self.check_finite or None,
            "schedule": self.schedule and type(self.schedule).__name__,
        }
        return ", ".join(
            [f"steps={self.steps}"] + [f"{name}={value!r}" for name, value in settings.items() if value is not None]
        )

    def _loop(self, x: Any) -> Loop:
        return Loop(self.model, x, self.feedback, self.checkpoint, self.norm_stats)

    def _weights_now(self, running: int) -> StepWeights:
        """Return the weights of the terms for every step that runs."""
        own = self.weights if isinstance(self.weights, Mapping) else {}
        rest = 1.0 if self.weights is None or isinstance(self.weights, Mapping) else self.weights
        resolved = {name: step_weights(entry, running, self.steps) for name, entry in own.items()}
        return StepWeights(resolved, step_weights(rest, running, self.steps))


def _differentiated(total: Tensor, parameters: Sequence[Tensor]) -> None:
    """Run a backward pass that leaves the parameters' gradients as they are."""
    kept = [parameter.grad for parameter in parameters]
    try:
        if only_accumulates(total) or any(hasattr(parameter, "full_tensor") for parameter in parameters):
            torch.autograd.backward(total)  # FSDP computes with tensors of its own
        else:
            torch.autograd.grad(total, leaves_of(total), allow_unused=True)
    finally:
        for parameter, grad in zip(parameters, kept, strict=True):
            parameter.grad = grad


def _summed(
    segment: Segment, verdicts: Verdicts, compared: Any, judge: Crew | None, gone: set[int], given: tuple[Inputs, Any]
) -> Tensor | None:
    """Return the weighted loss of the steps of a segment, whose outputs must be like what they are compared with."""
    segment.inputs, target = given
    early = None if judge is None else Early("the criterion", target, judge, gone, reaches_leaves=False)
    total: Tensor | None = None
    for step in segment:
        if compared is not None:
            check_comparable(segment.loop.fed_back(step.output), compared, step.index)
        total = plus(total, verdicts.on(step.output, target, step.index, early))
    return plus(total, early.value()) if early else total


def _summed_again(loop: Loop, indices: range, verdicts: Verdicts, given: tuple[Inputs, Any]) -> Tensor | None:
    """Return what `_summed` has returned, with its graph."""
    inputs, target = given
    total: Tensor | None = None
    for step in Segment(loop, inputs, indices):
        total = plus(total, verdicts.again((step.output, target), step.index))
    return total

"""The loop: a model applied to its own output, step after step."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any, Literal, NamedTuple, TypeAlias

import torch
from torch import Tensor, nn

from msloss import _buffers
from msloss._checks import whole_number
from msloss._trees import detach, select

Feedback: TypeAlias = str | int | Callable[[Any], Any] | None
NormStats: TypeAlias = Literal["all", "first"]


class Step(NamedTuple):
    """One step of an unrolled model."""

    index: int  # type: ignore[assignment]  # tuple.index is of no use here
    """t, counted from 1."""
    input: Any
    """x_{t-1}: what the model was given."""
    output: Any
    """o_t: what it returned."""


def unroll(
    model: Callable[..., Any],
    x: Any,
    /,
    *cond: Any,
    steps: int = 3,
    feedback: Feedback = None,
    truncate: int | None = None,
    checkpoint: bool = False,
    norm_stats: NormStats = "all",
    **named_cond: Any,
) -> Iterator[Step]:
    """Apply a model to its own output and yield each step as it is done.

    ``o_t = model(x_{t-1}, *cond, **named_cond)`` and ``x_t = feedback(o_t)``, for t = 1 to ``steps``.

    Args:
        model: any callable of one input, and of the conditioning if there is any.
        x: x_0, the degraded input, for example ``(N, 3, H, W)``.
        *cond: conditioning, handed to every step unchanged.
        steps: M, how many times the model is applied; at least 1.
        feedback: what of the output is the next input: ``None`` (the output itself), a key, attribute or index of
            it, or a function of it. If the next input and ``x`` are tensors their shapes must agree.
        truncate: cut the graph after every so many steps: the input of the step that follows is detached. ``None``
            lets gradients flow through all steps. Changes the gradient, never a value.
        checkpoint: keep no activations of the model and recompute them in the backward pass. Changes time and
            memory, never a value, a gradient, a buffer or the random state.
        norm_stats: which steps update the running statistics of batch and instance normalisation layers in training
            mode: ``"all"`` or only the ``"first"``, the one that sees real input.
        **named_cond: conditioning by name, likewise.

    Raises:
        ValueError: at the call if an argument is out of range; at a step whose output does not have the part that
            ``feedback`` names, or whose next input has another shape than ``x``.
        TypeError: at a step whose next input is not a tensor although ``x`` is.

    >>> [float(step.output) for step in unroll(lambda x: x / 2, torch.tensor(8.0), steps=3)]
    [4.0, 2.0, 1.0]
    """
    whole_number("steps", steps)
    check_truncate(truncate)
    check_norm_stats(norm_stats)
    call = partial(model, **named_cond)
    return iterate(model, call, x, cond, steps, feedback, truncate, checkpoint, norm_stats)


def refine(
    model: Callable[..., Any],
    x: Any,
    /,
    *cond: Any,
    steps: int = 3,
    feedback: Feedback = None,
    tol: float | None = None,
    **named_cond: Any,
) -> Any:
    """Apply a trained model to its own output, without gradients, and return the last output.

    A module is put in evaluation mode for the call; every submodule has its own mode again afterwards.

    Args:
        model: as in `unroll`.
        x: the input, for example ``(N, 3, H, W)``.
        *cond: conditioning, handed to every step unchanged.
        steps: how many times the model is applied, at most if ``tol`` is given; at least 1.
        feedback: as in `unroll`.
        tol: stop after a step that changed no image of the batch by more than this, as the root mean square of
            ``feedback(o_t) - x_{t-1}`` over the image, in the unit of ``x``. ``None`` takes all steps.
        **named_cond: conditioning by name.

    Raises:
        ValueError: as in `unroll`, or if ``tol`` is negative.
        TypeError: as in `unroll`, or if ``tol`` is given and what is fed back is not a tensor.

    >>> refine(lambda x: x / 2, torch.tensor([8.0]), steps=10, tol=1.0)
    tensor([1.])
    """
    if tol is not None and not tol >= 0:
        raise ValueError(f"tol is {tol}; give 0 or more")
    with _evaluating(model), torch.no_grad():
        for step in unroll(model, x, *cond, steps=steps, feedback=feedback, **named_cond):
            if tol is not None and _change(step, feedback) <= tol:
                break
    return step.output


def check_truncate(truncate: int | None) -> None:
    """Raise unless ``truncate`` is ``None`` or at least 1."""
    if truncate is not None:
        whole_number("truncate", truncate)


def check_norm_stats(norm_stats: str) -> None:
    """Raise unless ``norm_stats`` is a known choice."""
    if norm_stats not in ("all", "first"):
        raise ValueError(f"norm_stats is {norm_stats!r}; give 'all' or 'first'")


def iterate(
    model: Callable[..., Any],
    call: Callable[..., Any],
    x: Any,
    cond: tuple[Any, ...],
    steps: int,
    feedback: Feedback,
    truncate: int | None,
    checkpoint: bool,
    norm_stats: NormStats,
) -> Iterator[Step]:
    """Yield the steps of `unroll`; ``call`` is the model with its named conditioning, whatever the names."""
    first = x
    for index in range(1, steps + 1):
        discard = norm_stats == "first" and index > 1
        with _buffers.scratch(_buffers.running_statistics(model) if discard else {}):
            output = _checkpointed(model, call, x, cond) if checkpoint else call(x, *cond)
        yield Step(index, x, output)
        if index < steps:
            x = _next_input(output, feedback, first, index)
            if truncate is not None and index % truncate == 0:
                x = detach(x)


def _checkpointed(model: Callable[..., Any], call: Callable[..., Any], x: Any, cond: tuple[Any, ...]) -> Any:
    if not torch.is_grad_enabled():
        return call(x, *cond)
    from torch.utils.checkpoint import checkpoint as recompute_in_backward  # before torch 2.7 it imports SymPy

    before = _buffers.copies(_buffers.buffers(model))

    def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), _buffers.rewound(model, before)

    return recompute_in_backward(call, x, *cond, use_reentrant=False, context_fn=contexts)


def _next_input(output: Any, feedback: Feedback, first: Any, index: int) -> Any:
    x = _fed_back(output, feedback)
    if isinstance(first, Tensor):
        if not isinstance(x, Tensor):
            raise TypeError(
                f"what step {index} feeds back is a {type(x).__name__}, not a tensor; "
                "name the part of the output that is the next input: feedback='transmission', say"
            )
        if x.shape != first.shape:
            raise ValueError(
                f"step {index} feeds back shape {tuple(x.shape)} but its input had {tuple(first.shape)}; "
                "a model that is fed its own output must keep the shape"
            )
    return x


def _fed_back(output: Any, feedback: Feedback) -> Any:
    if feedback is None:
        return output
    if isinstance(feedback, (str, int)):
        return select(output, feedback)
    return feedback(output)


def _change(step: Step, feedback: Feedback) -> float:
    """Return the largest root mean square, over the images of the batch, of what a step changed."""
    x = _fed_back(step.output, feedback)
    if not (isinstance(x, Tensor) and isinstance(step.input, Tensor)):
        raise TypeError(f"tol compares tensors, but step {step.index} feeds back a {type(x).__name__}")
    difference = (x - step.input).abs()
    if difference.numel() == 0:
        return 0.0
    images = difference.flatten(1) if difference.dim() > 1 else difference.reshape(1, -1)
    exact = images.to(torch.promote_types(images.dtype, torch.float32))  # squares of half precision vanish
    return float(exact.square().mean(dim=1).sqrt().max())


@contextmanager
def _evaluating(model: Callable[..., Any]) -> Iterator[None]:
    """Put every submodule in evaluation mode, then each back in the mode it had."""
    modules = list(model.modules()) if isinstance(model, nn.Module) else []
    modes = [module.training for module in modules]
    if isinstance(model, nn.Module):
        model.eval()
    try:
        yield
    finally:
        for module, mode in zip(modules, modes, strict=True):
            module.training = mode

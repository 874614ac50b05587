"""A model unrolled: as an iterator of steps, and as a refinement at inference."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from msloss._checks import whole_number
from msloss._loop import Feedback, Inputs, Loop, NormStats, Segment, Step, change


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
            it, or a function of it. If ``x`` is a tensor, the next input must be one of its shape, device and type;
            float32, bfloat16 and float16 may follow each other, as they do in mixed precision.
        truncate: cut the graph after every so many steps: the input of the step that follows is detached. ``None``
            lets gradients flow through all steps. Changes the gradient, never a value.
        checkpoint: keep no activations of the model and recompute them in the backward pass. Changes time and
            memory, never a value, a gradient, a buffer or the random state.
        norm_stats: which steps update the running statistics of batch and instance normalisation layers in training
            mode: ``"all"`` or only the ``"first"``, the one that sees real input.
        **named_cond: conditioning by name, likewise.

    Raises:
        ValueError: at the call if an argument is out of range; at a step whose output does not have the part that
            ``feedback`` names, or whose next input has another shape or device than ``x``.
        TypeError: at a step whose next input is not a tensor although ``x`` is, or one of another type.
        RuntimeError: at a step whose model modified its input in place.

    >>> [float(step.output) for step in unroll(lambda x: x / 2, torch.tensor(8.0), steps=3)]
    [4.0, 2.0, 1.0]
    """
    whole_number("steps", steps)
    check_unrolling(feedback, truncate, norm_stats)
    loop = Loop(model, x, feedback, checkpoint, norm_stats)
    return (step for segment in loop.segments(Inputs(x, cond, named_cond or None), steps, truncate) for step in segment)


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
        RuntimeError: as in `unroll`.

    >>> refine(lambda x: x / 2, torch.tensor([8.0]), steps=10, tol=1.0)
    tensor([1.])
    """
    if tol is not None and not tol >= 0:
        raise ValueError(f"tol is {tol}; give 0 or more")
    whole_number("steps", steps)
    check_unrolling(feedback)
    loop = Loop(model, x, feedback, checkpoint=False, norm_stats="all")
    with _evaluating(model), torch.no_grad():
        for step in Segment(loop, Inputs(x, cond, named_cond or None), range(1, steps + 1)):
            if tol is not None and change(loop.fed_back(step.output), step.input, step.index) <= tol:
                break
    return step.output


def check_unrolling(feedback: Feedback = None, truncate: int | None = None, norm_stats: str = "all") -> None:
    """Raise unless these are arguments of `unroll`."""
    known = feedback is None or isinstance(feedback, (str, int)) or callable(feedback)
    if not known or isinstance(feedback, bool):
        raise TypeError(f"feedback is {feedback!r}; give a key, an attribute's name, an index or a function")
    if truncate is not None:
        whole_number("truncate", truncate)
    if norm_stats not in ("all", "first"):
        raise ValueError(f"norm_stats is {norm_stats!r}; give 'all' or 'first'")


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

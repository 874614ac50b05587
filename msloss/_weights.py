"""The weights w_t of the steps: given ones, those computed from the number of steps, and those per term."""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeAlias

StepWeights: TypeAlias = float | Sequence[float] | Callable[[int], Sequence[float]]
Weights: TypeAlias = StepWeights | Mapping[str, StepWeights]


def gamma(decay: float) -> Callable[[int], Sequence[float]]:
    """Return weights that grow towards the last step: ``w_t = decay ** (M - t)``.

    The weighting of iterative optical flow (RAFT, Teed and Deng 2020), which uses 0.8.

    Args:
        decay: factor between neighbouring steps, greater than 0. Below 1 the last step weighs most (its weight is
            1), above 1 the first one does.

    Raises:
        ValueError: if ``decay`` is not a finite number greater than 0.

    >>> gamma(0.5)(3)
    (0.25, 0.5, 1.0)
    """
    if not (math.isfinite(decay) and decay > 0):
        raise ValueError(f"decay is {decay}; give a finite number greater than 0")

    return partial(_powers, decay)


def last_only(steps: int) -> Sequence[float]:
    """Return weights that supervise the last step alone: ``w_M = 1``, all others 0.

    >>> last_only(3)
    (0.0, 0.0, 1.0)
    """
    return (0.0,) * (steps - 1) + (1.0,)


def mean(steps: int) -> Sequence[float]:
    """Return weights that average the steps: ``w_t = 1 / M``.

    >>> mean(4)
    (0.25, 0.25, 0.25, 0.25)
    """
    return (1.0 / steps,) * steps


def _number(weight: float) -> float:
    if getattr(weight, "requires_grad", False):
        raise TypeError("a weight requires a gradient, which it would not get; give plain numbers")
    return float(weight)


def _powers(decay: float, steps: int) -> Sequence[float]:
    return tuple(decay ** (steps - t) for t in range(1, steps + 1))


def check_weights(weights: Weights, steps: int) -> None:
    """Raise ``ValueError`` unless ``weights`` can weigh up to ``steps`` steps."""
    for entry in weights.values() if isinstance(weights, Mapping) else (weights,):
        step_weights(entry, steps, steps)


def step_weights(weights: StepWeights, running: int, steps: int) -> Sequence[float]:
    """Return the weights of the ``running`` steps of a loss that runs up to ``steps``.

    A sequence is written for ``steps`` entries and its first ``running`` are used; a callable is asked for
    ``running`` entries; one number serves every step.

    Raises:
        ValueError: if the number of entries is wrong or an entry is not finite.
        TypeError: if an entry is to be learned.
    """
    if isinstance(weights, (int, float)):
        values: Sequence[float] = (float(weights),) * running
    elif callable(weights):
        values = tuple(_number(w) for w in weights(running))
        if len(values) != running:
            raise ValueError(f"weights({running}) returned {len(values)} entries; return one weight per step")
    else:
        if len(weights) != steps:
            raise ValueError(f"weights has {len(weights)} entries but steps={steps}; give one weight per step")
        values = tuple(_number(w) for w in weights[:running])
    if not all(math.isfinite(w) for w in values):
        raise ValueError(f"weights has an entry that is not finite: {values}")
    return values

"""What a multi-step loss says of its model beyond a number."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

from torch import Tensor

from msloss._criterion import StepLosses
from msloss._loop import Feedback
from msloss._trees import exchanged

Identity = Callable[[Any, Any], Any]


class Diagnosis(NamedTuple):
    """What every step brings, and what returning the input would; ``str`` of it is one line."""

    losses: StepLosses
    """The loss in its parts; its ``improvement`` is what each step gains over the one before."""
    identity: Tensor
    """What the loss would be if the model returned its input, a scalar: the sum of the step weights times the
    criterion of the input itself."""
    residual: Tensor
    """How much every step changes, ``(M,)``: the root mean square of ``feedback(o_t) - x_{t-1}`` over an image, in the
    unit of the input, for the image of the batch where it is greatest. At a fixed point it is 0."""

    @property
    def identity_gap(self) -> Tensor:
        """How much less the loss is than the identity's, a scalar: 0 for a model that learned to return its input."""
        return self.identity - self.losses.total

    def __str__(self) -> str:
        """Return one line; looking at the numbers waits for the device."""
        per_step, residual = self.losses.per_step.tolist(), self.residual.tolist()
        gains = ", ".join(_percent(old - new, old) for old, new in pairwise(per_step))
        total, identity = float(self.losses.total), float(self.identity)
        return (
            f"{len(per_step)} steps: loss {_row(per_step)}{gains and f' ({gains})'}; "
            f"total {total:.4g}, of the input itself {identity:.4g} (gap {_percent(identity - total, identity)}); "
            f"change {_row(residual)}"
        )


def as_output(x: Any, output: Any, feedback: Feedback, identity: Identity | None) -> Any:
    """Return what the model would have returned instead of ``output`` if it had returned its input.

    Raises:
        ValueError: if ``feedback`` is a function of a structured output, and there is no ``identity`` to reverse it.
    """
    if identity is not None:
        return identity(output, x)
    if isinstance(feedback, (str, int)):
        return exchanged(output, feedback, x)
    if isinstance(output, Tensor) or feedback is None:
        return x
    raise ValueError(
        f"feedback is a function of a {type(output).__name__}, so the input has no known place in the output; "
        "give identity=lambda output, x: the output with x in that place"
    )


def _percent(part: float, whole: float) -> str:
    return f"{100 * part / whole:+.1f} %" if whole else "+0.0 %"


def _row(values: list[float]) -> str:
    return ", ".join(f"{value:.4g}" for value in values)

"""A picture of a training: the loss of every step, epoch by epoch."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_losses(
    history: Iterable[Sequence[float] | Tensor],
    path: str | Path | None = None,
    *,
    identity: float | None = None,
    axes: "Axes | None" = None,
) -> "Axes":
    """Draw the loss of every step over the epochs of a training; a step's curve begins where the step was added.

    Needs matplotlib: ``pip install "msloss[plot]"``.

    Args:
        history: for every epoch, the loss of every step that ran, such as the epoch's mean of
            ``StepLosses.per_step``; the number of steps may change.
        path: file to write, its format given by its ending; ``None`` writes none.
        identity: the criterion of the input itself, drawn as a line that every step should stay below.
        axes: where to draw; ``None`` makes a new figure.

    Returns:
        The axes drawn on.

    Raises:
        ValueError: if the history is empty, or an epoch has no steps.
        ImportError: without matplotlib.
    """
    rows = [row.tolist() if isinstance(row, Tensor) else [float(value) for value in row] for row in history]
    if not rows or not all(rows):
        raise ValueError("the history has no epoch, or an epoch without steps; give the losses of one step at least")
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError('plot_losses needs matplotlib: pip install "msloss[plot]"') from error
    if axes is None:
        axes = Figure(figsize=(7, 4), layout="constrained").subplots()
    for step in range(max(map(len, rows))):
        values = [row[step] if step < len(row) else float("nan") for row in rows]
        axes.plot(range(len(rows)), values, marker="." if len(rows) < 40 else "", label=f"step {step + 1}")
    if identity is not None:
        axes.axhline(identity, color="0.5", linestyle="--", label="input itself")
    if min(value for row in rows for value in row) > 0:
        axes.set_yscale("log")
    axes.set_xlabel("epoch")
    axes.set_ylabel("loss")
    axes.legend()
    if path is not None:
        figure = axes.get_figure(root=True)
        assert figure is not None  # noqa: S101  # axes are drawn somewhere
        figure.savefig(path)
    return axes

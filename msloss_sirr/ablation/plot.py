"""Results as a picture: the difference of every arm to the baseline, with its interval."""

from pathlib import Path
from typing import Any

from msloss_sirr.ablation.figures import Comparison, Figure
from msloss_sirr.ablation.page import UNITS, title_of
from msloss_sirr.ablation.results import Results
from msloss_sirr.errors import InputError
from msloss_sirr.plots import plain_style, save


def draw(results: Results, path: Path, metric: str = "psnr") -> None:
    """Write a plot: a panel for every set, a line for every arm, a mark for every number of steps at evaluation.

    Filled marks are those whose interval excludes zero; where there is no interval, there is no bar.

    Args:
        results: of an ablation; the same results make the same file.
        path: file to write, its format given by its ending.
        metric: which of those that were measured.

    Raises:
        InputError: without matplotlib, or if nothing was measured.
    """
    comparison = Comparison(results)
    head = results.head
    arms = [arm for arm in comparison.arms if arm != head.baseline and _measured(comparison, arm, metric)]
    if not arms:
        raise InputError("no arm has been measured yet beside the baseline: nothing to plot")
    sets = list(head.sets)
    with plain_style(9, formulas=False):
        from matplotlib.figure import Figure as Canvas

        height = 1.6 + 0.22 * len(arms) * len(head.eval_steps)
        figure = Canvas(figsize=(1.6 + 3.2 * len(sets), height), layout="constrained")
        panels = figure.subplots(1, len(sets), sharey=True, squeeze=False)[0]
        for axes, name in zip(panels, sets, strict=True):
            _panel(axes, comparison, arms, name, metric)
        panels[0].legend(fontsize=7, loc="best")
        scale = "a small-scale version" if head.unlike else "the paper's scale"
        figure.suptitle(f"{head.title} ({scale}; {len(head.seeds)} seeds)", fontsize=10)
        save(figure, path)


def mark(axes: Any, figure: Figure | None, height: float, colour: str, label: str) -> bool:
    """Draw a difference to the baseline, and its interval as a bar; the mark is filled if that excludes zero.

    Args:
        axes: of matplotlib.
        figure: what was found, if anything was.
        height: of the mark, along the vertical axis.
        colour: of matplotlib.
        label: in the legend.

    Returns:
        Whether there was a difference to draw.
    """
    if figure is None or figure.difference is None:
        return False
    if figure.between is not None:
        axes.plot([figure.between.low, figure.between.high], [height, height], color=colour, linewidth=1.5)
    sure = figure.between is not None and figure.between.excludes_zero
    axes.plot(
        figure.difference, height, marker="o", color=colour, markerfacecolor=colour if sure else "white", label=label
    )
    return True


def _measured(comparison: Comparison, arm: str, metric: str) -> bool:
    steps = comparison.head.eval_steps[0]
    return any(
        (found := comparison.figure(arm, name, steps, metric)) is not None and found.difference is not None
        for name in comparison.head.sets
    )


def _panel(axes: Any, comparison: Comparison, arms: list[str], name: str, metric: str) -> None:
    head = comparison.head
    for place, steps in enumerate(head.eval_steps):
        colour, label = f"C{place}", f"evaluated after {steps} step{'s' * (steps > 1)}"
        for row, arm in enumerate(arms):
            found = comparison.figure(arm, name, steps, metric)
            height = row + (place - (len(head.eval_steps) - 1) / 2) * 0.22
            if mark(axes, found, height, colour, label):
                label = "_"
    axes.axvline(0, color="0.4", linewidth=0.8)
    axes.set_yticks(range(len(arms)), arms)
    axes.set_ylim(len(arms) - 0.5, -0.5)
    axes.set_xlabel(f"difference in {title_of(metric)} to {head.baseline}{UNITS.get(metric, '')}")
    axes.set_title(f"{head.sets[name].paper or name} ({head.sets[name].images} images)", fontsize=9)

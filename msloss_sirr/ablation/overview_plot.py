"""Results of several comparisons of the same arms as one picture: panels for each, a row for every set."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msloss_sirr.ablation.figures import Comparison
from msloss_sirr.ablation.overview import Reading, readings
from msloss_sirr.ablation.page import UNITS, title_of
from msloss_sirr.ablation.plot import mark
from msloss_sirr.ablation.results import Results
from msloss_sirr.plots import plain_style, save

_APART = 0.2
"""How far the arms of a row are from one another, of its height."""


def draw_overview(known: Mapping[str, Results], path: Path, metric: str = "psnr") -> None:
    """Write a plot of the differences to the baseline, with their intervals; those that exclude zero are filled.

    Args:
        known: results by the name of their comparison; all of the same arms and numbers of steps at evaluation. The
            same make the same file.
        path: file to write, its format given by its ending.
        metric: which of those that were measured.

    Raises:
        InputError: without matplotlib.
    """
    head = next(iter(known.values())).head
    arms = [arm for arm in head.arms if arm != head.baseline]
    columns, comparisons = readings(known), [Comparison(results) for results in known.values()]
    rows = [len(comparison.head.sets) for comparison in comparisons]
    with plain_style(8, formulas=False):
        from matplotlib.figure import Figure

        size = (1.4 + 2.6 * len(columns), 0.9 + 0.35 * len(known) + 0.16 * len(arms) * sum(rows))
        figure = Figure(figsize=size, layout="constrained")
        panels = figure.subplots(len(rows), len(columns), sharey="row", squeeze=False, height_ratios=rows)
        for line, comparison in zip(panels, comparisons, strict=True):
            for axes, reading in zip(line, columns, strict=True):
                _draw(axes, comparison, arms, reading, metric)
            line[0].set_yticks(range(len(comparison.head.sets)), list(comparison.head.sets))
            line[0].set_ylim(len(comparison.head.sets) - 0.5, -0.5)
        for axes, reading in zip(panels[0], columns, strict=True):
            axes.set_title(reading.short, fontsize=8)
        for axes in panels[-1]:
            axes.set_xlabel(f"difference in {title_of(metric)} to {head.baseline}{UNITS.get(metric, '')}")
        shown = {
            label: each for axes in panels.flat for each, label in zip(*axes.get_legend_handles_labels(), strict=True)
        }
        if shown:  # something has been measured beside the baseline
            figure.legend(shown.values(), shown.keys(), loc="outside upper center", ncols=len(shown), frameon=False)
        save(figure, path)


def _draw(axes: Any, comparison: Comparison, arms: list[str], reading: Reading, metric: str) -> None:
    """Draw the arms of a comparison in one reading, a row for each set."""
    for place, arm in enumerate(arms):
        label = arm
        for row, name in enumerate(comparison.head.sets):
            found = reading.figure(comparison, arm, name, metric)
            if mark(axes, found, row + (place - (len(arms) - 1) / 2) * _APART, f"C{place}", label):
                label = "_"
    for row in range(1, len(comparison.head.sets)):
        axes.axhline(row - 0.5, color="0.9", linewidth=0.6)
    axes.axvline(0, color="0.4", linewidth=0.8)
    axes.locator_params(axis="x", nbins=5)

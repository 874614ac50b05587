"""Results of several comparisons of the same arms as one picture: a row for every set, a panel for each reading."""

from collections.abc import Mapping
from pathlib import Path

from msloss_sirr.ablation.figures import Comparison
from msloss_sirr.ablation.overview import readings
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
    rows = [(Comparison(results), name) for results in known.values() for name in results.head.sets]
    arms = [arm for arm in head.arms if arm != head.baseline]
    with plain_style(8, formulas=False):
        from matplotlib.figure import Figure

        columns = readings(known)
        figure = Figure(figsize=(1.4 + 3.1 * len(columns), 1 + 0.17 * len(arms) * len(rows)), layout="constrained")
        panels = figure.subplots(1, len(columns), sharey=True, squeeze=False)[0]
        for axes, reading in zip(panels, columns, strict=True):
            for place, arm in enumerate(arms):
                label = arm
                for row, (comparison, name) in enumerate(rows):
                    found = comparison.figure(arm, name, reading.steps(arm), metric, reading.base_steps)
                    if found is not None and found.difference is not None:
                        mark(axes, found, row + (place - (len(arms) - 1) / 2) * _APART, f"C{place}", label)
                        label = "_"
            axes.axvline(0, color="0.4", linewidth=0.8)
            axes.set_title(reading.short, fontsize=8)
            axes.set_xlabel(f"difference in {title_of(metric)} to {head.baseline}{UNITS.get(metric, '')}")
        panels[0].set_yticks(range(len(rows)), [name for _, name in rows])
        panels[0].set_ylim(len(rows) - 0.5, -0.5)
        if panels[0].get_legend_handles_labels()[1]:  # something has been measured beside the baseline
            panels[0].legend(fontsize=7, loc="best")
        save(figure, path)

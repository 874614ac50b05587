"""Results as pictures: over the training, after each step, and over many applications."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from msloss_sirr.plots import plain_style, save
from msloss_sirr.training.probes import STEPS, Look
from msloss_sirr.why.figures import STRENGTHS, Figures, agreement_of, cosine_of, ratio_of
from msloss_sirr.why.tables import Found

_PANEL = (3.3, 2.3)


def draw(found: Found, folder: Path) -> dict[str, str]:
    """Write the plots that results allow, ``why-NAME.svg``, and return their files' names by theirs.

    Args:
        found: results; the same make the same files.
        folder: where to.

    Raises:
        InputError: without matplotlib.
    """
    figures = Figures(found)
    files = files_of(found)
    with plain_style(8, formulas=True):
        for name, file in files.items():
            save(_DRAWN[name](figures), folder / file)
    return files


def files_of(found: Found) -> dict[str, str]:
    """Return the files of the plots that results allow, by their names."""
    of_probes = {"identity", "gradients"} if not found.probes else set()
    return {name: f"why-{name}.svg" for name in _DRAWN if name not in of_probes}


def _identity(figures: Figures) -> Any:
    figure, panels = _panels(1, STEPS)
    for t, axes in enumerate(panels[0]):
        _courses(axes, figures, ratio_of(t))
        axes.axhline(1, color="0.5", linestyle="--", linewidth=0.8)
        axes.set_title(f"step {t + 1}")
        axes.set_xlabel("share of the training")
    panels[0][0].set_ylabel("loss / loss of the input itself")
    panels[0][0].legend(fontsize=7)
    return figure


def _gradients(figures: Figures) -> Any:
    figure, panels = _panels(3, 3)
    pairs = ((0, 1), (0, 2), (1, 2))
    for t in range(STEPS):
        _courses(panels[0][t], figures, _norm(t))
        panels[0][t].set_yscale("log")
        panels[0][t].set_title(f"norm, step {t + 1}")
        _courses(panels[1][t], figures, cosine_of("", *pairs[t]))
        panels[1][t].set_title("cosine between steps {} and {}".format(*(each + 1 for each in pairs[t])))
        _courses(panels[2][t], figures, agreement_of("", t))
        panels[2][t].set_title(f"agreement of two halves, step {t + 1}")
        panels[2][t].set_xlabel("share of the training")
    for axes in (*panels[1], *panels[2]):
        axes.axhline(0, color="0.5", linewidth=0.6)
        axes.set_ylim(top=1.05)
    panels[0][0].legend(fontsize=7)
    return figure


def _residual(figures: Figures) -> Any:
    sets = list(figures.about.sets)
    figure, panels = _panels(2, len(sets))
    for column, set_name in enumerate(sets):
        for row, name in enumerate(("along", "beside")):
            _boxes(panels[row][column], figures, set_name, name)
        panels[0][column].set_title(set_name)
    panels[0][0].set_ylabel("reflection that is left (along)")
    panels[1][0].set_ylabel("other error (beside)")
    panels[0][0].legend(fontsize=7)
    return figure


def _strengths(figures: Figures) -> Any:
    figure, panels = _panels(1, len(figures.about.sets))
    for axes, set_name in zip(panels[0], figures.about.sets, strict=True):
        for number, arm in enumerate(figures.about.arms):
            gains = figures.strengths(arm, set_name)
            if not np.isnan(gains).all():
                _line(axes, STRENGTHS, np.nanmean(gains, axis=1), number, arm)
        axes.axhline(0, color="0.5", linewidth=0.6)
        axes.axvline(1, color="0.5", linestyle="--", linewidth=0.8)
        axes.set_title(set_name)
        axes.set_xlabel("strength")
    panels[0][0].set_ylabel("gain over the input, dB")
    panels[0][0].legend(fontsize=7)
    return figure


def _iterates(figures: Figures) -> Any:
    sets = list(figures.about.sets)
    figure, panels = _panels(2, len(sets))
    for column, set_name in enumerate(sets):
        for number, arm in enumerate(figures.about.arms):
            psnr = figures.iterates(arm, set_name, "psnr").mean(axis=1)
            change = figures.iterates(arm, set_name, "change")[:, :, 1:].mean(axis=1)
            _line(panels[0][column], np.arange(psnr.shape[1]), psnr, number, arm)
            _line(panels[1][column], np.arange(1, psnr.shape[1]), change, number, arm)
        panels[0][column].set_title(set_name)
        panels[1][column].set_yscale("log")
        panels[1][column].set_xlabel("applications")
        for axes in (panels[0][column], panels[1][column]):
            axes.xaxis.get_major_locator().set_params(integer=True)
    panels[0][0].set_ylabel("PSNR, dB")
    panels[1][0].set_ylabel("change (RMS) of the last")
    panels[0][0].legend(fontsize=7)
    return figure


def _norm(t: int) -> Callable[[Look], float]:
    return lambda look: look.norm[t]


def _courses(axes: Any, figures: Figures, number: Callable[[Look], float]) -> None:
    arms = list(figures.about.arms)
    for arm in figures.probed:
        course = figures.course(arm, number)
        _line(axes, course.share, course.values, arms.index(arm), arm)


def _line(axes: Any, across: Any, values: Any, number: int, label: str) -> None:
    """Draw the mean over seeds, and from the least to the greatest a shade."""
    axes.plot(across, values.mean(axis=0), color=f"C{number}", linewidth=1.2, label=label)
    if len(values) > 1:
        axes.fill_between(across, values.min(axis=0), values.max(axis=0), color=f"C{number}", alpha=0.15, linewidth=0)


def _boxes(axes: Any, figures: Figures, set_name: str, name: str) -> None:
    """Draw quartiles over images and seeds, a box for each arm and step."""
    arms = list(figures.about.arms)
    for t in range(1, STEPS + 1):
        values = [figures.iterates(arm, set_name, name)[:, :, t] for arm in arms]
        there = [each[~np.isnan(each)] for each in values]
        drawn = axes.boxplot(
            there,
            positions=[place + (t - 2) * 0.25 for place in range(len(arms))],
            widths=0.2,
            whis=(5, 95),
            showfliers=False,
            patch_artist=True,
            manage_ticks=False,
        )
        for box in drawn["boxes"]:
            box.set(facecolor=f"C{t - 1}", alpha=0.5)
        drawn["boxes"][0].set_label(f"after step {t}")
    axes.axhline(0, color="0.5", linewidth=0.6)
    axes.set_xticks(range(len(arms)), arms, rotation=20)


def _panels(rows: int, columns: int) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_PANEL[0] * columns, 0.4 + _PANEL[1] * rows), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False)


_DRAWN: dict[str, Callable[[Figures], Any]] = {
    "identity": _identity,
    "gradients": _gradients,
    "residual": _residual,
    "strengths": _strengths,
    "iterates": _iterates,
}

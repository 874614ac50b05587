"""Results as a page in Markdown: what was asked, what is measured, and what may be said of it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from msloss_sirr.ablation.intervals import signed
from msloss_sirr.markdown import header, row, safe
from msloss_sirr.training.probes import STEPS
from msloss_sirr.why.figures import (
    STRENGTHS,
    Difference,
    Figures,
    Numbers,
    agreement_of,
    cosine_of,
    difference,
    norm_of,
    quartiles,
    rates,
    ratio_of,
)
from msloss_sirr.why.tables import Found

_MOMENTS = {"at the beginning": 0.0, "at a quarter": 0.25, "at half": 0.5, "at the end": 1.0}
_SHOWN = (0, 1, 2, 3, 5, 10)
_FACTS = ("network", "trained on", "length", "learning rate", "trained by")


def page(found: Found, plots: Mapping[str, str]) -> str:
    """Return the page of results.

    Args:
        found: the results.
        plots: files of the plots beside the page, by name; those that were not drawn are missing.
    """
    head = ("# Why", "", f"What the paper says of why a multi-step loss helps, measured on: {found.about.title}.", "")
    return "\n".join([*head, *sections(found, plots)]) + "\n"


def sections(found: Found, plots: Mapping[str, str]) -> Iterator[str]:
    """Yield the lines of a page below its title."""
    figures = Figures(found)
    yield from _what(found, figures)
    yield from _identity(figures, plots)
    yield from _gradients(figures, plots)
    yield from _residual(figures, plots)
    yield from _strengths(figures, plots)
    yield from _iterates(figures, plots)


def _what(found: Found, figures: Figures) -> Iterator[str]:
    about = found.about
    if about.unlike:
        yield "**A small-scale version, not the experiment of the paper.**"
        yield f"What is otherwise: {'; '.join(about.unlike)}."
    else:
        yield "The training, the data and the sets are those of the paper."
    commands = (*about.trained_by.splitlines(), about.command)
    yield from ("", "```console", *(f"$ {line}" for line in commands), "```", "")
    yield from ("| | |", "| --- | --- |")
    yield f"| seeds | {' '.join(map(str, about.seeds))} |"
    for told, seeds in (("looked at in training", figures.probed_seeds), ("applied", figures.seeds)):
        if list(seeds) != about.seeds:
            yield f"| seeds that all arms have been {told} with | {' '.join(map(str, seeds)) or 'none'} |"
    yield f"| looked at | {', '.join(f'{safe(name)} ({count} images)' for name, count in about.sets.items())} |"
    for name in _FACTS:
        if name in about.facts:
            yield f"| {name} | {safe(about.facts[name])} |"
    for name, options in about.arms.items():
        yield f"| arm {safe(name)} | {f'`{options}`' if options else 'nothing is changed'} |"
    yield ""
    yield "Numbers are means, ± the standard deviation over seeds, or medians with quartiles in parentheses."
    yield f"Differences are to {about.baseline}, of the same seed, and image where there are images; in brackets, the"
    yield "interval that contains the true one in 95 of 100 such experiments. Where it contains zero, no difference was"
    yield "seen."
    yield ""


def _identity(figures: Figures, plots: Mapping[str, str]) -> Iterator[str]:
    yield from ("## How near is the loss to that of a network that returns its input?", "")
    if not figures.probed:
        yield from _unprobed()
        return
    yield "The loss of a step, divided by what it would be of the photograph itself: 1 for a network that returns its"
    yield "input. Of eight images, drawn like those that are trained on, and the same for all trainings: what ± and"
    yield "intervals tell, here and of gradients, is of other seeds, not of other images."
    yield from ("", *_plot(plots, "identity", "Loss of each step over that of the input, during training"))
    titles = [f"step 1, {moment}" for moment in _MOMENTS]
    titles += [f"step {t}, at the end" for t in range(2, STEPS + 1)]
    base = figures.about.baseline
    apart = [f"step {t}, at the end: difference to step 1 of {base}" for t in range(1, STEPS + 1)]
    yield from header(["", *titles, *apart])
    for arm in figures.probed:
        cells = []
        for t in range(STEPS):
            course = figures.course(arm, ratio_of(t))
            moments = _MOMENTS.values() if t == 0 else [1.0]
            cells += [_spread(course.values[:, np.abs(course.share - moment).argmin()], 3) for moment in moments]
        for t in range(STEPS):
            told = base in figures.probed and (arm, t) != (base, 0)
            cells.append(_ends_apart(figures, (arm, t), (base, 0)) if told else "")
        yield row([safe(arm), *cells])
    yield ""


def _gradients(figures: Figures, plots: Mapping[str, str]) -> Iterator[str]:
    yield from ("## How great are the gradients of the steps, and do they ask for the same?", "")
    if not figures.probed:
        yield from _unprobed()
        return
    yield "The gradient of each step's loss alone, of the same images; the mean over the second half of the training."
    yield "Norms tell little by themselves: Adam divides by them. The cosine between two steps is 1 where both ask for"
    yield "the same change of the weights, 0 where they have nothing to do with each other. Agreement is the cosine"
    yield "between the gradients of four of the images and of the other four: near 1, both ask for the same; below 0,"
    yield "what helps four of them harms the others."
    yield from (
        "",
        *_plot(plots, "gradients", "Norms of the steps' gradients, cosines between them, agreement of halves"),
    )
    for title, prefix in (("Through all steps up to it", ""), ("Through the step alone (`truncate=1`)", "own_")):
        yield from (f"**{title}**", "")
        titles = ["norm, step 1", *(f"norm, step {t} / step 1" for t in range(2, STEPS + 1))]
        titles += ["cosine 1, 2", "cosine 1, 3", "cosine 2, 3", *(f"agreement, step {t}" for t in range(1, STEPS + 1))]
        yield from header(["", *titles])
        for arm in figures.probed:
            numbers = [norm_of(prefix), *(norm_of(prefix, t) for t in range(1, STEPS))]
            numbers += [cosine_of(prefix, *pair) for pair in ((0, 1), (0, 2), (1, 2))]
            numbers += [agreement_of(prefix, t) for t in range(STEPS)]
            digits = (4, *(2 for _ in numbers[1:]))
            cells = [_spread(figures.later(arm, n), d) for n, d in zip(numbers, digits, strict=True)]
            yield row([safe(arm), *cells])
        yield ""


def _residual(figures: Figures, plots: Mapping[str, str]) -> Iterator[str]:
    yield from ("## What does each step see of the reflection?", "")
    yield "What parts an estimate from the truth, `x_t - T`, is `along` times the reflection that there was, `I - T`,"
    yield "and something orthogonal to it, the network's own mistakes; `beside` is their size over that of `I - T`."
    yield "Step t + 1 is given `x_t`: where `along` lies between 0 and 1, it sees a weaker reflection than the"
    yield "photograph shows; what is `beside` is nothing that glass has made. Medians over images and seeds, with"
    yield "quartiles."
    yield from ("", *_plot(plots, "residual", "What is left after each step"))
    for set_name, count in figures.about.sets.items():
        yield from (f"**{safe(set_name)}, {count} images**", "")
        titles = [f"{name} after step {t}" for name in ("along", "beside") for t in range(1, STEPS + 1)]
        yield from header(["", *titles, *(f"mean of abs(x_{t} - T), of 255" for t in range(STEPS + 1))])
        for arm in figures.about.arms:
            cells = []
            for name in ("along", "beside"):
                numbers = figures.iterates(arm, set_name, name)
                cells += [_quartiles(numbers[:, :, t]) for t in range(1, STEPS + 1)]
            distance = 255 * figures.iterates(arm, set_name, "distance")
            cells += [f"{distance[:, :, t].mean():.1f}" for t in range(STEPS + 1)]
            yield row([safe(arm), *cells])
        yield ""


def _strengths(figures: Figures, plots: Mapping[str, str]) -> Iterator[str]:
    base = figures.about.baseline
    yield from ("## Is it only that less, or more, is taken off?", "")
    yield "One application, and as much of its change as a strength s says: `I + s (T_1 - I)`, which `msloss-sirr"
    yield "remove --strength` does up to 1.5, rounded to what the file holds. Gains over the input in dB, means over"
    yield "images. The best strength of an arm is the one that gains most on this set, of those up to"
    yield f"{STRENGTHS[-1]:g}, the same for all images and seeds; `>=` marks the last, beyond which more might be"
    yield "gained. Chosen on what it is judged by, it flatters all arms alike. Where a difference is seen at strength"
    yield "1, and none with each at its best, one may have been only bolder than the other."
    yield from ("", *_plot(plots, "strengths", "Gain over the input by strength"))
    for set_name, count in figures.about.sets.items():
        yield from (f"**{safe(set_name)}, {count} images**", "")
        titles = ["gain at strength 1", f"difference to {base}", "best strength", "gain there"]
        yield from header(["", *titles, f"difference to {base} at its best"])
        gains = {arm: figures.strengths(arm, set_name) for arm in figures.about.arms}
        if any(np.isnan(each).all() for each in gains.values()):
            yield from ("There is no reflection in these.", "")
            continue
        chosen = {arm: int(np.nanmean(each, axis=(0, 1)).argmax()) for arm, each in gains.items()}
        unchanged = int(np.abs(STRENGTHS - 1).argmin())
        for arm, of_arm in gains.items():
            cells = []
            for place, of_base in ((unchanged, unchanged), (chosen[arm], chosen[base])):
                own, theirs = of_arm[:, :, place], gains[base][:, :, of_base]
                same = arm != base and own.shape == theirs.shape
                cells += [f"{np.nanmean(own):+.2f}", _signed(difference(own, theirs), 2) if same else ""]
            edge = ">= " if chosen[arm] == len(STRENGTHS) - 1 else ""
            yield row([safe(arm), *cells[:2], f"{edge}{STRENGTHS[chosen[arm]]:.2f}", *cells[2:]])
        yield ""


def _iterates(figures: Figures, plots: Mapping[str, str]) -> Iterator[str]:
    last = figures.steps
    shown = [step for step in _SHOWN if step < last] + [last]
    yield from (f"## Where does it go, applied {last} times?", "")
    yield "PSNR in dB after so many applications, and the ratio of each change to the one before: below 1, iterates"
    yield "come to rest; at 1 and above, they drift."
    yield from ("", *_plot(plots, "iterates", "PSNR and change over applications"))
    for set_name, count in figures.about.sets.items():
        yield from (f"**{safe(set_name)}, {count} images**", "")
        gain, drift = "2 steps less 1", f"{last} steps less 1"
        titles = [*("input" if step == 0 else f"{step} step{'s' * (step > 1)}" for step in shown), gain, drift]
        yield from header(
            ["", *titles, f"{drift}: difference to {figures.about.baseline}", "ratio, step 2", f"ratio, step {last}"]
        )
        for arm in figures.about.arms:
            psnr = figures.iterates(arm, set_name, "psnr")
            base = figures.iterates(figures.about.baseline, set_name, "psnr")
            cells = [f"{psnr[:, :, step].mean():.2f}" for step in shown]
            cells += [_signed(difference(psnr[:, :, step], psnr[:, :, 1]), 2) for step in (2, last)]
            same = arm != figures.about.baseline and psnr.shape == base.shape
            drifts = [each[:, :, last] - each[:, :, 1] for each in (psnr, base)] if same else []
            cells.append(_signed(difference(*drifts), 2) if same else "")
            ratio = rates(figures.iterates(arm, set_name, "change")[:, :, 1:])
            cells += [_quartiles(ratio[:, :, 0]), _quartiles(ratio[:, :, -1])]
            yield row([safe(arm), *cells])
        yield ""


def _ends_apart(figures: Figures, own: tuple[str, int], base: tuple[str, int]) -> str:
    """Return how far apart steps of arms are from returning the input at the end."""
    end, other = (figures.course(arm, ratio_of(t)).values[:, -1] for arm, t in (own, base))
    return _signed(difference(end, other), 3)


def _unprobed() -> Iterator[str]:
    yield "These trainings were not looked at, or no seed of all arms; `msloss-sirr ablate ... --probe-every 100` does."
    yield ""


def _plot(plots: Mapping[str, str], name: str, told: str) -> Sequence[str]:
    return (f"![{told}]({plots[name]})", "") if name in plots else ()


def _spread(values: Numbers, digits: int) -> str:
    """Return the mean over seeds, and how far they lie apart."""
    told = f"{values.mean():.{digits}f}"
    return f"{told} ± {values.std(ddof=1):.{digits}f}" if len(values) > 1 else told


def _quartiles(values: Any) -> str:
    low, middle, high = quartiles(values)
    return "-" if np.isnan(middle) else f"{middle:.2f} ({low:.2f}, {high:.2f})"


def _signed(found: Difference, digits: int) -> str:
    if np.isnan(found.mean):
        return found.verdict
    return f"{signed(found.mean, found.between, digits)} {found.verdict}"

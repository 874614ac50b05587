"""Results of methods as a page in Markdown: a table for each set, and what each method takes."""

from collections.abc import Iterator, Sequence

import numpy as np

from msloss_sirr.ablation.arms import INPUT
from msloss_sirr.ablation.figures import Comparison, Figure, is_better_lower
from msloss_sirr.ablation.page import told_difference
from msloss_sirr.ablation.results import Results
from msloss_sirr.evaluation.results import WORSE
from msloss_sirr.evaluation.table import TITLES
from msloss_sirr.markdown import header, row, safe
from msloss_sirr.peers.comparing import CPU_SECONDS, PEAK, SECONDS

_DIGITS = {"psnr": 2}


def page(results: Results) -> str:
    """Return the page of results."""
    return (
        "\n".join([f"# {results.head.title}", "", results.head.question, "", "## Measured", "", *sections(results)])
        + "\n"
    )


def sections(results: Results) -> Iterator[str]:
    """Yield the lines of a page below a heading of the second level."""
    head = results.head
    yield from ("```console", f"$ {head.command}", "```", "", "| | |", "| --- | --- |")
    for name, fact in head.facts.items():
        yield f"| {name} | {safe(fact)} |"
    for name, does in head.arms.items():
        yield f"| {safe(name)} | {safe(does)} |"
    yield ""
    yield "Means over images. In brackets, the interval that contains the true mean difference to the input, of the"
    yield "same image, in 95 of 100 such sets of images; where it contains zero, no difference was seen. It says"
    yield "nothing of other trainings of a remover. An image has been made worse if its PSNR has fallen by more than"
    yield f"{WORSE} dB."
    yield ""
    comparison = Comparison(results)
    for name, found in head.sets.items():
        yield from (f"### {safe(name)}, {found.images} images", "")
        yield from _scores(results, comparison, name)
    for metric, wanted in head.wanting.items():
        yield from (f"{TITLES.get(metric, metric)} was not measured: it waits for {wanted}.", "")
    yield from _costs(results)


def _scores(results: Results, comparison: Comparison, set_name: str) -> Iterator[str]:
    metrics = [metric for metric in TITLES if metric in results.metrics]
    titles = [""]
    for metric in metrics:
        better = "less" if is_better_lower(metric) else "more"
        titles += [f"{TITLES[metric]}{', dB' * (metric == 'psnr')} ({better} is better)", f"difference to {INPUT}"]
    yield from header([*titles, "worse"])
    for arm in results.head.arms:
        cells = [safe(arm)]
        for metric in metrics:
            figure = comparison.figure(arm, set_name, 0, metric)
            cells += _cells(figure, metric)
        cells.append(_worse(results, arm, set_name))
        yield row(cells)
    yield ""


def _cells(figure: Figure | None, metric: str) -> tuple[str, str]:
    if figure is None:
        return "", ""
    apart = "" if figure.difference is None else told_difference(figure, metric)
    return f"{figure.mean:.{_DIGITS.get(metric, 4)}f}", apart


def _worse(results: Results, arm: str, set_name: str) -> str:
    if arm == INPUT:
        return ""
    psnr = {
        name: {s.image: s.values["psnr"] for s in results.scores if (s.arm, s.set_name) == (name, set_name)}
        for name in (arm, INPUT)
    }
    shared = psnr[arm].keys() & psnr[INPUT].keys()
    return f"{sum(psnr[arm][each] < psnr[INPUT][each] - WORSE for each in shared)} of {len(shared)}"


def _costs(results: Results) -> Iterator[str]:
    head = results.head
    yield from ("### Time and memory", "")
    yield "Each method in a process of its own, one after the other, over all images of all sets: seconds from pixels"
    yield "to pixels, and those of all cores together, which other work on the machine changes less; the greatest"
    yield "resident memory of the process, and what that is beyond the process that only reads and writes these files."
    yield ""
    titles = ("", "seconds an image, median (quartiles)", "core seconds, median", "peak MiB", "MiB beyond the input's")
    yield from header(titles)
    nothing = _values(results, INPUT, PEAK)
    for arm in head.arms:
        seconds, cores, peak = (_values(results, arm, metric) for metric in (SECONDS, CPU_SECONDS, PEAK))
        if not seconds:
            yield f"| {safe(arm)} | not run here | | | |"
            continue
        low, middle, high = np.quantile(seconds, [0.25, 0.5, 0.75])
        beyond = f"{max(peak) - max(nothing):.0f}" if nothing and arm != INPUT else ""
        told = f"{middle:.3f} ({low:.3f}, {high:.3f})", f"{np.median(cores):.3f}", f"{max(peak):.0f}"
        yield row([safe(arm), *told, beyond])
    yield ""


def _values(results: Results, arm: str, metric: str) -> Sequence[float]:
    return [score.values[metric] for score in results.scores if score.arm == arm and metric in score.values]

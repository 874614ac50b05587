"""An evaluation as text: protocols side by side, sets below each other."""

import math
from collections.abc import Iterable, Iterator, Sequence

from rich.cells import cell_len

from msloss_sirr.evaluation.results import WORSE, EvaluationReport, Numbers, Summary

TITLES = {"psnr": "PSNR", "ssim": "SSIM", "lpips_alex": "LPIPS (alex)", "lpips_vgg": "LPIPS (vgg)"}
"""What the scores are called."""
_DIGITS = {"psnr": 2, "ssim": 4, "lpips_alex": 4, "lpips_vgg": 4}


def table(report: EvaluationReport) -> Iterator[str]:
    """Yield the lines of two tables, scores and gains, and of what there is to be said of them."""
    summaries = report.summaries()
    yield from _scores(report, summaries)
    yield ""
    yield from _gains(report, summaries)
    remarks = list(notes(report))
    yield from ["", *remarks] if remarks else []


def notes(report: EvaluationReport) -> Iterator[str]:
    """Yield why scores are wanting, what was left out, and what belongs to no image, a line each."""
    for metric, reason in report.wanting.items():
        yield f"{TITLES[metric]}: {reason}"
    if report.left_out:
        yield f"left out, {len(report.left_out)}: {'; '.join(report.left_out)}"
    if report.unused:
        yield f"belong to no image, {len(report.unused)}: {', '.join(report.unused)}"


def title(summary: Summary) -> str:
    """Return what a summary is of."""
    return {"set": summary.set_name, "all images": "mean of all images", "mean of sets": "mean of sets"}[summary.kind]


def _scores(report: EvaluationReport, summaries: Sequence[Summary]) -> Iterator[str]:
    metrics = _metrics(report)
    head = ["", "", ""] + [name if first else "" for name in report.protocols for first in _firsts(metrics)]
    rows = [head, ["set", "images", "steps", *(TITLES[metric] for _ in report.protocols for metric in metrics)]]
    for of_one in _by_title(summaries):
        by_case = {(each.steps, each.protocol): each for each in of_one}
        some = of_one[0]
        rows.append(
            [title(some), str(some.images), "input"]
            + [
                _number(by_case[report.steps[0], protocol].before, metric)
                for protocol in report.protocols
                for metric in metrics
            ]
        )
        rows += [
            ["", "", _steps(steps)]
            + [_number(by_case[steps, protocol].after, metric) for protocol in report.protocols for metric in metrics]
            for steps in report.steps
        ]
    yield from _aligned(rows, left=1)


def _gains(report: EvaluationReport, summaries: Sequence[Summary]) -> Iterator[str]:
    rows = [["gain in PSNR, dB", "steps", "protocol", "mean", "median", "best", "worst", f"worse by > {WORSE}"]]
    for of_one in _by_title(summaries):
        for number, each in enumerate(of_one):
            gains = [
                scores.gain
                for scores in report.images
                if (scores.steps, scores.protocol) == (each.steps, each.protocol)
                and each.set_name in ("", scores.set_name)
            ]
            spread = (each.gain, each.median_gain, max(gains), min(gains))
            rows.append(
                [
                    "" if number else title(each),
                    _steps(each.steps),
                    each.protocol,
                    *(_signed(value) for value in spread),
                    f"{each.worse} of {each.images}",
                ]
            )
    yield from _aligned(rows, left=3)


def _metrics(report: EvaluationReport) -> list[str]:
    """Return the scores that there are, and those that are wanting."""
    measured = report.images[0].after._asdict()
    return [metric for metric in TITLES if measured[metric] is not None or metric in report.wanting]


def _firsts(metrics: Sequence[str]) -> list[bool]:
    return [number == 0 for number in range(len(metrics))]


def _by_title(summaries: Iterable[Summary]) -> list[list[Summary]]:
    found: dict[tuple[str, str], list[Summary]] = {}
    for summary in summaries:
        found.setdefault((summary.kind, summary.set_name), []).append(summary)
    order = {"set": 0, "all images": 1, "mean of sets": 2}
    return sorted(found.values(), key=lambda of_one: order[of_one[0].kind])


def _number(numbers: Numbers, metric: str) -> str:
    value: float | None = getattr(numbers, metric)
    return "-" if value is None else f"{value:.{_DIGITS[metric]}f}"


def _signed(value: float) -> str:
    return "0.00" if value == 0 else f"{value:+.2f}" if math.isfinite(value) else f"{value:+}"


def _steps(steps: int | None) -> str:
    return "saved" if steps is None else str(steps)


def _aligned(rows: Sequence[Sequence[str]], left: int) -> Iterator[str]:
    """Yield rows with their columns below each other, the first ones at the left, the others at the right."""
    widths = [max(cell_len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = []
        for column, (cell, width) in enumerate(zip(row, widths, strict=True)):
            space = " " * (width - cell_len(cell))
            cells.append(cell + space if column < left else space + cell)
        yield "  ".join(cells).rstrip()

"""An evaluation as files: a table of every image, and JSON."""

import csv
import io
import json
import math
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from msloss_sirr.evaluation.results import EvaluationReport, ImageScores, Numbers, Summary
from msloss_sirr.evaluation.table import TITLES
from msloss_sirr.files import whole_file

_FORMAT = "msloss_sirr.evaluation/1"
_PACKAGES = ("msloss", "torch", "torchvision", "torchmetrics", "lpips", "pillow")
_COLUMNS = (
    *("row", "set", "image", "images", "steps", "protocol"),
    *TITLES,
    *(f"input_{metric}" for metric in TITLES),
    *("gain", "median_gain", "worse", "not_measured"),
)


def write_csv(report: EvaluationReport, path: Path) -> None:
    """Write a line for every image, and for every mean; their first column tells which is which.

    What is infinite is ``inf``; what could not be measured is empty, and the last column of means tells why.
    Bytes of names that are no UTF-8 stand as they do in JSON.
    """
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, _COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(_lines(report))
    with whole_file(path) as partial:
        partial.write_text(text.getvalue(), encoding="utf-8", errors="backslashreplace", newline="")


def write_json(report: EvaluationReport, path: Path, evaluated: Mapping[str, object]) -> None:
    """Write what was evaluated, every image, every mean, and what could not be measured.

    JSON has no infinity: it is written as the text ``"Infinity"``, which Python's ``float`` and JavaScript's ``Number``
    read; likewise ``"-Infinity"`` and ``"NaN"``. What could not be measured is ``null``.
    """
    content = {
        "format": _FORMAT,
        "evaluated": dict(evaluated),
        "versions": {name: found for name in _PACKAGES if (found := _version(name))},
        "means": [_told(summary) for summary in report.summaries()],
        "images": [{**_told(scores), "gain": _safe(scores.gain)} for scores in report.images],
        "not_measured": dict(report.wanting),
        "left_out": list(report.left_out),
        "unused": list(report.unused),
    }
    with whole_file(path) as partial:
        partial.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def _lines(report: EvaluationReport) -> Iterator[dict[str, object]]:
    not_measured = "; ".join(f"{TITLES[metric]}: {reason}" for metric, reason in report.wanting.items())
    for scores in report.images:
        yield {
            "row": "image",
            "set": scores.set_name,
            "image": scores.image,
            **_common(scores),
        }
    for summary in report.summaries():
        yield {
            "row": summary.kind,
            "set": summary.set_name,
            "images": summary.images,
            **_common(summary),
            "median_gain": summary.median_gain,
            "worse": summary.worse,
            "not_measured": not_measured,
        }


def _common(scores: ImageScores | Summary) -> dict[str, object]:
    return {
        "steps": "saved" if scores.steps is None else scores.steps,
        "protocol": scores.protocol,
        **scores.after._asdict(),
        **{f"input_{metric}": value for metric, value in scores.before._asdict().items()},
        "gain": scores.gain,
    }


def _told(scores: ImageScores | Summary) -> dict[str, object]:
    return {
        name: {metric: _safe(number) for metric, number in value._asdict().items()}
        if isinstance(value, Numbers)
        else _safe(value)
        for name, value in scores._asdict().items()
    }


def _safe(value: object) -> object:
    """Return what JSON can hold."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""

"""What an ablation has found, in one file: what was done, what it took, and the scores of every image."""

import csv
import dataclasses
import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from msloss_sirr.errors import InputError
from msloss_sirr.files import check_file, whole_file

FORMAT = "msloss_sirr.ablation/1"
_COLUMNS = ("arm", "seed", "set", "image", "steps")
_DIGITS = 5


class Score(NamedTuple):
    """The scores of one image."""

    arm: str
    seed: int | None
    """``None`` for what is no training's, as the input itself."""
    set_name: str
    image: str
    steps: int
    """How many times the remover was applied; 0 for what is no remover's."""
    values: Mapping[str, float]
    """By metric: ``psnr`` in dB, ``ssim``, ``lpips_alex``, ...; those that were measured."""


class Run(NamedTuple):
    """What a training took."""

    arm: str
    seed: int
    updates: int
    applications: int
    """Of the network to a batch."""
    images: int
    seconds: float
    """Of training, without validations."""
    steps: tuple[int, ...]
    """How many steps ran in each epoch."""
    most_steps: int
    """How many there may be."""
    parameters: int
    device: str
    provenance: str = ""
    """Revision of the program, machine and precision; of several, as it went on elsewhere, joined by "then"."""


class SetFound(NamedTuple):
    """A set that was evaluated."""

    images: int
    paper: str = ""
    """What the paper calls it; empty if it does not evaluate on it."""


@dataclass(frozen=True)
class Head:
    """What was done."""

    study: str
    """Which of the studies, or another name."""
    title: str
    question: str
    arms: Mapping[str, str]
    """Their names, and the options in which each differs."""
    baseline: str
    seeds: tuple[int, ...]
    eval_steps: tuple[int, ...]
    command: str
    facts: Mapping[str, str]
    """What else a reader must know, by name: network, data, length, protocol, machine."""
    unlike: tuple[str, ...]
    """In what it is not the experiment of the paper; if in anything, it is a small-scale version."""
    sets: Mapping[str, SetFound]
    absent: Mapping[str, str] = field(default_factory=dict)
    """Sets of the paper that were not given, and what they wait for."""
    waiting: Mapping[str, str] = field(default_factory=dict)
    """Arms that could not be trained, and what they wait for."""
    wanting: Mapping[str, str] = field(default_factory=dict)
    """Metrics that could not be measured, and what they wait for."""
    runs: tuple[Run, ...] = ()
    """The trainings that have ended."""


@dataclass(frozen=True)
class Results:
    """What an ablation has found."""

    head: Head
    scores: Sequence[Score]

    @property
    def metrics(self) -> list[str]:
        """The metrics that were measured, in their order."""
        return list(dict.fromkeys(metric for score in self.scores for metric in score.values))


def write_results(results: Results, path: Path) -> None:
    """Write a CSV file: lines of ``# name: JSON`` that tell what was done, then a line for every image.

    Columns: arm, seed, set, image, steps, and a metric each; numbers have five digits behind the point. The line of
    the runs is what they took, that of the rows how many follow. Characters that cannot be seen, in names of files, are
    written as Python escapes them.
    `read_results` reads it; so do other programs, if told that ``#`` begins a comment.
    """
    text = io.StringIO(newline="")
    text.write(f"# format: {json.dumps(FORMAT)}\n")
    for name, value in _told(results.head).items():
        text.write(f"# {name}: {json.dumps(_legible(value), ensure_ascii=False)}\n")
    text.write(f"# rows: {len(results.scores)}\n")
    metrics = results.metrics
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow((*_COLUMNS, *metrics))
    for score in results.scores:
        seed = "" if score.seed is None else score.seed
        numbers = (_written(score.values.get(metric)) for metric in metrics)
        names = map(_legible, (score.set_name, score.image))
        writer.writerow((_legible(score.arm), seed, *names, score.steps, *numbers))
    with whole_file(path) as partial:
        partial.write_text(text.getvalue(), encoding="utf-8", newline="")


def read_results(path: Path) -> Results:
    """Return what `write_results` has written.

    Raises:
        InputError: if the file cannot be read, or is another.
    """
    check_file(path)
    try:
        with path.open(encoding="utf-8", newline="\n") as file:
            lines = list(file)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {path}: {getattr(error, 'strerror', None) or 'it is no text'}") from error
    count = next((number for number, line in enumerate(lines) if not line.startswith("# ")), len(lines))
    try:
        told = {name: json.loads(value) for name, value in (line[2:].split(": ", 1) for line in lines[:count])}
        if told.pop("format", None) != FORMAT:
            raise InputError(f"{path} holds no results of an ablation; give a file that msloss-sirr ablate wrote")
        return Results(scores=list(_scores(lines[count:], told.pop("rows"))), head=_head(told))
    except (AttributeError, KeyError, StopIteration, TypeError, ValueError, csv.Error) as error:
        raise InputError(f"{path} holds no results of an ablation, or is damaged: {error}") from error


def find_results(path: Path) -> Path:
    """Return the file of results that a path names: itself, or the one in a folder of an ablation.

    Raises:
        InputError: if there is none, or several.
    """
    if not path.is_dir():
        return path
    found = sorted(path.glob("*.csv"))
    if len(found) != 1:
        raise InputError(
            f"{path} holds {len(found)} files of results; name one, {found[0] if found else path / 'table-5.csv'} say"
        )
    return found[0]


def _told(head: Head) -> dict[str, Any]:
    told = dataclasses.asdict(head)
    told["sets"] = {name: each._asdict() for name, each in head.sets.items()}
    told["runs"] = [run._asdict() for run in head.runs]
    return told


def _head(told: dict[str, Any]) -> Head:
    told["sets"] = {name: SetFound(**each) for name, each in told["sets"].items()}
    told["runs"] = tuple(Run(**{**run, "steps": tuple(run["steps"])}) for run in told["runs"])
    for name in ("seeds", "eval_steps", "unlike"):
        told[name] = tuple(told[name])
    head = Head(**told)
    _check(head)
    return head


def _check(head: Head) -> None:
    """Raise ``ValueError`` unless all that a head tells is of its type."""
    mappings = head.arms, head.facts, head.absent, head.waiting, head.wanting
    texts = [head.study, head.title, head.question, head.baseline, head.command, *head.unlike]
    texts += [text for mapping in mappings for pair in mapping.items() for text in pair]
    texts += [each.paper for each in head.sets.values()] + [
        text for run in head.runs for text in (run.arm, run.device, run.provenance)
    ]
    numbers = [*head.seeds, *head.eval_steps, *(each.images for each in head.sets.values())]
    numbers += [number for run in head.runs for number in (*run[1:5], *run.steps, run.most_steps, run.parameters)]
    if not all(isinstance(text, str) for text in texts) or not all(isinstance(number, int) for number in numbers):
        raise ValueError("its head holds words for numbers, or numbers for words")
    if not head.eval_steps or not all(run.steps for run in head.runs):
        raise ValueError("its head tells of no steps")
    if not all(isinstance(run.seconds, int | float) for run in head.runs):
        raise ValueError("its head tells of trainings without their time")


def _scores(lines: Sequence[str], count: int) -> Iterator[Score]:
    rows = csv.reader(lines)
    first = tuple(next(rows))
    if first[: len(_COLUMNS)] != _COLUMNS:
        raise ValueError(f"its columns are {', '.join(first)}")
    metrics = first[len(_COLUMNS) :]
    seen = set()
    for arm, seed, set_name, image, steps, *numbers in rows:
        values = {metric: float(n) for metric, n in zip(metrics, numbers, strict=True) if n}
        for metric, value in values.items():
            if not math.isfinite(value) and (metric, value) != ("psnr", math.inf):
                raise ValueError(f"{metric} of {image} is {value}")
        score = Score(arm, int(seed) if seed else None, set_name, image, int(steps), values)
        if score[:5] in seen:
            raise ValueError(f"{image} of {set_name} is there twice for {arm}")
        seen.add(score[:5])
        yield score
    if len(seen) != count:
        raise ValueError(f"it has {len(seen)} of {count} rows")


def _legible(value: Any) -> Any:
    r"""Return what is told, in all of its texts every character that cannot be seen, but the ends of lines, escaped.

    >>> _legible({"a\tb": ["c\u2028", 1]})
    {'a\\tb': ['c\\u2028', 1]}
    """
    if isinstance(value, str):
        return "".join(c if c == "\n" or c.isprintable() else c.encode("unicode_escape").decode() for c in value)
    if isinstance(value, Mapping):
        return {_legible(name): _legible(each) for name, each in value.items()}
    return [_legible(each) for each in value] if isinstance(value, list | tuple) else value


def _written(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.{_DIGITS}f}".rstrip("0").rstrip(".") if math.isfinite(value) else str(value)

"""Results as CSV files: a line of what they are of, and rows of numbers."""

import csv
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from msloss_sirr.errors import InputError
from msloss_sirr.files import check_file, whole_file
from msloss_sirr.training.probes import STEPS, Look
from msloss_sirr.why.iterating import Iterate

FORMAT = "msloss_sirr.why/1"
PROBES, ITERATES = "why-probes.csv", "why-iterates.csv"
_DIGITS = 5


@dataclass(frozen=True)
class About:
    """What results are of."""

    title: str
    """Of the comparison."""
    arms: dict[str, str]
    """Their names, and the options in which each differs."""
    baseline: str
    seeds: list[int]
    trained_by: str
    """The command of the comparison."""
    command: str
    """That which made these results."""
    facts: dict[str, str]
    """What else a reader must know of the comparison, by name: network, data, length, machine."""
    unlike: list[str]
    """In what it is not the experiment of the paper."""
    sets: dict[str, int]
    """The sets that were looked at, and how many images each has."""


class Probed(NamedTuple):
    """A look at a training."""

    arm: str
    seed: int
    look: Look


class Iterated(NamedTuple):
    """What a trained remover leaves of an image after some steps."""

    arm: str
    seed: int
    set_name: str
    image: str
    iterate: Iterate


@dataclass(frozen=True)
class Found:
    """All results."""

    about: About
    probes: Sequence[Probed]
    iterates: Sequence[Iterated]


_PER_STEP = ("loss", "identity", "change", "norm", "agreement", "own_norm", "own_agreement")
_OF_PROBES = (
    *("arm", "seed", "update", "step"),
    *_PER_STEP,
    *(f"{name}_{step}" for name in ("cosine", "own_cosine") for step in range(1, STEPS + 1)),
)
_OF_ITERATES = ("arm", "seed", "set", "image", *Iterate._fields)


def write(found: Found, out: Path) -> None:
    """Write ``why-probes.csv`` and ``why-iterates.csv``, which `read` reads.

    The first two lines of each, which begin with ``#``, tell what they are of. Numbers have five digits.
    """
    _write(out / PROBES, found.about, _OF_PROBES, (row for each in found.probes for row in _rows(each)))
    rows = ((*each[:4], *each.iterate) for each in found.iterates)
    _write(out / ITERATES, found.about, _OF_ITERATES, rows)


def read(folder: Path) -> Found:
    """Return the results in a folder.

    Raises:
        InputError: if they cannot be read, or are others.
    """
    about, probes = _read(folder / PROBES, _OF_PROBES)
    again, iterates = _read(folder / ITERATES, _OF_ITERATES)
    if about != again:
        raise InputError(f"{folder / PROBES} and {ITERATES} are of two comparisons, or of two sets of images")
    try:
        looks = [_look(probes[first : first + STEPS]) for first in range(0, len(probes), STEPS)]
        return Found(about, looks, [_iterated(row) for row in iterates])
    except (IndexError, TypeError, ValueError) as error:
        raise InputError(f"{folder} holds results that are damaged: {error}") from error


def _rows(probed: Probed) -> Iterable[tuple[Any, ...]]:
    look = probed.look
    for t in range(STEPS):
        numbers = (getattr(look, name)[t] for name in _PER_STEP)
        yield probed.arm, probed.seed, look.update, t + 1, *numbers, *look.cosine[t], *look.own_cosine[t]


def _look(rows: Sequence[Sequence[str]]) -> Probed:
    arm, seed, update, *_ = rows[0]
    if [row[:4] for row in rows] != [[arm, seed, update, str(t + 1)] for t in range(STEPS)]:
        raise ValueError(f"the steps of update {update} of {arm}, seed {seed}, are not together")
    columns = [[float(number) for number in row[4:]] for row in rows]
    count = len(_PER_STEP)
    told: dict[str, Any] = {name: [row[place] for row in columns] for place, name in enumerate(_PER_STEP)}
    cosines = [row[count : count + STEPS] for row in columns], [row[count + STEPS :] for row in columns]
    return Probed(arm, int(seed), Look(update=int(update), **told, cosine=cosines[0], own_cosine=cosines[1]))


def _iterated(row: Sequence[str]) -> Iterated:
    arm, seed, set_name, image, step, psnr, distance, *others = row
    rest = [float(number) if number else None for number in others]
    return Iterated(arm, int(seed), set_name, image, Iterate(int(step), float(psnr), float(distance), *rest))


def _write(path: Path, about: About, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    text = io.StringIO(newline="")
    text.write(f"# format: {json.dumps(FORMAT)}\n# about: {json.dumps(asdict(about), ensure_ascii=False)}\n")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_written(value) for value in row] for row in rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as partial:
        partial.write_text(text.getvalue(), encoding="utf-8", errors="backslashreplace", newline="")


def _read(path: Path, columns: Sequence[str]) -> tuple[About, list[list[str]]]:
    check_file(path)
    try:
        kind, about, head, *rows = path.read_text(encoding="utf-8").splitlines(keepends=True)
        if kind != f"# format: {json.dumps(FORMAT)}\n" or next(csv.reader([head])) != list(columns):
            raise InputError(f"{path} holds no results of msloss-sirr ablate why")
        return About(**json.loads(about.removeprefix("# about: "))), list(csv.reader(rows))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    except (TypeError, UnicodeDecodeError, ValueError) as error:
        raise InputError(f"{path} holds no results of msloss-sirr ablate why, or is damaged: {error}") from error


def _written(value: Any) -> Any:
    return f"{value:.{_DIGITS}g}" if isinstance(value, float) else "" if value is None else value

"""Photographs that are degraded always in the same way."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from msloss_sirr.errors import InputError
from msloss_sirr.evaluation.fixed import FixedPair, write_fixed
from msloss_sirr.synthesis.chance import Chance, Change
from msloss_sirr.synthesis.tasks import TASKS

_SMALLEST = 16
"""The longest streaks and blur reach twelve pixels beyond a border, which is continued by reflection."""


class DegradedSets(NamedTuple):
    """Folders of pairs."""

    drawn: Path
    """Photographs that are degraded as training images are: to validate on."""
    tested: list[Path]
    """Photographs that are degraded by so much: a folder for every strength."""


def degraded(change: Change, photos: Sequence[Tensor], side: int | None = None) -> Iterator[FixedPair]:
    """Yield photograph i as it is degraded with seed i.

    Args:
        change: degrades it.
        photos: ``(3, H, W)`` each in [0, 1].
        side: of the square in the middle that is taken of each; ``None`` takes it whole.

    Raises:
        InputError: if one is too small.
    """
    for number, photo in enumerate(photos):
        truth = photo if side is None else _middle(photo, side)
        if min(truth.shape[1:]) < _SMALLEST:
            raise InputError(
                f"photograph {number} is {truth.shape[2]}x{truth.shape[1]}; give {_SMALLEST} pixels a side"
            )
        yield FixedPair(number, change(truth[None], Chance([number], truth[None]))[0], truth)


def write_degraded(photos: Path, out: Path, task: str, side: int | None = None) -> DegradedSets:
    """Write the pairs of a task as folders, ``out/TASK`` and ``out/TASK-STRENGTH``, unless they are there.

    Args:
        photos: folder of photographs.
        out: folder for them.
        task: its name, as in `TrainConfig.task`.
        side: of the square in the middle that is taken of each, in pixels; ``None`` takes them whole.

    Raises:
        InputError: if there are no photographs, one is too small, or the pairs there are made of others, or otherwise.
    """
    drawn = drawn_folder(out, task)
    changes = {drawn: TASKS[task].trained}
    changes |= {out / f"{task}-{name}": change for name, change in TASKS[task].tested.items()}
    for folder, change in changes.items():
        write_fixed(photos, folder, f"{folder.name} {side or 'whole'}", partial(degraded, change, side=side))
    return DegradedSets(drawn, [folder for folder in changes if folder != drawn])


def drawn_folder(out: Path, task: str) -> Path:
    """Return the folder of the pairs that a training of a task validates on."""
    return out / task


def _middle(photo: Tensor, side: int) -> Tensor:
    height, width = (min(side, length) for length in photo.shape[1:])
    top, left = (photo.shape[1] - height) // 2, (photo.shape[2] - width) // 2
    return photo[:, top : top + height, left : left + width]

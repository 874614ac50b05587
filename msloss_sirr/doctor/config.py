"""What the doctor is asked to look at."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg


@dataclass(frozen=True)
class CheckConfig:
    """Look for what is wrong with a copy of a set: missing, damaged, exchanged, shifted and repeated images, and leaks.

    The exit status is 0 if there are no errors, 1 if there are, and 2 if the copy cannot be looked at.
    """

    name: Positional[str]
    """The set, as in msloss-sirr data list; pairs, photos and csv for your own."""
    folder: Positional[Path]
    """Where its copy is."""
    subset: str = ""
    """A subset only."""
    split: str = ""
    """A split only: train, val or test."""
    against: tuple[str, ...] = ()
    """Other sets, as SET=DIR, SET/SUBSET=DIR or DIR, that must have no image of this one: what is trained on, say."""
    json: Path | None = None
    """File to write all findings to."""
    overwrite: bool = False
    """Replace that file if it is there already."""
    lines: int = 20
    """Findings to print of each kind; 0 prints all."""
    workers: Annotated[int, arg(aliases=["-j"])] = 2
    """Processes that decode images."""

"""What the commands on data sets are asked to do."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg


@dataclass(frozen=True)
class ListConfig:
    """Name the data sets of the field, or tell all about one: what it holds, where to obtain it, how it is laid out."""

    name: Positional[str] = ""
    """A set; all if none is given."""


@dataclass(frozen=True)
class PrepareConfig:
    """Make a copy of a set that is fast to train on: resized, 8-bit RGB in sRGB, upright, with a manifest.

    What was made before, from files that have not changed, is kept: a run that was interrupted goes on where it was.
    """

    name: Positional[str]
    """The set, as in msloss-sirr data list; pairs, photos and csv for your own."""
    folder: Positional[Path]
    """Where its copy is; nothing in it is changed."""
    out: Annotated[Path, arg(aliases=["-o"])]
    """Folder to write to; pairs become ambient/NAME, transmission/NAME and reflection/NAME, by split if several."""
    short_side: int = 0
    """Pixels of the shorter side; smaller images stay as they are, and 0 leaves all as they are."""
    subset: str = ""
    """A subset only."""
    split: str = ""
    """A split only: train, val or test."""
    format: Literal["png", "jpg"] = "png"
    """Files to write; jpg, of quality 95, is smaller and not exact."""
    workers: Annotated[int, arg(aliases=["-j"])] = 2
    """Processes that decode and encode images."""

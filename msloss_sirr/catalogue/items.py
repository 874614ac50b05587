"""The items of a set, and what a folder holds of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from msloss_sirr.catalogue.description import Description, Part


@dataclass(frozen=True)
class Item:
    """Images that belong together: a pair with what else is known of it, or a photograph."""

    name: str
    """What it is called: unique in its subset and split, free of slashes."""
    subset: str
    split: str
    files: Mapping[str, Path]
    """By layer (``"ambient"``, ``"transmission"``, ``"reflection"``, ``"depth"``, or ``"photo"``)."""


@dataclass(frozen=True)
class Listing:
    """What a folder holds of a set."""

    description: Description
    root: Path
    items: Sequence[Item]
    """Whole items, by split, subset and name."""
    partial: Sequence[Item] = ()
    """Those of which a layer is missing that every item must have."""
    clashes: Sequence[tuple[Path, Path]] = ()
    """Files of one name, of which the first was taken."""
    broken: Mapping[Path, str] = field(default_factory=dict)
    """Links that were not followed, and why."""
    strays: Mapping[Path, str] = field(default_factory=dict)
    """Folders, pipes, sockets and devices that have the name of an image but no counterpart, and what they are. Those
    that have one are images of items, and cannot be read."""
    parts: Sequence[Part] = ()
    """Those that were looked for."""
    found: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """By subset and split of these, how many items there are, whole or not."""

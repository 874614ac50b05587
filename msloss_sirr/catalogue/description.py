"""What is known about a data set: who made it, what it holds, and where its images lie."""

from collections.abc import Mapping
from dataclasses import dataclass, field

LAYERS = ("ambient", "transmission", "reflection", "depth", "photo")
"""What an image can be of an item, in the order they are shown."""
SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Arrangement:
    """One way in which copies of a part are laid out: a template of the path of each layer, without suffix.

    A template is a path below one of the folders ``bases``, parted by ``/``. ``{name}`` stands for a part of a file's
    name, ``{tail}`` for the rest of one after a hyphen, or nothing, and ``{dir}`` for one or more folders. Images of
    different layers belong together if they fill their templates alike.
    """

    bases: tuple[str, ...]
    """Folders to look in, below the one given; ``""`` is that itself."""
    layers: Mapping[str, str]
    """By layer, the template of its path."""


@dataclass(frozen=True)
class Part:
    """A subset of a set in one split."""

    subset: str
    """Its name; ``""`` if the set has one subset only."""
    split: str
    """``"train"``, ``"val"``, ``"test"``, or ``""`` if there is no official split."""
    arrangements: tuple[Arrangement, ...]
    """Ways in which it is laid out. One with the right number of items is taken, else the one with most whole items;
    of equals, the first."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """How many items it should have, by the name of the version; empty if that is unknown."""
    names: frozenset[str] | None = None
    """What its items are called where those of another split lie with them, as they do directly in the folder given."""
    names_besides: frozenset[str] = frozenset()
    """What items of the other split are called there."""


@dataclass(frozen=True)
class Description:
    """A data set."""

    name: str
    """What the command line calls it."""
    title: str
    what: str
    """What its images are, in one sentence."""
    citation: str
    licence: str
    """As the source states it."""
    obtain: str
    """Where to obtain it."""
    parts: tuple[Part, ...]
    required: tuple[str, ...] = ("ambient", "transmission")
    """The layers that every item must have."""
    several_shots: bool = False
    """Whether one scene is shot several times, so that images of it that look alike are no mistake."""
    unverified: tuple[str, ...] = ()
    """What of this could not be verified."""

    @property
    def subsets(self) -> tuple[str, ...]:
        """The names that items can be asked for by: those of subsets and of their versions."""
        names = [name for part in self.parts for name in (part.subset, *part.counts) if name]
        return tuple(dict.fromkeys(names))

    @property
    def splits(self) -> tuple[str, ...]:
        """The names that splits can be asked for by."""
        if not self.parts:
            return ("train", "val", "test")
        return tuple(dict.fromkeys(part.split for part in self.parts if part.split))

    def choices(self, word: str) -> str:
        """Return, in a line, that a word names no subset or split, and what does."""
        subsets, splits = ", ".join(self.subsets) or "none", ", ".join(self.splits) or "none"
        return f"{self.name} has no subset or split {word!r}; subsets: {subsets}; splits: {splits}"

"""From a set and a folder to the items in it."""

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from msloss_sirr.catalogue.csv_rows import read_csv
from msloss_sirr.catalogue.description import Part
from msloss_sirr.catalogue.finding import Lister
from msloss_sirr.catalogue.items import Item, Listing
from msloss_sirr.catalogue.sets import SETS, describe
from msloss_sirr.errors import InputError

_COPIES = {"pairs": "a folder that holds ambient/ and transmission/", "photos": "a folder of photographs"}
"""What to call the copies of sets that are anybody's own."""


@dataclass(frozen=True)
class Source:
    """A set in a folder, or a subset or split of it."""

    name: str
    folder: Path
    subset: str = ""
    split: str = ""


def open_set(
    name: str, folder: Path, *, subset: str = "", split: str = "", stray: Callable[[str], None] | None = None
) -> list[Item]:
    """Return the items of a set.

    Args:
        name: of the set, as in ``msloss-sirr data list``.
        folder: where its copy is.
        subset: a subset, or a version of one; all if empty.
        split: ``"train"``, ``"val"`` or ``"test"``; all if empty.
        stray: told of what has the name of an image and is no file; ``None`` for an error.

    Raises:
        InputError: if there is no such set, subset, split or folder, the folder holds nothing of it, an item is not
            whole, or a link leads nowhere.
    """

    def refuse(what: str) -> None:
        raise InputError(what)

    listing = list_set(name, folder, subset=subset, split=split)
    for path, reason in listing.broken.items():
        raise InputError(f"the link {path} was not followed: {reason}; mend it, or take it away")
    if listing.partial:
        names = [f"{item.name} ({', '.join(item.files)} only)" for item in listing.partial]
        raise InputError(
            f"{folder} has items that are not whole: {'; '.join(names[:3])}"
            f"{f' and {len(names) - 3} more' if len(names) > 3 else ''}; "
            f"msloss-sirr data check {name} {shlex.quote(str(folder))} names all"
        )
    if listing.clashes:
        first, second = listing.clashes[0]
        raise InputError(f"{first} and {second.name} have the same name; keep one of them")
    for path, kind in listing.strays.items():
        (stray or refuse)(f"cannot read {path}: it is {kind}, not a file")
    return list(listing.items)


def open_source(text: str) -> list[Item]:
    """Return the items of what a text such as ``sir2/postcard=DIR`` names; see `parse_source` and `open_set`."""
    source = parse_source(text)
    return open_set(source.name, source.folder, subset=source.subset, split=source.split)


def parse_source(text: str) -> Source:
    """Return what ``DIR``, ``SET=DIR``, ``SET/SUBSET=DIR`` or ``SET/SUBSET/SPLIT=DIR`` names.

    ``DIR`` alone is a folder of pairs; so is a text with ``=`` that is an existing path. In place of a subset, a split
    will do: ``nature/train=DIR``.

    Raises:
        InputError: if there is no such set, or it has no such subset or split.
    """
    head, equals, folder = text.partition("=")
    words = head.split("/")
    if not equals or (Path(text).exists() and not (words[0] in SETS and Path(folder).exists())):
        return Source("pairs", Path(text))
    if not folder:
        raise InputError(f"{text} names no folder; give SET=DIR")
    description = describe(words[0])
    subset, split = "", ""
    for word in words[1:]:
        if not subset and word in description.subsets:
            subset = word
        elif not split and word in description.splits:
            split = word
        else:
            raise InputError(f"{text}: {description.choices(word)}")
    return Source(words[0], Path(folder), subset, split)


def list_set(name: str, folder: Path, *, subset: str = "", split: str = "") -> Listing:
    """Return what a folder holds of a set, whole or not; the arguments are those of `open_set`.

    Raises:
        InputError: if there is no such set, subset, split or folder, or the folder holds nothing of it.
    """
    description = describe(name)
    if subset and description.parts and subset not in description.subsets:
        raise InputError(description.choices(subset))
    if split and split not in description.splits:
        raise InputError(description.choices(split))
    if name == "csv":
        listing = read_csv(description, folder)
        chosen = [item for item in listing.items if subset in ("", item.subset) and split in ("", item.split)]
        if not chosen:
            raise InputError(f"{folder} lists nothing of subset {subset!r} and split {split!r}")
        return Listing(description, listing.root, chosen)
    if not folder.is_dir():
        what = "is a file, not a folder" if folder.exists() else "does not exist"
        raise InputError(f"{folder} {what}; give {_COPIES.get(name, f'the folder of a copy of {name}')}")
    parts = [p for p in description.parts if _wanted(p, subset) and split in ("", p.split)]
    listing = Lister(description, folder, alone=len(parts) == 1, version=subset).look(parts)
    versions = {item.subset for item in listing.items}
    if listing.found and subset and subset not in {part.subset for part in parts} and subset not in versions:
        counts = ", ".join(f"{number} items" for number in listing.found.values())
        raise InputError(f"{folder} has {counts}, which is not {subset} of {name}; leave the version out")
    if not listing.found and not listing.broken and not listing.strays:
        told = f"{folder} holds nothing of {name} where it is looked for; see msloss-sirr data list {name}"
        own = f"{folder} holds no pairs; give {_COPIES['pairs']}, with images of the same names"
        raise InputError(own if name == "pairs" else told)
    return listing


def _wanted(part: Part, subset: str) -> bool:
    return subset in ("", part.subset) or subset in part.counts

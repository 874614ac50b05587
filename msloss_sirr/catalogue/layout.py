"""From a set and a folder to the items in it."""

import csv
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from msloss_sirr.catalogue.description import LAYERS, Arrangement, Description, Part
from msloss_sirr.catalogue.sets import SETS, describe
from msloss_sirr.catalogue.templates import Filling, fill_of, folder_of, name_of
from msloss_sirr.catalogue.walking import walk
from msloss_sirr.errors import InputError
from msloss_sirr.images.listing import SUFFIXES, is_image_name


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
            f"{f' and {len(names) - 3} more' if len(names) > 3 else ''}; msloss-sirr data check {name} names all"
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
        elif not split and word in _splits(description):
            split = word
        else:
            raise InputError(f"{text}: {_choices(description, word)}")
    return Source(words[0], Path(folder), subset, split)


def list_set(name: str, folder: Path, *, subset: str = "", split: str = "") -> Listing:
    """Return what a folder holds of a set, whole or not; the arguments are those of `open_set`.

    Raises:
        InputError: if there is no such set, subset, split or folder, or the folder holds nothing of it.
    """
    description = describe(name)
    if subset and description.parts and subset not in description.subsets:
        raise InputError(_choices(description, subset))
    if split and split not in _splits(description):
        raise InputError(_choices(description, split))
    if name == "csv":
        listing = _read_csv(description, folder)
        chosen = [item for item in listing.items if subset in ("", item.subset) and split in ("", item.split)]
        if not chosen:
            raise InputError(f"{folder} lists nothing of subset {subset!r} and split {split!r}")
        return Listing(description, listing.root, chosen)
    if not folder.is_dir():
        what = "is a file, not a folder" if folder.exists() else "does not exist"
        raise InputError(f"{folder} {what}; give the folder of a copy of {name}")
    parts = [p for p in description.parts if _wanted(p, subset) and split in ("", p.split)]
    listing = _Lister(description, folder, alone=len(parts) == 1, version=subset).look(parts)
    versions = {item.subset for item in listing.items}
    if listing.found and subset and subset not in {part.subset for part in parts} and subset not in versions:
        counts = ", ".join(f"{number} items" for number in listing.found.values())
        raise InputError(f"{folder} has {counts}, which is not {subset} of {name}; leave the version out")
    if not listing.found and not listing.broken and not listing.strays:
        raise InputError(f"{folder} holds nothing of {name} where it is looked for; see msloss-sirr data list {name}")
    return listing


class _Lister:
    """Looks for a set in a folder; every folder is listed once.

    Args:
        description: of the set.
        root: the folder.
        alone: whether one part only is looked for, which may then be directly in the folder.
        version: the version that is asked for, if any.
    """

    def __init__(self, description: Description, root: Path, *, alone: bool, version: str) -> None:
        self.description = description
        self.root = root
        self.alone = alone
        self.version = version
        self.broken: dict[Path, str] = {}
        self._kinds: dict[Path, str] = {}
        self._seen: dict[tuple[str, bool], dict[str, list[Path]]] = {}

    def look(self, parts: Sequence[Part]) -> Listing:
        items: list[Item] = []
        partial: list[Item] = []
        clashes: list[tuple[Path, Path]] = []
        strays: dict[Path, str] = {}
        found = {}
        required = set(self.description.required)
        for part in parts:
            taken = max((self._take(part, a, base) for a in part.arrangements for base in a.bases), key=_Taken.worth)
            if not taken.files and self.alone:
                taken = max((taken, *(self._take(part, a, "") for a in part.arrangements)), key=_Taken.worth)
            if taken.files:
                found[part.subset, part.split] = len(taken.files)
            subset = next((v for v, n in part.counts.items() if n == len(taken.files)), "") or part.subset
            called: dict[str, Item] = {}
            for filling, files in taken.files.items():
                item = Item(name_of(filling), subset, part.split, files)
                if item.name in called:
                    clashes.append((_first(called[item.name]), _first(item)))
                    continue
                called[item.name] = item
                (items if required <= files.keys() else partial).append(item)
            clashes += taken.clashes
            strays.update((path, self._kinds[path]) for path in taken.strays)
        order = {"": 0, "train": 1, "val": 2, "test": 3}
        items.sort(key=lambda item: (order[item.split], item.subset, item.name))
        return Listing(self.description, self.root, items, partial, clashes, self.broken, strays, parts, found)

    def _take(self, part: Part, arrangement: Arrangement, base: str) -> "_Taken":
        """Return the items that a folder has if it is laid out in a certain way."""
        files: dict[Filling, dict[str, Path]] = {}
        clashes = []
        others: list[tuple[Filling, str, Path]] = []
        for layer, template in arrangement.layers.items():
            folder, deep = folder_of(template)
            where = "/".join(piece for piece in (base, folder) if piece)
            for name, paths in self._images(where, deep).items():
                filling = fill_of(template, f"{folder}/{name}" if folder else name)
                if filling is None:
                    continue
                images = [path for path in paths if path not in self._kinds]
                others += [(filling, layer, path) for path in paths if path in self._kinds]
                if images:
                    files.setdefault(filling, {})[layer] = images[0]
                    clashes += [(images[0], other) for other in images[1:]]
        owner = self._owner(part, base, files)
        if owner is not None and owner is not part:
            files, others, clashes = {}, [], []
        elif owner is None and self._shared(part, base, files):
            files = {filling: has for filling, has in files.items() if _has(part, _number(filling))}
            others = [other for other in others if _has(part, _number(other[0]))]
            kept = {path for has in files.values() for path in has.values()}
            clashes = [(first, other) for first, other in clashes if first in kept]
        strays = []
        for filling, layer, path in others:
            if filling in files and layer not in files[filling]:
                files[filling][layer] = path
            else:
                strays.append(path)
        whole = sum(set(self.description.required) <= has.keys() for has in files.values())
        wanted = [part.counts[self.version]] if self.version in part.counts else part.counts.values()
        return _Taken(files, clashes, strays, whole, whole in wanted)

    def _owner(self, part: Part, base: str, files: Mapping[Filling, object]) -> Part | None:
        """Return the split that all items directly in the folder given are of, if their number and names say so.

        They do if one split is asked for, or all, there are as many items as it has, and some of the test are not among
        them.
        """
        tested = part.names or part.names_besides
        if base or not tested or tested <= {_number(each) for each in files}:
            return None
        asked = (part,) if self.alone else self.description.parts
        return next((each for each in asked if len(files) in each.counts.values()), None)

    def _shared(self, part: Part, base: str, files: Mapping[Filling, object]) -> bool:
        """Return whether a folder holds another split, too, so that items have to be told apart by their names.

        What lies directly in the folder given does, unless it has an owner. A folder of a split's own does if it has
        all of the test, and more items than the split.
        """
        tested = part.names or part.names_besides
        own = base and len(files) in part.counts.values()
        return bool(tested) and not own and (not base or tested < {_number(each) for each in files})

    def _images(self, folder: str, deep: bool) -> dict[str, list[Path]]:
        """Return the images of a folder by their path in it without suffix, accents in whatever way made one sign.

        What has the name of an image and is none is among them, and in ``_kinds``.
        """
        if (folder, deep) not in self._seen:
            images: dict[str, list[Path]] = {}
            start = self.root / folder
            for path, reason, kind in walk(start, deep=deep):
                if reason and (deep or path == start or is_image_name(path)):
                    self.broken[path] = reason
                elif not reason and is_image_name(path):
                    if kind:
                        self._kinds[path] = kind
                    name = path.relative_to(start).with_suffix("").as_posix()
                    images.setdefault(unicodedata.normalize("NFC", name), []).append(path)
            self._seen[folder, deep] = images
        return self._seen[folder, deep]


@dataclass(frozen=True)
class _Taken:
    """What a folder has if it is laid out in a certain way."""

    files: Mapping[Filling, Mapping[str, Path]]
    clashes: list[tuple[Path, Path]]
    strays: list[Path]
    whole: int
    exact: bool
    """Whether that is how many there should be."""

    def worth(self) -> tuple[bool, int, int, int, int]:
        return self.exact, self.whole, len(self.files), sum(map(len, self.files.values())), len(self.strays)


def _read_csv(description: Description, path: Path) -> Listing:
    """Return the items of a CSV file; see the set ``csv``."""
    if not path.is_file():
        raise InputError(f"{path} {'is no file' if path.exists() else 'does not exist'}; give a CSV file")
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            rows = [(reader.line_num, row) for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} is no CSV file: {error}") from error
    items: dict[tuple[str, str, str], Item] = {}
    for number, row in rows:
        try:
            item = _item_of_row(description, path.parent, row)
        except InputError as error:
            raise InputError(f"{path}, line {number}: {error}") from error
        if (item.subset, item.split, item.name) in items:
            raise InputError(
                f"{path}, line {number}: a second item called {item.name}; tell them apart by a column name"
            )
        items[item.subset, item.split, item.name] = item
    if not items:
        raise InputError(f"{path} lists nothing; give a line for each pair")
    return Listing(description, path.parent, list(items.values()))


def _item_of_row(description: Description, folder: Path, row: Mapping[str, str | None]) -> Item:
    if any("\0" in value for value in row.values() if isinstance(value, str)):
        raise InputError("a name holds a NUL, which no file's can")
    files = {layer: folder / value for layer in LAYERS if (value := row.get(layer))}
    alone = "photo" in files and "ambient" not in files
    missing = [layer for layer in description.required if layer not in files and not alone]
    if missing:
        raise InputError(f"no {missing[0]}; name columns ambient and transmission, and give each line both")
    for layer, image in files.items():
        if image.suffix.lower() not in SUFFIXES:
            raise InputError(f"the {layer} {image} is not named as an image")
    split = row.get("split") or ""
    if split and split not in _splits(description):
        raise InputError(_choices(description, split))
    name, subset = (
        word.replace("/", "-").replace("\\", "-")
        for word in (row.get("name") or next(iter(files.values())).stem, row.get("subset") or "")
    )
    for what, word in (("name", name), ("subset", subset)):
        if word.startswith("."):
            raise InputError(f"the {what} {word} begins with a dot; give another")
    return Item(name, subset, split, files)


def _number(filling: Filling) -> str:
    return dict(filling).get("name", "").lstrip("0")


def _has(part: Part, number: str) -> bool:
    return number not in part.names_besides and (part.names is None or number in part.names)


def _first(item: Item) -> Path:
    return next(iter(item.files.values()))


def _wanted(part: Part, subset: str) -> bool:
    return subset in ("", part.subset) or subset in part.counts


def _splits(description: Description) -> tuple[str, ...]:
    if not description.parts:
        return ("train", "val", "test")
    return tuple(dict.fromkeys(part.split for part in description.parts if part.split))


def _choices(description: Description, word: str) -> str:
    subsets, splits = ", ".join(description.subsets) or "none", ", ".join(_splits(description)) or "none"
    return f"{description.name} has no subset or split {word!r}; subsets: {subsets}; splits: {splits}"

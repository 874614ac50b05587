"""The sets that are evaluated: their names, their pairs, and what others have saved for these."""

from collections.abc import Container, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from msloss_sirr.catalogue.layout import open_source, parse_source
from msloss_sirr.data.folders import PairPaths, by_stem, check_pair
from msloss_sirr.data.sources import list_pairs
from msloss_sirr.errors import InputError
from msloss_sirr.evaluation.protocols import Protocol
from msloss_sirr.images.reading import read_size


class Entry(NamedTuple):
    """A pair of a set."""

    set_name: str
    name: str
    """What the pair is called, unique in its set and free of slashes."""
    paths: PairPaths
    output: Path | None = None
    """A transmission that was saved for it."""


class Opened(NamedTuple):
    """What sets hold."""

    entries: Sequence[Entry]
    left_out: Sequence[str]
    """Of pairs that cannot be scored, what is wrong."""
    damaged: Sequence[Entry]
    """These pairs."""


class Outputs(NamedTuple):
    """What was found where outputs were said to be."""

    entries: Sequence[Entry]
    """Those that have an output of their size."""
    left_out: Sequence[str]
    """Of the others, what is wrong."""
    unused: Sequence[str]
    """Files that belong to no pair."""


def open_entries(texts: Sequence[str | Path], *, depth: bool = False, missing: int = 0) -> Opened:
    """Return the pairs of sets, whose headers have been read.

    Args:
        texts: folders of pairs, or sets of the catalogue, as `list_pairs` takes them.
        depth: whether there must be depth images.
        missing: how many pairs may have files that are no images, or not of one size.

    Raises:
        InputError: if no set is given, or one twice, one cannot be used, or more pairs cannot.
    """
    if not texts:
        raise InputError("no sets given; name folders of pairs, or sets of the catalogue, SET=FOLDER")
    entries: list[Entry] = []
    left_out: list[str] = []
    damaged: list[Entry] = []
    for text, set_name in zip(texts, set_names(texts), strict=True):
        items = open_source(str(text))
        short = len({item.name for item in items}) == len(items)
        names = {
            (item.files.get("ambient"), item.files.get("transmission")): item.name
            if short
            else "-".join(filter(None, (item.subset, item.split, item.name)))
            for item in items
        }
        for paths in list_pairs(text, depth=depth):
            entry = Entry(set_name, names[paths.ambient, paths.transmission], paths)
            try:
                check_pair(paths)
            except InputError as error:
                leave_out(str(error), left_out, missing)
                damaged.append(entry)
            else:
                entries.append(entry)
    if not entries:
        raise InputError(f"no image is left: {listed(left_out)}")
    return Opened(entries, left_out, damaged)


def leave_out(problem: str, left_out: list[str], missing: int) -> None:
    """Add what is wrong with a pair to what is wrong with others.

    Raises:
        InputError: if more pairs would have to be left out than may be missing.
    """
    left_out.append(problem)
    if len(left_out) > missing:
        many = f"{len(left_out)} images cannot be scored, one more than may be missing: "
        raise InputError(f"{many if missing else ''}{listed(left_out)}")


def listed(sentences: Sequence[str]) -> str:
    """Return the first few sentences in one line, and how many there are besides."""
    more = f"; and {len(sentences) - 3} more" if len(sentences) > 3 else ""
    return f"{'; '.join(sentences[:3])}{more}"


def set_names(texts: Sequence[str | Path]) -> list[str]:
    """Return short names of sets, by as many parts of their folders as tell them apart.

    Raises:
        InputError: if one is given twice.
    """
    sources = [parse_source(str(text)) for text in texts]
    heads = [[] if s.name == "pairs" else [part for part in (s.name, s.subset, s.split) if part] for s in sources]
    folders = [source.folder.resolve().parts[1:] for source in sources]
    names: list[str] = []
    for more in range(max(map(len, folders), default=0) + 1):
        names = [_name(head, folder, more) for head, folder in zip(heads, folders, strict=True)]
        if len(set(names)) == len(names):
            return names
    twice = next(text for text, key in zip(texts, names, strict=True) if names.count(key) > 1)
    raise InputError(f"{twice} is given twice; leave one out")


def find_outputs(where: str, opened: Opened, protocols: Iterable[Protocol], *, missing: int = 0) -> Outputs:
    """Return pairs with the outputs that were saved for them.

    Args:
        where: a folder of files that are named as the pairs, whatever their suffix (of several sets, a folder for each
            in it), or a path with ``{name}``, and ``{set}`` if there are several, in place of these.
        opened: the pairs.
        protocols: by which the outputs are to be measured: an output is of the size of its pair, or of that at which
            all of them measure it.
        missing: how many pairs may lack an output, or have been left out already.

    Raises:
        InputError: if more do.
    """
    entries = opened.entries
    find: _Template | _Folders = _Template(where, entries) if "{name}" in where else _Folders(where, entries)
    paths = [find(entry) for entry in entries]
    if not any(paths):
        raise InputError(f"{where} holds no output of any image; of the first, {find.place(entries[0])} is looked for")
    found, problems = [], []
    sizes = list(protocols)
    for entry, path in zip(entries, paths, strict=True):
        problem = f"{entry.name} of {entry.set_name} has none" if path is None else _wrong_size(path, entry, sizes)
        if problem:
            problems.append(problem)
        else:
            found.append(entry._replace(output=path))
    left_out = [*opened.left_out, *problems]
    if problems and len(left_out) > missing:
        raise InputError(
            f"{len(problems)} of {len(entries)} images have no output of their size in {where}: {listed(problems)}; "
            f"give --missing {len(left_out)} to leave them out"
        )
    if not found:
        raise InputError(f"no image is left: {listed(left_out)}")
    return Outputs(found, left_out, find.besides([*paths, *map(find, opened.damaged)]))


def _name(head: Sequence[str], folder: Sequence[str], more: int) -> str:
    """Return the name of a set by its place in the catalogue, or the last part of its folder, and some parts more."""
    parts = more if head else more + 1
    return "-".join([*head, *folder[max(len(folder) - parts, 0) :]]) or "set"


class _Folders:
    """Files by set and name."""

    def __init__(self, where: str, entries: Sequence[Entry]) -> None:
        names = list(dict.fromkeys(entry.set_name for entry in entries))
        self.folders = {name: Path(where) / name for name in names}
        if len(names) == 1 and not self.folders[names[0]].is_dir():
            self.folders[names[0]] = Path(where)
        self.files = {name: by_stem(folder) for name, folder in self.folders.items()}

    def __call__(self, entry: Entry) -> Path | None:
        return self.files[entry.set_name].get(entry.name)

    def place(self, entry: Entry) -> str:
        """Return where an output is looked for, in words."""
        return f"{self.folders[entry.set_name] / entry.name}.png (or .jpg, ...)"

    def besides(self, found: Container[Path | None]) -> list[str]:
        """Return the files that belong to no pair."""
        return [str(path) for files in self.files.values() for path in files.values() if path not in found]


class _Template:
    """Files by a path in which names stand."""

    def __init__(self, where: str, entries: Sequence[Entry]) -> None:
        if len({entry.set_name for entry in entries}) > 1 and "{set}" not in where:
            raise InputError(f"outputs are {where}, but there are several sets; put {{set}} in it, too")
        self.where = where

    def __call__(self, entry: Entry) -> Path | None:
        path = Path(self.place(entry))
        return path if path.exists() else None

    def place(self, entry: Entry) -> str:
        """Return where an output is looked for."""
        return self.where.replace("{set}", entry.set_name).replace("{name}", entry.name)

    def besides(self, _: object) -> list[str]:
        """Return nothing: a path with a name in it tells of no others."""
        return []


def _wrong_size(path: Path, entry: Entry, protocols: Sequence[Protocol]) -> str:
    """Return what is wrong with the size of an output, or nothing."""
    try:
        height, width = read_size(path)
    except InputError as error:
        return str(error)
    own = read_size(entry.paths.ambient)
    if (height, width) == own or all(protocol.size(*own) == (height, width) for protocol in protocols):
        return ""
    return f"{path} is {width}x{height}, not {own[1]}x{own[0]}"

"""The sets that are evaluated: their names, their pairs, and what others have saved for these."""

from collections.abc import Callable, Container, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from msloss_sirr.catalogue.layout import open_source, parse_source
from msloss_sirr.data.folders import PairPaths, check_pair
from msloss_sirr.data.sources import list_pairs
from msloss_sirr.errors import InputError
from msloss_sirr.evaluation.protocols import Protocol
from msloss_sirr.images.listing import find_images
from msloss_sirr.images.reading import read_size


class Entry(NamedTuple):
    """A pair of a set."""

    set_name: str
    name: str
    """What the pair is called, unique in its set and free of slashes."""
    paths: PairPaths
    output: Path | None = None
    """A transmission that was saved for it."""


class Outputs(NamedTuple):
    """What was found where outputs were said to be."""

    entries: Sequence[Entry]
    """Those that have an output of their size."""
    left_out: Sequence[str]
    """Of the others, what is wrong."""
    unused: Sequence[str]
    """Files that belong to no pair."""


def open_entries(texts: Sequence[str | Path], *, depth: bool = False) -> list[Entry]:
    """Return the pairs of sets, whose headers have been read.

    Args:
        texts: folders of pairs, or sets of the catalogue, as `list_pairs` takes them.
        depth: whether there must be depth images.

    Raises:
        InputError: if no set is given, or one twice, or one cannot be used.
    """
    if not texts:
        raise InputError("no sets given; name folders of pairs, or sets of the catalogue, SET=FOLDER")
    entries = []
    for text, set_name in zip(texts, set_names(texts), strict=True):
        items = open_source(str(text))
        short = len({item.name for item in items}) == len(items)
        names = {
            item.files["ambient"]: item.name if short else "-".join(filter(None, (item.subset, item.split, item.name)))
            for item in items
            if "ambient" in item.files
        }
        for paths in list_pairs(text, depth=depth):
            check_pair(paths)
            entries.append(Entry(set_name, names[paths.ambient], paths))
    return entries


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


def find_outputs(where: str, entries: Sequence[Entry], protocols: Iterable[Protocol], *, missing: int = 0) -> Outputs:
    """Return pairs with the outputs that were saved for them.

    Args:
        where: a folder of files that are named as the pairs, whatever their suffix (of several sets, a folder for each
            in it), or a path with ``{name}``, and ``{set}`` if there are several, in place of these.
        entries: the pairs.
        protocols: by which the outputs are to be measured: an output is of the size of its pair, or of that at which
            all of them measure it.
        missing: how many pairs may lack an output.

    Raises:
        InputError: if more do.
    """
    find = _template(where, entries) if "{name}" in where else _folders(where, entries)
    found, left_out, seen = [], [], set()
    sizes = list(protocols)
    for entry in entries:
        path = find(entry)
        seen.add(path)
        problem = f"{entry.name} of {entry.set_name} has none" if path is None else _wrong_size(path, entry, sizes)
        if problem:
            left_out.append(problem)
        else:
            found.append(entry._replace(output=path))
    if len(left_out) > missing:
        more = f"; and {len(left_out) - 3} more" if len(left_out) > 3 else ""
        raise InputError(
            f"{len(left_out)} of {len(entries)} images have no output of their size in {where}: "
            f"{'; '.join(left_out[:3])}{more}; give --missing {len(left_out)} to leave them out"
        )
    if not found:
        raise InputError(f"{where} holds no output of any image")
    return Outputs(found, left_out, _unused(find, seen))


def _name(head: Sequence[str], folder: Sequence[str], more: int) -> str:
    """Return the name of a set by its place in the catalogue, or the last part of its folder, and some parts more."""
    parts = more if head else more + 1
    return "-".join([*head, *folder[max(len(folder) - parts, 0) :]]) or "set"


class _Folders:
    """Files by set and name."""

    def __init__(self, files: dict[str, dict[str, Path]]) -> None:
        self.files = files

    def __call__(self, entry: Entry) -> Path | None:
        return self.files[entry.set_name].get(entry.name)


def _folders(where: str, entries: Sequence[Entry]) -> _Folders:
    names = list(dict.fromkeys(entry.set_name for entry in entries))
    files = {}
    for name in names:
        folder = Path(where) / name
        if len(names) == 1 and not folder.is_dir():
            folder = Path(where)
        files[name] = _by_stem(folder)
    return _Folders(files)


def _template(where: str, entries: Sequence[Entry]) -> Callable[[Entry], Path | None]:
    if len({entry.set_name for entry in entries}) > 1 and "{set}" not in where:
        raise InputError(f"outputs are {where}, but there are several sets; put {{set}} in it, too")

    def find(entry: Entry) -> Path | None:
        path = Path(where.replace("{set}", entry.set_name).replace("{name}", entry.name))
        return path if path.exists() else None

    return find


def _unused(find: Callable[[Entry], Path | None], seen: Container[Path | None]) -> list[str]:
    """Return the files that belong to no pair; of a path with a name in it, which tells of no others, none."""
    if not isinstance(find, _Folders):
        return []
    return [str(path) for files in find.files.values() for path in files.values() if path not in seen]


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


def _by_stem(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in find_images(folder):
        if path.stem in found:
            raise InputError(f"{path} and {found[path.stem].name} have the same name; keep one of them")
        found[path.stem] = path
    return found

"""Looking for the items of a set in a folder, wherever copies of it have them."""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from msloss_sirr.catalogue.description import Arrangement, Description, Part
from msloss_sirr.catalogue.items import Item, Listing
from msloss_sirr.catalogue.templates import Filling, fill_of, folder_of, name_of
from msloss_sirr.catalogue.walking import walk
from msloss_sirr.images.listing import is_image_name


class Lister:
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
        """Return what the folder holds of parts of the set."""
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


def _number(filling: Filling) -> str:
    return dict(filling).get("name", "").lstrip("0")


def _has(part: Part, number: str) -> bool:
    return number not in part.names_besides and (part.names is None or number in part.names)


def _first(item: Item) -> Path:
    return next(iter(item.files.values()))

"""What is wrong with a copy of a set."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from msloss_sirr.catalogue.items import Item, Listing
from msloss_sirr.catalogue.manifest import NAME, digest, read_manifest
from msloss_sirr.catalogue.sets import SETS
from msloss_sirr.doctor.duplicates import find_twins
from msloss_sirr.doctor.findings import SEVERITIES, Finding
from msloss_sirr.doctor.inspection import Seen, see
from msloss_sirr.errors import InputError, in_words
from msloss_sirr.images.registration import DOUBTFUL
from msloss_sirr.parallel import spread

_SHIFTED = 1.0
"""Pixels, of what was compared, by which the images of a pair may be shifted."""
_DARKER, _SUNK = 0.02, 0.01
"""By how much more an ambient image must be darker, and its shadows, to be called swapped."""
_SAME = 1 / 255
"""Mean absolute difference of the images of a pair below which there is hardly a reflection."""


@dataclass(frozen=True)
class Diagnosis:
    """What was found in a copy of a set."""

    listing: Listing
    findings: Sequence[Finding]
    """The worst first; of one severity by kind and file."""

    @property
    def sound(self) -> bool:
        """Whether there are no errors."""
        return not any(finding.severity == "error" for finding in self.findings)


def examine(
    listing: Listing,
    *,
    against: Sequence[Item] = (),
    workers: int = 1,
    seen: Callable[[Item], None] | None = None,
) -> Diagnosis:
    """Look at all items of a copy of a set.

    Args:
        listing: what the copy has; see `msloss_sirr.catalogue.layout.list_set`.
        against: items of other sets, which none of these may look like: what a network is trained on, if this is
            what it is tested on.
        workers: processes to spread the work over.
        seen: called after each item that was looked at, of the copy and of the other sets.

    Raises:
        InputError: if there are to be no workers, or one dies.
    """
    items = [*listing.items, *listing.partial]
    sights = []
    for item, sight in zip([*items, *against], spread(see, [*items, *against], workers), strict=True):
        sights.append(sight)
        if seen is not None:
            seen(item)
    own = sights[: len(items)]
    pairs = list(zip(items, own, strict=True))
    several = listing.description.several_shots or _made_from_several_shots(listing.root)
    findings = [
        *_of_listing(listing),
        *_of_counterparts(listing),
        *(finding for item, sight in pairs for finding in _of_item(listing, item, sight)),
        *_of_forms(listing, pairs),
        *find_twins(items, own, against, sights[len(items) :], listing.root, several_shots=several),
        *_of_others(against, sights[len(items) :]),
        *_of_manifest(listing.root),
    ]
    findings.sort(key=lambda f: (SEVERITIES.index(f.severity), f.kind, f.files))
    return Diagnosis(listing, findings)


def _of_listing(listing: Listing) -> Iterator[Finding]:
    """What is wrong with the names and numbers of files."""
    if not listing.items and not listing.partial:
        yield Finding("error", "absent", (), "nothing of the set can be read here")
    for part in listing.parts:
        place = " ".join(word for word in (part.subset, part.split) if word) or "the set"
        number = listing.found.get((part.subset, part.split), 0)
        if number and part.counts and number not in part.counts.values():
            wanted = " or ".join(str(count) for count in part.counts.values())
            yield Finding("error", "count", (), f"{place} has {number} items, and should have {wanted}")
        if not number and part.counts:
            yield Finding("note", "absent", (), f"{place} is not here")
    for first, second in listing.clashes:
        one, two = _names(listing.root, (first, second))
        yield Finding("error", "name", (one, two), f"{one} and {two} have one name; {one} was looked at")
    for path, reason in listing.broken.items():
        (name,) = _names(listing.root, (path,))
        yield Finding("warning", "link", (name,), f"the link {name} was not followed: {reason}")
    for path, kind in listing.strays.items():
        (name,) = _names(listing.root, (path,))
        yield Finding("error", "unreadable", (name,), f"{name}: it is {kind}, not a file")


def _of_counterparts(listing: Listing) -> Iterator[Finding]:
    """Which items lack an image."""
    for item in listing.partial:
        missing = [layer for layer in listing.description.required if layer not in item.files]
        files = _names(listing.root, item.files.values())
        yield Finding("error", "unpaired", files, f"{files[0]} has no {' and no '.join(missing)}")
    groups: dict[tuple[str, str], list[Item]] = defaultdict(list)
    for item in listing.items:
        groups[item.subset, item.split].append(item)
    for group in groups.values():
        layers = Counter(layer for item in group for layer in item.files)
        for item in group:
            for layer in (each for each in layers if each not in item.files):
                files = _names(listing.root, item.files.values())
                sentence = f"{files[0]} has no {layer}, which {layers[layer]} others have"
                yield Finding("warning", "unpaired", files, sentence)


def _of_item(listing: Listing, item: Item, sight: Seen) -> Iterator[Finding]:
    """What is wrong with one item by itself."""
    names = {layer: _names(listing.root, (path,))[0] for layer, path in item.files.items()}
    sound = {}
    for layer, look in sight.looks.items():
        if look.error:
            yield Finding("error", "unreadable", (names[layer],), f"{names[layer]}: {look.error}")
        else:
            sound[layer] = look
    sizes = {layer: f"{look.size[1]}x{look.size[0]}" for layer, look in sound.items()}
    if len(set(sizes.values())) > 1:
        listed = ", ".join(f"{names[layer]} is {size}" for layer, size in sizes.items())
        yield Finding("error", "size", tuple(names[layer] for layer in sizes), listed)
    turned = {layer for layer, look in sight.looks.items() if look.turned}
    if turned and turned != sight.looks.keys():
        listed = " and ".join(names[layer] for layer in turned)
        sentence = f"{listed} is turned by its EXIF data, and its counterpart is not; some programs will not turn it"
        yield Finding("warning", "rotation", tuple(names.values()), sentence)
    yield from _of_pair(sight, names)


def _of_others(against: Sequence[Item], sights: Sequence[Seen]) -> Iterator[Finding]:
    """Which images of other sets could not be held against the copy."""
    for item, sight in zip(against, sights, strict=True):
        for layer, look in sight.looks.items():
            if look.error:
                file = str(item.files[layer])
                yield Finding("error", "unreadable", (file,), f"{file}, to be held against: {look.error}")


def _of_pair(sight: Seen, names: dict[str, str]) -> Iterator[Finding]:
    """What is wrong with an ambient image and its transmission."""
    match = sight.match
    if match is None:
        return
    files = (names["ambient"], names["transmission"])
    if sight.looks["ambient"].digest == sight.looks["transmission"].digest:
        yield Finding("error", "identical", files, f"{files[0]} and {files[1]} are one picture")
        return
    if match.differing < _SAME:
        sentence = f"{files[0]} and {files[1]} hardly differ ({match.differing * 255:.2f} of 255 in the mean)"
        yield Finding("warning", "identical", files, sentence)
    if match.likeness <= DOUBTFUL:
        sentence = (
            f"{files[0]} and {files[1]} do not show one scene, or not at one place (likeness {match.likeness:.3f})"
        )
        yield Finding("warning", "misaligned", files, sentence)
    elif max(abs(match.right), abs(match.down)) > _SHIFTED * match.step:
        sentence = (
            f"{files[0]} is {match.right:+.1f} pixels to the right and {match.down:+.1f} pixels down of {files[1]} "
            f"(likeness {match.likeness:.2f})"
        )
        yield Finding("warning", "misaligned", files, sentence)
    if match.brighter < -_DARKER and match.lifted < -_SUNK:
        sentence = f"{files[0]} is darker than {files[1]}, in the shadows too: are they exchanged?"
        yield Finding("warning", "swapped", files, sentence)


def _of_forms(listing: Listing, pairs: Sequence[tuple[Item, Seen]]) -> Iterator[Finding]:
    """Which images are not RGB of 8 bits: a warning where the images of one item differ, else a note for all."""
    alike: dict[str, list[str]] = defaultdict(list)
    for item, sight in pairs:
        seen = {layer: look for layer, look in sight.looks.items() if layer != "depth"}
        forms = {layer: look.form for layer, look in seen.items() if look.form or not look.error}
        names = {layer: _names(listing.root, (item.files[layer],))[0] for layer in forms}
        if len(set(forms.values())) > 1:
            listed = ", ".join(f"{names[layer]} is {form or 'RGB of 8 bits'}" for layer, form in forms.items())
            yield Finding("warning", "channels", tuple(names.values()), listed)
            continue
        for layer, form in forms.items():
            if form:
                alike[form].append(names[layer])
    for form, files in alike.items():
        are = "image is" if len(files) == 1 else "images are"
        yield Finding("note", "channels", tuple(files), f"{len(files)} {are} {form}, rather than RGB of 8 bits")


def _of_manifest(root: Path) -> Iterator[Finding]:
    """Which files differ from what the manifest says that was written."""
    if not (root / NAME).is_file():
        return
    try:
        _, records = read_manifest(root)
    except InputError as error:
        yield Finding("warning", "changed", (NAME,), str(error))
        return
    for record in records:
        for layer, name in record.files.items():
            try:
                now = digest(root / name)
            except FileNotFoundError:
                yield Finding("error", "changed", (name,), f"{name} is in the manifest, and not here")
            except (InputError, OSError) as error:
                told = f"{name} is in the manifest, and cannot be read: {in_words(error)}"
                yield Finding("error", "changed", (name,), told)
            else:
                if now != record.digests.get(layer):
                    sentence = f"{name} is not what the manifest says that was written"
                    yield Finding("warning", "changed", (name,), sentence)


def _made_from_several_shots(root: Path) -> bool:
    """Return whether a folder was prepared from a set that has several shots of a scene."""
    try:
        about, _ = read_manifest(root)
    except InputError:
        return False
    name = about.get("set")
    return isinstance(name, str) and name in SETS and SETS[name].several_shots


def _names(root: Path, paths: Iterable[Path]) -> tuple[str, ...]:
    """Return what files are called below a folder, in the order given."""
    return tuple(path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path) for path in paths)

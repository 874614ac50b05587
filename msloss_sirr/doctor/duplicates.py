"""Images that a set has twice, and images of one split that are in another."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from msloss_sirr.catalogue.items import Item
from msloss_sirr.doctor.findings import Finding
from msloss_sirr.doctor.inspection import Seen
from msloss_sirr.doctor.perceptual_hash import alike

_LAYERS = ("ambient", "transmission", "photo")
"""Of reflections, many are of one thing, and there may be nothing to see."""


class _Image(NamedTuple):
    item: int
    layer: str
    place: str
    """The split it is in, or the set it is held against."""
    file: str
    digest: str
    print: bytes


def find_twins(
    items: Sequence[Item],
    sights: Sequence[Seen],
    others: Sequence[Item],
    other_sights: Sequence[Seen],
    root: Path,
    *,
    several_shots: bool,
) -> Iterator[Finding]:
    """Find images that are, or look like, images of other items.

    Args:
        items: of a copy of a set.
        sights: what was seen of them.
        others: items of other sets, held against the copy.
        other_sights: likewise.
        root: the folder of the copy.
        several_shots: whether one scene is shot several times in the set.
    """
    images = _images(items, sights, root)
    images += _images(others, other_sights, None, first=len(items))
    same = list(_equal(images))
    prints = [image.print for image in images]  # compared twice: of many images all alike, the list would be too long
    yield from _across(images, same, alike(prints))
    yield from _within(images, same, alike(prints), own=len(items), several_shots=several_shots)


def _across(
    images: Sequence[_Image], same: Iterable[tuple[int, int]], near: Iterable[tuple[int, int]]
) -> Iterator[Finding]:
    """Find images of one split that are in another, in whatever layer."""

    def apart(links: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
        for one, two in links:
            if images[one].place != images[two].place:
                yield one, two

    for group in _groups(apart(same), apart(near)):
        members = [images[number] for number in group]
        places = sorted({image.place or "no split" for image in members})
        files = _files(members)
        different = len({image.digest for image in members})
        what = "are one picture" if different == 1 else "look alike"
        some = ", and some are one picture" if 1 < different < len(members) else ""
        yield Finding("error", "leak", files, f"{_listed(files)} {what}{some}; they are of {' and '.join(places)}")


def _within(
    images: Sequence[_Image],
    same: Sequence[tuple[int, int]],
    near: Iterable[tuple[int, int]],
    *,
    own: int,
    several_shots: bool,
) -> Iterator[Finding]:
    """Find twins among the images of one split and one layer."""

    def beside(links: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
        for one, two in links:
            first, second = images[one], images[two]
            if (first.place, first.layer) == (second.place, second.layer) and max(first.item, second.item) < own:
                yield one, two

    told: set[frozenset[int]] = set()
    for groups, exact in ((_groups(beside(same)), True), (_groups(beside(same), beside(near)), False)):
        for group in groups:
            if frozenset(group) in told:
                continue
            told.add(frozenset(group))
            files = _files([images[number] for number in group])
            what = "are one picture" if exact else "look alike"
            if images[group[0]].layer == "transmission":
                sentence = f"{_listed(files)} {what}: one scene behind {len(group)} ambient images"
                yield Finding("note", "shared", files, sentence)
            elif exact:
                yield Finding("warning", "duplicate", files, f"{_listed(files)} {what}")
            else:
                yield Finding(
                    "note" if several_shots else "warning", "near-duplicate", files, f"{_listed(files)} {what}"
                )


def _images(items: Sequence[Item], sights: Sequence[Seen], root: Path | None, first: int = 0) -> list[_Image]:
    images = []
    for number, (item, sight) in enumerate(zip(items, sights, strict=True), first):
        for layer in _LAYERS:
            look = sight.looks.get(layer)
            if look is None or look.error:
                continue
            path = item.files[layer]
            inside = root is not None and path.is_relative_to(root)
            file = path.relative_to(root).as_posix() if root is not None and inside else str(path)
            place = item.split if root is not None else "what it is held against"
            images.append(_Image(number, layer, place, file, look.digest, look.print))
    return images


def _equal(images: Sequence[_Image]) -> Iterator[tuple[int, int]]:
    """Yield the numbers of equal images: of each, with the first of every place and layer."""
    firsts: dict[str, dict[tuple[str, str], int]] = defaultdict(dict)
    for number, image in enumerate(images):
        firsts[image.digest].setdefault((image.place, image.layer), number)
    for number, image in enumerate(images):
        for first in firsts[image.digest].values():
            if first != number:
                yield first, number


def _groups(*links: Iterable[tuple[int, int]]) -> list[list[int]]:
    """Return the numbers that links hold together, in groups."""
    head: dict[int, int] = {}

    def find(one: int) -> int:
        while head.setdefault(one, one) != one:
            head[one] = head[head[one]]
            one = head[one]
        return one

    for each in links:
        for one, two in each:
            low, high = sorted((find(one), find(two)))
            head[high] = low
    groups: dict[int, list[int]] = defaultdict(list)
    for one in sorted(head):
        groups[find(one)].append(one)
    return list(groups.values())


def _files(images: Sequence[_Image]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(image.file for image in images))


def _listed(files: Sequence[str]) -> str:
    if len(files) > 4:
        return f"{', '.join(files[:3])} and {len(files) - 3} more"
    return " and ".join(files) if len(files) < 3 else f"{', '.join(files[:-1])} and {files[-1]}"

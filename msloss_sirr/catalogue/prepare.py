"""Copies of sets that are fast to train on."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from PIL import Image
from torch import Tensor

from msloss_sirr.catalogue.config import PrepareConfig
from msloss_sirr.catalogue.description import Description
from msloss_sirr.catalogue.items import Item, Listing
from msloss_sirr.catalogue.layout import list_set
from msloss_sirr.catalogue.manifest import NAME, Manifest, Record, digest
from msloss_sirr.catalogue.placing import foreign, is_file, make_room, place_together, settle
from msloss_sirr.errors import InputError, in_words
from msloss_sirr.images.colour import to_srgb
from msloss_sirr.images.reading import read_coloured
from msloss_sirr.locks import held
from msloss_sirr.parallel import spread

_LAYERS = ("ambient", "transmission", "reflection", "photo")


class Outcome(NamedTuple):
    """What became of one item."""

    name: str
    record: Record | None
    """What the manifest has of it; None if it was left out."""
    kept: bool
    """Whether it was there already."""
    error: str
    """Why it was left out."""


@dataclass(frozen=True)
class Prepared:
    """What became of all items."""

    made: int
    kept: int
    left_out: Sequence[str]
    """Why items were left out, a line for each."""
    stale: Sequence[str]
    """Items of the manifest that the set does not have any more; they stay where they are."""


def prepare(config: PrepareConfig, done: Callable[[Outcome, int], None] | None = None) -> Prepared:
    """Write a resized copy of a set: pairs as ``ambient/NAME`` and so on, photographs directly in the folder.

    Images become 8-bit RGB in sRGB, upright: 16 bits are scaled to 8; grey, palettes and CMYK are converted; alpha is
    dropped. Depth images are not copied. Items that cannot be read, are not whole, or whose images differ in size, are
    left out.

    Args:
        config: what to do.
        done: called after each item, with what became of it and the number of all.

    Raises:
        InputError: if the set cannot be found, or the folder is not to be written to: it is in the set's own, holds
            other things, was prepared otherwise, or another run is writing to it.
    """
    if config.short_side < 0:
        raise InputError(f"short_side is {config.short_side}; give 1 or more, or 0 to leave sizes as they are")
    if config.workers < 1:
        raise InputError(f"workers is {config.workers}; give 1 or more")
    listing = list_set(config.name, config.folder, subset=config.subset, split=config.split)
    if not listing.items and not listing.partial:
        raise InputError(f"{config.folder} holds nothing that can be read; see msloss-sirr data check {config.name}")
    tasks = _plan(config, listing)
    _check_free(config.out, listing)
    with held(config.out):
        return _prepare(config, listing, tasks, done)


def _prepare(
    config: PrepareConfig, listing: Listing, tasks: list["Task"], done: Callable[[Outcome, int], None] | None
) -> Prepared:
    manifest = Manifest(config.out, _about(config))
    make_room(config.out, {(config.out / path).parent for task in tasks for path in task.files.values()})
    settle(config.out, manifest.records.values())
    made = kept = 0
    left_out = [f"{item.name} is not whole: it has {', '.join(item.files)} only" for item in listing.partial]
    left_out += [f"{second} has the name of {first}" for first, second in listing.clashes]
    left_out += [f"cannot read {path}: it is {kind}, not a file" for path, kind in listing.strays.items()]
    left_out += [f"the link {path} was not followed: {reason}" for path, reason in listing.broken.items()]
    tasks = [task._replace(record=manifest.records.get(task.name)) for task in tasks]
    for outcome in spread(make, tasks, config.workers):
        if outcome.record is None:
            left_out.append(outcome.error)
        elif outcome.kept:
            kept += 1
        else:
            _take_away(config.out, manifest.records.get(outcome.name), outcome.record)
            manifest.add(outcome.record)
            made += 1
        if done is not None:
            done(outcome, len(tasks))
    manifest.finish()
    settle(config.out, manifest.records.values())
    return Prepared(made, kept, left_out, sorted(manifest.records.keys() - {task.name for task in tasks}))


class Task(NamedTuple):
    """An item to be made ready."""

    name: str
    """What it will be called."""
    item: Item
    root: Path
    """Of the set."""
    out: Path
    files: Mapping[str, str]
    """By layer, where its files go, below ``out``."""
    short_side: int
    record: Record | None
    """What the manifest has of it from before."""


def make(task: Task) -> Outcome:
    """Make an item ready, unless it is so already; what goes wrong is in what is returned, never raised."""
    try:
        sources = {layer: digest(task.item.files[layer]) for layer in task.files}
        record = task.record
        if record and record.origin.get("digests") == sources and _intact(task, record):
            return Outcome(task.name, record, True, "")
        return Outcome(task.name, _make(task, sources), False, "")
    except (InputError, OSError) as error:
        return Outcome(task.name, None, False, f"{task.name}: {in_words(error, named=True)}")


def _intact(task: Task, record: Record) -> bool:
    """Return whether what was made before is there, and as it was made."""
    return all(is_file(task.out / path, record.digests.get(layer, "")) for layer, path in task.files.items())


def _make(task: Task, sources: Mapping[str, str]) -> Record:
    images: dict[str, Image.Image] = {}
    colours = {}
    sizes = {}
    for layer in task.files:
        photo = read_coloured(task.item.files[layer])
        whole = Image.fromarray(photo.pixels.permute(1, 2, 0).contiguous().numpy())
        converted, colours[layer] = to_srgb(whole, photo.icc_profile)
        sizes[layer] = converted.size
        images[layer] = _resized(converted, task.short_side)
    if len(set(sizes.values())) > 1:
        listed = ", ".join(f"the {layer} {width}x{height}" for layer, (width, height) in sizes.items())
        raise InputError(f"its images differ in size: {listed}")
    ours = (
        {path: task.record.digests.get(layer, "") for layer, path in task.record.files.items()} if task.record else {}
    )
    digests = place_together(task.out, {task.files[layer]: _pixels(image) for layer, image in images.items()}, ours)
    return Record(
        task.name,
        dict(task.files),
        {layer: digests[path] for layer, path in task.files.items()},
        {
            "subset": task.item.subset,
            "split": task.item.split,
            "files": {layer: _below(task.root, task.item.files[layer]) for layer in task.files},
            "digests": dict(sources),
            "size": list(next(iter(sizes.values()))),
            "colours": colours,
        },
    )


def _take_away(out: Path, before: Record | None, now: Record) -> None:
    """Delete what an earlier run wrote of layers that an item does not have any more."""
    home = out.resolve()
    for layer, path in before.files.items() if before else ():
        there = out / path
        outside = home not in there.resolve().parents
        if path in now.files.values() or before is None or outside or not is_file(there, before.digests.get(layer, "")):
            continue
        there.unlink()


def _resized(image: Image.Image, short_side: int) -> Image.Image:
    """Return an image whose shorter side is no longer than that; smoothed, so that no pattern appears."""
    shorter = min(image.size)
    if not short_side or shorter <= short_side:
        return image
    width, height = (max(1, round(side * short_side / shorter)) for side in image.size)
    return image.resize((width, height), Image.Resampling.BICUBIC)


def _pixels(image: Image.Image) -> Tensor:
    pixels = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8)
    return pixels.view(image.height, image.width, 3).permute(2, 0, 1)


def _plan(config: PrepareConfig, listing: Listing) -> list[Task]:
    """Return what is to be done: items of several subsets carry theirs in the name, of several splits lie in theirs."""
    items = listing.items
    subsets = {_subset(listing.description, item.subset) for item in items}
    splits = {item.split for item in items}
    tasks = []
    for item in items:
        name = f"{_subset(listing.description, item.subset)}-{item.name}" if len(subsets) > 1 else item.name
        place = f"{item.split}/" if len(splits) > 1 and item.split else ""
        files = {
            layer: f"{place}{'' if layer == 'photo' else f'{layer}/'}{name}.{config.format}"
            for layer in _LAYERS
            if layer in item.files
        }
        tasks.append(Task(f"{place}{name}", item, listing.root, config.out, files, config.short_side, None))
    twice = [name for name, number in Counter(task.name for task in tasks).items() if number > 1]
    if twice:
        raise InputError(f"two items would be called {twice[0]}; prepare one subset at a time")
    return tasks


def _check_free(out: Path, listing: Listing) -> None:
    """Raise ``InputError`` if a folder is not to be written to."""
    home, source = out.resolve(), listing.root.resolve()
    own = listing.description.parts and (home == source or source in home.parents)
    files = [path.resolve() for item in (*listing.items, *listing.partial) for path in item.files.values()]
    if own or any(home in path.parents for path in files):
        raise InputError(f"{out} is where the set itself is; give --out another folder")
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file; give --out a folder")
    if out.is_dir() and foreign(out) and not (out / NAME).is_file():
        raise InputError(f"{out} holds other things; give --out a new folder, or one that was prepared before")


def _about(config: PrepareConfig) -> dict[str, Any]:
    return {
        "made by": "msloss-sirr data prepare",
        "set": config.name,
        "folder": str(config.folder.resolve()),
        "subset": config.subset,
        "split": config.split,
        "short_side": config.short_side,
        "format": config.format,
    }


def _subset(description: Description, name: str) -> str:
    """Return the subset of a version of it."""
    return next((part.subset for part in description.parts if name in part.counts), name)


def _below(root: Path, path: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)

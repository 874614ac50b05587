"""The draws that a configuration asks for."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import torch

from msloss_sirr.catalogue.layout import open_set, parse_source
from msloss_sirr.data.config import DataConfig
from msloss_sirr.data.damage import Damage
from msloss_sirr.data.draws import Draws
from msloss_sirr.data.folders import Cache, Images, PairPaths, Pairs, check_depth, check_pair, depth_paths, pairs_of
from msloss_sirr.errors import InputError
from msloss_sirr.images.listing import find_images
from msloss_sirr.images.reading import read_depth, read_size

_T = TypeVar("_T")


def build_draws(
    config: DataConfig,
    *,
    length: int,
    seed: int,
    depth: bool = False,
    degraded: bool = False,
    damage: Damage | None = None,
    device: torch.device | str = "cpu",
) -> Draws:
    """Return the draws that a configuration asks for.

    The header of every file is read; what cannot be is named and left out, as many times as the configuration bears. A
    photo or pair whose depth image is damaged is left out with it.

    Args:
        config: which pairs and photos, and how often each.
        length: draws in an epoch.
        seed: any integer.
        depth: whether to look for depth images beside the pairs and photos.
        degraded: whether photos are to be degraded otherwise than by reflections.
        damage: told of every file that is left out; ``None`` bears as many as the configuration does, and says nothing.
        device: where images are kept, and cropped, if that is where the configuration wants them.

    Raises:
        InputError: if a folder cannot be used, too many files are damaged, or there is nothing to draw from.
    """
    config.check_sources()
    damage = damage or Damage(config.damaged)
    sets = [_sound(list_pairs(text, depth=depth, stray=damage.meet), check_pair, damage) for text in config.pairs]
    photos = _sound([path for folder in config.photos for path in find_images(folder)], read_size, damage)
    depths = _depths_of(photos) if depth else {}
    if depth:
        photos = _sound(photos, lambda photo: check_depth(photo, depths[photo]), damage)
    for text, found in zip(config.pairs, sets, strict=True):
        if not found:
            raise InputError(f"{text} holds no pair that can be read")
    if config.photos and not photos:
        raise InputError(f"{', '.join(map(str, config.photos))}: no photo can be read")
    cache = _cache(config, device)
    return Draws(
        length=length,
        crop=config.crop,
        pairs=pairs_of([pair for found in sets for pair in found], cache) if sets else None,
        photos=Images(photos, cache) if photos else None,
        real_share=config.real_share,
        transplant_share=config.synthesis.transplant_share,
        clean_share=config.clean_share,
        degraded=degraded,
        pair_odds=_odds(config.pair_weights, sets) if config.pair_weights else None,
        seed=seed,
        photo_depths=Images([depths[photo] for photo in photos], cache, read_depth) if depth and photos else None,
        cache=cache,
    )


def open_pairs(text: str | Path, *, depth: bool = False) -> Pairs:
    """Return the pairs of a folder, or of a set of the catalogue; arguments and errors are those of `list_pairs`.

    The header of every file is read.

    Raises:
        InputError: besides, if a file is no image, or the images of a pair differ in size.
    """
    found = list_pairs(text, depth=depth)
    for pair in found:
        check_pair(pair)
    return pairs_of(found)


def list_pairs(text: str | Path, *, depth: bool = False, stray: Callable[[str], None] | None = None) -> list[PairPaths]:
    """Return the files of the pairs of a folder, or of a set of the catalogue.

    Args:
        text: a folder that holds ``ambient`` and ``transmission``, or ``SET=FOLDER``, ``SET/SUBSET=FOLDER``,
            ``SET/SUBSET/SPLIT=FOLDER``. Images are matched by name without suffix.
        depth: whether there must be depth images too, in a folder ``depth`` beside ``ambient``.
        stray: told of what has the name of an image and is no file; ``None`` for an error.

    Raises:
        InputError: if there is nothing of the kind, or a pair is not whole.
    """
    source = parse_source(str(text))
    found = []
    for item in open_set(source.name, source.folder, subset=source.subset, split=source.split, stray=stray):
        if not {"ambient", "transmission"} <= item.files.keys():
            raise InputError(f"{text} holds photographs, not pairs")
        ambient, depth_image = item.files["ambient"], item.files.get("depth")
        if depth and depth_image is None:
            raise InputError(f"{ambient} has no depth image; give it one, in a folder depth beside {ambient.parent}")
        found.append(PairPaths(ambient, item.files["transmission"], depth_image if depth else None))
    return found


def training_files(config: DataConfig, val: str | Path | None = None, *, depth: bool = False) -> dict[str, list[Path]]:
    """Return the files that a training is made from, by the folder or set they are of, and those it is validated on.

    What has the name of an image and is no file is left to `build_draws` to bear.

    Args:
        config: what is drawn from.
        val: what is validated on.
        depth: whether the depth images beside them are among them.
    """
    named = {f"pairs {text}": text for text in config.pairs}
    if val is not None:
        named[validation(val)] = str(val)
    files = {}
    for name, text in named.items():
        pairs = list_pairs(text, depth=depth, stray=lambda _: None)
        files[name] = [path for pair in pairs for path in pair if path is not None]
    for folder in config.photos:
        photos = find_images(folder)
        files[f"photos {folder}"] = photos + (list(_depths_of(photos).values()) if depth else [])
    return files


def validation(val: str | Path) -> str:
    """Return what `training_files` calls the pairs that a training is validated on."""
    return f"val {val}"


def _cache(config: DataConfig, device: torch.device | str) -> Cache:
    room = 0 if config.cache == "none" else int(config.cache_gib * 2**30)
    return Cache(room, device if config.cache == "device" else "cpu")


def _sound(found: Sequence[_T], check: Callable[[_T], object], damage: Damage) -> list[_T]:
    """Return those that pass a check; the others are damaged."""
    sound = []
    for each in found:
        try:
            check(each)
        except InputError as error:
            damage.meet(str(error))
        else:
            sound.append(each)
    return sound


def _odds(weights: Sequence[float], sets: Sequence[Sequence[object]]) -> list[float]:
    """Return how often each pair is drawn: its set's weight, shared among the pairs of the set."""
    return [weight / len(found) for weight, found in zip(weights, sets, strict=True) for _ in found]


def _depths_of(photos: Sequence[Path]) -> dict[Path, Path]:
    """Return the depth images by their photos, which they lie beside, each folder's in ``depth``."""
    found: dict[Path, Path] = {}
    for folder in dict.fromkeys(path.parent for path in photos):
        here = [path for path in photos if path.parent == folder]
        found.update(zip(here, depth_paths(folder / "depth", here), strict=True))
    return found

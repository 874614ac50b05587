"""Folders of photos and of pairs as sequences of decoded images."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from msloss_sirr.errors import InputError
from msloss_sirr.files import other_kind
from msloss_sirr.images.listing import find_images
from msloss_sirr.images.reading import read_depth, read_pixels, read_size


class ImageSequence(Protocol):
    """Decoded images by their number: a list of tensors, or `Images`."""

    def __len__(self) -> int:
        """Return how many there are."""

    def __getitem__(self, index: int, /) -> Tensor:
        """Return one of them."""


class Cache:
    """Room for decoded images, which several sequences may share.

    Args:
        room: bytes.
        device: where they are kept, and returned.
    """

    def __init__(self, room: int = 2**31, device: torch.device | str = "cpu") -> None:
        self.device = torch.device(device)
        self._room = room

    def take(self, size: int) -> bool:
        """Take so many bytes of the room, and return whether there were as many."""
        fits = size <= self._room
        self._room -= size if fits else 0
        return fits


class Images:
    """Image files as a sequence of tensors, decoded when first asked for.

    Args:
        paths: the files.
        cache: where decoded images are kept while there is room; those that follow are decoded anew each time.
            ``None`` is one of its own, of 2 GiB.
        read: decodes a file; the default gives ``(3, H, W)`` uint8.
    """

    def __init__(
        self, paths: Sequence[Path], cache: "Cache | None" = None, read: Callable[[Path], Tensor] = read_pixels
    ) -> None:
        self.paths = tuple(paths)
        self._read = read
        self._cache = Cache() if cache is None else cache
        self._kept: dict[int, Tensor] = {}

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Tensor:
        if index in self._kept:
            return self._kept[index]
        pixels = self._read(self.paths[index]).to(self._cache.device)
        if self._cache.take(pixels.nbytes):
            self._kept[index] = pixels
        return pixels


class Pair(NamedTuple):
    """A photograph taken through glass, and the same scene without; ``(3, H, W)`` uint8."""

    ambient: Tensor
    transmission: Tensor
    depth: Tensor | None
    """The depth image that lies beside them, ``(1, H, W)`` float32, if there is one."""


class Pairs:
    """Pairs of ambient and transmission, ``(3, H, W)`` uint8 tensors of one size each.

    Args:
        ambient: photographs taken through glass.
        transmission: the same scenes without, in the same order.
        depth: depth images of them, ``(1, H, W)`` float32, likewise.
    """

    def __init__(self, ambient: ImageSequence, transmission: ImageSequence, depth: ImageSequence | None = None) -> None:
        if len(ambient) != len(transmission):
            raise ValueError(f"{len(ambient)} ambient images but {len(transmission)} transmission images")
        if depth is not None and len(depth) != len(ambient):
            raise ValueError(f"{len(ambient)} pairs but {len(depth)} depth images")
        self.ambient = ambient
        self.transmission = transmission
        self.depth = depth

    def __len__(self) -> int:
        return len(self.ambient)

    def __getitem__(self, index: int) -> Pair:
        ambient, transmission = self.ambient[index], self.transmission[index]
        if ambient.shape != transmission.shape:
            raise InputError(
                f"pair {index} is of two sizes, {tuple(ambient.shape)} and {tuple(transmission.shape)}; bring it to one"
            )
        return Pair(ambient, transmission, None if self.depth is None else self.depth[index])


class PairPaths(NamedTuple):
    """The files of a pair."""

    ambient: Path
    transmission: Path
    depth: Path | None = None


def photo_folder(folder: Path) -> Images:
    """Return the photos of a folder, by name.

    Raises:
        InputError: if there is no such folder, no image in it, or a file in it that is no image.
    """
    paths = find_images(folder)
    for path in paths:
        read_size(path)
    return Images(paths)


def pairs_of(found: Sequence[PairPaths], cache: Cache | None = None) -> Pairs:
    """Return the pairs of files, decoded images in a cache; all have a depth image, or none is used."""
    cache = Cache() if cache is None else cache
    depths = [pair.depth for pair in found if pair.depth is not None]
    return Pairs(
        Images([pair.ambient for pair in found], cache),
        Images([pair.transmission for pair in found], cache),
        Images(depths, cache, read_depth) if len(depths) == len(found) else None,
    )


def check_pair(pair: PairPaths) -> None:
    """Raise ``InputError`` if a file of a pair is no image, its depth image none, or they differ in size."""
    (height, width), other = read_size(pair.ambient), read_size(pair.transmission)
    if (height, width) != other:
        raise InputError(
            f"{pair.ambient} is {width}x{height} but its transmission is {other[1]}x{other[0]}; "
            "bring the pair to one size"
        )
    if pair.depth is not None:
        check_depth(pair.ambient, pair.depth)


def by_stem(folder: Path) -> dict[str, Path]:
    """Return the images of a folder by name without suffix; what is no file counts only where no file has its name.

    Raises:
        InputError: if there is no such folder, no image in it, or two files have the same name.
    """
    found: dict[str, Path] = {}
    for path in sorted(find_images(folder), key=lambda path: bool(other_kind(path))):  # files first
        if path.stem in found:
            if other_kind(path):
                continue
            raise InputError(f"{path} and {found[path.stem].name} have the same name; keep one of them")
        found[path.stem] = path
    return found


def depth_paths(folder: Path, photos: Sequence[Path]) -> list[Path]:
    """Return the depth images of photographs: the files of a folder that have their names, whatever the suffix.

    What is in them is for `check_depth` to say.

    Raises:
        InputError: if there is no such folder, or a depth image is missing.
    """
    found = by_stem(folder)
    for photo in photos:
        if photo.stem not in found:
            raise InputError(f"{photo} has no depth image; give it one, {folder / photo.stem}.png say")
    return [found[photo.stem] for photo in photos]


def depth_images(folder: Path, photos: Sequence[Path]) -> Images:
    """Return the depth images of photographs, decoded; errors are those of `depth_paths` and `check_depth`."""
    paths = depth_paths(folder, photos)
    for photo, path in zip(photos, paths, strict=True):
        check_depth(photo, path)
    return Images(paths, read=read_depth)


def check_depth(photo: Path, depth: Path) -> None:
    """Raise ``InputError`` if the depth image of a photograph is no image, of several channels, or of another size."""
    (height, width), other = read_size(photo), read_size(depth, depth=True)
    if (height, width) != other:
        raise InputError(
            f"{photo} is {width}x{height} but its depth image is {other[1]}x{other[0]}; bring it to that size"
        )

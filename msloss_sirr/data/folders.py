"""Folders of photos and of pairs as sequences of decoded images."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from torch import Tensor

from msloss_sirr.errors import InputError
from msloss_sirr.images.listing import find_images
from msloss_sirr.images.reading import read_pixels, read_size


class ImageSequence(Protocol):
    """Decoded images by their number, ``(3, H, W)`` uint8: a list of tensors, or `Images`."""

    def __len__(self) -> int:
        """Return how many there are."""

    def __getitem__(self, index: int, /) -> Tensor:
        """Return one of them."""


class Images:
    """Image files as a sequence of ``(3, H, W)`` uint8 tensors, decoded when first asked for.

    Args:
        paths: the files.
        cache_bytes: decoded images are kept until they fill this many bytes; those that follow are decoded anew
            each time.
    """

    def __init__(self, paths: Sequence[Path], cache_bytes: int = 2**31) -> None:
        self.paths = tuple(paths)
        self._room = cache_bytes
        self._kept: dict[int, Tensor] = {}

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Tensor:
        if index in self._kept:
            return self._kept[index]
        pixels = read_pixels(self.paths[index])
        if pixels.nbytes <= self._room:
            self._room -= pixels.nbytes
            self._kept[index] = pixels
        return pixels


class Pairs:
    """Pairs of ambient and transmission, ``(3, H, W)`` uint8 tensors of one size each.

    Args:
        ambient: photographs taken through glass.
        transmission: the same scenes without, in the same order.
    """

    def __init__(self, ambient: ImageSequence, transmission: ImageSequence) -> None:
        if len(ambient) != len(transmission):
            raise ValueError(f"{len(ambient)} ambient images but {len(transmission)} transmission images")
        self.ambient = ambient
        self.transmission = transmission

    def __len__(self) -> int:
        return len(self.ambient)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        ambient, transmission = self.ambient[index], self.transmission[index]
        if ambient.shape != transmission.shape:
            raise InputError(
                f"pair {index} is of two sizes, {tuple(ambient.shape)} and {tuple(transmission.shape)}; bring it to one"
            )
        return ambient, transmission


def photo_folder(folder: Path) -> Images:
    """Return the photos of a folder, by name.

    Raises:
        InputError: if there is no such folder, no image in it, or a file in it that is no image.
    """
    paths = find_images(folder)
    for path in paths:
        read_size(path)
    return Images(paths)


def pair_folder(folder: Path) -> Pairs:
    """Return the pairs of a folder: ``ambient/NAME`` and ``transmission/NAME``, matched by name without suffix.

    Raises:
        InputError: if a folder is missing or empty, a name has no counterpart or stands for two files, a file is no
            image, or the images of a pair differ in size.
    """
    if not folder.is_dir():
        find_images(folder)  # says what is wrong with it
    for part in ("ambient", "transmission"):
        if not (folder / part).is_dir():
            raise InputError(f"{folder} has no folder {part!r}; a folder of pairs holds ambient/ and transmission/")
    ambient, transmission = (_by_stem(folder / part) for part in ("ambient", "transmission"))
    alone = sorted(ambient.keys() ^ transmission.keys())
    if alone:
        names = ", ".join(alone[:3]) + (f" and {len(alone) - 3} more" if len(alone) > 3 else "")
        raise InputError(
            f"{folder}: {names} in only one of ambient/ and transmission/; give every image its counterpart"
        )
    for name, path in ambient.items():
        (height, width), other = read_size(path), read_size(transmission[name])
        if (height, width) != other:
            raise InputError(
                f"{path} is {width}x{height} but its transmission is {other[1]}x{other[0]}; bring the pair to one size"
            )
    names_in_order = sorted(ambient)
    return Pairs(Images([ambient[n] for n in names_in_order]), Images([transmission[n] for n in names_in_order]))


def _by_stem(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in find_images(folder):
        if path.stem in found:
            raise InputError(f"{path} and {found[path.stem].name} have the same name; keep one of them")
        found[path.stem] = path
    return found

"""A photograph on the page: looked at once, shown at any strength, written as the command line writes it."""

import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

import torch

from msloss_sirr.depth.source import DepthSource
from msloss_sirr.errors import InputError
from msloss_sirr.images.listing import PHOTO_SUFFIXES, is_image_name
from msloss_sirr.images.opening import opened
from msloss_sirr.images.reading import to_bytes
from msloss_sirr.images.writing import write_pixels
from msloss_sirr.layers import Layers
from msloss_sirr.photo.estimating import Restorer
from msloss_sirr.photo.jobs import Job
from msloss_sirr.photo.options import RemovalOptions
from msloss_sirr.photo.removal import Found, find_reflection, take_off
from msloss_sirr.photo.results import colours_of, write_removal
from msloss_sirr.photo.scene import Scene
from msloss_sirr.photo_files.photo import Photo
from msloss_sirr.photo_files.reading import FORMATS, read_photo

PREVIEW = 1600
"""Pixels of the long side, to which what is shown is reduced."""


class Tool(NamedTuple):
    """What all photographs are computed with."""

    remover: Callable[..., Layers]
    source: DepthSource | None
    """Where depth comes from, if the remover is guided by it."""
    device: torch.device
    max_memory: str | None = None
    max_pixels: int = 10**8

    def options(self, strength: float, steps: int | Literal["auto"]) -> RemovalOptions:
        """Return how a reflection is to be taken off."""
        return RemovalOptions(strength=strength, steps=steps, max_memory=self.max_memory)


class Shown(NamedTuple):
    """What the page shows of a photograph: files of at most `PREVIEW` pixels a side, sRGB, and a sentence."""

    before: Path
    after: Path
    reflection: Path
    told: str


@dataclass
class Session:
    """A photograph that somebody has given to the page.

    All its files are in a folder of its own, with the photograph, which is a second name for the file that was given.
    """

    tool: Tool
    source: Path
    _size: tuple[int, int] = (0, 0)
    _preview: Scene | None = None
    _found: dict[int | str, Found] = field(default_factory=dict)

    @classmethod
    def begin(cls, tool: Tool, given: Path, folder: Path) -> "Session":
        """Return the session of a file.

        Args:
            tool: to compute with.
            given: the file.
            folder: where all that comes of it is to be; there is nothing in it yet.

        Raises:
            InputError: if the file is not named as an image.
        """
        if not is_image_name(given, PHOTO_SUFFIXES):
            raise InputError(
                f"{given} is not named as an image; {', '.join(sorted(PHOTO_SUFFIXES))} can be read and written"
            )
        source = folder / given.name
        os.link(given, source)
        return cls(tool, source)

    def show(self, options: RemovalOptions) -> Shown:
        """Return what is to be seen; the network is used only where it has not been with as many steps.

        Raises:
            InputError: if the file cannot be read, or is too large.
            OSError: if nothing can be written.
            ValueError: if the remover's estimate goes astray.
        """
        if options.steps not in self._found or self._preview is None:
            photo = self._read()
            scene = self._scene(photo)
            self._size = scene.size
            self._found[options.steps] = self._find(scene, options)
            self._preview = Scene(to_bytes(scene.reduced(*_preview_size(*scene.size))).cpu(), None, self.tool.device)
        seen, found = self._preview, self._found[options.steps]
        removal = take_off(seen, Found(found.change.at(*seen.size), found.visible), options, reflection=True)
        folder = self._fresh("shown")
        before, after, layer = (folder / f"{name}.jpg" for name in ("before", "after", "reflection"))
        shown = Shown(before, after, layer, self._told(options, changed=removal.changed))
        write_pixels(shown.before, seen.pixels)
        write_pixels(shown.after, removal.transmission)
        if removal.reflection is not None:
            write_pixels(shown.reflection, removal.reflection)
        return shown

    def write(self, options: RemovalOptions, *, reflection: bool) -> Path:
        """Write the transmission, or the reflection, at full size, as ``msloss-sirr remove`` does; return its path.

        Raises:
            InputError: if the file cannot be read.
            OSError: if nothing can be written.
            ValueError: if the remover's estimate goes astray.
        """
        photo = self._read()
        scene = self._scene(photo)
        if options.steps not in self._found and options.strength > 0:
            self._found[options.steps] = self._find(scene, options)
        removal = take_off(scene, self._found.get(options.steps), options, reflection=reflection)
        target = self._fresh("made") / self.source.name
        beside = target.with_stem(f"{target.stem}-reflection") if reflection else None
        write_removal(Job(self.source, target, beside), photo, removal)
        return target if beside is None else beside

    def _read(self) -> Photo:
        with opened(self.source, FORMATS) as image:
            width, height = image.size
        if width * height > self.tool.max_pixels:
            most = f"{self.tool.max_pixels / 10**6:g} megapixels (--max-pixels)"
            raise InputError(f"{self.source} is too large: {width}x{height} pixels; this page takes up to {most}")
        return read_photo(self.source)

    def _scene(self, photo: Photo) -> Scene:
        return Scene(photo.pixels, colours_of(photo), self.tool.device)

    def _find(self, scene: Scene, options: RemovalOptions) -> Found:
        return find_reflection(scene, Restorer(self.tool.remover, options.steps, self.tool.source), options)

    def _told(self, options: RemovalOptions, *, changed: bool) -> str:
        height, width = self._size
        what = "its reflection is taken off."
        if options.strength == 0:
            what = "at strength 0, it stays as it is."
        elif not changed:
            what = "no reflection was found, so it stays as it is."
        return f"{self.source.name}, {width} x {height} pixels: {what}"

    def _fresh(self, kind: str) -> Path:
        """Return a folder that is empty, and drop those of its kind but the last, which may still be on its way."""
        before = sorted(self.source.parent.glob(f"{kind}-*"), key=lambda path: path.stat().st_mtime_ns)
        for path in before[:-1]:
            shutil.rmtree(path, ignore_errors=True)
        return Path(tempfile.mkdtemp(prefix=f"{kind}-", dir=self.source.parent))


def _preview_size(height: int, width: int) -> tuple[int, int]:
    long = max(height, width)
    if long <= PREVIEW:
        return height, width
    return max(1, round(height * PREVIEW / long)), max(1, round(width * PREVIEW / long))

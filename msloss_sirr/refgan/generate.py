"""Data sets made by RefGAN."""

import os
import random
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torchvision.transforms.v2.functional as transforms
from rich.console import Console
from rich.progress import track
from torch import Tensor, nn

from msloss_sirr.catalogue.manifest import NAME, Manifest, Record, digest
from msloss_sirr.catalogue.placing import make_room, place
from msloss_sirr.data.damage import Damage
from msloss_sirr.data.folders import Images, ImageSequence, Pairs
from msloss_sirr.data.reflections import Reflections
from msloss_sirr.data.sources import open_pairs
from msloss_sirr.devices import find_device
from msloss_sirr.errors import InputError
from msloss_sirr.images.listing import find_images
from msloss_sirr.images.reading import read_pixels, to_bytes, to_float
from msloss_sirr.locks import held
from msloss_sirr.refgan.checkpoint import load_generator
from msloss_sirr.refgan.config import RefganGenerateConfig
from msloss_sirr.refgan.generator import Generator
from msloss_sirr.refgan.style import degraded, smooth_noise

_PARTS = ("ambient", "transmission")
_TRIES = 20
_SATURATED = 0.98
_SMALLEST = 16
"""Side of pictures below which there is no telling a reflection from a scene."""


class Made(NamedTuple):
    """A pair that was made, ``(3, H, W)`` uint8, and what from."""

    ambient: Tensor
    transmission: Tensor
    origin: dict[str, Any]


def generate(config: RefganGenerateConfig) -> int:
    """Make a data set of pairs, and return how many of them had to be made.

    A pair is a function of the seed, its number, the checkpoint and the images: pairs that the folder has already, as
    its manifest says, are left as they are, so that work that was interrupted goes on where it was. All photos are
    decoded before the first pair is made; damaged ones are named and left out, as many as the configuration bears.

    Raises:
        InputError: if the checkpoint, a folder or the device cannot be used, the out folder holds what was made
            otherwise, another run is writing to it, or hardly a picture passes the filter.
    """
    generator = load_generator(config.checkpoint)
    if generator.config.style == "reference" and config.references is None:
        raise InputError(f"{config.checkpoint} lays reflections on photos; give --references, a folder of real pairs")
    if generator.config.style != "reference" and config.references is not None:
        raise InputError(f"{config.checkpoint} is given no reflections; leave out --references")
    references = None if config.references is None else open_pairs(config.references)
    damage = Damage(config.damaged, lambda line: print(line, file=sys.stderr))  # noqa: T201
    maker = Maker(generator.to(find_device(config.device)), _sound(config.photos, damage), references, config)
    if not (config.out / NAME).exists() and any((config.out / part).exists() for part in _PARTS):
        raise InputError(f"{config.out} holds pairs that refgan has not made; give another --out")
    with held(config.out):
        return _generate(config, maker)


def _generate(config: RefganGenerateConfig, maker: "Maker") -> int:
    """Make the pairs that the folder lacks, and return how many those were."""
    manifest = Manifest(config.out, maker.about())
    missing = [number for number in range(config.count) if not manifest.intact(_name(number))]
    make_room(config.out, [config.out / part for part in _PARTS])
    console = Console(stderr=True)
    for number in track(missing, "generating", console=console, disable=not console.is_terminal):
        made = maker.pair(number)
        files = {part: f"{part}/{_name(number)}.png" for part in _PARTS}
        before = manifest.records.get(_name(number))
        for part, pixels in (("ambient", made.ambient), ("transmission", made.transmission)):
            place(config.out / files[part], pixels, before.digests.get(part, "") if before else "")
        digests = {part: digest(config.out / path) for part, path in files.items()}
        manifest.add(Record(_name(number), files, digests, made.origin))
    manifest.finish()
    return len(missing)


class Maker:
    """Makes pairs, each a function of its number.

    Args:
        generator: in evaluation mode.
        photos: photos without reflections.
        references: pairs to take reflections from, if the generator is given any.
        config: crop, seed, and what passes.
    """

    def __init__(
        self, generator: Generator, photos: ImageSequence, references: Pairs | None, config: RefganGenerateConfig
    ) -> None:
        self.generator = generator
        self.photos = photos
        self.references = references
        self.config = config
        self.names = _names(photos), _names(references.ambient) if references else []
        self.device = next(generator.parameters()).device
        self.reflections = Reflections(references) if references else ()
        for module in generator.modules():
            if isinstance(module, nn.Dropout):
                module.train(config.dropout)

    def about(self) -> dict[str, Any]:
        """Return what all pairs are a function of, for a manifest."""
        config = self.config
        return {
            "made_by": "refgan",
            "checkpoint": digest(config.checkpoint),
            "network": dict(vars(self.generator.config)),
            "photos": _folder(self.photos),
            "references": None if self.references is None else _folder(self.references.ambient),
            "seed": config.seed,
            "crop": config.crop,
            "dropout": config.dropout,
            "least": config.least,
            "most": config.most,
        }

    @torch.no_grad()
    def pair(self, number: int) -> Made:
        """Return the first of several tries at a pair that passes the filter.

        Raises:
            InputError: if none does.
        """
        for attempt in range(_TRIES):
            made = self._try(random.Random(f"{self.config.seed}:{number}:{attempt}"))  # noqa: S311
            if passes(to_float(made.ambient), to_float(made.transmission), self.config.least, self.config.most):
                return made._replace(origin={**made.origin, "attempt": attempt})
        raise InputError(
            f"{_TRIES} tries at pair {number} had too weak a reflection, or too many saturated pixels; "
            "give a generator that was trained for longer, or a lower --least and a higher --most"
        )

    def _try(self, rng: random.Random) -> Made:
        which = rng.randrange(len(self.photos))
        photo, crop = self.photos[which], self.config.crop
        shape = (photo.shape[1], photo.shape[2]) if crop is None else (crop, crop)
        window = Window.drawn(rng, photo, shape)
        pixels = window.cut(photo, shape)
        transmission = to_float(pixels)[None].to(self.device)
        seed = rng.getrandbits(63)
        style, told = self._style(rng, seed, transmission)
        with torch.random.fork_rng([self.device] if self.device.type == "cuda" else []):
            torch.manual_seed(seed)
            ambient = self.generator(transmission, style)[0]
        origin = {"photo": self.names[0][which], "window": window._asdict(), "seed": seed, **told}
        return Made(to_bytes(ambient).cpu(), pixels, origin)

    def _style(self, rng: random.Random, seed: int, like: Tensor) -> tuple[Tensor | None, dict[str, Any]]:
        """Return the style of a pair, and what it is from."""
        if self.generator.config.style == "noise":
            return smooth_noise([seed], like), {}
        if self.references is None:
            return None, {}
        shape = (like.shape[2], like.shape[3])
        for _ in range(_TRIES):
            which = rng.randrange(len(self.references))
            reflection = self.reflections[which]
            if reflection is not None:
                window = Window.drawn(rng, reflection, shape)
                style = degraded(to_float(window.cut(reflection, shape))[None].to(self.device), [seed])
                told = {"reference": self.names[1][which], "reference_window": window._asdict()}
                return style, told
        raise InputError("hardly any of the references shows one scene twice; give other pairs")


class Window(NamedTuple):
    """A part of an image, in pixels."""

    top: int
    left: int
    height: int
    width: int
    mirrored: bool

    @classmethod
    def drawn(cls, rng: random.Random, image: Tensor, shape: tuple[int, int]) -> "Window":
        """Return a random window of the proportions of ``shape``, between as large as it and what ``image`` holds."""
        sides = (image.shape[1], image.shape[2])
        largest = min(side / wanted for side, wanted in zip(sides, shape, strict=True))
        scale = rng.uniform(min(1.0, largest), largest)
        height, width = (min(max(round(scale * wanted), 1), side) for side, wanted in zip(sides, shape, strict=True))
        top, left = rng.randint(0, sides[0] - height), rng.randint(0, sides[1] - width)
        return cls(top, left, height, width, rng.random() < 0.5)

    def cut(self, image: Tensor, shape: tuple[int, int]) -> Tensor:
        """Return this part of an image, resized."""
        place = (self.top, self.left, self.height, self.width)
        part: Tensor = transforms.resized_crop(image, *place, list(shape), antialias=True)
        return part.flip(-1) if self.mirrored else part


def passes(ambient: Tensor, transmission: Tensor, least: float, most: float) -> bool:
    """Return whether a pair, ``(3, H, W)`` in [0, 1], has a reflection that is neither too weak nor blinding.

    Args:
        ambient: I.
        transmission: T.
        least: what the mean of I - T, where positive, must reach.
        most: the share of pixels that may be saturated (0.98 in all channels) in I and not in T.
    """
    blind = (ambient.amin(0) >= _SATURATED) & (transmission.amin(0) < _SATURATED)
    weak = float((ambient - transmission).clamp(min=0).mean()) < least
    return not weak and float(blind.float().mean()) <= most


def _sound(folder: Path, damage: Damage) -> Images:
    """Return the photos of a folder that can be decoded, and are large enough."""
    sound = []
    for path in find_images(folder):
        try:
            _check_photo(path)
        except InputError as error:
            damage.meet(str(error))
        else:
            sound.append(path)
    if not sound:
        raise InputError(f"{folder} holds no photo that can be used")
    return Images(sound)


def _check_photo(path: Path) -> None:
    height, width = read_pixels(path).shape[1:]
    if min(height, width) < _SMALLEST:
        raise InputError(f"{path} is {width}x{height}; {_SMALLEST} pixels a side is the least")


def _name(number: int) -> str:
    return f"{number:05}"


def _names(images: ImageSequence) -> list[str]:
    """Return what images are called: their paths below what they have in common."""
    if not isinstance(images, Images):
        return [str(number) for number in range(len(images))]
    paths = [os.path.abspath(path) for path in images.paths]  # noqa: PTH100 - links are not followed
    common = os.path.commonpath([os.path.dirname(path) for path in paths])  # noqa: PTH120
    return [Path(os.path.relpath(path, common)).as_posix() for path in paths]


def _folder(images: ImageSequence) -> dict[str, Any]:
    """Return how many images there are, and a digest of their names and of what they hold."""
    whole = sha256()
    for number, name in enumerate(_names(images)):
        held = digest(images.paths[number]) if isinstance(images, Images) else ""
        whole.update(f"{name}\n{held}\n".encode(errors="surrogateescape"))
    return {"images": len(images), "digest": whole.hexdigest()}

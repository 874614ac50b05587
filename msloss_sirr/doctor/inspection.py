"""What can be seen of one item by itself: its files decoded, and its images held against each other."""

import hashlib
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from PIL import Image
from torch import Tensor

from msloss_sirr.catalogue.items import Item
from msloss_sirr.doctor.perceptual_hash import hash_of
from msloss_sirr.errors import InputError
from msloss_sirr.files import check_file
from msloss_sirr.images.reading import read_depth, read_pixels, to_float
from msloss_sirr.images.registration import register

_LONGEST = 1024
"""Longer sides are reduced to this many pixels or fewer before images are held against each other."""
_FLAT = 2 / 255
"""Standard deviation of the grey of an image in which there is nothing to see."""
_ORIENTATION = 0x0112
_FORMS = {
    "1": "black and white",
    "CMYK": "CMYK",
    "F": "32 bits",
    "I": "32 bits",
    "L": "grey",
    "LA": "grey with alpha",
    "P": "palette",
    "PA": "palette with alpha",
    "RGB": "",
    "RGBA": "alpha",
    "YCbCr": "",
}


class Look(NamedTuple):
    """An image file, decoded."""

    error: str
    """Why it cannot be read; the rest is then of no meaning, but for ``form`` and ``turned``."""
    form: str
    """What it is other than RGB of 8 bits; empty if it is that."""
    turned: bool
    """Whether its EXIF data turn it."""
    size: tuple[int, int]
    """Height and width, upright."""
    digest: str
    """SHA-256 of its pixels and their form."""
    print: bytes
    """What it looks like, see `msloss_sirr.doctor.perceptual_hash`; empty if there is nothing to see."""


class Match(NamedTuple):
    """An ambient image held against its transmission."""

    right: float
    """Pixels that the ambient image is further to the right; of the files as they are."""
    down: float
    likeness: float
    """See `msloss_sirr.images.registration.Registration`; 1 where one of them shows nothing."""
    step: int
    """By how much both were reduced before."""
    brighter: float
    """By how much the ambient image is brighter, in the mean, of [0, 1]."""
    lifted: float
    """By how much its shadows are: of the darkest twentieth, the brightest."""
    differing: float
    """Mean of the absolute difference."""


class Seen(NamedTuple):
    """All that is to be seen of an item."""

    looks: Mapping[str, Look]
    match: Match | None
    """None if there is no pair, or it cannot be read, or is of two sizes."""


def see(item: Item) -> Seen:
    """Look at an item; what is wrong with its files is in what is returned, never raised."""
    looks: dict[str, Look] = {}
    small: dict[str, Image.Image] = {}
    for layer, path in item.files.items():
        form, turned = _form_of(path)
        try:
            if layer == "depth":
                height, width = read_depth(path).shape[1:]
                looks[layer] = Look("", "", turned, (height, width), "", b"")
            else:
                looks[layer], small[layer] = _look(path, form, turned=turned)
        except InputError as error:
            looks[layer] = Look(_without_path(str(error), path), form, turned, (0, 0), "", b"")
    pair = [looks.get(layer) for layer in ("ambient", "transmission")]
    if any(look is None or look.error for look in pair) or len({look.size for look in pair if look}) > 1:
        return Seen(looks, None)
    step = _step(looks["ambient"].size)
    return Seen(looks, _match(_tensor(small["ambient"]), _tensor(small["transmission"]), step))


def _look(path: Path, form: str, *, turned: bool) -> tuple[Look, Image.Image]:
    """Return a look at an image, and the image reduced; nothing else of it stays in memory."""
    array = read_pixels(path).permute(1, 2, 0).contiguous().numpy()
    height, width, _ = array.shape
    digest = hashlib.sha256(f"{height}x{width}".encode())
    digest.update(array.data)
    image = Image.fromarray(array)
    look = Look("", form, turned, (height, width), digest.hexdigest(), hash_of(image))
    return look, image.reduce(_step((height, width)))


def _step(size: tuple[int, int]) -> int:
    return -(-max(size) // _LONGEST)


def _match(ambient: Tensor, transmission: Tensor, step: int) -> Match:
    difference = ambient - transmission
    flat = min(float(image.mean(1).std(correction=0)) for image in (ambient, transmission)) < _FLAT
    right, down, likeness = 0.0, 0.0, 1.0
    if not flat:
        found = register(ambient, transmission)
        right, down, likeness = float(found.right) * step, float(found.down) * step, float(found.likeness)
    shadows = [
        image.mean(1).flatten().kthvalue(1 + image[0, 0].numel() // 20).values for image in (ambient, transmission)
    ]
    lifted = float(shadows[0] - shadows[1])
    return Match(right, down, likeness, step, float(difference.mean()), lifted, float(difference.abs().mean()))


def _tensor(image: Image.Image) -> Tensor:
    width, height = image.size
    pixels = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8)
    return to_float(pixels.view(1, height, width, 3).permute(0, 3, 1, 2))


def _form_of(path: Path) -> tuple[str, bool]:
    """Return what an image file is other than RGB of 8 bits, and whether its EXIF data turn it, from its header."""
    try:
        check_file(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = Image.open(path)
        with image:
            deep = "I;16" in image.mode or any(";16" in str(tile) for tile in getattr(image, "tile", ()))
            form = "16 bits" if deep else _FORMS.get(image.mode, image.mode)
            if form == "" and "transparency" in image.info:
                form = "alpha"
            return form, image.getexif().get(_ORIENTATION, 1) in range(2, 9)
    except Exception:  # Pillow raises anything at all; reading the pixels will say what is wrong
        return "", False


def _without_path(message: str, path: Path) -> str:
    for prefix in (f"cannot read {path}: ", f"{path} "):
        message = message.removeprefix(prefix)
    return message

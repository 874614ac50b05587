"""Colours of an ICC profile, to sRGB and back."""

import struct
from collections.abc import Callable
from io import BytesIO
from typing import Literal, cast

import numpy as np
import torch
from PIL import Image, ImageCms
from torch import Tensor

from msloss_sirr.photo_files.curves import Curve, read_curve, srgb_curve

Reading = Literal["sRGB", "matrix", "grey", "table", "unreadable"]

_SRGB = ((0.4360657, 0.3851471, 0.1430664), (0.2224932, 0.7168870, 0.0606079), (0.0139160, 0.0970764, 0.7140961))
"""XYZ of sRGB's red, green and blue under D50, as columns; what profiles of it hold (IEC 61966-2-1, ICC.1:2010)."""
_SAME = 1 / 510
"""Profiles that differ from sRGB by less than half a step of 8 bits everywhere are sRGB: most were rounded."""
_BLOCK = 2**20
"""Pixels that are converted at a time: the conversion works in float64, and large photographs are float32."""


class Colours:
    """The colour space of a photograph, from its ICC profile.

    ``reading`` says how the profile is understood:

    - ``"sRGB"``: there is none, or it is sRGB up to half a step of 8 bits. Both conversions return what they are given.
    - ``"matrix"``: three curves and a matrix, as in Display P3, Adobe RGB, ProPhoto RGB. Exact up to the rounding of
      the tensor's type. Such a profile is taken at its matrix even if it has look-up tables, too.
    - ``"grey"``: a grey profile with a curve; the three channels are equal, and go through it one by one.
    - ``"table"``: look-up tables alone. Converted by ImageCms, in 8 bits: what goes there and back is rounded.
    - ``"unreadable"``: taken for sRGB, as browsers do.

    sRGB holds fewer colours than most of these: `to_srgb` leaves [0, 1] where a colour is outside sRGB, and
    `from_srgb` takes such numbers. Beyond [0, 1] all curves go on: below 0 point-symmetric, f(-x) = -f(x), above 1 by
    their formula, or, if they are sampled, in proportion. So ``from_srgb(to_srgb(x)) == x`` wherever the
    profile's own curves rise; where one is flat (some are, near black) it gives one of the colours that look the same.
    In float32 it holds to 1e-5, but where a channel is below 0.01 beside bright ones, there to 6e-4: that is as well as
    float32 holds such colours in sRGB, and less than half a step of 8 bits. Relative colorimetric, without black point
    compensation.

    Args:
        profile: the bytes of an ICC profile, or ``None``.
    """

    def __init__(self, profile: bytes | None) -> None:
        self.reading: Reading = "sRGB"
        self._curves: tuple[Curve, ...] = ()
        self._matrix = torch.eye(3, dtype=torch.float64)
        self._tables: tuple[Callable[[Image.Image], Image.Image], ...] = ()
        if not profile:
            return
        try:
            self._read(profile)
        except Exception:  # a damaged profile; ImageCms may raise anything at all
            self.reading = "unreadable"

    def to_srgb(self, pixels: Tensor) -> Tensor:
        """Return colours ``(3, H, W)`` of this space as sRGB, in the same type; outside [0, 1] what sRGB cannot hold.

        Args:
            pixels: floating-point, in [0, 1] where the photograph's own.
        """
        return self._converted(pixels, to=True)

    def from_srgb(self, pixels: Tensor) -> Tensor:
        """Return sRGB colours ``(3, H, W)`` in this space, in the same type; outside [0, 1] what it cannot hold.

        Args:
            pixels: floating-point; may be outside [0, 1].
        """
        return self._converted(pixels, to=False)

    def _read(self, profile: bytes) -> None:
        tags = _tags(profile)
        space = profile[16:20]
        if space == b"GRAY":
            self._curves, self.reading = (read_curve(tags[b"kTRC"]),) * 3, "grey"
            return
        if space != b"RGB ":
            raise ValueError("a profile of neither RGB nor grey")
        if not {f"{channel}{kind}".encode() for channel in "rgb" for kind in ("XYZ", "TRC")} <= tags.keys():
            self._tables, self.reading = _transforms(profile), "table"
            return
        columns = [struct.unpack(">3i", tags[name][8:20]) for name in (b"rXYZ", b"gXYZ", b"bXYZ")]
        own = torch.tensor(columns, dtype=torch.float64).T / 65536
        self._curves = tuple(read_curve(tags[name]) for name in (b"rTRC", b"gTRC", b"bTRC"))
        self._matrix = torch.linalg.inv(torch.tensor(_SRGB, dtype=torch.float64)) @ own
        if torch.linalg.cond(self._matrix) > 1e4:
            raise ValueError("its primaries are no basis")
        self.reading = "matrix"
        step = torch.linspace(0, 1, 33, dtype=torch.float64)
        grid = torch.stack(torch.meshgrid(step, step, step, indexing="ij")).flatten(2)
        there = self.to_srgb(grid)
        if not there.isfinite().all() or not self.from_srgb(there).isfinite().all():
            raise ValueError("its curves leave the finite numbers")
        if (there - grid).abs().max() < _SAME:
            self.reading = "sRGB"

    def _converted(self, pixels: Tensor, *, to: bool) -> Tensor:
        if pixels.dim() != 3 or pixels.shape[0] != 3 or not pixels.is_floating_point():
            raise ValueError(f"pixels is {tuple(pixels.shape)} of {pixels.dtype}; give (3, H, W), floating-point")
        if self.reading in ("sRGB", "unreadable"):
            return pixels
        if self.reading == "table":
            return _through(self._tables[0 if to else 1], pixels)
        result = torch.empty_like(pixels, memory_format=torch.contiguous_format)
        rows = max(1, _BLOCK // max(1, pixels.shape[2]))
        for top in range(0, pixels.shape[1], rows):
            block = pixels[:, top : top + rows].to("cpu", torch.float64)
            done = self._forth(block) if to else self._back(block)
            result[:, top : top + rows] = done.to(pixels)
        return result

    def _forth(self, colours: Tensor) -> Tensor:
        linear = torch.stack([curve.linear(x) for curve, x in zip(self._curves, colours, strict=True)])
        return srgb_curve().encoded(torch.einsum("ij,jhw->ihw", self._matrix, linear))

    def _back(self, colours: Tensor) -> Tensor:
        linear = torch.einsum("ij,jhw->ihw", torch.linalg.inv(self._matrix), srgb_curve().linear(colours))
        return torch.stack([curve.encoded(y) for curve, y in zip(self._curves, linear, strict=True)])


def _tags(profile: bytes) -> dict[bytes, bytes]:
    (count,) = struct.unpack(">I", profile[128:132])
    found = {}
    for number in range(min(count, 100)):
        name, offset, size = struct.unpack(">4sII", profile[132 + 12 * number : 144 + 12 * number])
        found[name] = profile[offset : offset + size]
    return found


def _transforms(profile: bytes) -> tuple[Callable[[Image.Image], Image.Image], ...]:
    own = ImageCms.ImageCmsProfile(BytesIO(profile))
    srgb = ImageCms.createProfile("sRGB")
    intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
    there = ImageCms.buildTransform(own, srgb, "RGB", "RGB", intent)
    back = ImageCms.buildTransform(srgb, own, "RGB", "RGB", intent)
    return tuple(
        lambda image, transform=transform: cast(Image.Image, ImageCms.applyTransform(image, transform))
        for transform in (there, back)
    )


def _through(transform: Callable[[Image.Image], Image.Image], pixels: Tensor) -> Tensor:
    whole = (pixels.to("cpu", torch.float32).clamp(0, 1) * 255).round().to(torch.uint8)
    converted = transform(Image.fromarray(whole.permute(1, 2, 0).contiguous().numpy()))
    return torch.from_numpy(np.array(converted)).permute(2, 0, 1).contiguous().to(pixels) / 255

"""The tone curves of ICC profiles, forth and back."""

import struct
from dataclasses import dataclass
from functools import cache
from typing import Protocol

import torch
from torch import Tensor


class Curve(Protocol):
    """A tone curve, point-symmetric about 0."""

    def linear(self, encoded: Tensor) -> Tensor:
        """Return light, in proportion to photons, for numbers as files hold them."""
        ...

    def encoded(self, linear: Tensor) -> Tensor:
        """Return the numbers that files hold for light: the inverse of `linear`, where that rises."""
        ...


@dataclass(frozen=True)
class Formula:
    """``(a x + b) ** g + e`` from ``d`` on, and ``c x + f`` below.

    Source: ICC.1:2010, 10.16, parametricCurveType 4, of which the other types are special cases.
    """

    g: float
    a: float = 1.0
    b: float = 0.0
    c: float = 0.0
    d: float = 0.0
    e: float = 0.0
    f: float = 0.0

    def linear(self, encoded: Tensor) -> Tensor:
        """Return light."""
        size = encoded.abs()
        power = (self.a * size + self.b).clamp(min=0) ** self.g + self.e
        return torch.where(size >= self.d, power, self.c * size + self.f) * encoded.sign()

    def encoded(self, linear: Tensor) -> Tensor:
        """Return the inverse of `linear`."""
        size = linear.abs()
        knee = max(self.a * self.d + self.b, 0.0) ** self.g + self.e
        power = ((size - self.e).clamp(min=0) ** (1 / self.g) - self.b) / self.a
        below = (size - self.f) / self.c if self.c else torch.full_like(size, self.d)
        return torch.where(size >= knee, power, below).clamp(min=0) * linear.sign()


@dataclass(frozen=True, eq=False)
class Samples:
    """Straight lines through values at equal distances on [0, 1], float64, rising; beyond 1 in proportion to 1."""

    values: Tensor

    def linear(self, encoded: Tensor) -> Tensor:
        """Return light."""
        size = encoded.abs()
        place = size.clamp(max=1) * (len(self.values) - 1)
        left = place.long().clamp(max=len(self.values) - 2)
        low, high = self.values[left], self.values[left + 1]
        within = low + (high - low) * (place - left)
        return torch.where(size > 1, size * self.values[-1], within) * encoded.sign()

    def encoded(self, linear: Tensor) -> Tensor:
        """Return the inverse of `linear`."""
        size = linear.abs().contiguous()
        left = torch.searchsorted(self.values, size, right=True).sub(1).clamp(0, len(self.values) - 2)
        low, high = self.values[left], self.values[left + 1]
        part = torch.where(high > low, (size - low) / (high - low).clamp(min=1e-12), torch.zeros_like(size))
        within = (left + part.clamp(0, 1)) / (len(self.values) - 1)
        return torch.where(size > self.values[-1], size / self.values[-1], within) * linear.sign()


@cache
def srgb_curve() -> Formula:
    """Return the curve of sRGB (IEC 61966-2-1)."""
    return Formula(2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)


def read_curve(data: bytes) -> Curve:
    """Return the curve of a tag of an ICC profile, of type ``curv`` or ``para``.

    Raises:
        ValueError: if it is of another type, falls anywhere, or does not rise at all.
        struct.error: if it is cut off.
    """
    if data[:4] == b"curv":
        return _sampled(data)
    if data[:4] != b"para":
        raise ValueError("a curve of another type")
    (kind,) = struct.unpack(">H", data[8:10])
    count = {0: 1, 1: 3, 2: 4, 3: 5, 4: 7}[kind]
    g, *rest = (number / 65536 for number in struct.unpack(f">{count}i", data[12 : 12 + 4 * count]))
    if kind == 0:
        made = Formula(g)
    elif kind in (1, 2):
        a, b = rest[:2]
        level = rest[2] if kind == 2 else 0.0
        made = Formula(g, a, b, 0.0, max(-b / a, 0.0), level, level)
    else:
        made = Formula(g, *rest)
    steps = made.linear(torch.linspace(0, 1, 257, dtype=torch.float64))
    if made.g <= 0 or made.a <= 0 or not steps.isfinite().all() or (steps.diff() < -1e-4).any() or steps[-1] < 1e-3:
        raise ValueError("a curve that does not rise")
    return made


def _sampled(data: bytes) -> Curve:
    (count,) = struct.unpack(">I", data[8:12])
    if count == 0:
        return Formula(1.0)
    numbers = struct.unpack(f">{count}H", data[12 : 12 + 2 * count])
    if count == 1:
        if not numbers[0]:
            raise ValueError("a curve that does not rise")
        return Formula(numbers[0] / 256)
    values = torch.tensor(numbers, dtype=torch.float64) / 65535
    if (values.diff() < 0).any() or values[-1] == values[0]:
        raise ValueError("a curve that does not rise")
    return Samples(values)

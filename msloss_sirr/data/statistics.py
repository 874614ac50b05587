"""What reflections do to pictures: statistics of I - T over a set of pairs."""

from collections.abc import Iterable
from typing import NamedTuple

import torch
from kornia.filters import spatial_gradient
from torch import Tensor


class ReflectionStatistics(NamedTuple):
    """Statistics of I - T, of one pair or in the mean over several."""

    mean: float
    """Mean of I - T over pixels and channels."""
    strength: float
    """Mean of the absolute difference of I and T."""
    frequency: float
    """Mean frequency of I - T, in cycles a pixel, weighted by energy: 0 for haze, up to 0.7 for noise."""
    overlap: float
    """Correlation of the gradients' magnitudes of I - T and T: 0 if what is added knows nothing of the scene."""
    negative: float
    """Share of values where I is darker than T."""


class SetStatistics(NamedTuple):
    """Statistics of a set of pairs."""

    pairs: int
    mean: ReflectionStatistics
    spread: ReflectionStatistics
    """Standard deviations from pair to pair, 0 for a single one."""


@torch.no_grad()
def reflection_statistics(ambient: Tensor, transmission: Tensor) -> ReflectionStatistics:
    """Return the statistics of one pair.

    Frequency and overlap are those of the mean over channels. The spectrum is that of I - T less its mean, under a
    Hann window. What is not defined, of a constant difference or a constant scene, is 0.

    Args:
        ambient: I, ``(3, H, W)``, sRGB-encoded, [0, 1]; sides of at least 3.
        transmission: T, likewise.

    Raises:
        ValueError: if the shapes differ.
    """
    if ambient.shape != transmission.shape:
        raise ValueError(f"ambient is {tuple(ambient.shape)} but transmission {tuple(transmission.shape)}")
    difference = (ambient - transmission).double()
    grey = difference.mean(0)
    return ReflectionStatistics(
        float(difference.mean()),
        float(difference.abs().mean()),
        _mean_frequency(grey),
        _correlation(_edges(grey), _edges(transmission.double().mean(0))),
        float((difference < 0).double().mean()),
    )


def set_statistics(pairs: Iterable[tuple[Tensor, Tensor]]) -> SetStatistics:
    """Return the statistics of a set of pairs I, T, each as in `reflection_statistics`.

    Raises:
        ValueError: if there is no pair, or two shapes differ.
    """
    each = torch.tensor([reflection_statistics(*pair) for pair in pairs], dtype=torch.float64)
    if not len(each):
        raise ValueError("no pairs; give at least one")
    spread = each.std(dim=0, correction=0)
    return SetStatistics(
        len(each), ReflectionStatistics(*each.mean(dim=0).tolist()), ReflectionStatistics(*spread.tolist())
    )


def _mean_frequency(grey: Tensor) -> float:
    height, width = grey.shape
    window = torch.hann_window(height)[:, None] * torch.hann_window(width)
    energy = torch.fft.fft2((grey - grey.mean()) * window).abs().square()
    radius = torch.hypot(torch.fft.fftfreq(height)[:, None], torch.fft.fftfreq(width)[None])
    total = float(energy.sum())
    return float((energy * radius).sum()) / total if total > _NOTHING else 0.0


_NOTHING = 1e-12


def _edges(grey: Tensor) -> Tensor:
    return spatial_gradient(grey[None, None], mode="diff")[0, 0].square().sum(0).sqrt()


def _correlation(one: Tensor, two: Tensor) -> float:
    one, two = one - one.mean(), two - two.mean()
    size = float((one.square().sum() * two.square().sum()).sqrt())
    return float((one * two).sum()) / size if size > _NOTHING else 0.0

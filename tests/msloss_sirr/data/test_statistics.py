"""Statistics of I - T, against numpy and pictures whose statistics are known."""

import math

import numpy as np
import pytest
import torch

from msloss_sirr.data.statistics import reflection_statistics, set_statistics

from ..conftest import smooth


def test_statistics_are_those_of_numpy() -> None:
    ambient, transmission = smooth(1), smooth(2)
    found = reflection_statistics(ambient, transmission)
    difference = ambient.double().numpy() - transmission.double().numpy()
    assert found.mean == pytest.approx(difference.mean())
    assert found.strength == pytest.approx(np.abs(difference).mean())
    assert found.negative == pytest.approx((difference < 0).mean())
    grey = difference.mean(0)
    window = np.outer(*(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / n) for n in grey.shape))
    energy = np.abs(np.fft.fft2((grey - grey.mean()) * window)) ** 2
    radius = np.hypot(np.fft.fftfreq(grey.shape[0])[:, None], np.fft.fftfreq(grey.shape[1]))
    assert found.frequency == pytest.approx((energy * radius).sum() / energy.sum(), rel=1e-4)
    edges = []
    for image in (grey, transmission.double().numpy().mean(0)):
        padded = np.pad(image, 1, mode="edge")
        down, right = (padded[2:, 1:-1] - padded[:-2, 1:-1]) / 2, (padded[1:-1, 2:] - padded[1:-1, :-2]) / 2
        edges.append(np.hypot(down, right).ravel())
    assert found.overlap == pytest.approx(np.corrcoef(*edges)[0, 1], rel=1e-5)


@pytest.mark.parametrize("cycles", [4, 8, 16])
def test_frequency_of_a_wave(cycles: int) -> None:
    wave = 0.2 * torch.sin(2 * math.pi * cycles * (torch.arange(64) + 0.3) / 64).expand(3, 64, 64)
    scene = torch.full((3, 64, 64), 0.5)
    found = reflection_statistics(scene + wave, scene)
    assert found.frequency == pytest.approx(cycles / 64, rel=0.05)
    assert found.mean == pytest.approx(0.0, abs=1e-6)
    assert found.strength == pytest.approx(float(wave.abs().mean()))
    assert found.negative == 0.5


def test_overlap_tells_the_scene_from_another() -> None:
    scene, other = smooth(3), smooth(4)
    assert reflection_statistics(scene * 1.2, scene).overlap == pytest.approx(1.0, abs=1e-5)
    assert abs(reflection_statistics(scene + 0.2 * other, scene).overlap) < 0.5


def test_nothing_is_nothing() -> None:
    scene = smooth(5)
    assert reflection_statistics(scene, scene) == (0, 0, 0, 0, 0)
    haze = reflection_statistics(torch.full((3, 9, 9), 0.6), torch.full((3, 9, 9), 0.5))
    assert haze == pytest.approx((0.1, 0.1, 0, 0, 0), abs=1e-6)
    with pytest.raises(ValueError, match="ambient is"):
        reflection_statistics(scene, scene[:, 1:])


def test_a_set_is_the_mean_of_its_pairs() -> None:
    pairs = [(smooth(i), smooth(i + 1)) for i in range(3)]
    found = set_statistics(pairs)
    each = np.array([reflection_statistics(*pair) for pair in pairs])
    assert found.pairs == 3
    assert found.mean == pytest.approx(each.mean(0))
    assert found.spread == pytest.approx(each.std(0))
    assert set_statistics(pairs[:1]).spread == (0, 0, 0, 0, 0)
    with pytest.raises(ValueError, match="no pairs"):
        set_statistics([])

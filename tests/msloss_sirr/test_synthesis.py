"""The linear recipe: its laws, and the same picture from an independent computation."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from msloss_sirr.data import synthesis
from msloss_sirr.data.synthesis import linear

from .conftest import smooth

seeds = st.integers(0, 2**62)


@given(seeds, st.integers(0, 100), st.integers(0, 100))
def test_layers_are_in_range_and_add_up(seed: int, scene: int, mirrored: int) -> None:
    batch = linear(smooth(scene)[None], smooth(mirrored)[None], [seed])
    for image in (batch.ambient, *batch.target):
        assert image.min() >= 0
        assert image.max() <= 1
    total = (batch.target.transmission + batch.target.reflection).clamp(max=1)
    torch.testing.assert_close(total, batch.ambient, atol=1e-6, rtol=0)


@given(seeds)
def test_no_reflection_leaves_the_scene(seed: int) -> None:
    batch = linear(smooth(1)[None], torch.zeros(1, 3, 40, 56), [seed])
    assert torch.equal(batch.ambient, batch.target.transmission)
    assert not batch.target.reflection.any()


@given(seeds, seeds)
def test_the_seed_decides(a: int, b: int) -> None:
    photos = smooth(1)[None], smooth(2)[None]
    assert torch.equal(linear(*photos, [a]).ambient, linear(*photos, [a]).ambient)
    if a != b:
        assert not torch.equal(linear(*photos, [a]).ambient, linear(*photos, [b]).ambient)


def test_transmission_is_the_scene_dimmed_in_linear_light() -> None:
    scene = smooth(3)[None].clamp(min=0.05)
    factors = []
    for seed in range(50):
        ratio = linear(scene, smooth(4)[None], [seed]).target.transmission ** 2.2 / scene**2.2
        assert ratio.std() < 1e-4
        factors.append(float(ratio.mean()))
    assert 0.8 <= min(factors) < 0.85
    assert 0.95 < max(factors) <= 1.0


def test_blur_against_scipy() -> None:
    images = torch.rand(3, 3, 40, 56, dtype=torch.float64)
    for sigma in (1.0, 2.3, 5.0):
        blurred = synthesis._blur(images, torch.full((3,), sigma, dtype=torch.float64))
        radius = int(np.ceil(2 * sigma))
        expected = gaussian_filter(images.numpy(), (0, 0, sigma, sigma), mode="mirror", radius=(0, 0, radius, radius))
        np.testing.assert_allclose(blurred.numpy(), expected, atol=1e-12)


def test_vignette_is_a_window_of_the_published_one() -> None:
    edges = np.linspace(-3 - 3.5 / 560, 3 + 3.5 / 560, 561)
    cdf = 0.5 * (1 + np.vectorize(__import__("math").erf)(edges / np.sqrt(2)))
    published = np.sqrt(np.outer(np.diff(cdf), np.diff(cdf)))
    published /= published.max()
    corner = torch.zeros(1, 1, 1, 1, dtype=torch.float64)
    window = synthesis._vignette(corner + 0.5, corner, 550, 550)[0, 0].numpy()
    np.testing.assert_allclose(window, published[:550, :550], atol=0.01)
    small = synthesis._vignette(corner + 1, corner, 50, 60)[0, 0].numpy()
    np.testing.assert_allclose(small, published[500:550, :60], atol=0.01)
    assert synthesis._vignette(corner, corner, 2000, 3000).shape == (1, 1, 2000, 3000)


def test_bright_reflections_are_darkened_where_the_sum_overflows() -> None:
    bright, dark = torch.full((1, 3, 40, 40), 0.95), torch.full((1, 3, 40, 40), 0.05)
    over = linear(bright, bright, [1]).target.reflection
    under = linear(dark, bright, [1]).target.reflection
    assert over.mean() < under.mean()

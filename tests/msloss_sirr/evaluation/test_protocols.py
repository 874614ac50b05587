"""Protocols against the code that they are taken from, written with scikit-image and Pillow."""

import math

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor

from msloss_sirr import score
from msloss_sirr.evaluation.protocols import PROTOCOLS, resized
from msloss_sirr.images.reading import to_bytes, to_float

from ..conftest import smooth


def noisy(seed: int, height: int = 97, width: int = 141) -> tuple[Tensor, Tensor]:
    """Return an estimate that is not clipped, and its truth, in 8 bits."""
    truth = to_float(to_bytes(smooth(seed, height, width)))
    return truth + 0.15 * torch.randn(truth.shape, generator=torch.Generator().manual_seed(seed)), truth


def as_published(image: Tensor) -> np.ndarray:
    """Return an image as the ERRNet family gives it to scikit-image: floats from 0 to 255, clipped, not rounded."""
    return np.clip(image.numpy(), 0, 1).transpose(1, 2, 0) * 255.0


def test_whole_is_the_score_of_training() -> None:
    estimate, truth = noisy(0)
    assert PROTOCOLS["whole"].score(estimate, truth) == score(estimate, truth)


@pytest.mark.parametrize("seed", [0, 1])
def test_errnet_is_the_mean_over_channels_by_scikit_image(seed: int) -> None:
    estimate, truth = noisy(seed)
    a, b = as_published(truth), as_published(estimate)
    psnr = np.mean([peak_signal_noise_ratio(a[..., c], b[..., c], data_range=255) for c in range(3)])
    ssim = np.mean([structural_similarity(a[..., c], b[..., c], data_range=255) for c in range(3)])
    got = PROTOCOLS["errnet"].score(estimate, truth)
    assert got.psnr == pytest.approx(psnr, abs=1e-5)
    assert got.ssim == pytest.approx(ssim, abs=1e-6)


def test_errnet_does_not_round() -> None:
    truth = to_float(to_bytes(smooth(3)))
    assert PROTOCOLS["whole"].score(truth + 0.3 / 255, truth).psnr == math.inf
    assert PROTOCOLS["errnet"].score((truth * 0.9) + 0.3 / 255, truth * 0.9).psnr == pytest.approx(58.59, abs=0.01)


def test_border4_is_the_middle_of_the_image_by_scikit_image() -> None:
    estimate, truth = noisy(2)
    a, b = (to_bytes(x).permute(1, 2, 0).numpy()[4:-4, 4:-4] for x in (truth, estimate))
    ssim = structural_similarity(
        a, b, channel_axis=2, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    got = PROTOCOLS["border4"].score(estimate, truth)
    assert got.psnr == pytest.approx(peak_signal_noise_ratio(a, b), abs=1e-5)
    assert got.ssim == pytest.approx(ssim, abs=1e-6)
    framed = estimate.clone()
    for edge in (framed[:, :4], framed[:, -4:], framed[..., :4], framed[..., -4:]):
        edge.zero_()
    assert PROTOCOLS["border4"].score(framed, truth) == got


def test_multiple32_reduces_as_pillow_does() -> None:
    protocol = PROTOCOLS["multiple32"]
    assert protocol.size(97, 141) == (96, 128)
    assert protocol.size(64, 32) == (64, 32)
    pixels = to_bytes(smooth(4, 97, 141))
    image = Image.fromarray(pixels.permute(1, 2, 0).numpy()).resize((128, 96))  # the filter that is Pillow's default
    assert np.array_equal(resized(pixels, 96, 128).permute(1, 2, 0).numpy(), np.asarray(image))
    assert resized(pixels, 97, 141) is pixels
    estimate, truth = noisy(4, 96, 128)
    assert protocol.score(estimate, truth) == PROTOCOLS["errnet"].score(estimate, truth)


@pytest.mark.parametrize("name", list(PROTOCOLS))
def test_equal_images_are_perfect_and_the_smallest_can_be_measured(name: str) -> None:
    protocol = PROTOCOLS[name]
    truth = to_float(to_bytes(smooth(5, protocol.smallest, protocol.smallest)))
    got = protocol.score(truth, truth)
    assert got.psnr == math.inf
    assert got.ssim == pytest.approx(1.0, abs=1e-6)
    assert protocol.score(truth * 0.5, truth).psnr < 20

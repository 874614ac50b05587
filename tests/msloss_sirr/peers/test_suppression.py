"""The classical method: what has no weak gradient stays, weak gradients go, as in the published package."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from msloss_sirr.peers.suppression import suppress

from ..conftest import smooth


def blocks(height: int, width: int, steps: float) -> Tensor:
    """Return a picture ``(1, 3, H, W)`` of blocks whose gradients are 0 or not weaker than ``steps``."""
    draw = torch.randint(0, 3, (1, 3, -(-height // 4), -(-width // 4)), generator=torch.Generator().manual_seed(1))
    return (draw * steps + 0.1).repeat_interleave(4, 2).repeat_interleave(4, 3)[:, :, :height, :width]


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 20), st.integers(2, 20), st.floats(0.0, 0.2))
def test_a_picture_without_weak_gradients_stays_as_it_is(height: int, width: int, threshold: float) -> None:
    image = blocks(height, width, 0.2)
    torch.testing.assert_close(suppress(image, threshold).transmission, image, rtol=0, atol=1e-5)


def test_without_a_threshold_any_picture_stays_as_it_is() -> None:
    image = torch.rand(1, 3, 17, 24, generator=torch.Generator().manual_seed(0))
    found = suppress(image, 0.0)
    torch.testing.assert_close(found.transmission, image, rtol=0, atol=1e-5)
    torch.testing.assert_close(found.reflection, torch.zeros_like(image), rtol=0, atol=1e-5)


def test_weak_gradients_go_and_strong_ones_stay() -> None:
    wide = torch.linspace(0, 1, 60) * 0.6  # a ramp of 0.01 a pixel
    edge = (torch.arange(60) >= 30) * 0.3
    image = (wide + edge).expand(1, 3, 40, 60).contiguous()
    found = suppress(image, 0.05).transmission
    steps = found[0, 0, 20].diff()
    strong = image[0, 0, 20].diff()[29]
    assert float(steps[29]) == pytest.approx(float(strong), abs=0.005)
    others = torch.cat([steps[:29], steps[30:]])
    assert float(others.abs().max()) < 0.2 * float(image[0, 0, 20].diff()[0])
    torch.testing.assert_close(suppress(image, 0.05).reflection, image - found)


@pytest.mark.parametrize("threshold", [0.01, 0.1, 1.0])
def test_brightness_and_the_order_of_axes_and_channels_do_not_matter(threshold: float) -> None:
    image = smooth(3)[None]
    found = suppress(image, threshold).transmission
    torch.testing.assert_close(found.mean(dim=(2, 3)), image.mean(dim=(2, 3)), rtol=0, atol=1e-5)
    torch.testing.assert_close(suppress(image.mT, threshold).transmission.mT, found, rtol=0, atol=1e-5)
    torch.testing.assert_close(suppress(image.flip(1), threshold).transmission.flip(1), found, rtol=0, atol=1e-6)
    brighter = suppress(image + 0.25, threshold).transmission
    torch.testing.assert_close(brighter, found + 0.25, rtol=0, atol=1e-5)


def test_result_is_that_of_a_dense_solve() -> None:
    """The equation written out as a matrix, with the operators as matrices."""
    height, width, threshold, epsilon = 5, 6, 0.08, 1e-8
    image = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(4))
    count = height * width
    down, right = np.zeros((count, count)), np.zeros((count, count))
    for y in range(height):
        for x in range(width):
            here = y * width + x
            if y + 1 < height:
                down[here, here], down[here, here + width] = -1, 1
            if x + 1 < width:
                right[here, here], right[here, here + 1] = -1, 1
    laplacian = -(down.T @ down + right.T @ right)
    found = suppress(image, threshold).transmission[0].double().numpy()
    for channel, ours in zip(image[0].double().numpy(), found, strict=True):
        y = channel.ravel()
        gradients = np.stack([down @ y, right @ y])
        gradients[:, np.hypot(*gradients) < threshold] = 0
        divergence = -(down.T @ gradients[0] + right.T @ gradients[1])
        solved = np.linalg.solve(laplacian @ laplacian + epsilon * np.eye(count), laplacian @ divergence + epsilon * y)
        np.testing.assert_allclose(ours.ravel(), solved, atol=2e-5)


def test_stretched_it_is_what_the_package_returns() -> None:
    """The fixture is of fast-reflection-removal 1.1 with numpy 1.26: its input, threshold, and output."""
    known = np.load(Path(__file__).parent / "fast-reflection-removal.npz")
    image = torch.from_numpy(known["image"])[None].double()
    found = suppress(image, float(known["threshold"])).transmission[0].numpy()
    stretched = (found - found.min()) / (found.max() - found.min())
    np.testing.assert_allclose(stretched, known["output"], atol=1e-6)


def test_what_it_cannot_take_is_refused() -> None:
    with pytest.raises(ValueError, match=r"the photograph is \(2, 3, 8, 8\); give one, \(1, 3, H, W\)"):
        suppress(torch.rand(2, 3, 8, 8))
    with pytest.raises(ValueError, match=r"threshold is -1; give 0 or more, 0\.033 say"):
        suppress(torch.rand(1, 3, 8, 8), -1)

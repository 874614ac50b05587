"""Registration of two photographs, and reflections taken out of pairs."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from msloss_sirr.images.registration import DOUBTFUL, FARTHEST, register, registered
from msloss_sirr.synthesis.light import encoded, linear_light
from msloss_sirr.synthesis.transplant import reflection_of, transplant


def textured(seed: int, height: int = 120, width: int = 160) -> Tensor:
    """Return a picture with detail at every scale, ``(1, 3, height, width)``."""
    generator = torch.Generator().manual_seed(seed)
    layers = [
        F.interpolate(torch.rand(1, 3, 2**k, 2**k, generator=generator), (height, width), mode="bicubic")
        for k in range(2, 7)
    ]
    image = torch.stack([layer / 2**k for k, layer in enumerate(layers)]).sum(0)
    return ((image - image.min()) / (image.max() - image.min())).clamp(0, 1)


def moved(image: Tensor, down: float, right: float) -> Tensor:
    """Shift a picture by the phases of its spectrum, as if it went on round its borders."""
    height, width = image.shape[-2:]
    turn = torch.fft.fftfreq(height)[:, None] * down + torch.fft.fftfreq(width) * right
    return torch.fft.ifft2(torch.fft.fft2(image) * torch.exp(-2j * math.pi * turn)).real.clamp(0, 1)


@given(st.integers(0, 50), st.floats(-6, 6), st.floats(-6, 6))
def test_shift_is_found_to_a_part_of_a_pixel(seed: int, down: float, right: float) -> None:
    image = textured(seed)
    found = register(moved(image, down, right), image)
    assert float(found.down) == pytest.approx(down, abs=0.2)
    assert float(found.right) == pytest.approx(right, abs=0.2)
    assert found.likeness > 2 * DOUBTFUL


def test_shift_is_found_through_a_reflection_and_another_light() -> None:
    scene = textured(1)
    ambient = (0.6 * moved(scene, 3, -2) + 0.4 * textured(2).clamp(0, 1)).clamp(0, 1)
    found = register(ambient, scene)
    assert (round(float(found.down)), round(float(found.right))) == (3, -2)


def test_other_scenes_are_not_alike() -> None:
    found = register(textured(1), textured(2))
    assert found.likeness < DOUBTFUL
    assert torch.equal(registered(textured(2), textured(1)), textured(2))


@given(st.integers(1, 40), st.integers(1, 40))
def test_pictures_of_any_size_are_registered(height: int, width: int) -> None:
    image = torch.rand(2, 3, height, width)
    found = register(image, image)
    assert all(part.isfinite().all() for part in found)
    assert found.down.abs().max() <= FARTHEST
    assert registered(image, image).shape == image.shape
    flat = register(torch.zeros(1, 3, height, width), torch.ones(1, 3, height, width))
    assert all(part.isfinite().all() for part in flat)


def test_registered_picture_is_where_the_other_has_it() -> None:
    image = textured(3)
    other = moved(image, 2.5, -1.25)
    inner = (..., slice(12, -12), slice(12, -12))
    before, after = ((x - other)[inner].abs().mean() for x in (image, registered(image, other)))
    assert after < 0.1 * before


def test_reflection_is_what_was_added() -> None:
    """Through glass that lets 0.8 of the light through, from another place by a pixel and more."""
    scene, covered = textured(4), textured(5)
    covered = covered * (torch.arange(160) > 60)  # part of the picture has no reflection
    ambient = encoded(0.8 * linear_light(moved(scene, 1.3, 0.4)) + 0.3 * linear_light(covered))
    found = linear_light(reflection_of(ambient, scene))
    true, naive = 0.3 * linear_light(covered), (linear_light(ambient) - linear_light(scene)).clamp(min=0)
    inner = (..., slice(12, -12), slice(12, -12))
    assert (found - true)[inner].abs().mean() < 0.35 * (naive - true)[inner].abs().mean()
    assert (found - true)[inner].abs().mean() < 0.15 * true[inner].mean() + 0.005


def test_a_pair_without_reflection_has_none() -> None:
    scene = textured(6)
    assert linear_light(reflection_of(scene, scene)).mean() < 0.002
    assert linear_light(reflection_of(encoded(0.7 * linear_light(scene)), scene)).mean() < 0.002


def test_reflection_may_cover_most_of_the_picture_and_the_scene_may_be_darker_in_a_part_of_it() -> None:
    scene, reflected = textured(4), torch.zeros(1, 3, 120, 160)
    reflected[..., :136] = 0.3
    seen = 0.8 * linear_light(scene) + reflected
    seen[..., :4, :] *= 0.2
    found = linear_light(reflection_of(encoded(seen), scene))
    assert (found - reflected)[..., 12:-12, 12:-12].abs().mean() < 0.003


def test_edges_of_the_scene_leave_little_in_the_reflection() -> None:
    """As where one of the photographs is less sharp."""
    squares = torch.rand(1, 3, 12, 16, generator=torch.Generator().manual_seed(4))
    scene = F.interpolate(squares, (120, 160), mode="nearest")
    ambient = encoded(0.8 * linear_light(F.avg_pool2d(scene, 3, 1, 1)) + 0.1)
    found = linear_light(reflection_of(ambient, scene))
    assert (found - 0.1)[..., 12:-12, 12:-12].abs().mean() < 0.036


@pytest.mark.parametrize("rest", ["saturated", "black"])
def test_what_glass_lets_through_is_told_from_what_cameras_can_tell(rest: str) -> None:
    """Of a picture of which most is saturated, or nothing but noise, by the rest."""
    noise = torch.rand(2, 1, 3, 120, 160, generator=torch.Generator().manual_seed(0))
    scene, seen = (torch.ones(2, 1, 3, 120, 160) if rest == "saturated" else noise * 0.1).unbind()
    seen = linear_light(seen / 2 if rest == "black" else seen)
    scene[..., 100:, :] = 0.5
    seen[..., 100:, :] = 0.7 * linear_light(torch.tensor(0.5))
    seen[..., 100:, :80] += 0.1
    found = linear_light(reflection_of(encoded(seen), scene))[..., 112:, :]
    assert float(found[..., 20:60].mean()) == pytest.approx(0.1, abs=0.01)
    assert float(found[..., 100:140].mean()) == pytest.approx(0, abs=0.01)


def test_reflection_of_pictures_with_nothing_to_go_by() -> None:
    black, white = torch.zeros(1, 3, 20, 30), torch.ones(1, 3, 20, 30)
    assert not reflection_of(black, white).any()
    torch.testing.assert_close(reflection_of(white, black), white, atol=0.01, rtol=0)
    both = reflection_of(torch.cat([white, textured(1, 20, 30)]), torch.cat([black, textured(1, 20, 30)]))
    torch.testing.assert_close(both[:1], reflection_of(white, black))


def test_transplanted_reflections_are_of_all_strengths() -> None:
    scene = torch.full((200, 3, 12, 12), 0.2)
    made = transplant(scene, torch.full_like(scene, 0.5), range(200))
    strengths = ((linear_light(made.ambient) - linear_light(scene)) / 0.5**2.2)[:, 0, 0, 0]
    assert 0 <= strengths.min() < 0.05
    assert 1.35 < strengths.max() <= 1.4
    assert torch.equal(made.layers.transmission, scene)
    assert made.kept.all()

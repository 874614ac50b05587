"""Degradations: functions of a seed and a photograph, with the strength that they say."""

import math
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy.ndimage import convolve
from torch import Tensor

from msloss_sirr import DataConfig, InputError
from msloss_sirr.data.batches import compose
from msloss_sirr.data.draws import Kind
from msloss_sirr.data.loader import collate
from msloss_sirr.data.sources import build_draws, open_pairs
from msloss_sirr.evaluation.degraded import degraded, write_degraded
from msloss_sirr.synthesis import kernels, light
from msloss_sirr.synthesis.chance import Chance, Change
from msloss_sirr.synthesis.config import SynthesisConfig, TaskName
from msloss_sirr.synthesis.degradations import darkness, defocus, motion, noise, one_of, rain, small
from msloss_sirr.synthesis.glass import compressed
from msloss_sirr.synthesis.kernels import convolved, line
from msloss_sirr.synthesis.light import linear_light
from msloss_sirr.synthesis.making import Synthesis, build_synthesis
from msloss_sirr.synthesis.tasks import TASKS

from ..conftest import smooth

ALL: dict[str, Change] = {
    f"{task} {name}": change
    for task, each in TASKS.items()
    for name, change in {"trained": each.trained, **each.tested}.items()
}
changes = st.sampled_from(sorted(ALL))
seeds = st.integers(0, 2**62)
NOTHING: dict[str, Change] = {
    "noise": partial(noise, sigma=(0, 0)),
    "defocus": partial(defocus, sigma=(0, 0)),
    "motion": partial(motion, length=(1, 1)),
    "darkness": partial(darkness, stops=(0, 0), shot=0.0, read=0.0),
    "rain": partial(rain, drops=(0, 0)),
    "small": partial(small, factors=(1,)),
}


def changed(change: Change, images: Tensor, *seed: int) -> Tensor:
    return change(images, Chance(seed, images))


def grey(value: float, side: int = 128) -> Tensor:
    return torch.full((1, 3, side, side), value)


def test_every_task_has_its_degradation() -> None:
    assert {*TASKS, "reflections"} == set(get_args(TaskName))
    assert all(each.tested for each in TASKS.values())


@given(changes, seeds, seeds)
def test_a_degradation_is_a_function_of_seed_and_photograph(name: str, a: int, b: int) -> None:
    one, other = smooth(1)[None], smooth(2)[None]
    both = changed(ALL[name], torch.cat([one, other]), a, b)
    assert torch.equal(both[:1], changed(ALL[name], one, a))
    torch.testing.assert_close(both[1:], changed(ALL[name], other, b), atol=1e-6, rtol=0)
    assert torch.equal(one, smooth(1)[None])  # it is not written to


@pytest.mark.parametrize("name", sorted(ALL))
def test_all_at_once_as_on_a_gpu_is_image_by_image(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    images = torch.stack([smooth(number) for number in range(4)])
    alone = changed(ALL[name], images, *range(4))
    for module in (kernels, light):
        monkeypatch.setattr(module, "portions", lambda images: [slice(len(images))])
    torch.testing.assert_close(changed(ALL[name], images, *range(4)), alone, atol=1e-5, rtol=0)


@given(changes, seeds, st.integers(16, 40), st.integers(16, 40))
def test_size_and_range_stay(name: str, seed: int, height: int, width: int) -> None:
    image = smooth(seed % 100, height, width)[None]
    image[..., :2] = 1.0
    made = changed(ALL[name], image, seed)
    assert made.shape == image.shape
    assert 0 <= made.min() <= made.max() <= 1
    assert changed(ALL[name], image[:0]).shape == (0, 3, height, width)


@pytest.mark.parametrize("name", sorted(ALL))
def test_something_happens_and_chance_decides(name: str) -> None:
    image = torch.rand(1, 3, 40, 56, generator=torch.Generator().manual_seed(0))
    assert not torch.allclose(changed(ALL[name], image, 1), image, atol=0.01)
    settled = name.startswith(("jpeg", "super-resolution")) and not name.endswith("trained")
    many = [changed(ALL[name], image, seed) for seed in range(5)]
    assert all(torch.equal(many[0], each) for each in many) == settled


@pytest.mark.parametrize("name", sorted(NOTHING))
def test_no_strength_is_the_photograph(name: str) -> None:
    image = smooth(1)[None]
    image[..., 0] = 0.0
    torch.testing.assert_close(changed(NOTHING[name], image, 1), image, atol=1e-5, rtol=0)


@pytest.mark.parametrize("sigma", [15, 25, 50])
def test_noise_has_its_deviation_and_is_white(sigma: float) -> None:
    added = changed(partial(noise, sigma=(sigma, sigma)), grey(0.5), 1) - 0.5
    assert float(added.std()) * 255 == pytest.approx(sigma, rel=0.02)
    assert float(added.mean()) * 255 == pytest.approx(0, abs=0.5)
    beside = (added[..., 1:] * added[..., :-1]).mean() / added.var()
    assert abs(float(beside)) < 0.02


@pytest.mark.parametrize("stops", [1, 2, 4])
def test_darkness_halves_the_light_and_has_the_noise_of_a_sensor(stops: int) -> None:
    seen = linear_light(changed(partial(darkness, stops=(stops, stops), shot=1e-4, read=1e-3), grey(0.8), 1))
    left = 0.8**2.2 / 2**stops
    assert float(seen.mean()) == pytest.approx(left, rel=0.01)
    assert float(seen.var()) == pytest.approx(1e-4 * left + 1e-6, rel=0.05)


@given(st.floats(1, 25), st.floats(0, math.pi))
def test_a_line_is_a_share_of_light_along_a_way(length: float, angle: float) -> None:
    kernel = line(length, angle)
    assert kernel.min() >= 0
    torch.testing.assert_close(kernel.sum(), torch.ones(()))
    torch.testing.assert_close(kernel, kernel.flip(0, 1), atol=1e-4, rtol=0)  # as far one way as the other
    torch.testing.assert_close(line(length, angle + math.pi / 2), kernel.T.flip(1), atol=1e-3, rtol=0)
    place = torch.arange(len(kernel)) - len(kernel) // 2
    along = place[None] * math.cos(angle) + place[:, None] * math.sin(angle)
    spread = float((kernel * along**2).sum())
    assert spread == pytest.approx((length - 1) ** 2 / 12, abs=0.3 + 0.05 * length)


def test_lines_that_are_known() -> None:
    assert torch.equal(line(1, 0.3), torch.ones(1, 1))
    level = line(9, 0.0)
    assert torch.equal(level[4], level.sum(dim=0))
    torch.testing.assert_close(level[4, 1:-1], torch.full((7,), 0.125), atol=0.005, rtol=0)


def test_convolution_is_that_of_scipy() -> None:
    image, kernel = smooth(1), torch.rand(5, 5, generator=torch.Generator().manual_seed(1))
    expected = np.stack([convolve(channel.numpy(), kernel.numpy(), mode="mirror") for channel in image])
    torch.testing.assert_close(convolved(image[None], [kernel])[0], torch.from_numpy(expected), atol=1e-4, rtol=0)


def test_blur_keeps_the_light_of_a_point() -> None:
    point = torch.zeros(1, 3, 41, 41)
    point[..., 20, 20] = 1.0
    for change in (partial(defocus, sigma=(1.6, 1.6)), partial(motion, length=(11.0, 11.0))):
        made = changed(change, point, 3)
        torch.testing.assert_close(made.sum(dim=(2, 3)), torch.ones(1, 3), atol=1e-4, rtol=0)
        assert made.max() < 0.2


def test_rain_only_adds_and_more_drops_cover_more() -> None:
    image = smooth(1, 96, 96)[None] * 0.5
    shares = []
    for drops in (0.002, 0.01, 0.02):
        added = changed(partial(rain, drops=(drops, drops), brightness=(0.4, 0.4)), image, 1) - image
        assert added.min() >= 0
        assert added.max() == pytest.approx(0.4, abs=1e-5)
        torch.testing.assert_close(added[:, 0], added[:, 1], atol=1e-6, rtol=0)  # it has no colour
        shares.append(float((added > 0.1).float().mean()))
    assert 0.01 < shares[0] < shares[1] < shares[2] < 0.7


def test_streaks_are_upright() -> None:
    added = changed(partial(rain, drops=(0.005, 0.005)), grey(0.0), 1)[0, 0]
    down, across = ((added.roll(5, dim) * added).mean() for dim in (0, 1))
    assert down > 2 * across


def test_small_is_bicubic_of_pillow_and_spares_what_is_smooth() -> None:
    image = smooth(3, 48, 60)
    pixels = Image.fromarray((image * 255).round().byte().permute(1, 2, 0).numpy())
    again = pixels.resize((20, 16), Image.Resampling.BICUBIC).resize((60, 48), Image.Resampling.BICUBIC)
    expected = torch.from_numpy(np.array(again)).permute(2, 0, 1) / 255
    made = changed(partial(small, factors=(3,)), image[None], 1)[0]
    torch.testing.assert_close(made, expected, atol=3 / 255, rtol=0)  # which is rounded twice
    slope = torch.linspace(0.2, 0.8, 60).expand(1, 3, 48, 60)
    torch.testing.assert_close(changed(partial(small, factors=(4,)), slope, 1), slope, atol=0.015, rtol=0)
    rough = torch.rand(1, 3, 48, 60, generator=torch.Generator().manual_seed(1))
    assert changed(partial(small, factors=(4,)), rough, 1).std() < 0.5 * rough.std()


def test_jpeg_is_that_of_pillow() -> None:
    image = smooth(4)
    pixels = (image * 255).round().byte()
    file = BytesIO()
    Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(file, "JPEG", quality=10)
    expected = torch.from_numpy(np.array(Image.open(file))).permute(2, 0, 1) / 255
    assert torch.equal(changed(TASKS["jpeg"].tested["10"], image[None], 1)[0], expected)
    qualities = [partial(compressed, lowest=quality, highest=quality) for quality in (10, 20, 40, 100)]
    errors = [float((changed(change, image[None], 1) - image).abs().mean()) for change in qualities]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 2 / 255 < errors[0] / 4


def test_one_of_several_is_each_as_often() -> None:
    def dark(images: Tensor, chance: Chance) -> Tensor:
        return images * 0

    def bright(images: Tensor, chance: Chance) -> Tensor:
        return images * 0 + 1

    images = torch.full((200, 3, 1, 1), 0.5)
    made = changed(one_of(dark, bright), images, *range(200))
    assert set(made.unique().tolist()) == {0.0, 1.0}
    assert 0.4 < float(made.mean()) < 0.6


def test_training_images_are_degraded_photographs(photos: Path) -> None:
    config = DataConfig(photos=(photos,), crop=24)
    draws = build_draws(config, length=6, seed=0, degraded=True)
    batch = collate([draws[i] for i in range(6)])
    assert batch.kind.tolist() == [Kind.DEGRADED] * 6
    made = compose(batch, build_synthesis(SynthesisConfig(), "low-light"))
    torch.testing.assert_close(made.target.transmission, batch.second / 255)
    assert made.ambient.mean() < 0.8 * made.target.transmission.mean()
    expected = TASKS["low-light"].trained(batch.first / 255, Chance(batch.seed.tolist(), batch.first / 255))
    torch.testing.assert_close(made.ambient, expected)
    with pytest.raises(ValueError, match="the synthesis degrades none"):
        compose(batch, Synthesis())


def test_photographs_are_degraded_always_in_the_same_way(photos: Path, tmp_path: Path) -> None:
    first, again = (write_degraded(photos, tmp_path / name, "denoising") for name in ("one", "other"))
    assert [folder.name for folder in first.tested] == ["denoising-15", "denoising-25", "denoising-50"]
    for one, other in zip((first.drawn, *first.tested), (again.drawn, *again.tested), strict=True):
        pairs = open_pairs(one)
        assert len(pairs) == 6
        assert all(torch.equal(a.ambient, b.ambient) for a, b in zip(pairs, open_pairs(other), strict=True))
    photo = open_pairs(first.tested[1])[0]
    added = (photo.ambient.float() - photo.transmission.float()).std()
    assert 20 < float(added) < 26  # it is clipped
    assert write_degraded(photos, tmp_path / "one", "denoising") == first
    for side in (16, 24):
        with pytest.raises(InputError, match="made of other photographs, or otherwise"):
            write_degraded(photos, tmp_path / "one", "denoising", side)


def test_the_middle_is_taken_of_large_photographs_and_small_ones_are_refused() -> None:
    photo = smooth(1, 40, 56)
    (made,) = degraded(partial(noise, sigma=(0, 0)), [photo], 20)
    assert torch.equal(made.truth, photo[:, 10:30, 18:38])
    (whole,) = degraded(partial(noise, sigma=(0, 0)), [photo], 50)
    assert torch.equal(whole.truth, photo[:, :, 3:53])
    with pytest.raises(InputError, match="photograph 1 is 15x40; give 16 pixels a side"):
        list(degraded(rain, [photo, smooth(2, 40, 15)]))

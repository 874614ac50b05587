"""The recipes: their laws, and the same pictures from independent computations."""

import math
from collections.abc import Callable
from io import BytesIO

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy.ndimage import gaussian_filter
from scipy.signal import convolve2d
from torch import Tensor

from msloss_sirr.errors import InputError
from msloss_sirr.synthesis import glass, light
from msloss_sirr.synthesis.chance import Chance
from msloss_sirr.synthesis.config import GlassConfig
from msloss_sirr.synthesis.glass import through
from msloss_sirr.synthesis.mixture import mixture
from msloss_sirr.synthesis.recipes import RECIPES, Recipe, clip, linear, screen
from msloss_sirr.synthesis.transplant import transplant

from ..conftest import smooth

seeds = st.integers(0, 2**62)
EVERYTHING = GlassConfig(ghosting=0.5, local=0.5, lighting=0.5, tint=0.5, noise=0.5, jpeg=0.5)
ALL: dict[str, Recipe] = {
    **RECIPES,
    "transplant": transplant,
    "mixture": mixture(RECIPES, {"linear": 1, "clip": 2, "screen": 3}),
    "glass": through(GlassConfig(ghosting=0.5, local=0.5, lighting=0.5, tint=0.5), linear),
}
recipes = st.sampled_from(sorted(ALL))


@given(recipes, seeds, st.integers(0, 100), st.integers(0, 100))
def test_layers_are_in_range_and_add_up(name: str, seed: int, scene: int, mirrored: int) -> None:
    made = ALL[name](smooth(scene)[None], smooth(mirrored)[None], [seed])
    for image in (made.ambient, *made.layers):
        assert image.min() >= 0
        assert image.max() <= 1
    torch.testing.assert_close(made.layers.transmission + made.layers.reflection, made.ambient, atol=1e-6, rtol=0)


@given(recipes, seeds)
def test_no_reflection_leaves_the_scene(name: str, seed: int) -> None:
    made = ALL[name](smooth(1)[None], torch.zeros(1, 3, 40, 56), [seed])
    torch.testing.assert_close(made.ambient, made.layers.transmission, atol=1e-6, rtol=0)
    assert made.layers.reflection.max() < 1e-6


@given(st.sampled_from(sorted({*ALL, "everything"})), seeds, seeds)
def test_the_seed_decides(name: str, a: int, b: int) -> None:
    recipe = {**ALL, "everything": through(EVERYTHING, ALL["mixture"])}[name]
    scene, mirrored = smooth(1)[None], smooth(2)[None]
    one, other = recipe(scene, mirrored, [a]), recipe(scene, mirrored, [b])
    assert torch.equal(one.ambient, recipe(scene, mirrored, [a]).ambient)
    if a != b:
        assert not torch.equal(one.ambient, other.ambient)
    both = recipe(torch.cat([scene, scene]), torch.cat([mirrored, mirrored]), [b, a])
    for together, alone in zip((both.ambient, *both.layers), (one.ambient, *one.layers), strict=True):
        torch.testing.assert_close(together[1:], alone, atol=1e-6, rtol=0)


@given(recipes, st.integers(11, 20), st.integers(11, 20))
def test_recipes_take_small_pictures(name: str, height: int, width: int) -> None:
    made = ALL[name](smooth(1, height, width)[None], smooth(2, height, width)[None], [3])
    assert made.ambient.shape == (1, 3, height, width)
    assert made.ambient.isfinite().all()


@pytest.mark.parametrize("name", [*sorted(ALL), "everything"])
def test_no_pictures_make_no_pictures(name: str) -> None:
    recipe = {**ALL, "everything": through(EVERYTHING, ALL["mixture"])}[name]
    made = recipe(torch.rand(0, 3, 20, 24), torch.rand(0, 3, 20, 24), [])
    assert all(image.shape == (0, 3, 20, 24) for image in (made.ambient, *made.layers))
    assert (made.kept.shape, made.kept.dtype) == ((0,), torch.bool)


@pytest.mark.parametrize("name", [*sorted(ALL), "nothing"])
@pytest.mark.parametrize(("count", "given"), [(0, 1), (2, 0), (2, 1), (2, 3)])
def test_every_picture_has_one_seed(name: str, count: int, given: int) -> None:
    recipe = {**ALL, "nothing": through(GlassConfig(), linear)}[name]
    with pytest.raises(ValueError, match=f"^{given} seeds for {count} images; give one seed for each image$"):
        recipe(torch.rand(count, 3, 20, 24), torch.rand(count, 3, 20, 24), range(given))


def numbers(seed: int) -> Callable[[float, float], float]:
    """Return what a seed draws, one number after the other."""
    generator = torch.Generator().manual_seed(seed)
    return lambda low, high: low + (high - low) * float(torch.rand(1, generator=generator))


def kernel_of(size: int, sigma: float) -> np.ndarray:
    offset = np.arange(size) - size // 2
    kernel = np.exp(-0.5 * (offset / sigma) ** 2)
    return np.outer(kernel, kernel) / kernel.sum() ** 2


def smeared(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    edge = len(kernel) // 2
    padded = np.pad(image, ((0, 0), (edge, edge), (edge, edge)), mode="reflect")
    return np.stack([convolve2d(channel, kernel, mode="valid") for channel in padded])


def without_excess(scene: np.ndarray, mirrored: np.ndarray) -> np.ndarray:
    total = scene + mirrored
    if total.max() > 1:
        mirrored = np.clip(mirrored - (total[total > 1].mean() - 1) * 1.3, 0, 1)
    return np.clip(scene + mirrored, 0, 1)


@pytest.mark.parametrize("seed", range(4))
def test_clip_against_numpy(seed: int) -> None:
    scene, mirrored = smooth(seed).double(), smooth(seed + 50).double() * 0.8 + 0.2
    blurred = smeared(mirrored.numpy(), kernel_of(11, numbers(seed)(2, 5)))
    made = clip(scene[None], mirrored[None], [seed])
    np.testing.assert_allclose(made.ambient[0].numpy(), without_excess(scene.numpy(), blurred), atol=1e-7)
    assert torch.equal(made.layers.transmission[0], scene)


@pytest.mark.parametrize("seed", range(8))
def test_screen_against_numpy(seed: int) -> None:
    scene, mirrored = smooth(seed).double(), smooth(seed + 50).double()
    generator = torch.Generator().manual_seed(seed)
    drawn = float(torch.rand((), generator=generator, dtype=torch.float64))
    size = 5 if drawn < 0.1 else 7 if drawn < 0.3 else 9 if drawn < 0.6 else 11
    sigma, _, a, b, kind = (
        low + (high - low) * float(torch.rand(1, generator=generator))
        for low, high in ((2, 5), (0, 1), (0.8, 1), (0.4, 1), (0, 1))
    )
    t, r = a * scene.numpy(), b * smeared(mirrored.numpy(), kernel_of(size, sigma))
    expected = t + r - t * r if kind < 0.7 else without_excess(t, r)
    made = screen(scene[None], mirrored[None], [seed])
    np.testing.assert_allclose(made.ambient[0].numpy(), expected, atol=1e-6)
    np.testing.assert_allclose(made.layers.transmission[0].numpy(), t, atol=1e-6)


def test_screen_makes_seven_of_ten_by_projection() -> None:
    scene = torch.full((400, 3, 12, 12), 0.1)
    scene[..., 6:] = 0.5
    added = screen(scene, torch.full_like(scene, 0.4), range(400)).layers.reflection[:, 0, 0]
    projected = (added[:, 0] > added[:, -1] + 0.01).float().mean()  # a sum adds the same everywhere
    assert 0.63 < projected < 0.77


@pytest.mark.parametrize("seed", range(4))
def test_linear_against_numpy(seed: int) -> None:
    scene, mirrored = smooth(seed).double(), smooth(seed + 50).double() * 0.8 + 0.2
    draw = numbers(seed)
    sigma, _, attenuation, top, left, dimming = (
        draw(*bounds) for bounds in ((1, 5), (0, 1), (1.08, 1.18), (0, 1), (0, 1), (0.8, 1))
    )
    t, r = scene.numpy() ** 2.2, smeared(mirrored.numpy() ** 2.2, kernel_of(2 * math.ceil(2 * sigma) + 1, sigma))
    for channel in range(3):
        over = (t + r)[channel][(t + r)[channel] > 1]
        if len(over):
            r[channel] -= (over.mean() - 1) * attenuation
    window = light.vignette(torch.full((1, 1, 1, 1), top), torch.full((1, 1, 1, 1), left), 40, 56)[0, 0].numpy()
    r = np.clip(r, 0, 1) * window
    expected = np.clip(t * dimming + r, 0, 1) ** (1 / 2.2)
    made = linear(scene[None], mirrored[None], [seed])
    np.testing.assert_allclose(made.ambient[0].numpy(), expected, atol=2e-6)
    np.testing.assert_allclose(made.layers.transmission[0].numpy(), (t * dimming) ** (1 / 2.2), atol=1e-6)


def test_linear_rejects_as_published() -> None:
    def kept(scene: Tensor, mirrored: Tensor) -> bool:
        return bool(linear(scene[None], mirrored[None], [1]).kept)

    grey = torch.full((3, 20, 20), 0.4)
    assert kept(grey, grey)
    assert kept(grey, grey * 0.51)
    assert not kept(grey, grey * 0.49)
    assert not kept(torch.full_like(grey, 0.14), grey)
    assert not kept(torch.full_like(grey, 0.14), torch.full_like(grey, 0.14))
    assert clip(grey[None], grey[None] * 0, [1]).kept
    assert screen(grey[None], grey[None] * 0, [1]).kept


def test_transmission_of_linear_is_the_scene_dimmed_in_linear_light() -> None:
    scene = smooth(3)[None].clamp(min=0.05)
    factors = []
    for seed in range(50):
        ratio = linear(scene, smooth(4)[None], [seed]).layers.transmission ** 2.2 / scene**2.2
        assert ratio.std() < 1e-4
        factors.append(float(ratio.mean()))
    assert 0.8 <= min(factors) < 0.85
    assert 0.95 < max(factors) <= 1.0


def test_blur_against_scipy() -> None:
    images = torch.rand(3, 3, 40, 56, dtype=torch.float64)
    for sigma in (1.0, 2.3, 5.0):
        blurred = light.blurred(images, torch.full((3,), sigma, dtype=torch.float64))
        radius = math.ceil(2 * sigma)
        expected = gaussian_filter(images.numpy(), (0, 0, sigma, sigma), mode="mirror", radius=(0, 0, radius, radius))
        np.testing.assert_allclose(blurred.numpy(), expected, atol=1e-12)
    assert torch.equal(light.blurred(images, torch.zeros(3).double()), images)


@given(
    st.integers(11, 70), st.integers(11, 70), st.just(0.0) | st.floats(0.3, 5), st.booleans(), st.sampled_from([1, 3])
)
def test_blur_in_single_precision_against_scipy(height: int, width: int, sigma: float, last: bool, count: int) -> None:
    """Whatever sides are no multiples of, and however the picture lies in memory."""
    images = torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(height * width))
    images = images.contiguous(memory_format=torch.channels_last) if last else images
    radius = math.ceil(2 * sigma)
    expected = gaussian_filter(
        images.double().numpy(), (0, 0, sigma, sigma), mode="mirror", radius=(0, 0, radius, radius)
    )
    before = images.clone()
    blurred = light.blurred(images, torch.full((count,), sigma, dtype=torch.float64))
    np.testing.assert_allclose(blurred.numpy(), expected, atol=1e-6)
    assert torch.equal(images, before)


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_recipes_leave_photographs_as_they_were(name: str) -> None:
    scene, mirrored = smooth(1).expand(4, -1, -1, -1).clone(), smooth(2).expand(4, -1, -1, -1).clone()
    for sharp in (0.0, 1.0):
        made = RECIPES[name](scene, mirrored, range(4), sharp=sharp)  # type: ignore[call-arg]
        assert torch.equal(scene[0], smooth(1))
        assert torch.equal(mirrored[0], smooth(2))
        assert made.ambient.shape == scene.shape


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_recipes_are_not_differentiated(name: str) -> None:
    made = RECIPES[name](smooth(1)[None].requires_grad_(), smooth(2)[None].requires_grad_(), [1])
    assert not any(image.requires_grad for image in (made.ambient, made.layers.reflection))


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_sharp_reflections_are_not_blurred(name: str) -> None:
    checks = (torch.arange(40)[:, None] + torch.arange(56)) % 2 * torch.ones(1, 3, 40, 56)
    black = torch.full_like(checks, 0.2)
    contrast = [
        float(RECIPES[name](black, checks, [5], sharp=sharp).layers.reflection.diff(dim=3).abs().mean())
        for sharp in (0.0, 1.0)
    ]
    assert contrast[0] < 0.05 < 0.2 < contrast[1]


def test_vignette_is_a_window_of_the_published_one() -> None:
    edges = np.linspace(-3 - 3.5 / 560, 3 + 3.5 / 560, 561)
    cdf = 0.5 * (1 + np.vectorize(math.erf)(edges / np.sqrt(2)))
    published = np.sqrt(np.outer(np.diff(cdf), np.diff(cdf)))
    published /= published.max()
    corner = torch.zeros(1, 1, 1, 1, dtype=torch.float64)
    window = light.vignette(corner + 0.5, corner, 550, 550)[0, 0].numpy()
    np.testing.assert_allclose(window, published[:550, :550], atol=1e-4)
    small = light.vignette(corner + 1, corner, 50, 60)[0, 0].numpy()
    np.testing.assert_allclose(small, published[500:550, :60], atol=1e-4)
    large = light.vignette(corner + 0.5, corner + 0.5, 2000, 3000)[0, 0]
    ends = torch.stack([large[0, 1500], large[-1, 1500], large[1000, 0], large[1000, -1]])
    torch.testing.assert_close(ends, torch.full_like(ends, published[0, 280]), atol=0.01, rtol=0)


def test_mixture_makes_each_image_by_one_recipe() -> None:
    scene, mirrored = smooth(1).expand(60, -1, -1, -1), smooth(2).expand(60, -1, -1, -1)
    made = mixture(RECIPES, {"linear": 1, "clip": 0, "screen": 3})(scene, mirrored, range(60))
    by = {name: recipe(scene, mirrored, range(60)) for name, recipe in RECIPES.items()}
    share = {
        name: [torch.allclose(made.ambient[i], one.ambient[i], atol=1e-6) for i in range(60)]
        for name, one in by.items()
    }
    assert all(sum(each) == 1 for each in zip(*share.values(), strict=True))
    assert not any(share["clip"])
    assert 5 < sum(share["linear"]) < 26
    for odds in ({}, {"linear": 0.0}, {"other": 1.0}, {"linear": -1.0, "clip": 2.0}):
        with pytest.raises(ValueError, match="give one or more of"):
            mixture(RECIPES, odds)


@pytest.mark.parametrize("name", ["ghosted", "covering", "relit", "exposed", "tinted", "noisy", "compressed"])
def test_glass_adds_nothing_to_no_pictures(name: str) -> None:
    none = torch.rand(0, 3, 20, 24)
    assert getattr(glass, name)(none, Chance([], none)).shape == none.shape


@given(st.sampled_from(["ghosted", "covering", "relit", "exposed", "tinted", "noisy", "compressed"]), seeds)
def test_what_glass_adds_stays_in_range(name: str, seed: int) -> None:
    image = smooth(3)[None]
    changed = getattr(glass, name)(image, Chance([seed], image))
    assert changed.shape == image.shape
    assert changed.min() >= 0
    assert changed.max() <= 1
    assert not torch.equal(changed, image)


def test_ghost_is_the_same_picture_again() -> None:
    point = torch.zeros(1, 3, 80, 80)
    point[..., 40, 40] = 1
    for seed in range(5):
        seen = light.linear_light(glass.ghosted(point, Chance([seed], point)))[0, 0]
        first, second = (
            seen[40, 40],
            seen.clone().index_put_((torch.tensor(40), torch.tensor(40)), torch.tensor(0.0)).max(),
        )
        assert (seen > 1e-4).sum() == 2
        assert float(first + second) == pytest.approx(1, abs=1e-5)
        assert 0.3 <= float(second / first) <= 0.9
    even = torch.full((1, 3, 20, 20), 0.5)
    torch.testing.assert_close(glass.ghosted(even, Chance([1], even)), even)  # borders are not darkened


def test_covering_leaves_half_of_the_picture() -> None:
    white = torch.ones(20, 3, 60, 60)
    shares = (glass.covering(white, Chance(range(20), white)) > 0.5 ** (1 / 2.2)).flatten(1).float().mean(1)
    torch.testing.assert_close(shares, torch.full((20,), 0.5), atol=0.02, rtol=0)


def test_tint_is_in_the_target_and_noise_is_not() -> None:
    scene, black = smooth(1)[None], torch.zeros(1, 3, 40, 56)
    tinted = through(GlassConfig(tint=1.0), clip)(scene, black, [4])
    assert not torch.allclose(tinted.layers.transmission, scene, atol=0.01)
    for camera in (GlassConfig(noise=1.0), GlassConfig(jpeg=1.0)):
        made = through(camera, clip)(scene, black, [4])
        assert torch.equal(made.layers.transmission, scene)
        assert not made.layers.reflection.any()
        assert 1e-4 < (made.ambient - scene).abs().mean() < 0.05


def test_strength_is_within_its_bounds_and_reaches_them() -> None:
    for ambient, transmission in ((0.6, 0.4), (0.4, 0.6)):  # photographs are darker than their transmissions, too
        pairs = torch.cat([torch.full((300, 3, 2, 2), level) for level in (ambient, transmission)], dim=1)
        changed = glass.strengthened(pairs, Chance(range(300), pairs))
        assert torch.equal(changed[:, 3:], pairs[:, 3:])
        strength = (changed[:, :3] - transmission) / (ambient - transmission)
        assert 0.2999 < strength.min() < 0.32
        assert 1.18 < strength.max() < 1.2001
    extreme = torch.cat([torch.eye(2).expand(300, 3, 2, 2), 1 - torch.eye(2).expand(300, 3, 2, 2)], dim=1)
    assert glass.strengthened(extreme, Chance(range(300), extreme)).aminmax() == (0, 1)


def test_light_and_tint_are_within_their_bounds_and_reach_them() -> None:
    grey = torch.full((300, 3, 4, 4), 0.4)

    def factors(name: str) -> Tensor:
        changed = getattr(glass, name)(grey, Chance(range(300), grey))
        return (light.linear_light(changed) / light.linear_light(grey))[:, :, 0, 0]

    for name, most, balanced in (("relit", 2.0, 1.25), ("exposed", 2**0.5, 1.25**0.5)):
        lit = factors(name)
        assert 0.999 / most <= lit[:, 1].min() < 1.1 / most
        assert 0.92 * most < lit[:, 1].max() <= 1.001 * most
        for channel in (0, 2):
            balance = lit[:, channel] / lit[:, 1]
            assert 0.999 / balanced <= balance.min() < 1.03 / balanced
            assert 0.97 * balanced < balance.max() <= 1.001 * balanced
    tint = factors("tinted")
    assert 0.849 <= tint.min() < 0.86
    assert 0.99 < tint.max() <= 1.001
    assert (tint.amax(1) - tint.amin(1) > 0.02).float().mean() > 0.8


def test_ghosts_are_no_farther_than_a_fortieth_of_the_height() -> None:
    point = torch.zeros(1, 3, 200, 200)
    point[..., 100, 100] = 1
    farthest = 0.0
    for seed in range(60):
        rows, columns = (glass.ghosted(point, Chance([seed], point))[0, 0] > 1e-3).nonzero().unbind(1)
        farthest = max(farthest, float(((rows - 100) ** 2 + (columns - 100) ** 2).max()) ** 0.5)
    assert 4 < farthest <= 5 + 0.71  # half a pixel of rounding, either way


def test_local_reflections_have_soft_borders() -> None:
    white = torch.ones(20, 3, 60, 60)
    share = light.linear_light(glass.covering(white, Chance(range(20), white)))
    assert ((share > 0.2) & (share < 0.8)).float().mean() > 0.1


def test_compression_is_of_the_stated_qualities() -> None:
    rough = torch.rand(40, 3, 48, 48, generator=torch.Generator().manual_seed(0))
    changed = glass.compressed(rough, Chance(range(40), rough))
    errors = (changed - rough).abs().mean((1, 2, 3))
    bounds = []
    for quality in (95, 60):
        file = BytesIO()
        Image.fromarray((rough[0] * 255).round().byte().permute(1, 2, 0).numpy()).save(file, "JPEG", quality=quality)
        with Image.open(file) as image:
            bounds.append(float((torch.from_numpy(np.array(image)).permute(2, 0, 1) / 255 - rough[0]).abs().mean()))
    assert 0.9 * bounds[0] < errors.min() < errors.max() < 1.1 * bounds[1]


def test_linear_keeps_nothing_of_a_dark_mirrored_photograph() -> None:
    scene = torch.full((1, 3, 20, 20), 0.2)
    assert linear(scene, torch.full_like(scene, 0.16), [1]).kept
    assert not linear(scene, torch.full_like(scene, 0.14), [1]).kept


def test_noise_is_as_strong_as_it_says() -> None:
    grey = torch.full((1, 3, 200, 200), 0.5)
    seed = 7
    draw = numbers(seed)
    a, b = draw(0, 0.004), draw(0, 0.01)
    noise = light.linear_light(glass.noisy(grey, Chance([seed], grey))) - 0.5**2.2
    assert float(noise.std()) == pytest.approx(math.sqrt(a * 0.5**2.2 + b**2), rel=0.02)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_glass_adds_as_often_as_it_is_asked_to(share: float) -> None:
    scene = smooth(1).expand(200, -1, -1, -1)
    made = through(GlassConfig(tint=share), clip)(scene, torch.zeros_like(scene), range(200))
    changed = (made.layers.transmission != scene).flatten(1).any(1).float().mean()
    assert float(changed) == pytest.approx(share, abs=0.1 if share == 0.3 else 0)


def test_probabilities_are_checked() -> None:
    with pytest.raises(InputError, match=r"ghosting is 1.5; give a probability"):
        GlassConfig(ghosting=1.5)

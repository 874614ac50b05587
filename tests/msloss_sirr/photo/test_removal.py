"""One photograph, at any size: what changes, what does not, and in how much memory."""

from collections.abc import Callable
from typing import Any

import hypothesis.strategies as st
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from torch import Tensor, nn

from msloss_sirr import InputError, Layers, Remover, RemoverConfig
from msloss_sirr.images.reading import to_float
from msloss_sirr.photo.memory import bytes_per_pixel, parse_size
from msloss_sirr.photo.options import RemovalOptions
from msloss_sirr.photo.removal import remove
from msloss_sirr.photo.resizing import enlarged, enlarged_rows, pooled, reduced, reduced_size, strips
from msloss_sirr.photo.tiling import placed, shares

METHODS = ("auto", "whole", "guided", "tiles")
ALWAYS: dict[str, Any] = {"threshold": 0.0}


def taking(change: Callable[[Tensor], Tensor]) -> Callable[..., Layers]:
    """A remover that takes off what a function says."""

    def estimator(ambient: Tensor) -> Layers:
        taken = change(ambient)
        return Layers(ambient - taken, taken)

    return estimator


def picture(height: int = 150, width: int = 201, dtype: torch.dtype = torch.uint8, seed: int = 0) -> Tensor:
    """Some smooth colours with noise on them."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, 6, 7, generator=generator)
    smooth = F.interpolate(coarse, size=(height, width), mode="bicubic").clamp(0, 1)[0]
    noisy = (smooth * 0.5 + 0.25 + 0.03 * torch.randn(3, height, width, generator=generator)).clamp(0, 1)
    return (noisy * torch.iinfo(dtype).max).round().to(torch.int32).to(dtype)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16])
def test_what_does_not_change_keeps_its_values(method: Any, dtype: torch.dtype) -> None:
    pixels = picture(dtype=dtype)
    options = RemovalOptions(method=method, work_size=64, tile=80, overlap=16, **ALWAYS)
    result = remove(taking(torch.zeros_like), pixels, options, reflection=True)
    assert result.transmission.dtype == dtype
    assert torch.equal(result.transmission.int(), pixels.int())
    assert result.reflection is not None
    assert not result.reflection.any()


@pytest.mark.parametrize("method", METHODS)
def test_a_veil_is_taken_off_everywhere(method: Any) -> None:
    pixels = picture()
    options = RemovalOptions(method=method, work_size=64, tile=80, overlap=16, **ALWAYS)
    result = remove(taking(lambda x: torch.full_like(x, 0.0625)), pixels, options, reflection=True).transmission
    expected = (to_float(pixels) - 0.0625).clamp(0, 1) * 255
    assert (result - expected).abs().max() <= 1


def test_guided_keeps_the_detail_and_finds_the_place() -> None:
    """A broad reflection, known at a quarter of the size: taken off within three of 255 in the mean, noise and all."""
    scene = to_float(picture(400, 520)) * 0.7
    across = torch.linspace(-1, 1, 520).square() + torch.linspace(-1, 1, 400)[:, None].square()
    reflection = 0.3 * torch.exp(-6 * across).expand(3, -1, -1)
    pixels = ((scene + reflection) * 255).round().to(torch.uint8)

    def known(ambient: Tensor) -> Tensor:
        return F.interpolate(reflection[None], size=ambient.shape[-2:], mode="bilinear", antialias=True)

    result = remove(taking(known), pixels, RemovalOptions(method="guided", work_size=100)).transmission
    error = to_float(result) - scene
    assert error.square().mean().sqrt() < 3 / 255
    assert error.square().mean().sqrt() < 0.1 * reflection.square().mean().sqrt()
    coarse = F.avg_pool2d(error[None], 20)
    assert coarse.abs().max() < 4 / 255


class Near(nn.Module):
    """Looks three pixels far."""

    def __init__(self) -> None:
        super().__init__()
        self.see = nn.Conv2d(3, 3, 7, padding=3, padding_mode="replicate")
        nn.init.normal_(self.see.weight, std=0.02, generator=torch.Generator().manual_seed(1))

    def forward(self, ambient: Tensor) -> Layers:
        change = self.see(ambient)
        return Layers(ambient - change, change)


def test_tiles_are_the_whole_where_a_network_sees_no_farther_than_they_overlap() -> None:
    """To within the rounding of half precision, and of what lies beyond the edge of a tile."""
    pixels, near = picture(300, 333), Near()
    whole = remove(near, pixels, RemovalOptions(method="whole", **ALWAYS)).transmission
    for tile in (100, 128, 200):
        options = RemovalOptions(method="tiles", tile=tile, overlap=32, **ALWAYS)
        tiled = remove(near, pixels, options).transmission
        assert (tiled.int() - whole.int()).abs().max() <= 1


def test_tiles_are_told_of_the_whole() -> None:
    """A network that takes off the mean of what it sees would leave a patchwork behind."""
    pixels = picture(256, 256)
    pixels[:, :, :100] = 0

    def mean(ambient: Tensor) -> Tensor:
        return ambient.mean(dim=(2, 3), keepdim=True).expand_as(ambient) / 2

    whole = remove(taking(mean), pixels, RemovalOptions(method="whole", **ALWAYS)).transmission
    options = RemovalOptions(method="tiles", tile=80, overlap=16, work_size=64, **ALWAYS)
    tiled = remove(taking(mean), pixels, options).transmission
    assert (tiled.int() - whole.int()).abs().max() <= 1


@pytest.mark.parametrize("method", ["whole", "guided", "tiles"])
def test_strength_is_linear_and_zero_is_the_photograph(method: Any) -> None:
    pixels = picture()
    estimator = taking(lambda x: 0.2 * x)

    def at(strength: float) -> Tensor:
        options = RemovalOptions(method=method, strength=strength, work_size=64, tile=80, overlap=16, **ALWAYS)
        return remove(estimator, pixels, options).transmission.float()

    assert torch.equal(at(0), pixels.float())
    assert ((at(0.5) + at(1.5)) / 2 - at(1)).abs().max() <= 1
    assert at(1.5).mean() < at(1).mean() < at(0.5).mean() < at(0).mean()


def test_mask_says_where() -> None:
    pixels = picture()
    mask = torch.zeros(1, *pixels.shape[1:])
    mask[:, 40:80, 50:100] = 1
    mask[:, 80:90] = 0.5
    take = taking(lambda x: x / 4)
    everywhere = remove(take, pixels).transmission.float()
    result = remove(take, pixels, mask=mask).transmission.float()
    assert torch.equal(result[:, 40:80, 50:100], everywhere[:, 40:80, 50:100])
    assert torch.equal(result[:, :40], pixels[:, :40].float())
    assert ((result - (everywhere + pixels.float()) / 2)[:, 80:90]).abs().max() <= 0.5
    with pytest.raises(InputError, match=r"the mask is 3x2 pixels but the photograph 201x150; give one of the same"):
        remove(take, pixels, mask=torch.zeros(1, 2, 3))


def test_what_is_not_visible_is_left_alone() -> None:
    pixels = picture()
    faint = remove(taking(lambda x: torch.full_like(x, 0.015)), pixels, reflection=True)
    assert not faint.changed
    assert faint.visible == pytest.approx(0.015, abs=1e-4)
    assert torch.equal(faint.transmission, pixels)
    assert faint.reflection is not None
    assert not faint.reflection.any()
    seen = remove(taking(lambda x: torch.full_like(x, 0.025)), pixels)
    assert seen.changed
    assert remove(taking(lambda x: torch.full_like(x, 0.015)), pixels, RemovalOptions(threshold=0)).changed


def test_steps_go_on_until_little_changes() -> None:
    pixels = torch.full((3, 8, 8), 200, dtype=torch.uint8)
    halve = taking(lambda x: 0.5 * x)
    assert remove(halve, pixels, RemovalOptions(steps=3)).transmission.unique().tolist() == [25]
    calls: list[Tensor] = []

    def once(ambient: Tensor) -> Tensor:
        calls.append(ambient)
        return 0.5 * ambient if len(calls) == 1 else torch.zeros_like(ambient)

    assert remove(taking(once), pixels, RemovalOptions(steps="auto")).transmission.unique().tolist() == [100]
    assert len(calls) == 2


class Wide:
    """Colours twice as wide as sRGB, and turned over."""

    def to_srgb(self, pixels: Tensor) -> Tensor:
        return 1.5 - 2 * pixels

    def from_srgb(self, pixels: Tensor) -> Tensor:
        return (1.5 - pixels) / 2


@pytest.mark.parametrize("method", ["whole", "guided", "tiles"])
def test_colours_beyond_srgb_stay(method: Any) -> None:
    pixels = picture(dtype=torch.uint16)
    pixels[:, :20] = 0  # 1.5 in sRGB
    pixels[:, 20:40] = 65535  # -0.5
    options = RemovalOptions(method=method, work_size=64, tile=80, overlap=16, **ALWAYS)
    same = remove(taking(torch.zeros_like), pixels, options, colours=Wide())
    assert torch.equal(same.transmission.int(), pixels.int())
    result = remove(taking(lambda x: torch.full_like(x, 0.125)), pixels, options, colours=Wide()).transmission
    expected = (to_float(pixels) + 0.0625) * 65535
    inside = (pixels.int() > 0.3 * 65535) & (pixels.int() < 0.65 * 65535)
    inside[:, :60] = False
    assert (result.float() - expected)[inside].abs().max() < 0.01 * 65535
    assert (result[:, 30].int() == 65535).all()  # black, and blacker, in sRGB: nothing to take off


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 400),
    st.integers(20, 120).flatmap(lambda tile: st.tuples(st.just(tile), st.integers(0, tile // 2 - 1))),
    st.sampled_from([1, 2, 8]),
)
def test_tiles_cover_a_side_and_count_as_one(length: int, tile: tuple[int, int], multiple: int) -> None:
    tiles = placed(length, *tile, multiple)
    assert all(begin % multiple == 0 for begin, _ in tiles)
    assert max(end - begin for begin, end in tiles) < tile[0] + multiple
    total = torch.zeros(length)
    for (begin, end), share in zip(tiles, shares(length, tiles), strict=True):
        assert (share >= 0).all()
        total[begin:end] += share
    torch.testing.assert_close(total, torch.ones(length))


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 90), st.integers(1, 90), st.integers(1, 40), st.integers(1, 7))
def test_reducing_by_strips_is_reducing_at_once(height: int, width: int, short: int, factor: int) -> None:
    pixels = picture(height, width)
    size = reduced_size(height, width, short)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("msloss_sirr.photo.resizing._AT_ONCE", 200)
        assert [row for top, bottom in strips(height, width, 3) for row in range(top, bottom)] == [*range(height)]
        small, means = reduced(pixels, *size), pooled(pixels, factor)
    exact = F.interpolate(to_float(pixels)[None], size=size, mode="bilinear", align_corners=False, antialias=True)[0]
    torch.testing.assert_close(small, exact)
    torch.testing.assert_close(means, F.avg_pool2d(to_float(pixels)[None], factor, ceil_mode=True)[0])
    rows = enlarged_rows(small, height, width, height // 3, height // 3 + (height + 1) // 2)
    torch.testing.assert_close(rows, enlarged(small, height, width)[:, height // 3 : height // 3 + (height + 1) // 2])


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (3000, 2), (65, 64)])
@pytest.mark.parametrize("method", METHODS)
def test_any_size(size: tuple[int, int], method: Any) -> None:
    pixels = torch.full((3, *size), 100, dtype=torch.uint8)
    options = RemovalOptions(method=method, work_size=64, tile=64, overlap=16, **ALWAYS)
    result = remove(taking(lambda x: torch.full_like(x, 0.1)), pixels, options)
    assert result.transmission.shape == pixels.shape
    assert (result.transmission.int() - 74).abs().max() <= 1


def test_depth_guides_at_every_size() -> None:
    """What a remover is given is the depth of the photograph, at the size that it sees."""
    given: list[Tensor] = []

    class Guided(nn.Module):
        def forward(self, ambient: Tensor, depth: Tensor) -> Layers:
            assert depth.shape == (1, 1, *ambient.shape[2:])
            if ambient.shape[2:] != (256, 256):  # by which memory is found out
                given.append(depth)
            return Layers(ambient - depth / 4, depth / 4)

        def prepare_depth(self, depth: Tensor) -> Tensor:
            return (depth > 0.5).float()

    def left(ambient: Tensor, stored: Tensor | None) -> Tensor:
        return torch.linspace(1, 0, ambient.shape[3]).expand(1, 1, *ambient.shape[2:])

    pixels = torch.full((3, 128, 160), 200, dtype=torch.uint8)
    for method in ("whole", "guided", "tiles"):
        options: Any = RemovalOptions(method=method, work_size=64, tile=80, overlap=16, **ALWAYS)  # type: ignore[arg-type]
        result = remove(Guided(), pixels, options, source=left).transmission.float()
        assert (result[:, :, :60] - 136).abs().max() <= 1
        assert (result[:, :, 100:] - 200).abs().max() <= 1
    assert all(set(depth.unique().tolist()) <= {0.0, 1.0} for depth in given)


def test_memory_is_kept_to() -> None:
    remover = Remover(RemoverConfig(channels=(8,), patch=1)).eval()
    each = bytes_per_pixel(remover)
    assert each == pytest.approx(bytes_per_pixel(remover))
    assert each > 3 * 4
    pixels = picture(600, 600)
    little = int(200 * 2**20 + 2 * pixels.nbytes + 600 * 600 * each / 4)
    with pytest.raises(InputError, match=r"600x600 pixels at once take .* give --method guided or tiles, or a larger"):
        remove(remover, pixels, RemovalOptions(method="whole", max_memory=str(little)))
    for method in ("guided", "tiles"):
        remove(remover, pixels, RemovalOptions(method=method, max_memory=str(little), work_size=200))
    with pytest.raises(InputError, match=r"too little for tiles|a smaller --work-size"):
        remove(remover, pixels, RemovalOptions(method="guided", max_memory="1M"))
    assert parse_size("2g") == parse_size("2 GiB") == 2 * parse_size("1024M") == 2**31
    for wrong in ("", "much", "-1G", "0", "1X"):
        with pytest.raises(InputError, match="is no amount of memory; give one as 500M or 2G"):
            parse_size(wrong)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"strength": -0.1}, "strength is -0.1; give 0 to 1.5"),
        ({"strength": float("nan")}, "strength is nan"),
        ({"steps": 0}, "steps is 0; give 1 or more, or auto"),
        ({"method": "magic"}, "method is 'magic'; give one of 'auto'"),
        ({"work_size": 10}, "work_size is 10"),
        ({"tile": 64, "overlap": 32}, "an overlap of less than half a tile"),
        ({"threshold": 2.0}, "threshold is 2.0; give 0 to 1"),
    ],
)
def test_options_that_cannot_be(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        RemovalOptions(**options)


def test_what_is_no_photograph_is_refused() -> None:
    for wrong in (
        torch.zeros(3, 4, 4),
        torch.zeros(1, 4, 4, dtype=torch.uint8),
        torch.zeros(3, 0, 4, dtype=torch.uint8),
    ):
        with pytest.raises(ValueError, match="the photograph is"):
            remove(taking(torch.zeros_like), wrong)
    with pytest.raises(ValueError, match="NaN or infinity"):
        remove(taking(lambda x: x * torch.nan), torch.zeros(3, 4, 4, dtype=torch.uint8))

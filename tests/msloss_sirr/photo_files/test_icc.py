"""Colours of ICC profiles: against ImageCms in 8 bits, and there and back in full precision."""

import struct
from io import BytesIO
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms

from msloss_sirr.photo_files.icc import Colours

D50 = np.array([0.9642, 1.0, 0.8249])
BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
D65_XY, D50_XY = (0.3127, 0.3290), (0.3457, 0.3585)
PRIMARIES = {
    "sRGB": (((0.64, 0.33), (0.30, 0.60), (0.15, 0.06)), D65_XY),
    "Display P3": (((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)), D65_XY),
    "Adobe RGB": (((0.64, 0.33), (0.21, 0.71), (0.15, 0.06)), D65_XY),
    "ProPhoto RGB": (((0.734699, 0.265301), (0.159597, 0.840403), (0.036598, 0.000105)), D50_XY),
}
SRGB = (3, (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045))


def xyz(xy: tuple[float, float]) -> np.ndarray:
    x, y = xy
    return np.array([x / y, 1.0, (1 - x - y) / y])


def para(kind: int, numbers: tuple[float, ...]) -> bytes:
    return b"para\0\0\0\0" + struct.pack(">HH", kind, 0) + struct.pack(f">{len(numbers)}i", *map(fixed, numbers))


def curv(*numbers: int) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(f">I{len(numbers)}H", len(numbers), *numbers)


def fixed(number: float) -> int:
    return round(number * 65536)


def columns(name: str) -> np.ndarray:
    """Return the primaries' XYZ under D50, as ICC.1 has them: adapted by Bradford's matrix."""
    primaries, white = PRIMARIES[name]
    own = np.stack([xyz(xy) for xy in primaries], 1)
    scaled = own * np.linalg.solve(own, xyz(white))
    gain = np.diag((BRADFORD @ D50) / (BRADFORD @ xyz(white)))
    return np.linalg.inv(BRADFORD) @ gain @ BRADFORD @ scaled


def profile(tags: dict[bytes, bytes], space: bytes = b"RGB ") -> bytes:
    tags = {b"desc": text("made"), b"wtpt": triple(D50), b"cprt": b"text\0\0\0\0none\0", **tags}
    table, body, offset = b"", b"", 132 + 12 * len(tags)
    for name, data in tags.items():
        table += name + struct.pack(">II", offset + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    head = struct.pack(">I4xI4s4s4s12x4s", offset + len(body), 0x02400000, b"mntr", space, b"XYZ ", b"acsp")
    head += bytes(28) + struct.pack(">3i", *map(fixed, D50)) + bytes(48)
    return head + struct.pack(">I", len(tags)) + table + body


def triple(numbers: np.ndarray) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *map(fixed, numbers))


def text(line: str) -> bytes:
    return b"desc\0\0\0\0" + struct.pack(">I", len(line) + 1) + line.encode() + bytes(1 + 78)


def rgb(name: str, curve: bytes) -> bytes:
    matrix = {f"{c}XYZ".encode(): triple(columns(name)[:, i]) for i, c in enumerate("rgb")}
    return profile({**matrix, **{f"{c}TRC".encode(): curve for c in "rgb"}})


SPACES = {
    "Display P3": rgb("Display P3", para(*SRGB)),
    "Adobe RGB": rgb("Adobe RGB", curv(563)),  # 2.19921875
    "ProPhoto RGB": rgb("ProPhoto RGB", curv(461)),
    "of samples": rgb("Adobe RGB", curv(*(round(65535 * (i / 255) ** 1.8) for i in range(256)))),
    "linear": rgb("Display P3", curv()),
    "of type 0": rgb("ProPhoto RGB", para(0, (1.8,))),
    "of type 1": rgb("Display P3", para(1, (2.2, 1.0, 0.0))),
    "of type 4": rgb("Display P3", para(4, (*SRGB[1], 0.0, 0.0))),
}


def cube(steps: int) -> np.ndarray:
    """Return colours in 8 bits, ``(steps, steps * steps, 3)``."""
    levels = np.linspace(0, 255, steps).round().astype(np.uint8)
    return np.array(list(product(levels, repeat=3)), dtype=np.uint8).reshape(steps, -1, 3)


@pytest.mark.parametrize("name", SPACES)
def test_colours_are_those_of_imagecms(name: str) -> None:
    colours = Colours(SPACES[name])
    assert colours.reading == "matrix"
    own, srgb = ImageCms.ImageCmsProfile(BytesIO(SPACES[name])), ImageCms.createProfile("sRGB")
    levels = cube(12)
    pixels = torch.from_numpy(levels).permute(2, 0, 1).double() / 255
    for one, other, convert in ((own, srgb, colours.to_srgb), (srgb, own, colours.from_srgb)):
        expected = ImageCms.profileToProfile(
            Image.fromarray(levels), one, other, ImageCms.Intent.RELATIVE_COLORIMETRIC, "RGB"
        )
        ours = (convert(pixels).clamp(0, 1) * 255).permute(1, 2, 0).numpy()
        # near black, half a step of light is many steps of a curve without a straight beginning
        bright = np.array(expected).min(2) > 4
        assert bright.mean() > 0.3
        assert np.abs(ours - np.array(expected))[bright].max() < 1.5


@pytest.mark.parametrize("name", SPACES)
@given(seed=st.integers(0, 2**32 - 1))
def test_there_and_back_is_the_identity(name: str, seed: int) -> None:
    colours = Colours(SPACES[name])
    drawn = torch.rand(3, 5, 7, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    single = drawn.float().clamp(min=0.01)
    assert (colours.from_srgb(colours.to_srgb(drawn)) - drawn).abs().max() < 1e-9
    assert (colours.from_srgb(colours.to_srgb(single)) - single).abs().max() < 1e-5
    wide = drawn * 3 - 1
    assert (colours.from_srgb(colours.to_srgb(wide)) - wide).abs().max() < 1e-9
    assert (colours.to_srgb(colours.from_srgb(wide)) - wide).abs().max() < 1e-9


@pytest.mark.parametrize("name", SPACES)
def test_every_level_of_eight_bits_survives_in_single_precision(name: str) -> None:
    levels = cube(18)
    pixels = torch.from_numpy(levels).permute(2, 0, 1).float() / 255
    colours = Colours(SPACES[name])
    back = colours.from_srgb(colours.to_srgb(pixels))
    assert torch.equal((back * 255).round(), (pixels * 255).round())
    assert (back - pixels).abs().max() < 6e-4


def test_colours_wider_than_srgb_leave_its_range() -> None:
    green = torch.tensor([0.0, 1.0, 0.0]).view(3, 1, 1)
    for name in ("Display P3", "Adobe RGB", "ProPhoto RGB"):
        assert Colours(SPACES[name]).to_srgb(green)[0].item() < -0.3
        grey = torch.full((3, 1, 1), 0.5)
        assert Colours(SPACES[name]).to_srgb(grey).std() < 1e-4  # white stays white


def test_srgb_is_left_alone() -> None:
    pixels = torch.rand(3, 4, 4)
    own = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    sampled = rgb("sRGB", curv(*(round(65535 * curve_of_srgb(i / 1023)) for i in range(1024))))
    for known in (None, b"", own, rgb("sRGB", para(*SRGB)), sampled):
        colours = Colours(known)
        assert colours.reading == "sRGB"
        assert colours.to_srgb(pixels) is pixels
        assert colours.from_srgb(pixels) is pixels


def curve_of_srgb(x: float) -> float:
    return x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4


def test_grey_goes_through_its_curve() -> None:
    colours = Colours(profile({b"kTRC": curv(256)}, b"GRAY"))  # linear
    assert colours.reading == "grey"
    level = torch.tensor(curve_of_srgb(0.5)).expand(3, 2, 2)
    assert torch.allclose(colours.to_srgb(level), torch.tensor(0.5), atol=1e-6)
    assert torch.allclose(colours.from_srgb(colours.to_srgb(level)), level, atol=1e-6)


def test_tables_go_through_imagecms() -> None:
    lab = ImageCms.createProfile("LAB")
    assert Colours(ImageCms.ImageCmsProfile(lab).tobytes()).reading == "unreadable"  # not of RGB
    size = 2
    grid = np.array(list(product((0, 1), repeat=3)), dtype=float) @ columns("Display P3").T
    codes = (np.clip(grid * 32768, 0, 65535)).round().astype(">u2").tobytes()
    ends = np.array([0, 65535] * 3, dtype=">u2").tobytes()
    identity = struct.pack(">9i", *(fixed(x) for x in np.eye(3).ravel()))
    table = b"mft2\0\0\0\0" + struct.pack(">BBBx", 3, 3, size) + identity + struct.pack(">HH", 2, 2)
    back = b"mft2\0\0\0\0" + struct.pack(">BBBx", 3, 3, size) + identity + struct.pack(">HH", 2, 2)
    made = profile({b"A2B0": table + ends + codes + ends, b"B2A0": back + ends + codes + ends})
    colours = Colours(made)
    assert colours.reading == "table"
    pixels = torch.rand(3, 4, 4, dtype=torch.float64)
    image = Image.fromarray((pixels * 255).round().byte().permute(1, 2, 0).numpy())
    own = ImageCms.ImageCmsProfile(BytesIO(made))
    expected = ImageCms.profileToProfile(
        image, own, ImageCms.createProfile("sRGB"), ImageCms.Intent.RELATIVE_COLORIMETRIC, "RGB"
    )
    assert np.array_equal((colours.to_srgb(pixels) * 255).round().permute(1, 2, 0).numpy(), np.array(expected))
    assert colours.from_srgb(pixels).shape == pixels.shape


@given(cut=st.integers(0, 600), flips=st.lists(st.tuples(st.integers(0, 599), st.integers(0, 255)), max_size=8))
def test_damaged_profiles_are_read_or_taken_for_srgb(cut: int, flips: list[tuple[int, int]]) -> None:
    pixels = torch.rand(3, 2, 2)
    for whole in (SPACES["Display P3"], SPACES["Adobe RGB"]):
        damaged = bytearray(whole)
        for place, value in flips:
            damaged[place % len(damaged)] = value
        colours = Colours(bytes(damaged[:cut]))
        there = colours.to_srgb(pixels)
        assert there.isfinite().all()
        assert colours.from_srgb(there).isfinite().all()
        if colours.reading == "unreadable":
            assert torch.equal(there, pixels)


def test_only_colours_are_converted() -> None:
    for wrong in (torch.zeros(1, 3, 2, 2), torch.zeros(3, 2, 2, dtype=torch.uint8)):
        with pytest.raises(ValueError, match=r"give \(3, H, W\)"):
            Colours(None).to_srgb(wrong)

"""Photographs keep all that their files hold: what is read and written again is what it was, upright."""

import dataclasses
import re
import struct
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageOps
from skimage import data

from msloss_sirr.errors import InputError
from msloss_sirr.images.listing import PHOTO_SUFFIXES, SUFFIXES, find_images
from msloss_sirr.images.writing import write_pixels
from msloss_sirr.photo_files.photo import Photo
from msloss_sirr.photo_files.reading import read_photo
from msloss_sirr.photo_files.writing import write_photo

from ..conftest import room

try:
    import pillow_heif
except ImportError:
    pillow_heif = None

Image.init()
HAS_AVIF = "AVIF" in Image.SAVE
needs_avif = pytest.mark.skipif(not HAS_AVIF, reason="Pillow has no AVIF")
needs_heif = pytest.mark.skipif(pillow_heif is None, reason="pillow-heif is not installed")
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
GREY = SRGB[:16] + b"GRAY" + SRGB[20:]
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="1" dc:title="a"/></x:xmpmeta>'
MODES = ("L", "LA", "RGB", "RGBA")
LOSSLESS = (".png", ".tif", ".webp")
ORIENTATION, MAKER, MAKER_NOTE, WIDTH, HEIGHT = 0x0112, 0x010F, 0x927C, 0xA002, 0xA003


def drawn(mode: str, depth: int, height: int, width: int, seed: int = 0) -> np.ndarray:
    """Return noise ``(H, W, C)`` of 8 or 16 bits."""
    shape = (height, width, len(mode))
    return np.random.default_rng(seed).integers(0, 2**depth, shape, dtype=np.uint8 if depth == 8 else np.uint16)


def photo_of(array: np.ndarray, **known: Any) -> Photo:
    """Return a photograph whose channels are those of an array."""
    planes = [torch.from_numpy(np.ascontiguousarray(array[..., i])) for i in range(array.shape[2])]
    grey = len(planes) < 3
    alpha = planes[-1][None] if len(planes) in (2, 4) else None
    return Photo(torch.stack(planes[:1] * 3 if grey else planes[:3]), alpha, grey, **known)


def array_of(photo: Photo) -> np.ndarray:
    """Return the channels of a photograph, ``(H, W, C)``."""
    planes = [*(photo.pixels[:1] if photo.grey else photo.pixels), *(() if photo.alpha is None else photo.alpha)]
    return np.stack([plane.numpy() for plane in planes], axis=2)


def exif(orientation: int | None = None, width: int = 0, height: int = 0) -> bytes:
    told = Image.Exif()
    told[MAKER] = "maker"
    if orientation:
        told[ORIENTATION] = orientation
    told[0x8769] = {MAKER_NOTE: b"note of the maker", **({WIDTH: width, HEIGHT: height} if width else {})}
    told[0x8825] = {1: "N"}
    return told.tobytes()


def upright(array: np.ndarray, orientation: int) -> np.ndarray:
    """Turn an array as Pillow turns an image, channel by channel."""
    told = Image.Exif()
    told[ORIENTATION] = orientation
    planes = []
    for i in range(array.shape[2]):
        high, low = (Image.fromarray(part.astype(np.uint8)) for part in (array[..., i] >> 8, array[..., i] & 255))
        for half in (high, low):
            half.info["exif"] = told.tobytes()
        turned = [np.asarray(ImageOps.exif_transpose(half)).astype(array.dtype) for half in (high, low)]
        planes.append(turned[0] << 8 | turned[1] if array.dtype == np.uint16 else turned[1])
    return np.stack(planes, axis=2)


def independent(path: Path) -> np.ndarray:
    """Return what another library reads from a file, ``(H, W, C)``."""
    array = np.asarray(tifffile.imread(path)) if path.suffix == ".tif" else np.asarray(Image.open(path))
    return array[..., None] if array.ndim == 2 else array


def png16(array: np.ndarray, *chunks: tuple[bytes, bytes]) -> bytes:
    """Return a PNG file of 16 bits, written by hand, without any filter."""
    height, width, count = array.shape

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in array)
    head = struct.pack(">IIBBBBB", width, height, 16, {1: 0, 2: 4, 3: 2, 4: 6}[count], 0, 0, 0)
    body = b"".join(chunk(*one) for one in ((b"IHDR", head), *chunks, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")))
    return b"\x89PNG\r\n\x1a\n" + body


@given(
    suffix=st.sampled_from(LOSSLESS),
    mode=st.sampled_from(MODES),
    depth=st.sampled_from((8, 16)),
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    seed=st.integers(0, 999),
)
def test_what_is_written_without_loss_comes_back(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, mode: str, depth: int, size: tuple[int, int], seed: int
) -> None:
    depth = 8 if suffix == ".webp" else depth
    path = tmp_path_factory.mktemp("photo") / f"a{suffix}"
    array = drawn(mode, depth, *size, seed)
    photo = photo_of(array, exif=exif(), xmp=XMP, dpi=(300, 200), icc_profile=GREY if mode[0] == "L" else SRGB)
    write_photo(path, photo, photo.pixels)
    again = read_photo(path)
    assert torch.equal(again.pixels.int(), photo.pixels.int())
    assert again.pixels.dtype == photo.pixels.dtype
    assert (again.alpha is None) == (photo.alpha is None)
    if photo.alpha is not None:
        assert again.alpha is not None
        assert torch.equal(again.alpha.int(), photo.alpha.int())
    whole = suffix != ".webp" and (suffix, mode, depth) != (".tif", "LA", 16)
    if whole:
        assert again.grey == photo.grey
        if depth == 8 or suffix == ".tif":
            assert np.array_equal(independent(path), array)
        assert again.icc_profile == photo.icc_profile
        assert again.dpi == pytest.approx((300, 200), abs=0.01)
    assert again.xmp == XMP
    with Image.open(path) as image:
        assert image.getexif()[MAKER] == "maker"
        assert image.getexif().get_ifd(0x8769)[MAKER_NOTE] == b"note of the maker"
        assert image.getexif().get_ifd(0x8825)[1] == "N"
    assert [one.name for one in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("mode", MODES)
def test_deep_png_files_are_those_that_others_read(tmp_path: Path, mode: str) -> None:
    array = drawn(mode, 16, 7, 9)
    photo = photo_of(array)
    write_photo(tmp_path / "a.png", photo, photo.pixels)
    numbers = decoded_png(tmp_path / "a.png")
    assert np.array_equal(numbers, array)
    (tmp_path / "b.png").write_bytes(png16(array))
    assert np.array_equal(array_of(read_photo(tmp_path / "b.png")), array)


def decoded_png(path: Path) -> np.ndarray:
    """Decode a PNG file of 16 bits by the letter of its specification, byte by byte."""
    whole = path.read_bytes()
    place, packed, head = 8, b"", b""
    while place < len(whole):
        (length,), kind = struct.unpack(">I", whole[place : place + 4]), whole[place + 4 : place + 8]
        body = whole[place + 8 : place + 8 + length]
        assert struct.unpack(">I", whole[place + 8 + length : place + 12 + length]) == (zlib.crc32(kind + body),)
        head = body if kind == b"IHDR" else head
        packed += body if kind == b"IDAT" else b""
        place += 12 + length
    width, height, bits, colour = struct.unpack(">IIBB", head[:10])
    assert bits == 16
    count = {0: 1, 4: 2, 2: 3, 6: 4}[colour]
    step, raw = 2 * count, zlib.decompress(packed)
    before = bytearray(width * step)
    rows = []
    for y in range(height):
        line = bytearray(raw[y * (width * step + 1) + 1 : (y + 1) * (width * step + 1)])
        assert raw[y * (width * step + 1)] == 4
        for x in range(len(line)):
            a, b, c = (line[x - step], before[x], before[x - step]) if x >= step else (0, before[x], 0)
            p = a + b - c
            near = min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]
            line[x] = (line[x] + near) & 255
        rows.append(bytes(line))
        before = line
    return np.frombuffer(b"".join(rows), ">u2").reshape(height, width, count)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp", ".jpg", pytest.param(".avif", marks=needs_avif)])
def test_orientation_is_normalised_once(tmp_path: Path, suffix: str, orientation: int) -> None:
    array = np.kron(drawn("RGB", 8, 3, 5), np.ones((8, 8, 1), np.uint8))
    written = tmp_path / f"a{suffix}"
    told_xmp = XMP.replace(b'"1"', f'"{orientation}"'.encode())
    best: dict[str, Any] = {"quality": 100, "subsampling": "4:4:4"} if suffix in (".jpg", ".avif") else {}
    if suffix == ".webp":
        best = {"lossless": True}
    Image.fromarray(array).save(written, exif=exif(orientation, 40, 24), xmp=told_xmp, **best)
    expected = upright(array, orientation)
    photo = read_photo(written)
    near = 40 if suffix == ".jpg" else 8 if suffix == ".avif" else 0
    assert np.abs(array_of(photo).astype(int) - expected).max() <= near
    write_photo(tmp_path / f"b{suffix}", photo, photo.pixels)
    again = read_photo(tmp_path / f"b{suffix}")
    assert np.abs(array_of(again).astype(int) - expected).max() <= near * 1.2
    with Image.open(tmp_path / f"b{suffix}") as image:
        told = image.getexif()
        assert told.get(ORIENTATION, 1) == 1
        assert told[MAKER] == "maker"
        inner = told.get_ifd(0x8769)
        assert (inner[WIDTH], inner[HEIGHT]) == ((24, 40) if orientation >= 5 else (40, 24))
    assert again.xmp == photo.xmp
    assert photo.xmp == XMP or (photo.xmp == b"" and suffix != ".webp")  # into some, Pillow writes none


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_deep_photographs_are_turned(tmp_path: Path, suffix: str, mode: str, orientation: int) -> None:
    array = drawn(mode, 16, 6, 10)
    path = tmp_path / f"a{suffix}"
    if suffix == ".png":
        path.write_bytes(png16(array, (b"eXIf", exif(orientation)[6:])))
    elif mode == "LA":
        pytest.skip("no such file is read")
    else:
        tifffile.imwrite(
            path,
            array if mode != "L" else array[..., 0],
            photometric="minisblack" if mode == "L" else "rgb",
            extrasamples=["unassalpha"] if mode == "RGBA" else None,
            compression="zlib",
            predictor=True,
            extratags=[(ORIENTATION, "H", 1, orientation, True)],
        )
    photo = read_photo(path)
    assert np.array_equal(array_of(photo), upright(array, orientation))
    write_photo(tmp_path / f"b{suffix}", photo, photo.pixels)
    again = read_photo(tmp_path / f"b{suffix}")
    assert np.array_equal(array_of(again), array_of(photo))


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_deep_tiff_files_of_others_are_read(tmp_path: Path, mode: str, compression: str | None, order: Any) -> None:
    array = drawn(mode, 16, 90, 70)
    tifffile.imwrite(
        tmp_path / "a.tif",
        array if mode != "L" else array[..., 0],
        photometric="minisblack" if mode == "L" else "rgb",
        extrasamples=["unassalpha"] if mode == "RGBA" else None,
        compression=compression,
        byteorder=order,
    )
    assert np.array_equal(array_of(read_photo(tmp_path / "a.tif")), array)


def test_colours_multiplied_by_alpha_are_divided(tmp_path: Path) -> None:
    array = drawn("RGBA", 16, 9, 9)
    array[..., 3] |= 1
    multiplied = array.copy()
    multiplied[..., :3] = np.round(array[..., :3].astype(float) * array[..., 3:] / 65535)
    tifffile.imwrite(tmp_path / "a.tif", multiplied, photometric="rgb", extrasamples=["assocalpha"])
    straight = array_of(read_photo(tmp_path / "a.tif")).astype(float)
    assert np.array_equal(straight[..., 3], array[..., 3])
    error = np.abs(straight[..., :3] - array[..., :3]) * array[..., 3:] / 65535
    assert error.max() <= 1


def test_one_level_may_be_transparent(tmp_path: Path) -> None:
    grey, colour = drawn("L", 16, 4, 5), drawn("RGB", 16, 4, 5)
    (tmp_path / "a.png").write_bytes(png16(grey, (b"tRNS", grey[2, 3].astype(">u2").tobytes())))
    (tmp_path / "b.png").write_bytes(png16(colour, (b"tRNS", colour[2, 3].astype(">u2").tobytes())))
    Image.fromarray(colour.astype(np.uint8)).save(
        tmp_path / "c.png", transparency=tuple(int(x) & 255 for x in colour[2, 3])
    )
    for name in ("a.png", "b.png", "c.png"):
        photo = read_photo(tmp_path / name)
        assert photo.alpha is not None
        assert (photo.alpha.int() == 0).nonzero().tolist() == [[0, 2, 3]]
        assert photo.alpha.int().max() == (255 if name == "c.png" else 65535)


@pytest.mark.parametrize("quality", [60, 85, 98])
@pytest.mark.parametrize("sampling", [0, 1, 2])
@pytest.mark.parametrize("progressive", [False, True])
def test_jpeg_files_are_compressed_as_they_were(tmp_path: Path, quality: int, sampling: int, progressive: bool) -> None:
    image = Image.fromarray(data.astronaut()[100:260, 100:300])
    first, second = tmp_path / "a.jpg", tmp_path / "b.jpg"
    image.save(first, quality=quality, subsampling=sampling, progressive=progressive, dpi=(240, 240), icc_profile=SRGB)
    photo = read_photo(first)
    write_photo(second, photo, photo.pixels)
    again = read_photo(second)
    assert again.jpeg == photo.jpeg
    assert photo.jpeg is not None
    assert photo.jpeg[1:] == (sampling, progressive)
    assert again.icc_profile == SRGB
    assert again.dpi == (240, 240)
    assert second.stat().st_size == pytest.approx(first.stat().st_size, rel=0.1)
    error = (again.pixels.float() - photo.pixels.float()).square().mean()
    assert 10 * torch.log10(255**2 / error) > 47


@pytest.mark.parametrize("progressive", [False, True])
def test_noise_of_the_best_quality_has_room(tmp_path: Path, progressive: bool) -> None:
    array = drawn("RGB", 8, 600, 700)
    Image.fromarray(array).save(tmp_path / "a.jpg", quality=100, subsampling=0)
    photo = read_photo(tmp_path / "a.jpg")
    assert photo.jpeg is not None
    photo = dataclasses.replace(photo, jpeg=photo.jpeg._replace(progressive=progressive))
    write_photo(tmp_path / "b.jpg", photo, photo.pixels)
    again = read_photo(tmp_path / "b.jpg")
    assert (again.pixels.float() - photo.pixels.float()).abs().mean() < 1
    assert again.jpeg == photo.jpeg


def test_grey_jpeg_files_stay_grey(tmp_path: Path) -> None:
    Image.fromarray(data.camera()[:90, :70]).save(tmp_path / "a.jpg", quality=90, icc_profile=GREY)
    photo = read_photo(tmp_path / "a.jpg")
    write_photo(tmp_path / "b.jpg", photo, photo.pixels)
    with Image.open(tmp_path / "b.jpg") as image:
        assert image.mode == "L"
        assert image.info["icc_profile"] == GREY


def test_webp_files_stay_without_loss_or_lose_little(tmp_path: Path) -> None:
    image = Image.fromarray(data.astronaut()[100:260, 100:300])
    for lossless in (True, False):
        image.save(tmp_path / "a.webp", lossless=lossless, quality=80)
        photo = read_photo(tmp_path / "a.webp")
        assert photo.lossless is lossless
        write_photo(tmp_path / "b.webp", photo, photo.pixels)
        again = read_photo(tmp_path / "b.webp")
        assert again.lossless is lossless
        error = (again.pixels.float() - photo.pixels.float()).square().mean()
        assert error == 0 if lossless else 10 * torch.log10(255**2 / error) > 44


@needs_avif
@pytest.mark.parametrize("sampling", ["4:4:4", "4:2:2", "4:2:0"])
def test_avif_files_keep_their_sampling(tmp_path: Path, sampling: str) -> None:
    image = Image.fromarray(data.astronaut()[100:260, 100:300])
    image.save(tmp_path / "a.avif", subsampling=sampling, exif=exif(), icc_profile=SRGB, xmp=XMP)
    photo = read_photo(tmp_path / "a.avif")
    assert photo.chroma == int(sampling.replace(":", ""))
    write_photo(tmp_path / "b.avif", photo, photo.pixels)
    again = read_photo(tmp_path / "b.avif")
    assert (again.chroma, again.icc_profile, again.xmp) == (photo.chroma, SRGB, photo.xmp)
    error = (again.pixels.float() - photo.pixels.float()).square().mean()
    assert 10 * torch.log10(255**2 / error) > 43


@needs_heif
def test_heic_files_keep_what_they_hold(tmp_path: Path) -> None:
    image = Image.fromarray(data.astronaut()[100:260, 100:300])
    pillow_heif.from_pillow(image).save(tmp_path / "a.heic", exif=exif(6), icc_profile=SRGB, xmp=XMP, chroma=420)
    photo = read_photo(tmp_path / "a.heic")
    assert (photo.format, photo.chroma) == ("HEIF", 420)
    write_photo(tmp_path / "b.heic", photo, photo.pixels)
    again = read_photo(tmp_path / "b.heic")
    assert again.pixels.shape == photo.pixels.shape
    error = (again.pixels.float() - photo.pixels.float()).square().mean()
    assert 10 * torch.log10(255**2 / error) > 40
    with Image.open(tmp_path / "b.heic") as written:
        assert written.info["icc_profile"] == SRGB
        assert written.getexif()[MAKER] == "maker"
        assert written.getexif().get(ORIENTATION, 1) == 1


def test_heic_files_without_the_plugin_name_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pillow_heif", None)
    monkeypatch.delitem(Image.OPEN, "HEIF", raising=False)
    path = tmp_path / "a.heic"
    path.write_bytes(struct.pack(">I", 24) + b"ftypheic" + bytes(4) + b"mif1heic" + bytes(100))
    photo = photo_of(drawn("RGB", 8, 4, 4))
    for use in (lambda: read_photo(path), lambda: write_photo(path, photo, photo.pixels)):
        with pytest.raises(InputError, match=r"a\.heic is a HEIC file.*msloss\[heif\]"):
            use()


def test_what_another_format_cannot_hold_is_left_out(tmp_path: Path) -> None:
    array = drawn("RGBA", 16, 6, 7)
    photo = photo_of(array, exif=exif(), xmp=XMP, dpi=(300, 300), icc_profile=SRGB)
    shallow = np.round(array / 257).astype(np.uint8)
    for suffix in sorted(PHOTO_SUFFIXES - {".avif", ".heic", ".heif"}):
        write_photo(tmp_path / f"a{suffix}", photo, photo.pixels)
        again = read_photo(tmp_path / f"a{suffix}")
        deep = suffix in (".png", ".tif", ".tiff")
        assert (again.pixels.dtype == torch.uint16) is deep
        assert (again.alpha is not None) is (deep or suffix == ".webp")
        assert bool(again.exif) is bool(again.xmp) is (suffix != ".bmp")
        if suffix not in (".jpg", ".jpeg"):
            count = 4 if again.alpha is not None else 3
            assert np.array_equal(array_of(again), (array if deep else shallow)[..., :count])


def test_a_profile_that_cannot_be_held_is_applied(tmp_path: Path) -> None:
    from .test_icc import SPACES

    array = np.full((4, 4, 3), (90, 120, 150), np.uint8)
    photo = photo_of(array, icc_profile=SPACES["Adobe RGB"])
    write_photo(tmp_path / "a.bmp", photo, photo.pixels)
    own = ImageCms.ImageCmsProfile(BytesIO(SPACES["Adobe RGB"]))
    expected = ImageCms.profileToProfile(Image.fromarray(array), own, ImageCms.createProfile("sRGB"), outputMode="RGB")
    assert np.abs(array_of(read_photo(tmp_path / "a.bmp")).astype(int) - np.array(expected)).max() <= 1
    assert read_photo(tmp_path / "a.bmp").icc_profile is None


def test_new_pixels_must_fit(tmp_path: Path) -> None:
    photo = photo_of(drawn("RGB", 8, 4, 5))
    for wrong in (photo.pixels[:, :3], photo.pixels.float(), photo.pixels.to(torch.uint16)):
        with pytest.raises(ValueError, match=r"give \(3, 4, 5\) of torch.uint8"):
            write_photo(tmp_path / "a.png", photo, wrong)
    with pytest.raises(InputError, match="names no kind of image"):
        write_photo(tmp_path / "a.txt", photo, photo.pixels)
    assert not list(tmp_path.iterdir())


def test_grey_is_written_of_what_is_no_longer_grey(tmp_path: Path) -> None:
    photo = photo_of(drawn("L", 8, 4, 5))
    colours = torch.from_numpy(drawn("RGB", 8, 4, 5)).permute(2, 0, 1)
    write_photo(tmp_path / "a.png", photo, colours)
    expected = np.array(Image.fromarray(colours.permute(1, 2, 0).numpy()).convert("L"))
    assert np.abs(array_of(read_photo(tmp_path / "a.png"))[..., 0].astype(int) - expected).max() <= 1


@pytest.mark.parametrize("mode", ["1", "P", "PA", "L;transparent", "P;transparent"])
def test_palettes_and_bits_come_back_as_colours(tmp_path: Path, mode: str) -> None:
    image = Image.fromarray(drawn("RGB", 8, 20, 30)).convert(mode.split(";")[0])
    path = tmp_path / ("a.tif" if mode == "PA" else "a.png")
    image.save(path, **({"transparency": 7} if "transparent" in mode else {}))
    with Image.open(path) as opened:
        clear = "transparent" in mode or mode == "PA"
        kind = "L" if mode[0] in "1L" else "RGB"
        expected = np.array(opened.convert({"L": "LA", "RGB": "RGBA"}[kind] if clear else kind))
    photo = read_photo(path)
    assert photo.grey is (kind == "L")
    assert np.array_equal(array_of(photo), expected.reshape(20, 30, -1))
    write_photo(tmp_path / "b.png", photo, photo.pixels)
    assert np.array_equal(array_of(read_photo(tmp_path / "b.png")), array_of(photo))


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1)])
@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp", ".jpg", ".bmp"])
def test_any_size_and_black_are_photographs(tmp_path: Path, suffix: str, size: tuple[int, int]) -> None:
    Image.fromarray(np.zeros((*size, 3), np.uint8)).save(tmp_path / f"a{suffix}")
    photo = read_photo(tmp_path / f"a{suffix}")
    assert photo.pixels.shape == (3, *size)
    assert photo.pixels.max() == 0
    write_photo(tmp_path / f"b{suffix}", photo, photo.pixels)
    assert torch.equal(read_photo(tmp_path / f"b{suffix}").pixels, photo.pixels)


def test_thumbnails_are_not_left_sideways(tmp_path: Path) -> None:
    body = bytearray(exif(6)[6:])
    order = "<" if body[:2] == b"II" else ">"
    (count,) = struct.unpack_from(f"{order}H", body, 8)
    thumbnail = BytesIO()
    Image.new("RGB", (8, 4)).save(thumbnail, "JPEG")
    struct.pack_into(f"{order}I", body, 10 + 12 * count, len(body))
    start = len(body) + 2 + 24 + 4
    body += struct.pack(f"{order}HHHIIHHIII", 2, 513, 4, 1, start, 514, 4, 1, len(thumbnail.getvalue()), 0)
    body += thumbnail.getvalue()
    Image.new("RGB", (16, 8)).save(tmp_path / "a.jpg", exif=b"Exif\0\0" + body)
    photo = read_photo(tmp_path / "a.jpg")
    write_photo(tmp_path / "b.jpg", photo, photo.pixels)
    for name, linked in (("a.jpg", start - 30), ("b.jpg", 0)):
        with Image.open(tmp_path / name) as image:
            assert struct.unpack_from(f"{order}I", image.info["exif"], 6 + 10 + 12 * count) == (linked,)
            assert image.getexif()[MAKER] == "maker"


def test_of_several_pictures_in_a_jpeg_file_the_first_is_taken(tmp_path: Path) -> None:
    first, second = Image.new("RGB", (16, 8), "red"), Image.new("RGB", (4, 4), "blue")
    first.save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=[second], quality=95)
    photo = read_photo(tmp_path / "a.jpg")
    assert photo.format == "JPEG"
    assert photo.pixels.shape == (3, 8, 16)
    assert photo.pixels[0].min() > 240
    write_photo(tmp_path / "b.jpg", photo, photo.pixels)
    with Image.open(tmp_path / "b.jpg") as image:
        assert image.format == "JPEG"


def test_small_copies_in_a_tiff_file_are_no_pages(tmp_path: Path) -> None:
    array = drawn("RGB", 8, 8, 9)
    for kind, fine in ((1, True), (0, False)):
        with tifffile.TiffWriter(tmp_path / "a.tif") as file:
            file.write(array, photometric="rgb")
            file.write(array[::2, ::2], photometric="rgb", subfiletype=kind)
        if fine:
            assert np.array_equal(array_of(read_photo(tmp_path / "a.tif")), array)
        else:
            with pytest.raises(InputError, match="several pages"):
                read_photo(tmp_path / "a.tif")


def test_a_resolution_that_no_file_tells_is_none(tmp_path: Path) -> None:
    """Of a TIFF file, Pillow takes one pixel per inch for granted."""
    for suffix in (".png", ".tif", ".jpg"):
        first, second = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
        Image.new("RGB", (9, 7)).save(first)
        photo = read_photo(first)
        assert photo.dpi is None
        write_photo(second, photo, photo.pixels)
        assert read_photo(second).exif == photo.exif
        with Image.open(second) as image:
            assert 282 not in image.getexif()


def test_photographs_are_found_by_more_suffixes(tmp_path: Path) -> None:
    for name in ("a.HEIC", "b.avif", "c.heif", "d.png"):
        (tmp_path / name).touch()
    assert [path.name for path in find_images(tmp_path)] == ["d.png"]
    assert [path.name for path in find_images(tmp_path, PHOTO_SUFFIXES)] == ["a.HEIC", "b.avif", "c.heif", "d.png"]
    assert SUFFIXES < PHOTO_SUFFIXES


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    photo = photo_of(drawn("RGB", 8, 90, 90))
    for suffix in LOSSLESS:
        path = tmp_path / f"a{suffix}"
        path.write_text("old")
        with pytest.raises(OSError, match="a\\" + suffix), room(1000):
            write_photo(path, photo, photo.pixels)
        assert path.read_text() == "old"
        assert [one.name for one in tmp_path.iterdir()] == [path.name]
        path.unlink()


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp", ".bmp", pytest.param(".avif", marks=needs_avif)])
def test_a_disk_that_fills_up_at_the_last_bytes_leaves_the_old_file(tmp_path: Path, suffix: str) -> None:
    """The system then takes a part of what it is given, and says so in a number."""
    photo, path = photo_of(drawn("RGB", 8, 90, 90)), tmp_path / f"a{suffix}"
    for write in (lambda: write_photo(path, photo, photo.pixels), lambda: write_pixels(path, photo.pixels)):
        if suffix == ".avif" and path.exists():
            continue  # which `write_pixels` does not write
        write()
        whole = path.stat().st_size
        path.write_text("old")
        for missing in (1, 100, whole // 2):
            with pytest.raises(OSError, match=f"File too large: .*a{re.escape(suffix)}"), room(whole - missing):
                write()
            assert path.read_text() == "old"
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


def test_too_large_a_side_for_the_format_is_one_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    photo = photo_of(np.zeros((1, 70000, 3), np.uint8))
    for suffix, most in ((".jpg", 65500), (".webp", 16383)):
        with pytest.raises(InputError, match=f"cannot be written: a side of 70000 pixels, .* up to {most}$"):
            write_photo(tmp_path / f"a{suffix}", photo, photo.pixels)
        widest = photo_of(np.zeros((1, most, 3), np.uint8))
        write_photo(tmp_path / f"b{suffix}", widest, widest.pixels)
        (tmp_path / f"b{suffix}").unlink()
    assert not list(tmp_path.iterdir())
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("depth", [8, 16])
def test_what_a_png_file_says_of_its_colours_is_kept(depth: int, tmp_path: Path) -> None:
    chunks = ((b"gAMA", struct.pack(">I", 100000)), (b"cHRM", struct.pack(">8I", *range(31000, 39000, 1000))))
    photo = photo_of(drawn("RGB", depth, 5, 7), png_colours=chunks)
    write_photo(tmp_path / "a.png", photo, photo.pixels)
    again = read_photo(tmp_path / "a.png")
    assert again.png_colours == chunks
    with Image.open(tmp_path / "a.png") as image:
        assert image.info["gamma"] == 1.0
    write_photo(tmp_path / "b.png", again, again.pixels)
    assert (tmp_path / "b.png").read_bytes() == (tmp_path / "a.png").read_bytes()
    write_photo(tmp_path / "b.jpg" if depth == 8 else tmp_path / "b.tif", again, again.pixels)

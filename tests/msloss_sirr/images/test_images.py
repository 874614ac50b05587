"""Image files: every kind is read right or refused in one line, and written whole or not at all."""

import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from msloss_sirr.catalogue.manifest import digest
from msloss_sirr.errors import InputError
from msloss_sirr.files import whole_file
from msloss_sirr.images.listing import find_images
from msloss_sirr.images.reading import read_coloured, read_depth, read_pixels, read_size, to_bytes, to_float
from msloss_sirr.images.writing import write_pixels
from msloss_sirr.photo_files.reading import read_photo

array = np.random.default_rng(0).integers(0, 256, (5, 8, 3), dtype=np.uint8)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".tiff", ".webp"])
def test_lossless_formats_come_back_as_written(tmp_path: Path, suffix: str) -> None:
    pixels = torch.from_numpy(array).permute(2, 0, 1)
    write_pixels(tmp_path / f"a{suffix}", pixels)
    assert torch.equal(read_pixels(tmp_path / f"a{suffix}"), pixels)
    assert [p.name for p in tmp_path.iterdir()] == [f"a{suffix}"]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_once(tmp_path: Path, orientation: int) -> None:
    image = Image.fromarray(array)
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.save(tmp_path / "a.png", exif=exif)
    turned = {1: array, 3: array[::-1, ::-1], 6: np.rot90(array, -1), 8: np.rot90(array)}
    pixels = read_pixels(tmp_path / "a.png")
    if orientation in turned:
        assert np.array_equal(pixels.permute(1, 2, 0).numpy(), turned[orientation])
    assert read_size(tmp_path / "a.png") == tuple(pixels.shape[1:])


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("compression", [None, "tiff_deflate"])
@pytest.mark.parametrize("name", ["a.tif", "a.png"])
def test_grey_tiff_files_are_turned(tmp_path: Path, kind: type, compression: str | None, name: str) -> None:
    grey = np.arange(60, dtype=kind).reshape(6, 10) * (1 if kind is np.uint8 else 257)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(grey).save(tmp_path / name, "TIFF", exif=exif, compression=compression)
    expected = np.rot90(np.arange(60).reshape(6, 10), -1)
    assert np.array_equal(read_pixels(tmp_path / name)[0].numpy(), expected)
    assert read_size(tmp_path / name) == (10, 6)


def test_white_may_be_zero(tmp_path: Path) -> None:
    deep = np.linspace(0, 65535, 60).round().astype(np.uint16).reshape(6, 10)
    Image.fromarray(deep).save(tmp_path / "a.tif", tiffinfo={262: 0})  # the values as they are, now the other way round
    assert np.array_equal(read_pixels(tmp_path / "a.tif")[0].numpy(), 255 - np.round(deep / 257).astype(np.uint8))


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_size_is_that_of_the_pixels(tmp_path: Path, suffix: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(array).save(tmp_path / f"a{suffix}", exif=exif)
    assert read_size(tmp_path / f"a{suffix}") == tuple(read_pixels(tmp_path / f"a{suffix}").shape[1:])


def test_colour_profile_is_kept_only_for_rgb(tmp_path: Path) -> None:
    for space, kept in ((b"RGB ", True), (b"GRAY", False)):
        profile = bytes(16) + space + bytes(112)
        Image.fromarray(array).save(tmp_path / "a.png", icc_profile=profile)
        assert (read_coloured(tmp_path / "a.png").icc_profile == profile) is kept


def test_sixteen_bits_are_scaled_to_eight(tmp_path: Path) -> None:
    deep = np.random.default_rng(1).integers(0, 2**16, (5, 8), dtype=np.uint16)
    deep[0, :2] = 0, 2**16 - 1
    expected = np.round(deep / 257).astype(np.uint8)
    for name in ("a.png", "a.tif"):
        Image.fromarray(deep).save(tmp_path / name)
        pixels = read_pixels(tmp_path / name).numpy()
        assert (pixels == expected).all()
    Image.fromarray(deep.astype(np.float32)).save(tmp_path / "float.tif")
    Image.fromarray(deep.astype(np.int32) * 2).save(tmp_path / "wide.tif")
    for name in ("float.tif", "wide.tif"):
        with pytest.raises(InputError, match="more than 16 bits a channel"):
            read_pixels(tmp_path / name)


def test_sixteen_bits_in_colour_are_scaled(tmp_path: Path) -> None:
    raw = (array.astype("u2") * 256 + 7).astype(">u2").tobytes()

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + raw[i * 48 : (i + 1) * 48] for i in range(5))
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 5, 16, 2, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    (tmp_path / "deep.png").write_bytes(b"\x89PNG\r\n\x1a\n" + header + body)
    assert np.array_equal(read_pixels(tmp_path / "deep.png").permute(1, 2, 0).numpy(), array)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK"])
def test_other_modes_become_rgb(tmp_path: Path, mode: str) -> None:
    image = Image.fromarray(array).convert(mode)
    path = tmp_path / ("a.tif" if mode == "CMYK" else "a.png")
    image.save(path)
    assert np.array_equal(read_pixels(path).permute(1, 2, 0).numpy(), np.array(image.convert("RGB")))


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    Image.fromarray(array.repeat(40, 0).repeat(40, 1)).save(tmp_path / "cut.jpg")
    whole = (tmp_path / "cut.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.jpg").write_text("not an image")
    (tmp_path / "empty.png").touch()
    Image.fromarray(np.zeros((4, 4), dtype=np.float32)).save(tmp_path / "deep.tif")
    (tmp_path / "folder.png").mkdir()
    reasons = {
        "cut.jpg": "truncated",
        "text.jpg": "no image file",
        "empty.png": "no image file",
        "deep.tif": "16 bits a channel",
        "folder.png": "cannot read",
        "none.png": "does not exist",
    }
    for name, reason in reasons.items():
        with pytest.raises(InputError, match=reason) as caught:
            read_pixels(tmp_path / name)
        assert str(tmp_path / name) in str(caught.value)
        assert "\n" not in str(caught.value)


def test_writing_leaves_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail() -> None:
        with whole_file(path) as partial:
            partial.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_text() == "old"
    with whole_file(path) as partial:
        partial.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.parametrize("name", ["a" * 251 + ".png", "é" * 125 + "a.png"])
def test_names_may_be_as_long_as_file_systems_allow(tmp_path: Path, name: str) -> None:
    assert len(os.fsencode(name)) == 255
    pixels = torch.zeros(3, 4, 4, dtype=torch.uint8)
    write_pixels(tmp_path / name, pixels)
    assert torch.equal(read_pixels(tmp_path / name), pixels)


def test_errors_of_the_system_name_the_file_itself(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"No space left on device: '.*a\.csv'$"), whole_file(tmp_path / "a.csv"):
        raise OSError(28, "No space left on device")
    with pytest.raises(FileNotFoundError, match=r"none/a\.csv'$"), whole_file(tmp_path / "none" / "a.csv"):
        pass
    with pytest.raises(FileNotFoundError, match=r"other'$"), whole_file(tmp_path / "a.csv"):
        (tmp_path / "other").read_bytes()


def test_written_files_have_the_usual_permissions(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    with whole_file(tmp_path / "a") as partial:
        partial.touch(mode=0o600)
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("mode", [0o400, 0o600, 0o664])
def test_who_may_read_a_file_that_is_replaced_may_read_the_new_one(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "a"
    path.touch()
    path.chmod(mode)
    with whole_file(path) as partial:
        assert partial.stat().st_mode & 0o777 == mode | 0o600
        partial.write_text("new")
    assert path.stat().st_mode & 0o777 == mode
    assert path.read_text() == "new"


def test_unknown_suffix_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="names no kind of image"):
        write_pixels(tmp_path / "a.xyz", torch.zeros(3, 4, 4, dtype=torch.uint8))


def test_folders_are_listed_by_name_without_what_is_no_image(tmp_path: Path) -> None:
    for name in ("b.JPG", "a.png", ".hidden.png", "notes.txt"):
        (tmp_path / name).touch()
    assert [p.name for p in find_images(tmp_path)] == ["a.png", "b.JPG"]


def test_what_is_no_file_is_listed_and_never_opened(tmp_path: Path) -> None:
    (tmp_path / "folder.png").mkdir()
    os.mkfifo(tmp_path / "pipe.tif")
    (tmp_path / "zero.png").symlink_to("/dev/zero")
    kinds = {"folder.png": "a folder", "pipe.tif": "a named pipe", "zero.png": "a device"}
    assert [path.name for path in find_images(tmp_path)] == list(kinds)
    for name, kind in kinds.items():
        for read in (read_pixels, read_photo, read_depth, read_size, digest):
            with pytest.raises(InputError, match=f"^cannot read {tmp_path / name}: it is {kind}, not a file$"):
                read(tmp_path / name)


def test_bytes_and_floats_are_inverse() -> None:
    every = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(to_bytes(to_float(every)), every)
    assert to_bytes(torch.tensor([-1.0, 2.0])).tolist() == [0, 255]

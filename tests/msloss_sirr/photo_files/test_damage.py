"""Whatever a file holds, reading gives a photograph or one line, and writing the whole file or none."""

import struct
import threading
import tracemalloc
import warnings
import zlib
from contextlib import suppress
from functools import cache
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from msloss_sirr.errors import InputError
from msloss_sirr.photo_files.photo import Photo
from msloss_sirr.photo_files.reading import read_photo
from msloss_sirr.photo_files.writing import write_photo

from .test_reading_and_writing import HAS_AVIF, SRGB, XMP, drawn, exif, png16


@cache
def sound() -> dict[str, bytes]:
    """Return a sound file of every kind, by its name."""
    files = {"deep.png": png16(drawn("RGB", 16, 9, 11)), "clear.png": png16(drawn("LA", 16, 9, 11))}
    for name, extra in (("deep.tif", {}), ("packed.tif", {"compression": "zlib"})):
        made = BytesIO()
        tifffile.imwrite(made, drawn("RGB", 16, 9, 11), photometric="rgb", **extra)
        files[name] = made.getvalue()
    array = drawn("RGBA", 8, 9, 11)
    for name in ("a.png", "a.tif", "a.webp", "a.jpg", "a.bmp", "a.gif", "a.avif"):
        if name == "a.avif" and not HAS_AVIF:
            continue
        kind = Image.registered_extensions()[Path(name).suffix]
        image = Image.fromarray(array[..., : 3 if kind in ("JPEG", "BMP", "GIF") else 4])
        told = {} if kind in ("BMP", "GIF") else {"exif": exif(6), "icc_profile": SRGB, "xmp": XMP, "dpi": (72, 72)}
        made = BytesIO()
        image.save(made, kind, **told)
        files[name] = made.getvalue()
    made = BytesIO()
    Image.fromarray(array[..., :3]).save(made, "JPEG", progressive=True)
    files["progressive.jpg"] = made.getvalue()
    return files


def outcome(path: Path, content: bytes) -> Photo | str:
    """Return what a file is read as: a photograph, which can be written again, or one line that names the file."""
    path.write_bytes(content)
    limit = Image.MAX_IMAGE_PIXELS
    try:
        photo = read_photo(path)
    except InputError as error:
        line = str(error)
        assert str(path) in line
        assert "\n" not in line
        return line
    finally:
        assert limit == Image.MAX_IMAGE_PIXELS
    assert photo.pixels.shape[0] == 3
    assert photo.pixels.dtype in (torch.uint8, torch.uint16)
    assert photo.alpha is None or (photo.alpha.shape[1:], photo.alpha.dtype) == (
        photo.pixels.shape[1:],
        photo.pixels.dtype,
    )
    for suffix in (".png", ".tif", ".jpg", ".webp"):
        out = path.with_name(f"out{suffix}")
        with suppress(InputError):  # of a side too long for the format
            write_photo(out, photo, photo.pixels)
            read_photo(out)
            out.unlink()
    assert [one.name for one in path.parent.iterdir()] == [path.name]
    return photo


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("damaged")


def fresh(folder: Path, name: str) -> Path:
    for old in folder.iterdir():
        old.unlink()
    return folder / name


@pytest.mark.parametrize("name", sorted(sound()))
def test_sound_files_are_read(folder: Path, name: str) -> None:
    assert isinstance(outcome(fresh(folder, name), sound()[name]), Photo)


@given(content=st.binary(max_size=200), start=st.sampled_from(sorted(sound())), kept=st.integers(0, 40))
def test_random_bytes(folder: Path, content: bytes, start: str, kept: int) -> None:
    outcome(fresh(folder, "a.jpg"), sound()[start][:kept] + content)


@pytest.mark.parametrize("name", sorted(sound()))
@given(part=st.floats(0, 1, exclude_max=True))
def test_truncated_files(folder: Path, name: str, part: float) -> None:
    whole = sound()[name]
    outcome(fresh(folder, name), whole[: int(len(whole) * part)])


@pytest.mark.parametrize("name", sorted(sound()))
@given(flips=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), min_size=1, max_size=6))
def test_flipped_bits(folder: Path, name: str, flips: list[tuple[float, int]]) -> None:
    content = bytearray(sound()[name])
    for place, change in flips:
        content[int(place * len(content))] ^= change
    if name.endswith(".png"):
        content = mended(content)
    outcome(fresh(folder, name), bytes(content))


def mended(content: bytearray) -> bytearray:
    """Make the checksums of a PNG file right again, so that what its chunks hold is looked at."""
    place = 8
    while place + 12 <= len(content):
        (length,) = struct.unpack_from(">I", content, place)
        if place + 12 + length > len(content):
            break
        struct.pack_into(">I", content, place + 8 + length, zlib.crc32(content[place + 4 : place + 8 + length]))
        place += 12 + length
    return content


sizes = st.one_of(st.integers(0, 70), st.sampled_from((5000, 65500, 65535, 2**16, 60000, 2**24, 2**31 - 1, 2**32 - 1)))


@given(width=sizes, height=sizes, bits=st.sampled_from((1, 2, 4, 8, 16)), colour=st.sampled_from((0, 2, 3, 4, 6)))
def test_headers_of_odd_sizes(folder: Path, width: int, height: int, bits: int, colour: int) -> None:
    content = bytearray(sound()["a.png"])
    struct.pack_into(">IIBB", content, 16, width, height, bits, colour)
    outcome(fresh(folder, "a.png"), bytes(mended(content)))
    content = bytearray(sound()["a.bmp"])
    struct.pack_into("<iI", content, 18, width % 2**31, height)
    outcome(fresh(folder, "a.bmp"), bytes(content))
    content = bytearray(sound()["a.jpg"])
    frame = content.index(b"\xff\xc0")
    struct.pack_into(">HH", content, frame + 5, height % 2**16, width % 2**16)
    outcome(fresh(folder, "a.jpg"), bytes(content))


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.bmp", "a.gif", "a.tif"])
def test_a_header_of_a_bomb_takes_no_memory(folder: Path, name: str) -> None:
    content = bytearray(sound()[name])
    if name == "a.png":
        struct.pack_into(">II", content, 16, 60000, 60000)
        content = mended(content)
    elif name == "a.jpg":
        struct.pack_into(">HH", content, content.index(b"\xff\xc0") + 5, 60000, 60000)
    elif name == "a.bmp":
        struct.pack_into("<ii", content, 18, 60000, 60000)
    elif name == "a.gif":
        struct.pack_into("<HH", content, 6, 60000, 60000)
    else:
        made = BytesIO()
        tifffile.imwrite(made, np.zeros((6, 6, 3), np.uint8), photometric="rgb")
        content = bytearray(made.getvalue())
        for tag in (256, 257):
            struct.pack_into("<I", content, content.index(struct.pack("<HHI", tag, 4, 1)) + 8, 60000)
    path = fresh(folder, name)
    path.write_bytes(content)
    tracemalloc.start()
    with pytest.raises(InputError, match="too large"):
        read_photo(path)
    assert tracemalloc.get_traced_memory()[1] < 2**22
    tracemalloc.stop()


def test_what_is_no_photograph_is_one_line(folder: Path) -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "green", "blue")]
    array = drawn("RGB", 8, 6, 7)
    made: dict[str, tuple[str, object]] = {}

    def saved(name: str, reason: str, image: Image.Image, **extra: object) -> None:
        buffer = BytesIO()
        image.save(buffer, **extra)
        made[name] = (reason, buffer.getvalue())

    for kind in ("GIF", "WEBP", "PNG"):
        saved(f"a.{kind.lower()}", "is animated", frames[0], format=kind, save_all=True, append_images=frames[1:])
    saved("b.jpg", "is a CMYK image; convert it to RGB", Image.fromarray(array).convert("CMYK"), format="JPEG")
    saved("b.tif", "is a CMYK image; convert it to RGB", Image.fromarray(array).convert("CMYK"), format="TIFF")
    saved("c.tif", "is a LAB image", Image.new("LAB", (4, 4)), format="TIFF")
    saved("d.tif", "holds floating-point", Image.fromarray(np.full((4, 4), np.nan, np.float32)), format="TIFF")
    saved("e.tif", "other numbers", Image.fromarray(np.full((4, 4), 70000, np.int32)), format="TIFF")
    for name, values in (("f.tif", np.zeros((4, 4, 3), np.float32)), ("g.tif", np.zeros((4, 4, 3), np.uint32))):
        buffer = BytesIO()
        tifffile.imwrite(buffer, values, photometric="rgb")
        made[name] = ("TIFF file of a kind that is not read", buffer.getvalue())
    buffer = BytesIO()
    tifffile.imwrite(
        buffer,
        drawn("RGB", 16, 8, 8).transpose(2, 0, 1),
        photometric="rgb",
        planarconfig="separate",
        compression="zlib",
    )
    made["h.tif"] = ("interleaved", buffer.getvalue())
    made["i.jpg"] = ("no image file", b"just some text, renamed\n" * 9)
    made["j.jpg"] = ("it is empty", b"")
    made["k.jpg"] = ("truncated", sound()["a.jpg"][:-40])
    for name, (reason, content) in made.items():
        line = outcome(fresh(folder, name), content)  # type: ignore[arg-type]
        assert isinstance(line, str), name
        assert reason in line


def test_damaged_metadata_never_cost_the_pixels(folder: Path) -> None:
    image = Image.fromarray(drawn("RGB", 8, 8, 8))
    rubbish = b"Exif\0\0" + bytes(range(256))
    for kind, suffix in (("PNG", ".png"), ("JPEG", ".jpg"), ("WEBP", ".webp")):
        buffer = BytesIO()
        image.save(buffer, kind, exif=rubbish, icc_profile=bytes(range(200)))
        photo = outcome(fresh(folder, f"a{suffix}"), buffer.getvalue())
        assert isinstance(photo, Photo)
        assert photo.exif == b""
        assert photo.icc_profile is None
    odd = exif(6).replace(b"maker", b"\xff\xfe\xfd\xfc\xfb")
    buffer = BytesIO()
    image.save(buffer, "JPEG", exif=odd)
    photo = outcome(fresh(folder, "a.jpg"), buffer.getvalue())
    assert isinstance(photo, Photo)
    assert b"\xff\xfe\xfd\xfc\xfb" in photo.exif


def test_threads_leave_warnings_and_limits_as_they_were(tmp_path: Path) -> None:
    for number in range(8):
        (tmp_path / f"{number}.jpg").write_bytes(sound()["a.jpg"])
    limit, filters = Image.MAX_IMAGE_PIXELS, list(warnings.filters)
    photos: list[Photo] = []
    threads = [
        threading.Thread(target=lambda path=path: photos.append(read_photo(path)))
        for path in sorted(tmp_path.iterdir())
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(photos) == 8
    assert all(torch.equal(photo.pixels, photos[0].pixels) for photo in photos)
    assert (limit, filters) == (Image.MAX_IMAGE_PIXELS, list(warnings.filters))

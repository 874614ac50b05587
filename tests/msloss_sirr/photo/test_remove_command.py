"""The photo tool: files in, files out; what cannot be done is a line each, and the rest goes on."""

import io
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from PIL import Image

from msloss_sirr import Remover, RemoverConfig, remove, save_remover
from msloss_sirr.cli import main
from msloss_sirr.devices import find_device
from msloss_sirr.images.reading import read_pixels
from msloss_sirr.models.ensemble import FlipEnsemble
from msloss_sirr.photo.batch import remove_files
from msloss_sirr.photo.config import RemoveConfig

from ..conftest import fails, pixels_of, room, save, smooth


def run(*words: object) -> None:
    main(["remove", *map(str, words)])


def told(capsys: pytest.CaptureFixture[str], *words: object) -> list[str]:
    """Run a command that must fail, and return its lines."""
    with pytest.raises(SystemExit) as stopped:
        run(*words)
    assert stopped.value.code == 2
    return [line.removeprefix("msloss-sirr: ") for line in capsys.readouterr().err.strip().splitlines()]


def test_every_photo_is_written_at_its_own_size(photos: Path, checkpoint: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(photos, "-o", out, "--checkpoint", checkpoint, "--reflection", "--compare")
    names = sorted(p.name for p in photos.iterdir())
    more = {name.replace(".png", f"-{what}.png") for name in names for what in ("reflection", "compare")}
    assert {p.name for p in out.iterdir()} == set(names) | more
    for name in names:
        before, after = pixels_of(photos / name).astype(int), pixels_of(out / name).astype(int)
        assert np.abs(after - before / 2).max() <= 1
        assert np.array_equal(pixels_of(out / name.replace(".png", "-reflection.png")), before - after)
        both = pixels_of(out / name.replace(".png", "-compare.png"))
        assert np.array_equal(both, np.concatenate([before, after], axis=1))


def test_options_reach_the_remover(photos: Path, checkpoint: Path, tmp_path: Path) -> None:
    photo = photos / "photo 0.png"
    before = pixels_of(photo).astype(int)
    run(photo, "-o", tmp_path / "two", "--checkpoint", checkpoint, "--steps", 2)
    assert np.abs(pixels_of(tmp_path / "two" / photo.name) - before / 4).max() <= 1
    run(photo, "-o", tmp_path / "half.png", "--checkpoint", checkpoint, "--strength", 0.5)
    assert np.abs(pixels_of(tmp_path / "half.png") - before * 0.75).max() <= 1
    run(photo, "-o", tmp_path / "none.png", "--checkpoint", checkpoint, "--strength", 0)
    assert (tmp_path / "none.png").read_bytes() == photo.read_bytes()
    mask = np.zeros(before.shape[:2], np.uint8)
    mask[:, 20:] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    run(photo, "-o", tmp_path / "masked.png", "--checkpoint", checkpoint, "--mask", tmp_path / "mask.png")
    after = pixels_of(tmp_path / "masked.png")
    assert np.array_equal(after[:, :20], before[:, :20])
    assert np.abs(after[:, 20:] - before[:, 20:] / 2).max() <= 1


def test_a_folder_of_a_remover_is_taken(photos: Path, checkpoint: Path, tmp_path: Path) -> None:
    Remover.from_pretrained(checkpoint).save_pretrained(tmp_path / "mine")
    run(photos / "photo 0.png", "-o", tmp_path / "a.png", "--checkpoint", tmp_path / "mine")
    run(photos / "photo 0.png", "-o", tmp_path / "b.png", "--checkpoint", checkpoint)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_onnxruntime_does_what_pytorch_does(
    photos: Path, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo, exported = photos / "photo 0.png", tmp_path / "half.onnx"
    main(["export", "--onnx", str(exported), "--checkpoint", str(checkpoint)])
    for more in ((), ("--flip", "--steps", 2), ("--method", "tiles", "--tile", 64, "--overlap", 16)):
        run(photo, "-o", tmp_path / "a.png", "--overwrite", "--checkpoint", checkpoint, *more)
        run(photo, "-o", tmp_path / "b.png", "--overwrite", "--checkpoint", exported, "--runtime", "onnx", *more)
        assert np.abs(pixels_of(tmp_path / "a.png").astype(int) - pixels_of(tmp_path / "b.png")).max() <= 1
    capsys.readouterr()
    words = ("remove", photo, "-o", tmp_path / "c.png", "--runtime", "onnx")
    assert "no checkpoint is given for onnxruntime; make one by msloss-sirr export" in fails(capsys, *words)
    assert "no ONNX model that runs here" in fails(capsys, *words, "--checkpoint", checkpoint)


def test_masks_of_a_folder_go_by_name(
    photos: Path, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "masks").mkdir()
    for path in sorted(photos.iterdir())[:5]:
        Image.new("L", pixels_of(path).shape[1::-1], 0).save(tmp_path / "masks" / path.name)
    Image.new("L", (1000, 1000)).save(tmp_path / "masks" / "photo 1.png")
    lines = told(capsys, photos, "-o", tmp_path / "out", "--checkpoint", checkpoint, "--mask", tmp_path / "masks")
    assert len(lines) == 3
    assert "photo 1.png: the mask is 1000x1000 pixels but the photograph 56x41; give one of the same size" in lines[0]
    assert lines[1].endswith("photo 5.png has no mask; give it one, " + str(tmp_path / "masks" / "photo 5.png say"))
    for path in (tmp_path / "out").iterdir():
        assert np.array_equal(pixels_of(path), pixels_of(photos / path.name))


def test_the_shipped_remover_is_the_default(photos: Path, tmp_path: Path) -> None:
    run(photos, "-o", tmp_path / "out", "--threshold", 0)
    for path in photos.iterdir():
        expected = remove(Remover.from_pretrained(), read_pixels(path)).transmission
        assert torch.equal(read_pixels(tmp_path / "out" / path.name), expected)


def test_flip_is_an_ensemble_in_remove_and_eval(photos: Path, pairs: Path, tmp_path: Path) -> None:
    photo, csv = photos / "photo 0.png", tmp_path / "scores.csv"
    run(photo, "-o", tmp_path / "out", "--flip", "--threshold", 0)
    flip = FlipEnsemble(Remover.from_pretrained())
    expected = remove(flip, read_pixels(photo)).transmission
    assert torch.equal(read_pixels(tmp_path / "out" / photo.name), expected)
    assert not torch.equal(remove(Remover.from_pretrained(), read_pixels(photo)).transmission, expected)
    main(["eval", str(pairs), "--flip", "--save", str(tmp_path / "saved"), "--lpips.backbones", "--csv", str(csv)])
    saved = sorted((tmp_path / "saved").rglob("*.png"))
    whole = [remove(flip, read_pixels(pairs / "ambient" / p.name)) for p in saved]
    assert len(saved) == 4
    assert all(torch.equal(read_pixels(p), layers.transmission) for p, layers in zip(saved, whole, strict=True))


def test_no_visible_reflection_leaves_the_file_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.new("RGB", (64, 48), (90, 120, 60)).save(tmp_path / "plain.jpg", quality=80)
    faint = Remover(RemoverConfig(channels=(4,), patch=1, networks="transmission"))
    save_remover(faint, tmp_path / "faint.safetensors")
    words = (tmp_path / "plain.jpg", "--checkpoint", tmp_path / "faint.safetensors")
    run(*words, "-o", tmp_path / "out", "--reflection")
    assert (tmp_path / "out" / "plain.jpg").read_bytes() == (tmp_path / "plain.jpg").read_bytes()
    assert "no reflection was found" in capsys.readouterr().out
    assert not pixels_of(tmp_path / "out" / "plain-reflection.jpg").any()
    run(*words, "-o", tmp_path / "plain.png")
    assert np.array_equal(pixels_of(tmp_path / "plain.png"), pixels_of(tmp_path / "plain.jpg"))
    before = (tmp_path / "plain.jpg").stat()
    run(*words, "--in-place")
    assert (tmp_path / "plain.jpg").stat().st_mtime_ns == before.st_mtime_ns


def test_folders_and_patterns(photos: Path, checkpoint: Path, tmp_path: Path) -> None:
    save(photos / "inner" / "deep" / "a.png", smooth(7))
    save(photos / ".hidden" / "b.png", smooth(8))
    (photos / "notes.txt").write_text("no image")
    use = ("--checkpoint", checkpoint)
    run(photos, "-r", "-o", tmp_path / "tree", *use)
    written = sorted(str(p.relative_to(tmp_path / "tree")) for p in (tmp_path / "tree").rglob("*") if p.is_file())
    assert written == ["inner/deep/a.png", *(f"photo {i}.png" for i in range(6))]
    run(photos / "photo [1-3].png", photos / "photo 2.png", "-o", tmp_path / "some", *use)
    assert sorted(p.name for p in (tmp_path / "some").iterdir()) == [f"photo {i}.png" for i in (1, 2, 3)]
    run(photos / "**" / "a.png", "-o", tmp_path / "a.jpg", *use)
    assert np.abs(pixels_of(tmp_path / "a.jpg") - pixels_of(photos / "inner/deep/a.png") / 2).mean() < 2
    odd = photos / "what? 'quoted' \"twice\"\n[1].png"
    shutil.copy(photos / "photo 0.png", odd)
    run(odd, "-o", tmp_path / "odd", *use)
    assert (tmp_path / "odd" / odd.name).exists()


def test_in_place_replaces_only_when_asked(
    photos: Path, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo, before = photos / "photo 0.png", pixels_of(photos / "photo 0.png")
    use = ("--checkpoint", checkpoint)
    assert told(capsys, photo, *use) == [
        "neither --out nor --in-place is given; say where the results are to be written"
    ]
    assert told(capsys, photo, "-o", photos, "--in-place", *use)[0].startswith("both --out and --in-place are given")
    (line,) = told(capsys, photo, "-o", photos, "--overwrite", *use)
    assert line.endswith("is the photograph itself; give another --out, or --in-place to replace it")
    (line,) = told(capsys, photo, "-o", photo, "--overwrite", *use)
    assert "is the photograph itself" in line
    assert np.array_equal(pixels_of(photo), before)
    run(photo, "--in-place", *use)
    assert np.abs(pixels_of(photo) - before / 2).max() <= 1
    assert len(list(photos.iterdir())) == 6


def test_in_place_no_photo_is_done_twice_and_no_link_is_replaced(
    photos: Path, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = pixels_of(photos / "photo 0.png")
    (photos / "link.png").symlink_to("photo 0.png")
    (tmp_path / "door").symlink_to(photos)
    words = (photos, tmp_path / "door" / "photo 0.png", photos / ".." / photos.name / "photo 0.png", "--in-place")
    lines = told(capsys, *words, "--checkpoint", checkpoint, "--ahead", 0)
    assert len(lines) == 4
    assert lines[0].endswith("link.png is a link; name the photograph that it leads to")
    assert all("would both be written to" in line for line in lines[1:3])
    assert (photos / "link.png").is_symlink()
    assert np.abs(pixels_of(photos / "photo 0.png") - before / 2).max() <= 1


def test_results_are_not_taken_for_photos(photos: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(photos / "inner" / "a.png", smooth(7))
    out, use = photos / "out", ("--checkpoint", checkpoint)
    for which in (photos, photos / "*", photos / "**" / "*.png"):
        run(which, "-r", "-o", out, *use, "--skip-existing")
        assert f"{out} " not in capsys.readouterr().out
        assert not (out / out.name).exists()
        assert len(list(out.glob("*.png"))) <= 7
    assert (out / "inner" / "a.png").exists()
    run(out / "photo 0.png", "-o", photos / "again", *use)
    (line,) = told(capsys, out / "*0.png", "-o", out, "--overwrite", *use)
    assert "is the photograph itself" in line


def test_a_name_that_is_too_long_leaves_one_photo_out(
    photos: Path, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(photos / "photo 0.png", photos / f"{'n' * 250}.png")
    (tmp_path / "out").mkdir()
    lines = told(capsys, photos, "-o", tmp_path / "out", "--reflection", "--checkpoint", checkpoint)
    assert lines[0].endswith("n-reflection.png: File name too long")
    assert lines[1:] == ["1 of 7 left out, as said"]
    run(photos / f"{'n' * 250}.png", "-o", tmp_path / "out", "--checkpoint", checkpoint)


def test_hidden_files_may_be_named(photos: Path, checkpoint: Path, tmp_path: Path) -> None:
    shutil.copy(photos / "photo 0.png", photos / ".hidden.png")
    run(photos / ".hidden.png", "-o", tmp_path / ".result.png", "--checkpoint", checkpoint)
    assert (tmp_path / ".result.png").is_file()


@pytest.mark.parametrize("place", [{"RANK": "x"}, {"RANK": ""}, {"RANK": "1"}, {"RANK": "2"}, {"WORLD_SIZE": "0"}])
def test_a_share_that_is_none_is_refused(
    place: dict[str, str],
    photos: Path,
    checkpoint: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in {"WORLD_SIZE": "1" if place == {"RANK": "1"} else "2", "RANK": "0", **place}.items():
        monkeypatch.setenv(name, value)
    (line,) = told(capsys, photos, "-o", tmp_path / "out", "--checkpoint", checkpoint)
    assert "are no share of the photographs" in line


def test_results_are_replaced_only_when_asked(
    photos: Path, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo, out = photos / "photo 0.png", tmp_path / "out"
    save(out / photo.name, smooth(9))
    before = pixels_of(out / photo.name)
    words = (photos, "-o", out, "--checkpoint", checkpoint)
    (line, last) = told(capsys, *words)
    assert line.endswith("photo 0.png exists already; give --overwrite to replace it, or --skip-existing to leave it")
    assert last == "1 of 6 left out, as said"
    assert np.array_equal(pixels_of(out / photo.name), before)
    run(*words, "--skip-existing")
    assert "6 left out: their results are there already" in capsys.readouterr().out
    (out / "photo 3.png").unlink()
    run(*words, "--skip-existing")
    assert (out / "photo 3.png").exists()
    assert np.array_equal(pixels_of(out / photo.name), before)
    run(*words, "--overwrite")
    assert not np.array_equal(pixels_of(out / photo.name), before)


def test_skipping_wants_all_files_of_a_photo(photos: Path, checkpoint: Path, tmp_path: Path) -> None:
    words = (photos, "-o", tmp_path / "out", "--checkpoint", checkpoint, "--skip-existing")
    run(*words)
    run(*words, "--reflection")
    assert len(list((tmp_path / "out").iterdir())) == 12


def test_what_cannot_be_begun_is_one_line(
    photos: Path, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, use = tmp_path / "out", ["--checkpoint", checkpoint]
    photo = photos / "photo 0.png"
    assert fails(capsys, "remove", tmp_path / "none.png", "-o", out, *use).endswith("none.png does not exist")
    (tmp_path / "empty").mkdir()
    assert "empty holds no images" in fails(capsys, "remove", tmp_path / "empty", "-o", out, *use)
    assert "no folder in it does" in fails(capsys, "remove", tmp_path / "empty", "-o", out, "-r", *use)
    assert "*.webp matches no file" in fails(capsys, "remove", photos / "*.webp", "-o", out, *use)
    assert "no photographs given" in fails(capsys, "remove", "-o", out, *use)
    assert fails(capsys, "remove", photo, "-o", out, "--steps", "0", *use) == "steps is 0; give 1 or more, or auto"
    assert "strength is 2.0" in fails(capsys, "remove", photo, "-o", out, "--strength", "2", *use)
    assert "is no amount of memory" in fails(capsys, "remove", photo, "-o", out, "--max-memory", "lots", *use)
    assert "there is no device 'abacus'" in fails(capsys, "remove", photo, "-o", out, "--device", "abacus", *use)
    assert "has no model.safetensors" in fails(capsys, "remove", photo, "-o", out, "--checkpoint", tmp_path)
    assert "there is no device 'meta'" in fails(capsys, "remove", photo, "-o", out, "--device", "meta", *use)
    assert "half.safetensors is a file; give a folder" in fails(capsys, "remove", photo, "-o", checkpoint, *use)
    assert "a.png is named as one file, but there are 6" in fails(capsys, "remove", photos, "-o", tmp_path / "a.png")
    line = fails(capsys, "remove", photo, "-o", tmp_path / "result.gif", *use)
    assert "result.gif is named as an image of a kind that is not written; end it in one of .avif, " in line
    (tmp_path / "a.gif").touch()
    assert "a.gif is not named as an image" in fails(capsys, "remove", tmp_path / "a.gif", "-o", out, *use)
    assert "no amount of memory" in fails(capsys, "remove", photo, "-o", out, "--max-memory", "0", *use)
    assert not out.exists()


def test_the_rest_goes_on(photos: Path, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (photos / "photo 1.png").write_text("text")
    (photos / "photo 2.png").write_bytes((photos / "photo 2.png").read_bytes()[:-300])
    (photos / "empty.jpg").touch()
    save(tmp_path / "other" / "photo 0.png", smooth(0))
    words = (photos, tmp_path / "other", tmp_path / "none.png", "-o", tmp_path / "out", "--checkpoint", checkpoint)
    lines = told(capsys, *words)
    assert len(lines) == 6
    assert any("none.png does not exist" in line for line in lines)
    assert any("would both be written to" in line for line in lines)
    assert any(line.startswith(f"cannot read {photos / 'photo 1.png'}: it is no image file") for line in lines)
    assert any(line.startswith(f"cannot read {photos / 'photo 2.png'}: ") for line in lines)
    assert any("empty.jpg" in line for line in lines)
    assert lines[-1] == "5 of 9 left out, as said"
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [f"photo {i}.png" for i in (0, 3, 4, 5)]


@pytest.mark.parametrize("ahead", [0, 1, 3])
def test_full_disk_leaves_nothing_behind(
    photos: Path, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], ahead: int
) -> None:
    with room(900):
        lines = told(capsys, photos, "-o", tmp_path / "out", "--checkpoint", checkpoint, "--ahead", ahead)
    assert len(lines) == 7
    assert all("photo" in line for line in lines[:-1])
    assert not list((tmp_path / "out").iterdir())


def test_memory_that_is_used_up_leaves_one_photo_out(photos: Path, checkpoint: Path, tmp_path: Path) -> None:
    """PyTorch says so of a processor's memory by a `RuntimeError`."""
    save(photos / "photo 2.png", smooth(0, 3000, 3000))
    code = """
import resource, sys, psutil, torch
from msloss_sirr.cli import main
import msloss_sirr.photo.batch
from msloss_sirr import Remover
Remover.from_pretrained(sys.argv[1])(torch.zeros(1, 3, 64, 64))
resource.setrlimit(resource.RLIMIT_AS, (psutil.Process().memory_info().vms + 200 * 2**20,) * 2)
main(["remove", sys.argv[2], "-o", sys.argv[3], "--checkpoint", sys.argv[1], "--device", "cpu", "--ahead", "0",
      "--method", "whole", "--max-memory", "90G"])
"""
    words = [sys.executable, "-c", code, checkpoint, photos, tmp_path / "out"]
    done = subprocess.run([*map(str, words)], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    assert lines[0].endswith("photo 2.png: memory is used up; give a smaller --max-memory, --work-size or --tile")
    assert lines[1:] == ["msloss-sirr: 1 of 6 left out, as said"]
    assert len(list((tmp_path / "out").iterdir())) == 5


def test_other_errors_are_not_taken_for_want_of_memory(
    photos: Path, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mistaken(*_: object, **__: object) -> None:
        raise RuntimeError("a mistake")

    monkeypatch.setattr("msloss_sirr.photo.batch.remove", mistaken)
    with pytest.raises(RuntimeError, match="a mistake"):
        run(photos, "-o", tmp_path / "out", "--checkpoint", checkpoint)


def test_remover_that_goes_astray_leaves_its_photos_out(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    remover = Remover(RemoverConfig(channels=(4,), patch=1))
    remover.transmission_net.out.bias.data.fill_(5.0)
    save_remover(remover, tmp_path / "bright.safetensors")
    words = (photos, "-o", tmp_path / "out", "--checkpoint", tmp_path / "bright.safetensors")
    lines = told(capsys, *words, "--steps", 5)
    assert lines[0].startswith(f"{photos / 'photo 0.png'}: ambient goes from 10")
    assert lines[-1] == "6 of 6 left out, as said"
    assert not (tmp_path / "out").exists()
    run(*words)  # once is not too often
    remover.transmission_net.out.bias.data.fill_(torch.nan)
    with pytest.raises(ValueError, match="estimate holds NaN or infinity"):
        remove(remover.eval(), torch.zeros(3, 8, 8, dtype=torch.uint8))


def test_each_process_takes_a_device_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    on_cpu = torch.zeros(1)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setattr(torch, "zeros", lambda *_, **__: on_cpu)
    assert str(find_device("auto")) == "cuda"
    for place, device in (("0", "cuda:0"), ("3", "cuda:3"), ("5", "cuda:1")):
        monkeypatch.setenv("LOCAL_RANK", place)
        assert str(find_device("auto")) == str(find_device("cuda")) == device
    assert str(find_device("cuda:2")) == "cuda:2"


def test_the_tool_starts_without_what_only_training_needs() -> None:
    code = "import sys, msloss_sirr.photo.batch; print({'torchvision', 'kornia', 'accelerate'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_processes_share_the_photos(photos: Path, checkpoint: Path, tmp_path: Path) -> None:
    words = [sys.executable, "-m", "msloss_sirr", "remove", photos, "-o", tmp_path / "out", "--checkpoint", checkpoint]
    said = []
    for rank in range(2):
        environment = {**os.environ, "RANK": str(rank), "WORLD_SIZE": "2"}
        done = subprocess.run([*map(str, words)], env=environment, capture_output=True, text=True, check=True)
        said.append(done.stdout.splitlines())
    assert [len(lines) for lines in said] == [3, 3]
    assert len(list((tmp_path / "out").iterdir())) == 6


def test_metadata_and_depth_of_bits_are_kept(checkpoint: Path, tmp_path: Path) -> None:
    """What the files keep is tested where they are read and written: here, that the tool has them do so."""
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "maker", 6
    image = Image.new("RGBA", (30, 20), (200, 100, 40, 120))
    image.save(tmp_path / "a.png", exif=exif, dpi=(300, 300))
    run(tmp_path / "a.png", "-o", tmp_path / "out", "--checkpoint", checkpoint)
    with Image.open(tmp_path / "out" / "a.png") as written:
        assert written.size == (20, 30)
        assert written.getexif()[0x010F] == "maker"
        assert written.getexif().get(0x0112, 1) == 1
        assert written.getpixel((3, 3)) == (100, 50, 20, 120)
    Image.fromarray(np.full((12, 9), 40000, np.uint16)).save(tmp_path / "deep.tif")
    run(tmp_path / "deep.tif", "-o", tmp_path / "out", "--checkpoint", checkpoint)
    with Image.open(tmp_path / "out" / "deep.tif") as written:
        assert written.mode == "I;16"
        assert abs(int(np.array(written)[0, 0]) - 20000) <= 1


def valid_files() -> dict[str, bytes]:
    """A small photograph in every format, as its file."""
    image = Image.fromarray((smooth(3) * 255).byte().permute(1, 2, 0).numpy())
    exif = Image.Exif()
    exif[0x0112] = 6
    files = {}
    for suffix, kind in ((".jpg", "JPEG"), (".png", "PNG"), (".tif", "TIFF"), (".webp", "WEBP"), (".bmp", "BMP")):
        buffer = io.BytesIO()
        image.save(buffer, kind, **({} if kind == "BMP" else {"exif": exif}))
        files[suffix] = buffer.getvalue()
    return files


VALID = valid_files()


@st.composite
def damaged(draw: st.DrawFn) -> tuple[str, bytes]:
    """A file with a byte changed, cut off, or of anything at all."""
    suffix = draw(st.sampled_from(sorted(VALID)))
    content = bytearray(VALID[suffix])
    how = draw(st.sampled_from(["sound", "changed", "cut", "anything"]))
    if how == "anything":
        return suffix, draw(st.binary(max_size=200))
    place = draw(st.integers(0, len(content) - 1))
    if how == "changed":
        content[place] = draw(st.integers(0, 255))
    return suffix, bytes(content[:place] if how == "cut" else content)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(damaged(), min_size=1, max_size=10))
def test_any_files_give_results_or_a_line_each(checkpoint: Path, files: list[tuple[str, bytes]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        photos, out = Path(folder, "in"), Path(folder, "out")
        photos.mkdir()
        for number, (suffix, content) in enumerate(files):
            (photos / f"{number}{suffix}").write_bytes(content)
        report = remove_files(RemoveConfig(inputs=(photos,), out=out, checkpoint=str(checkpoint), device="cpu"))
        written = sorted(out.iterdir()) if out.exists() else []
        assert report.done + len(report.failures) == len(files)
        assert len(written) == report.done
        assert all("\n" not in line for line in report.failures)
        for path in written:
            assert pixels_of(path).size
        for number, (suffix, content) in enumerate(files):
            assert (photos / f"{number}{suffix}").read_bytes() == content

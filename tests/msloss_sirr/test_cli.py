"""The command line: it does the job, and what the user got wrong is one line and a non-zero exit status."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from msloss_sirr import Remover, RemoverConfig, remove, save_remover
from msloss_sirr.cli import main
from msloss_sirr.cli.failing import one_line_errors
from msloss_sirr.images.reading import read_pixels
from msloss_sirr.models.ensemble import FlipEnsemble

from .conftest import pixels_of, save, smooth


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A remover that halves its input and calls the rest the reflection."""
    remover = Remover(RemoverConfig(architecture="unet", channels=(4,), patch=1, residual=False))
    for net, factor in ((remover.reflection_net, 0.0), (remover.transmission_net, 0.5)):
        for block in net.down:
            for layer in block:
                if isinstance(layer, torch.nn.Conv2d):
                    torch.nn.init.zeros_(layer.weight)
                    torch.nn.init.zeros_(layer.bias)
                    torch.nn.init.dirac_(layer.weight)
        torch.nn.init.dirac_(net.out.weight)
        net.out.weight.data *= factor
    save_remover(remover, tmp_path / "half.safetensors")
    return tmp_path / "half.safetensors"


def fails(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    """Run a command that must fail, and return its one line."""
    with pytest.raises(SystemExit) as stopped:
        main([str(word) for word in words])
    assert stopped.value.code not in (0, None)
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1, lines
    return lines[0].removeprefix("msloss-sirr: ")


def test_remove_writes_every_photo_at_its_own_size(photos: Path, checkpoint: Path, tmp_path: Path) -> None:
    main(["remove", str(photos), "-o", str(tmp_path / "out"), "--checkpoint", str(checkpoint), "--reflection"])
    names = sorted(p.name for p in photos.iterdir())
    written = {p.name for p in (tmp_path / "out").iterdir()}
    assert written == set(names) | {name.replace(".png", "-reflection.png") for name in names}
    for name in names:
        before, after = pixels_of(photos / name), pixels_of(tmp_path / "out" / name)
        assert np.abs(after - before / 2).max() <= 1
        assert not pixels_of(tmp_path / "out" / name.replace(".png", "-reflection.png")).any()


def test_remove_takes_steps(photos: Path, checkpoint: Path, tmp_path: Path) -> None:
    photo = photos / "photo 0.png"
    words = ["remove", photo, "-o", tmp_path / "out", "--checkpoint", checkpoint, "--steps", "2", "--reflection"]
    main([str(word) for word in words])
    before, after = pixels_of(photo), pixels_of(tmp_path / "out" / photo.name)
    assert np.abs(after - before / 4).max() <= 1
    assert np.abs(pixels_of(tmp_path / "out" / "photo 0-reflection.png") - before * 0.75).max() <= 1


def test_remove_uses_the_shipped_remover_by_default(photos: Path, tmp_path: Path) -> None:
    main(["remove", str(photos), "-o", str(tmp_path / "out")])
    assert len(list((tmp_path / "out").iterdir())) == 6


def test_flip_is_an_ensemble_in_remove_and_eval(photos: Path, pairs: Path, tmp_path: Path) -> None:
    photo, csv = photos / "photo 0.png", tmp_path / "scores.csv"
    main(["remove", str(photo), "-o", str(tmp_path / "out"), "--flip"])
    expected = remove(FlipEnsemble(Remover.from_pretrained()), read_pixels(photo)).transmission
    assert torch.equal(read_pixels(tmp_path / "out" / photo.name), expected)
    assert not torch.equal(remove(Remover.from_pretrained(), read_pixels(photo)).transmission, expected)
    main(["eval", str(pairs), "--flip", "--save", str(tmp_path / "saved"), "--lpips.backbones", "--csv", str(csv)])
    saved = sorted((tmp_path / "saved").rglob("*.png"))
    whole = [remove(FlipEnsemble(Remover.from_pretrained()), read_pixels(pairs / "ambient" / p.name)) for p in saved]
    assert len(saved) == 4
    assert all(torch.equal(read_pixels(p), layers.transmission) for p, layers in zip(saved, whole, strict=True))


def test_remove_refuses_what_it_cannot_do(
    photos: Path, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, use = tmp_path / "out", ["--checkpoint", checkpoint]
    photo = photos / "photo 0.png"
    assert fails(capsys, "remove", tmp_path / "none", "-o", out, *use).endswith("none does not exist")
    (tmp_path / "empty").mkdir()
    assert "empty holds no images" in fails(capsys, "remove", tmp_path / "empty", "-o", out, *use)
    assert "no photographs given" in fails(capsys, "remove", "-o", out, *use)
    assert fails(capsys, "remove", photo, "-o", out, "--steps", "0", *use) == "steps is 0; give 1 or more"
    assert "there is no device 'abacus'" in fails(capsys, "remove", photo, "-o", out, "--device", "abacus", *use)
    save(tmp_path / "other" / photo.name, smooth(0))
    message = fails(capsys, "remove", photo, tmp_path / "other", "-o", out, *use)
    assert "would both be written to" in message
    assert "give another --out" in fails(capsys, "remove", photo, "-o", photos, "--overwrite", *use)
    assert "is a folder; give a checkpoint" in fails(capsys, "remove", photo, "-o", out, "--checkpoint", tmp_path)
    assert "there is no device 'meta'" in fails(capsys, "remove", photo, "-o", out, "--device", "meta", *use)
    assert "half.safetensors is a file; give a folder" in fails(capsys, "remove", photo, "-o", checkpoint, *use)
    (tmp_path / "a.gif").touch()
    assert "a.gif is not named as an image" in fails(capsys, "remove", tmp_path / "a.gif", "-o", out, *use)
    assert not out.exists()


def test_remove_leaves_out_what_it_cannot_read(
    photos: Path, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (photos / "photo 1.png").write_text("text")
    message = fails(capsys, "remove", photos, "-o", tmp_path / "out", "--checkpoint", checkpoint)
    assert message.startswith("1 of 6 photographs left out: cannot read ")
    assert "photo 1.png: it is no image file" in message
    assert len(list((tmp_path / "out").iterdir())) == 5


def test_remove_keeps_exif_and_colour_profile(checkpoint: Path, tmp_path: Path) -> None:
    exif, profile = Image.Exif(), bytes(16) + b"RGB " + bytes(108)
    exif[0x010F], exif[0x0112] = "maker", 6
    Image.new("RGB", (30, 20), "red").save(tmp_path / "a.jpg", exif=exif, icc_profile=profile)
    main(["remove", str(tmp_path / "a.jpg"), "-o", str(tmp_path / "out"), "--checkpoint", str(checkpoint)])
    with Image.open(tmp_path / "out" / "a.jpg") as written:
        assert written.size == (20, 30)
        assert written.getexif()[0x010F] == "maker"
        assert written.getexif().get(0x0112, 1) == 1
        assert written.info["icc_profile"] == profile


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "YCbCr"])
def test_remove_writes_tiff_files_that_can_be_read(mode: str, checkpoint: Path, tmp_path: Path) -> None:
    photo, exif = tmp_path / "a.tif", Image.Exif()
    exif[0x010F] = "maker"
    Image.new("RGB", (30, 20), "white").convert(mode).save(photo, exif=exif, compression="tiff_lzw")
    main(["remove", str(photo), "-o", str(tmp_path / "out"), "--checkpoint", str(checkpoint)])
    assert np.abs(pixels_of(tmp_path / "out" / "a.tif") - pixels_of(photo) / 2).max() <= 1
    with Image.open(tmp_path / "out" / "a.tif") as written:
        assert written.getexif()[0x010F] == "maker"
        assert written.mode == {"1": "L", "P": "RGB", "YCbCr": "RGB"}.get(mode, mode)


def test_remove_replaces_files_only_when_asked(
    photos: Path, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo = photos / "photo 0.png"
    save(tmp_path / "out" / photo.name, smooth(9))
    before = pixels_of(tmp_path / "out" / photo.name)
    words = ["remove", photo, "-o", tmp_path / "out", "--checkpoint", checkpoint]
    assert "exists already; give --overwrite" in fails(capsys, *words)
    assert np.array_equal(pixels_of(tmp_path / "out" / photo.name), before)
    main([str(word) for word in [*words, "--overwrite"]])
    assert not np.array_equal(pixels_of(tmp_path / "out" / photo.name), before)


def test_train_then_remove(pairs: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = f"--crop 24 --epochs 1 --epoch-images 8 --device cpu --model.channels 4 6 --out {tmp_path / 'run'}".split()
    main(["train", "--pairs", str(pairs), "--photos", str(photos), "--val", str(pairs), *words])
    assert "best on validation: PSNR" in capsys.readouterr().out
    best = tmp_path / "run" / "best.safetensors"
    main(["remove", str(pairs / "ambient"), "-o", str(tmp_path / "out"), "--checkpoint", str(best)])
    assert len(list((tmp_path / "out").iterdir())) == 4


def test_train_refuses_what_it_cannot_do(pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["train", "--val", pairs, "--out", tmp_path / "run"]
    assert "nothing to train on" in fails(capsys, *words)
    words = [*words, "--pairs", pairs]
    assert fails(capsys, *words, "--steps", "0") == "steps is 0; give 1 or more"
    assert "start_steps is 4 but steps is 3" in fails(capsys, *words, "--start-steps", "4")
    assert "none does not exist" in fails(capsys, *words, "--photos", tmp_path / "none")
    assert "give one to 10 levels" in fails(capsys, *words, "--model.patch", "0")
    assert "holds no run to resume" in fails(capsys, *words, "--resume")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            "train --preset papr",
            "invalid choice 'papr' for argument '--preset'. Expected one of ('compact', 'paper', 'shipped')",
        ),
        ("train", "missing from msloss-sirr train: --out PATH, --val PATH"),
        ("train --lr fast --out a --val b", "error parsing --lr: could not convert string to float: 'fast'"),
        (
            "remove --sheet a.png",
            "missing from msloss-sirr remove: -o PATH, --out PATH; unrecognized options: --sheet, a.png",
        ),
        ("refgan train --out x --l1", "missing value for argument '--l1'"),
        ("data", "expected one of {list, check, prepare}"),
        ("", "expected one of {train, remove, eval, data, refgan}"),
    ],
)
def test_words_that_are_no_command_are_one_line(capsys: pytest.CaptureFixture[str], words: str, message: str) -> None:
    told = fails(capsys, *words.split())
    assert told.startswith(message)
    assert not set(told) & set("│─╭")


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_the_frame_of_the_parser_is_left_out_on_any_terminal(encoding: str) -> None:
    command = [sys.executable, "-m", "msloss_sirr", "train", "--preset", "papr", "--val", "a", "--out", "b"]
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "FORCE_COLOR": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    expected = (
        "msloss-sirr: invalid choice 'papr' for argument '--preset'. Expected one of ('compact', 'paper', 'shipped')\n"
    )
    assert (done.returncode, done.stderr, done.stdout) == (2, expected, "")


@pytest.mark.parametrize("workers", [0, 1])
def test_damaged_training_image_is_named(
    pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], workers: int
) -> None:
    damaged = pairs / "ambient" / "0.png"
    damaged.write_bytes(damaged.read_bytes()[:-400])
    words = f"--crop 24 --epochs 1 --epoch-images 8 --device cpu --workers {workers} --out {tmp_path / 'run'}".split()
    val = tmp_path / "val"
    for part in ("ambient", "transmission"):
        save(val / part / "a.png", smooth(1))
    message = fails(capsys, "train", "--pairs", pairs, "--val", val, "--model.channels", "4", *words)
    assert message.startswith(f"cannot read {damaged}: ")


def test_help_needs_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['msloss-sirr', '--help']; from msloss_sirr.cli import main\n"
        "try: main()\n"
        "except SystemExit: print(*[name for name in ('torch', 'torchvision', 'kornia', 'PIL') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == ""
    assert "remove" in done.stdout


def test_remover_that_goes_astray_leaves_its_photo_out(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    remover = Remover(RemoverConfig(channels=(4,), patch=1))
    remover.transmission_net.out.bias.data.fill_(5.0)
    save_remover(remover, tmp_path / "bright.safetensors")
    words = ["remove", photos, "-o", tmp_path / "out", "--checkpoint", tmp_path / "bright.safetensors"]
    message = fails(capsys, *words, "--steps", 5)
    assert message.startswith(f"6 of 6 photographs left out: {photos / 'photo 0.png'}: ambient goes from 10")
    assert not list((tmp_path / "out").iterdir())
    main([str(word) for word in words])  # once is not too often
    remover.transmission_net.out.bias.data.fill_(torch.nan)
    with pytest.raises(ValueError, match="estimate holds NaN or infinity"):
        remove(remover.eval(), torch.zeros(3, 8, 8, dtype=torch.uint8))


def test_one_step_needs_nothing_else(pairs: Path, tmp_path: Path) -> None:
    words = ["train", "--pairs", pairs, "--val", pairs, "--out", tmp_path / "run", "--steps", 1, "--crop", 24]
    words += ["--epochs", 1, "--epoch-images", 4, "--device", "cpu", "--model.channels", 4, 6]
    main([str(word) for word in words])
    assert (tmp_path / "run" / "best.safetensors").exists()


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("words", [["data", "list"], ["--help"]], ids=["list", "help"])
def test_nothing_is_said_to_a_reader_that_has_left(words: list[str], unbuffered: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    command = [sys.executable, "-m", "msloss_sirr", *words]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, env=environment, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_output_that_cannot_be_written_is_one_line(unbuffered: str) -> None:
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "msloss_sirr", "data", "list"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, env=environment, check=False)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "No space left" in done.stderr


def test_an_interrupted_command_ends_without_a_word(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped, one_line_errors("program"):
        raise KeyboardInterrupt
    assert stopped.value.code == 130
    assert capsys.readouterr().err == ""


PARTING = """
import atexit, sys
from torch import distributed
from msloss_sirr.cli.failing import one_line_errors
from msloss_sirr.errors import ElsewhereError, InputError

atexit.register(print, "at the end of Python")
distributed.init_process_group("gloo", init_method="file://" + sys.argv[1], rank=0, world_size=1)
with one_line_errors("msloss-sirr"):
    {}
print("in a group:", distributed.is_initialized())
"""


@pytest.mark.parametrize(
    ("end", "status", "said"),
    [
        ("raise InputError('no')", 2, "msloss-sirr: no\n"),
        ("raise ElsewhereError('there')", 2, ""),
        ("raise KeyboardInterrupt", 130, ""),
        ("raise RuntimeError('a bug')", 1, "RuntimeError: a bug\n\n"),
        ("sys.exit('in words')", 1, "in words\n"),
        ("sys.stdout = open('/dev/full', 'w'); print('lost'); raise KeyboardInterrupt", 130, ""),
        ("print('half a line', end='')", 0, ""),
    ],
)
def test_processes_part_however_one_ends(end: str, status: int, said: str, tmp_path: Path) -> None:
    words = [sys.executable, "-c", PARTING.format(end), str(tmp_path / "meet")]
    ended = subprocess.run(words, capture_output=True, text=True, check=False)
    assert ended.returncode == status
    assert ended.stderr.endswith(said)
    assert ended.stderr.count("\n") == said.count("\n") or said.startswith("RuntimeError")
    if status:  # without Python's end, in whose midst their threads might be
        assert ended.stdout == ""
    else:
        assert ended.stdout == "half a linein a group: False\nat the end of Python\n"

"""The command line: it does the job, and what the user got wrong is one line and a non-zero exit status."""

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import Mock
from urllib.error import URLError

import pytest

from msloss_sirr.__main__ import run
from msloss_sirr.cli import main
from msloss_sirr.cli.failing import one_line_errors
from msloss_sirr.errors import InputError
from msloss_sirr.images.reading import read_pixels
from msloss_sirr.pretrained import fetch_weights

from ..conftest import fails, save, smooth


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
            "invalid choice 'papr' for argument '--preset'. Expected one of ('compact', 'paper', 'shipped', 'small')",
        ),
        ("train", "missing from msloss-sirr train: --val PATH, --out PATH"),
        ("train --lr fast --out a --val b", "error parsing --lr: could not convert string to float: 'fast'"),
        (
            "remove --sheet a.png",
            "unrecognized or misplaced options: --sheet (applied to msloss-sirr remove), a.png",
        ),
        ("refgan train --out x --l1", "missing value for argument '--l1'"),
        ("data", "expected one of {list, check, prepare}"),
        ("", "expected one of {train, remove, app, eval, peers, export, ablate, data, refgan}"),
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
        "msloss-sirr: invalid choice 'papr' for argument '--preset'. "
        "Expected one of ('compact', 'paper', 'shipped', 'small')\n"
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
    heavy = ("torch", "torchvision", "kornia", "PIL", "gradio")
    code = (
        "import sys; sys.argv = ['msloss-sirr', '--help']; from msloss_sirr.cli import main\n"
        "try: main()\n"
        f"except SystemExit: print(*[name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == ""
    assert "remove" in done.stdout


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


def test_what_the_system_refuses_is_in_words(
    pairs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SystemExit), one_line_errors("program"):
        raise PermissionError(13, "Permission denied", "there")
    assert capsys.readouterr().err == "program: there: Permission denied\n"
    locked, opened = pairs / "ambient" / "0.png", Path.open

    def refusing(path: Path, *rest: Any, **more: Any) -> Any:
        if path == locked:
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, *rest, **more)

    monkeypatch.setattr(Path, "open", refusing)
    with pytest.raises(InputError, match=f"^cannot read {locked}: Permission denied$"):
        read_pixels(locked)


def test_weights_that_cannot_be_downloaded_say_why_in_words(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    refused = URLError(OSError(-2, "Name or service not known"))
    monkeypatch.setattr("torch.hub.download_url_to_file", Mock(side_effect=refused))
    with pytest.raises(InputError, match=r"could not be downloaded \(Name or service not known\); fetch https"):
        fetch_weights("https://nowhere.invalid/net-0123.pth", "a network", "or give a file")


def test_an_interrupted_command_ends_without_a_word(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped, one_line_errors("program"):
        raise KeyboardInterrupt
    assert stopped.value.code == 130
    assert capsys.readouterr().err == ""


def test_it_is_interrupted_as_quietly_while_it_is_imported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Importing(ModuleType):
        def __getattr__(self, name: str) -> None:
            raise KeyboardInterrupt

    monkeypatch.setitem(sys.modules, "msloss_sirr.cli", Importing("msloss_sirr.cli"))
    with pytest.raises(SystemExit) as end:
        run()
    assert end.value.code == 130
    assert capsys.readouterr() == ("", "")


PARTING = """
import atexit, os, sys
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
        ("sys.stderr.close(); raise RuntimeError('a bug')", 1, ""),
        ("os.close(2); raise InputError('no')", 1, ""),
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

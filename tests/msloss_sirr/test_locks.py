"""Folders that one run at a time writes to: the second is told so, and a run that was killed is in nobody's way."""

import dataclasses
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from msloss_sirr import TrainConfig, train
from msloss_sirr.cli import main
from msloss_sirr.errors import InputError
from msloss_sirr.locks import LOCK, held

HOLDING = """
import os, signal, sys
from pathlib import Path
from msloss_sirr.locks import held
with held(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
    if sys.argv[2:]:
        os.kill(os.getpid(), signal.SIGKILL)
"""


def holder(folder: Path, *words: str) -> "subprocess.Popen[str]":
    """Return another process, which holds a folder until it is told to stop."""
    command = [sys.executable, "-c", HOLDING, str(folder), *words]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_folder_is_held_by_one(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    with held(folder):
        with pytest.raises(InputError, match=r"another run is writing to .*folder; wait until it ends"), held(folder):
            pass
        assert (folder / LOCK).exists()
        with held(tmp_path):
            pass
    assert not list(folder.iterdir())
    with held(folder):
        pass


@pytest.mark.parametrize("killed", [False, True])
def test_a_folder_is_held_against_other_processes_until_they_end(tmp_path: Path, killed: bool) -> None:
    with holder(tmp_path, *(["kill"] if killed else [])) as process:
        with pytest.raises(InputError, match="another run is writing"), held(tmp_path):
            pass
        process.communicate("\n")
    assert (tmp_path / LOCK).exists() == killed
    with held(tmp_path):
        pass
    assert not list(tmp_path.iterdir())


def test_a_second_run_that_prepares_is_told_in_one_line(
    pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    command = ["data", "prepare", "pairs", str(pairs), "-o", str(out), "-j", "1"]
    with held(out):
        with pytest.raises(SystemExit) as stopped:
            main(command)
        assert stopped.value.code == 2
        told = capsys.readouterr().err
        assert told.endswith(f"another run is writing to {out}; wait until it ends, or give another --out\n")
        assert told.count("\n") == 1
        assert [path.name for path in out.iterdir()] == [LOCK]
    (out / LOCK).touch()  # as a kill leaves it
    main(command)
    assert not (out / LOCK).exists()


def test_a_run_whose_folder_was_moved_takes_no_other_runs_lock_away(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    first, second = held(folder), held(folder)
    with first:
        folder.rename(tmp_path / "moved")
        second.__enter__()
    with pytest.raises(InputError, match="another run is writing"), held(folder):
        pass
    second.__exit__(None, None, None)
    with held(folder):
        pass


@pytest.mark.parametrize("kind", ["file", "folder", "pipe", "link", "socket"])
def test_what_has_the_name_of_the_lock_and_is_none_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.chdir(tmp_path)
    lock = tmp_path / LOCK
    if kind == "file":
        lock.write_text("mine")
    elif kind == "folder":
        lock.mkdir()
    elif kind == "pipe":
        os.mkfifo(lock)
    elif kind == "link":
        lock.symlink_to(tmp_path / "elsewhere")
    else:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(LOCK)  # a path from here, since those of sockets must be short
    before = lock.lstat()
    with pytest.raises(InputError, match=r"no lock that a run has left; move it away"), held(tmp_path):
        pass
    assert os.path.samestat(before, lock.lstat())
    assert [path.name for path in tmp_path.iterdir()] == [LOCK]


def test_a_second_training_is_told(config: TrainConfig) -> None:
    config = dataclasses.replace(config, epochs=1)
    with held(config.out), pytest.raises(InputError, match="another run is writing"):
        train(config)
    train(config)
    with held(config.out), pytest.raises(InputError, match="another run is writing"):
        train(dataclasses.replace(config, resume=True))
    assert not (config.out / LOCK).exists()

"""Trainings that cannot begin, or go on: they say why before there is work to lose, and are in nobody's way."""

import dataclasses
import json
import os
import shutil
import signal
from pathlib import Path

import pytest
import torch

from msloss import MultiStepLoss
from msloss_sirr import InputError, TrainConfig, train
from msloss_sirr.cli.failing import one_line_errors
from msloss_sirr.locks import held
from msloss_sirr.photo.batch import remove_files
from msloss_sirr.photo.config import RemoveConfig
from msloss_sirr.refgan.config import RefganTrainConfig
from msloss_sirr.refgan.training import train_refgan
from msloss_sirr.trainer.stopping import Requests

from ..conftest import drawing, fails, save, smooth

REMEDY = "; --damaged 1 leaves it out, msloss-sirr data check finds all"


@pytest.fixture
def cut(config: TrainConfig, photos: Path) -> Path:
    """A photo that is cut off in its pixels, so that its header is sound."""
    path = photos / "photo 1.png"
    path.write_bytes(path.read_bytes()[:-200])
    return path


@pytest.fixture
def damaged(config: TrainConfig, cut: Path) -> TrainConfig:
    """A training that comes upon it in its first epoch."""
    return drawing(dataclasses.replace(config, epochs=1, epoch_images=40, batch=1, start_steps=3), pairs=())


def test_a_run_that_saved_nothing_is_in_nobodys_way(damaged: TrainConfig, cut: Path, photos: Path) -> None:
    whole = smooth(1, 41, 56)
    at_once = dataclasses.replace(damaged, batch=40)
    with pytest.raises(InputError, match=f"^cannot read {cut}: .*{REMEDY}$"):
        train(at_once)
    assert sorted(path.name for path in damaged.out.iterdir()) == ["config.json", "provenance.json"]
    with pytest.raises(InputError, match=f"^cannot read {cut}: .*{REMEDY}$"):
        train(dataclasses.replace(at_once, resume=True, lr=1e-4))
    save(cut, whole)
    train(dataclasses.replace(at_once, resume=True))
    assert len(json.loads((damaged.out / "provenance.json").read_text())) == 1
    with pytest.raises(InputError, match="holds a run already; continue it with --resume"):
        train(at_once)


def test_what_was_learned_before_a_damaged_file_is_saved(damaged: TrainConfig) -> None:
    with pytest.raises(InputError, match="cannot read"):
        train(damaged)
    state = torch.load(damaged.out / "state.pt", weights_only=True)
    assert state["pace"]["done"] == state["batch"] > 0
    train(drawing(dataclasses.replace(damaged, resume=True), damaged=1))
    assert (damaged.out / "best.safetensors").exists()


def test_where_nothing_can_be_written_nothing_is_read(config: TrainConfig, pairs: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    nowhere = {tmp_path / "file" / "run": "file is a file, so that there is no folder"}
    if Path("/proc").is_dir():
        nowhere[Path("/proc/run")] = r"^/proc cannot be written to \(no such file or directory\); name another folder$"
    for out, message in nowhere.items():
        lacking = dataclasses.replace(config, out=out, val=tmp_path / "none")
        with pytest.raises(InputError, match=message):
            train(lacking)
        with pytest.raises(InputError, match=message):
            train_refgan(RefganTrainConfig(out=out, data=dataclasses.replace(config.data, pairs=("none",), crop=32)))
        if out.parent == Path("/proc"):
            with pytest.raises(InputError, match=message):
                remove_files(RemoveConfig((pairs / "ambient" / "0.png",), out=out, checkpoint=tmp_path / "none"))


def test_what_is_refused_is_not_rehearsed(config: TrainConfig, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train(dataclasses.replace(config, epochs=1))

    def rehearse(*_: object) -> None:
        raise AssertionError("rehearsed")

    monkeypatch.setattr(MultiStepLoss, "rehearse", rehearse)
    again = dataclasses.replace(config, epochs=1, resume=True)
    with pytest.raises(InputError, match="another configuration"):
        train(dataclasses.replace(again, epochs=2))
    with held(config.out), pytest.raises(InputError, match="another run is writing"):
        train(again)
    (photos / "photo 0.png").unlink()
    with pytest.raises(InputError, match="other data"):
        train(again)


def test_validation_images_that_are_trained_on_are_counted(
    config: TrainConfig, pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = dataclasses.replace(config, epochs=1, epoch_images=4)
    others = tmp_path / "others"
    for part in ("ambient", "transmission"):
        save(others / part / "a.png", smooth(5) * (0.9 if part == "ambient" else 1))
    train(dataclasses.replace(config, val=others, out=tmp_path / "sound"))
    assert capsys.readouterr().err == ""
    shutil.copy(pairs / "ambient" / "1.png", others / "ambient" / "b.png")
    shutil.copy(pairs / "transmission" / "1.png", others / "transmission" / "b.png")
    train(dataclasses.replace(config, val=others, out=tmp_path / "copied"))
    told = "validation images are trained on too, so that the best checkpoint is chosen by what it knows already"
    assert capsys.readouterr().err == f"2 of the 4 {told}; give other pairs by --val\n"
    train(config)
    assert capsys.readouterr().err.startswith(f"8 of the 8 {told}")


def interrupt_twice() -> None:
    os.kill(os.getpid(), signal.SIGINT)
    os.kill(os.getpid(), signal.SIGINT)


def test_a_second_interruption_says_what_is_lost(capsys: pytest.CaptureFixture[str]) -> None:
    asked = Requests("what was done is lost")
    with pytest.raises(SystemExit) as stopped, one_line_errors("program"), asked.listening():
        interrupt_twice()
    assert stopped.value.code == 130
    assert capsys.readouterr().err == "program: what was done is lost\n"


def test_a_damaged_file_is_one_line_with_what_to_do(
    damaged: TrainConfig, pairs: Path, cut: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", "--photos", photos, "--val", pairs, "--out", damaged.out, "--crop", 24, "--device", "cpu"]
    told = fails(capsys, *words, "--epoch-images", 40, "--model.channels", 4, 6)
    assert told.startswith(f"cannot read {cut}: ")
    assert told.endswith(REMEDY)

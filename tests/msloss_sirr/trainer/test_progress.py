"""What a training shows while it runs, on a terminal and in a file."""

import dataclasses
import io
import re

import pytest
from rich.console import Console

from msloss_sirr import TrainConfig, train
from msloss_sirr.trainer import progress
from msloss_sirr.trainer.pace import Pace
from msloss_sirr.trainer.progress import Place, TrainingProgress
from msloss_sirr.trainer.stopping import Stopped

from .test_resuming import run, stop_at

STATUS = (
    "steps 0.1234 0.1234 0.1234; transmission 0.0123 reflection 0.0123 gradient 0.0123 feature 0.1234; lr 3.0e-04; "
    "PSNR 20.11 dB; best 20.44 dB"
)
CODES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


def paced(done: int, of: int) -> Pace:
    now = iter([0.0, *[7200.0] * 100])
    pace = Pace(of, clock=lambda: next(now))
    pace.done = done
    return pace


@pytest.mark.parametrize("width", [80, 100, 200])
def test_share_and_time_left_are_seen_on_any_terminal(width: int) -> None:
    shown = io.StringIO()
    console = Console(file=shown, force_terminal=True, width=width, color_system=None, legacy_windows=False)
    with TrainingProgress(enabled=True, console=console) as bar:
        bar.batch(Place(123, 1350, 1350), paced(45, 100), 123.4, lambda: STATUS)
    lines = CODES.sub("", shown.getvalue()).replace("\r", "\n").splitlines()
    assert any(re.search(r"epoch 123 1350/1350 .* 45% 2:26:40 left 123.4 images/s", line) for line in lines)
    assert max(map(len, lines)) <= width
    assert STATUS in " ".join(" ".join(lines).split())


def test_every_update_is_counted_and_so_are_validated_pairs(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in {"FORCE_COLOR": "1", "COLUMNS": "80", "TERM": "xterm"}.items():
        monkeypatch.setenv(name, value)
    train(dataclasses.replace(config, epochs=2))
    told = capsys.readouterr().out
    shown = CODES.sub("", told)
    assert re.search(r"epoch 0 3/3 .* 50%", shown)
    assert re.search(r"epoch 1 3/3 .* 100%", shown)
    assert re.search(r"validating 4/4 .* 100%", shown)
    assert told.rindex("\x1b[2K") > told.rindex(" left ")  # the bar is taken away in the end


def test_a_file_has_a_line_now_and_then(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = dataclasses.replace(config, epochs=1)
    train(config)
    silent = capsys.readouterr().out
    assert re.match(r"memory of an update: 3 steps on cpu: \d+\.\d MiB at the peak\nepoch 0: loss [^\n]*\n$", silent)
    monkeypatch.setattr(progress, "_LINE_EVERY", 0.0)
    train(dataclasses.replace(config, out=config.out / "other"))
    lines = capsys.readouterr().out.splitlines()[1:-1]
    for number, line in enumerate(lines, start=1):
        told = rf"epoch 0, update {number} of 3: steps \S+ .*; \d+\.\d images/s, 0:00:\d\d left"
        assert re.fullmatch(told, line)
    assert len(lines) == 3


def test_a_resume_says_where_it_goes_on(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = dataclasses.replace(config, batch=2, accumulate=2, epochs=2, start_steps=3)
    with monkeypatch.context() as patch:
        stop_at(patch, 12)  # nine looks for the first epoch and at the second, and two at the batches of an update
        with pytest.raises(Stopped):
            run(config)
    capsys.readouterr()
    run(config, resume=True)
    assert re.match(r"resuming in epoch 1, update 1 of 3, 0:00:\d\d left\n", capsys.readouterr().out)

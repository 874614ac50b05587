"""A training that is stopped, killed, or finds its files damaged ends with the same numbers as one that is not."""

import dataclasses
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.functional import dropout

from msloss_sirr import InputError, Layers, Remover, RemoverConfig, TrainConfig, load_remover, train
from msloss_sirr.data.draws import Draws
from msloss_sirr.data.sources import build_draws
from msloss_sirr.locks import held
from msloss_sirr.trainer.loop import Trainer
from msloss_sirr.trainer.pace import half_cosine
from msloss_sirr.trainer.state import StateFiles
from msloss_sirr.trainer.stopping import Requests, Stopped
from msloss_sirr.trainer.trainable import Trainable
from msloss_sirr.training.samples import Samples

from ..conftest import drawing, interrupt_at, pixels_of, room, save, smooth

ADVICE = "wait until it ends, or give another --out"
UNTIMED = ("seconds", "images_per_second")


class Forgetful(Remover):
    """A remover whose training draws random numbers, from weights that are always the same."""

    def __init__(self, config: RemoverConfig) -> None:
        torch.manual_seed(1)
        super().__init__(config)

    def forward(self, ambient: torch.Tensor, depth: torch.Tensor | None = None) -> Layers:
        layers = super().forward(ambient, depth)
        return Layers(dropout(layers.transmission, 0.1, self.training), layers.reflection)


@pytest.fixture
def full(config: TrainConfig) -> TrainConfig:
    """A training with all that has a state."""
    return drawing(
        dataclasses.replace(config, epochs=3, epoch_images=16, batch=2, accumulate=2, average=0.9, warmup=3, clip=1.0),
        clean_share=0.3,
    )


def run(config: TrainConfig, *, resume: bool = False) -> None:
    train(dataclasses.replace(config, resume=resume), remover=Forgetful(config.model))


def outcome(config: TrainConfig) -> tuple[list[dict[str, Any]], list[torch.Tensor]]:
    """Return what a run came to: its metrics without times, and the weights of its checkpoints."""
    lines = [json.loads(line) for line in (config.out / "metrics.jsonl").read_text().splitlines()]
    kept = [load_remover(config.out / f"{name}.safetensors") for name in ("best", "last")]
    return (
        [{key: value for key, value in line.items() if key not in UNTIMED} for line in lines],
        [weight for network in kept for weight in network.state_dict().values()],
    )


def assert_same(one: TrainConfig, other: TrainConfig) -> None:
    (lines, weights), (others, other_weights) = outcome(one), outcome(other)
    assert len(lines) == len(others)
    for line, other_line in zip(lines, others, strict=True):
        assert line == other_line
    assert all(torch.equal(a, b) for a, b in zip(weights, other_weights, strict=True))


def stop_at(monkeypatch: pytest.MonkeyPatch, looks: int) -> None:
    """Have a signal come before so many batches."""
    seen = 0

    def number(_: Requests) -> int:
        nonlocal seen
        seen += 1
        return int(signal.SIGTERM) if seen >= looks else 0

    monkeypatch.setattr(Requests, "number", property(number, lambda *_: None), raising=False)


def test_stopped_anywhere_it_resumes_to_the_same_bits(
    full: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(full)
    again = dataclasses.replace(full, out=tmp_path / "again")
    for looks in (2, 4, 9, 5):  # some of them between the batches of one update, which is ended first
        with monkeypatch.context() as patch:
            stop_at(patch, looks)
            with pytest.raises(Stopped, match=r"stopped in epoch .*; continue with --resume"):
                run(again, resume=again.out.exists())
    run(again, resume=True)
    assert_same(full, again)


def test_stopped_at_the_last_batch_of_an_epoch_it_is_not_validated_first(
    full: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(full)
    again = dataclasses.replace(full, out=tmp_path / "again")
    with monkeypatch.context() as patch:
        stop_at(patch, 10)  # the first looks for the epoch, eight for its batches
        with pytest.raises(Stopped, match="in epoch 0"):
            run(again)
    assert not (again.out / "metrics.jsonl").exists()
    run(again, resume=True)
    assert_same(full, again)


def test_updates_left_out_in_a_row_are_counted_through_a_resume(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    learnt = 0

    class Spoilt(Forgetful):
        def forward(self, ambient: torch.Tensor, depth: torch.Tensor | None = None) -> Layers:
            nonlocal learnt
            learnt += 1
            layers = super().forward(ambient, depth)
            return Layers(layers.transmission * float("nan"), layers.reflection) if self.training else layers

    config = dataclasses.replace(config, steps=1, epoch_images=40, bear=3)
    with monkeypatch.context() as patch:
        stop_at(patch, 4)
        with pytest.raises(Stopped):
            train(config, remover=Spoilt(config.model))
    with pytest.raises(InputError, match="was nan 4 times in a row"):
        train(dataclasses.replace(config, resume=True), remover=Spoilt(config.model))
    assert learnt == 4


def test_resumed_with_other_batches_an_epoch_goes_on_where_it_was(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = dataclasses.replace(config, iterations=5, start_steps=3, batch=2)
    with monkeypatch.context() as patch:
        stop_at(patch, 5)
        with pytest.raises(Stopped):
            run(config)
    seen: list[int] = []
    drawn = Draws.__getitem__
    monkeypatch.setattr(Draws, "__getitem__", lambda self, index: [seen.append(index), drawn(self, index)][1])
    run(dataclasses.replace(config, batch=4, accumulate=2, allow_changes=True), resume=True)
    assert seen == list(range(6, 16))
    assert torch.load(config.out / "state.pt", weights_only=True)["pace"]["done"] == 3 + 2


def test_resumed_with_other_batches_the_rate_goes_on_where_it_was(config: TrainConfig) -> None:
    config = dataclasses.replace(config, epochs=2, epoch_images=16)
    with pytest.MonkeyPatch.context() as patch:
        stop_at(patch, 10)  # the first looks for the epoch, eight for its batches, the next after it
        with pytest.raises(Stopped):
            run(dataclasses.replace(config, batch=2))
    run(dataclasses.replace(config, batch=4, accumulate=2, allow_changes=True), resume=True)
    lines = outcome(config)[0]
    assert [line["epoch"] for line in lines] == [0, 1]
    assert lines[1]["lr"] == pytest.approx(config.lr * half_cosine(0.75))


def test_each_process_takes_up_what_was_its_own(full: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        stop_at(patch, 5)
        with pytest.raises(Stopped):
            run(full)
    state = torch.load(full.out / "state.pt", weights_only=True)
    (first,) = state["each"]
    second = {**first, "damaged": ["that"], "random": {**first["random"], "torch": torch.manual_seed(9).get_state()}}
    torch.save({**state, "each": [first, second]}, full.out / "state.pt")
    resume = Trainer._resume

    def as_second(self: Trainer, trainable: Trainable) -> None:
        self.processes.number = 1
        resume(self, trainable)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_resume", as_second)
        stop_at(patch, 1)
        with pytest.raises(Stopped):
            run(full, resume=True)
    (again,) = torch.load(full.out / "state.pt", weights_only=True)["each"]
    assert again["damaged"] == ["that"]
    assert torch.equal(again["random"]["torch"], second["random"]["torch"])
    assert not torch.equal(again["random"]["torch"], first["random"]["torch"])


def test_workers_resume_in_the_middle_of_an_epoch(
    full: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(full)
    again = dataclasses.replace(full, out=tmp_path / "again", workers=2)
    with monkeypatch.context() as patch:
        stop_at(patch, 14)
        with pytest.raises(Stopped):
            run(again)
    run(again, resume=True)
    assert_same(full, again)


@pytest.mark.parametrize("killed_at", [1, 3])
def test_an_epoch_that_was_validated_but_not_saved_is_run_again(
    full: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed_at: int
) -> None:
    run(full)
    again = dataclasses.replace(full, out=tmp_path / "again")
    with monkeypatch.context() as patch:
        interrupt_at(patch, killed_at)
        with pytest.raises(KeyboardInterrupt):
            run(again)
    run(again, resume=True)
    assert_same(full, again)


@pytest.mark.parametrize("epoch", [0, 2])
def test_killed_as_it_validates_it_does_only_that_again(
    full: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, epoch: int
) -> None:
    run(full)
    again = dataclasses.replace(full, out=tmp_path / "again")
    looked = Samples.see

    def killed(self: Samples, index: int, layers: Layers) -> None:
        looked(self, index, layers)
        if index == 2 and len(list(again.out.glob("samples/*"))) == epoch:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Samples, "see", killed)
        with pytest.raises(KeyboardInterrupt):
            run(again)
    drawn: list[int] = []
    draw = Draws.__getitem__
    monkeypatch.setattr(Draws, "__getitem__", lambda self, index: [drawn.append(self.epoch), draw(self, index)][1])
    monkeypatch.setattr(TrainConfig, "first_steps", full.steps)  # so that nothing is rehearsed
    run(again, resume=True)
    assert set(drawn) == set(range(epoch + 1, full.epochs))
    assert_same(full, again)


def damage(path: Path) -> None:
    """Change one bit of a weight."""
    weights = torch.load(path, weights_only=True)["remover"].values()
    content = path.read_bytes()
    at = content.index(bytes(max(weights, key=torch.Tensor.numel).untyped_storage()))
    path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])


class Trap:
    """What a pickle would make a file of, when it is loaded in full."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


def test_a_state_runs_nothing_that_others_have_put_into_it(tmp_path: Path) -> None:
    sprung = tmp_path / "sprung"
    torch.save({"epoch": Trap(sprung)}, tmp_path / "state.pt")
    with pytest.raises(InputError, match=r"state\.pt is damaged; begin a new run"):
        StateFiles(tmp_path, frozenset({"epoch"})).load(print)
    assert not sprung.exists()
    torch.load(tmp_path / "state.pt", weights_only=False)  # it would have
    assert sprung.exists()


def test_a_damaged_state_gives_way_to_the_one_before(
    full: TrainConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(full)
    again = dataclasses.replace(full, out=tmp_path / "again")
    run(again)
    damage(again.out / "state.pt")
    run(again, resume=True)
    told = f"{again.out / 'state.pt'} is damaged; going on from the state before it"
    assert told in capsys.readouterr().err
    assert_same(full, again)
    (again.out / "state.pt").write_bytes(b"")
    damage(again.out / "state.previous.pt")
    with pytest.raises(InputError, match=r"state\.pt is damaged; .*previous\.pt is damaged; begin a new run"):
        run(again, resume=True)
    (again.out / "state.previous.pt").unlink()
    torch.save({"epoch": 0}, again.out / "state.pt")
    with pytest.raises(InputError, match=r"state\.pt is no state of a training"):
        run(again, resume=True)


def test_a_state_of_something_else_is_one_line(full: TrainConfig) -> None:
    run(full)
    state = torch.load(full.out / "state.pt", weights_only=True)
    for name, other in (("optimizer", {}), ("each", [{}]), ("remover", {"x": torch.ones(1)}), ("pace", 3)):
        torch.save({**state, name: other}, full.out / "state.pt")
        with pytest.raises(InputError, match="does not fit this training"):
            run(full, resume=True)


def test_a_full_disk_leaves_the_state_before(
    full: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(full)
    again = dataclasses.replace(full, out=tmp_path / "again")
    keep, saves = StateFiles.save, 0

    def full_disk(self: StateFiles, state: Mapping[str, Any]) -> None:
        nonlocal saves
        saves += 1
        with room(1000) if saves == 2 else nullcontext():
            keep(self, state)

    with monkeypatch.context() as patch:
        patch.setattr(StateFiles, "save", full_disk)
        with pytest.raises(OSError, match=r"File too large: '.*state\.pt'$"):
            run(again)
    assert not list(again.out.glob(".*"))
    run(again, resume=True)
    assert_same(full, again)


def test_a_resume_with_others_is_refused_unless_asked_for(
    config: TrainConfig, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = dataclasses.replace(config, epochs=1)
    run(config)
    told = json.loads((config.out / "config.json").read_text())
    del told["model"]["view"], told["data"]["synthesis"]["strength"]  # as of a run begun before there were these
    (config.out / "config.json").write_text(json.dumps(told))
    run(config, resume=True)
    longer = dataclasses.replace(config, epochs=2)
    with pytest.raises(InputError, match=r"another configuration \(epochs: 1 then, 2 now\); .*or with --allow-changes"):
        run(longer, resume=True)
    longer = dataclasses.replace(longer, allow_changes=True)
    run(longer, resume=True)
    assert "epochs: 1 then, 2 now" in capsys.readouterr().err
    assert json.loads((config.out / "config.json").read_text())["epochs"] == 2
    (photos / "photo 0.png").unlink()
    with pytest.raises(InputError, match=r"other data \(photos .*: 6 files \(.*\) then, 5 files"):
        run(dataclasses.replace(longer, allow_changes=False), resume=True)
    save(photos / "photo 0.png", smooth(77, 40, 56))
    with pytest.raises(InputError, match=r"6 files \(.*\) then, 6 files"):
        run(dataclasses.replace(longer, allow_changes=False), resume=True)
    run(longer, resume=True)
    history = json.loads((config.out / "provenance.json").read_text())
    assert len(history) == 4
    assert history[0]["packages"]["torch"] == torch.__version__.split("+")[0]
    assert {name.split()[0] for name in history[0]["data"]} == {"pairs", "photos", "val"}


def test_other_validation_pairs_have_a_best_of_their_own(
    config: TrainConfig, pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = dataclasses.replace(config, epochs=3, lr=1e-12, patience=1)  # nothing moves: no epoch is better
    easy = tmp_path / "easy"
    for part in ("ambient", "transmission"):
        save(easy / part / "a.png", smooth(40) + (0.01 if part == "ambient" else 0))
    with pytest.MonkeyPatch.context() as patch:
        interrupt_at(patch, 2)
        with pytest.raises(KeyboardInterrupt):
            run(dataclasses.replace(config, val=easy))
    shutil.move(easy, tmp_path / "moved")  # which are the same pairs
    with pytest.MonkeyPatch.context() as patch:
        interrupt_at(patch, 2)
        with pytest.raises(KeyboardInterrupt):
            run(dataclasses.replace(config, val=tmp_path / "moved", allow_changes=True), resume=True)
    assert "others now" not in capsys.readouterr().err
    best = train(dataclasses.replace(config, resume=True, allow_changes=True), remover=Forgetful(config.model))
    lines = outcome(config)[0]
    assert best.after.psnr == lines[2]["psnr"] < lines[0]["psnr"]
    assert [line["steps"] for line in lines] == [2, 2, 2]
    said = capsys.readouterr().err
    assert said.count("the validation pairs are others now: the best scores so far are forgotten") == 1
    schedule = torch.load(config.out / "state.pt", weights_only=True)["schedule"]
    assert schedule["best"] == best.after.psnr


def test_a_mean_can_be_kept_from_some_point_on(config: TrainConfig) -> None:
    for epochs, average in ((1, 0.0), (2, 0.9), (3, 0.0)):
        changed = dataclasses.replace(config, epochs=epochs, average=average, allow_changes=True)
        run(changed, resume=epochs > 1)
        state = torch.load(config.out / "state.pt", weights_only=True)
        kept = load_remover(config.out / "last.safetensors").state_dict()
        source = state["average"]["network"] if average else state["remover"]
        assert all(torch.equal(kept[key], source[key]) for key in kept)
        assert any(not torch.equal(kept[key], state["remover"][key]) for key in kept) == bool(average)
        if average:
            assert state["average"]["updates"] == config.epoch_images // config.batch  # those of the epoch


def test_a_resume_with_another_number_of_processes_is_refused(config: TrainConfig) -> None:
    config = dataclasses.replace(config, epochs=1)
    run(config)
    history = json.loads((config.out / "provenance.json").read_text())
    history[-1]["processes"] = 2
    (config.out / "provenance.json").write_text(json.dumps(history))
    with pytest.raises(InputError, match=r"another number of processes \(2 then, 1 now\); .*or with --allow-changes"):
        run(config, resume=True)
    run(dataclasses.replace(config, allow_changes=True), resume=True)


def test_what_a_kill_left_unfinished_is_taken_away(config: TrainConfig) -> None:
    config = dataclasses.replace(config, epochs=1)
    run(config)
    left = [config.out / ".0123abcd.partial", config.out / "samples" / ".4567abcd.partial"]
    for path in left:
        path.touch()
    run(config, resume=True)
    assert not any(path.exists() for path in left)


def words(config: TrainConfig) -> list[str]:
    """Return the words of a training's command."""
    options = {
        "--pairs": config.data.pairs[0],
        "--photos": config.data.photos[0],
        "--val": config.val,
        "--out": config.out,
        "--crop": 24,
        "--epochs": 3,
        "--epoch-images": 24,
        "--lr": 3e-3,
        "--average": 0.9,
        "--patience": 0,
        "--save-every": "0.001s",
        "--device": "cpu",
        "--model.architecture": "unet",
        "--model.patch": 1,
    }
    told = [str(word) for option in options.items() for word in option]
    return ["-m", "msloss_sirr", "train", *told, "--model.channels", "6", "8"]


def started(config: TrainConfig, *more: str, launcher: Sequence[str] = (), **environment: str) -> subprocess.Popen[str]:
    alone = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", **environment}
    command = [sys.executable, *launcher, *words(config), *more]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=alone, start_new_session=True
    )


def unwarned(errors: str) -> str:
    """Return what was said, without the warning that a training is validated on its own pairs."""
    return "".join(line for line in errors.splitlines(keepends=True) if "are trained on too" not in line)


def saved(config: TrainConfig) -> int:
    """Return when the state was saved, or 0 if it never was."""
    path = config.out / "state.pt"
    return path.stat().st_mtime_ns if path.exists() else 0


def test_killed_at_random_moments_it_resumes_to_the_same_bits(config: TrainConfig, tmp_path: Path) -> None:
    updates = ["--batch", "2", "--accumulate", "2"]
    whole = started(config, *updates)
    assert (whole.communicate(), whole.returncode)[1] == 0
    again = dataclasses.replace(config, out=tmp_path / "again")
    updates += ["--workers", "2"]
    rng = random.Random(0)
    for _ in range(3):
        process = started(again, *updates, *(["--resume"] if (again.out / "config.json").exists() else []))
        before = saved(again)
        while process.poll() is None and saved(again) == before:
            time.sleep(0.005)
        time.sleep(rng.uniform(0, 0.3))
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    process = started(again, *updates, "--resume")
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    assert_same(config, again)


@pytest.mark.parametrize(
    ("number", "status", "workers"), [(signal.SIGTERM, 143, 0), (signal.SIGINT, 130, 0), (signal.SIGTERM, 143, 1)]
)
def test_a_signal_ends_it_in_one_line(config: TrainConfig, number: signal.Signals, status: int, workers: int) -> None:
    process = started(config, "--epochs", "1000", "--workers", str(workers))
    while not (config.out / "state.pt").exists() and process.poll() is None:
        time.sleep(0.01)
    os.killpg(
        process.pid, number
    )  # as a terminal does, and what allots machines: to all processes, also those that load
    errors = unwarned(process.communicate()[1])
    assert process.returncode == status
    assert errors.startswith("msloss-sirr: stopped in epoch ")
    assert errors.count("\n") == 1


def started_together(config: TrainConfig, *more: str) -> list[subprocess.Popen[str]]:
    """Start two processes of one training, with nobody to end the one if the other does."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        where = {"MASTER_ADDR": "localhost", "MASTER_PORT": str(free.getsockname()[1]), "WORLD_SIZE": "2"}
    return [started(config, *more, RANK=str(rank), LOCAL_RANK=str(rank), **where) for rank in range(2)]


def test_what_one_process_cannot_go_on_with_ends_both(config: TrainConfig, photos: Path) -> None:
    cut = photos / "photo 1.png"
    cut.write_bytes(cut.read_bytes()[:-200])
    drawn = drawing(config, pairs=(), damaged=1).data
    for seed in range(100):  # until the second process is the first to meet it
        found = build_draws(drawn, length=24, seed=seed)
        if next(number for number in range(24) if found[number].damaged) % 2:
            break
    out = config.out / "of both"
    with held(out):
        first, second = started_together(dataclasses.replace(config, out=out))
        (_, refused), (_, silent) = first.communicate(timeout=100), second.communicate(timeout=100)
    assert (refused, silent) == (f"msloss-sirr: another run is writing to {out}; {ADVICE}\n", "")
    assert (first.returncode, second.returncode) == (2, 2)
    first, second = started_together(config, "--real-share", "0", "--batch", "1", "--seed", str(seed))
    (_, silent), (_, refused) = first.communicate(timeout=100), second.communicate(timeout=100)
    assert unwarned(silent) == ""
    assert refused.startswith(f"msloss-sirr: cannot read {cut}: ")
    assert refused.count("\n") == 1
    assert (first.returncode, second.returncode) == (2, 2)


def test_two_processes_train_as_one_does(config: TrainConfig, tmp_path: Path) -> None:
    two = dataclasses.replace(config, out=tmp_path / "two")
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    alone = started(config, "--batch", "4")
    together = started(two, "--batch", "2", launcher=launcher)
    (_, errors), (said, other_errors) = alone.communicate(), together.communicate()
    assert (alone.returncode, together.returncode) == (0, 0), errors + other_errors
    assert said.count("best on validation") == 1
    (begun,), (begun_by_two,) = (json.loads((each.out / "provenance.json").read_text()) for each in (config, two))
    assert begun["data"] == begun_by_two["data"]
    shown, shown_by_two = (pixels_of(each.out / "samples" / "0000.jpg").shape for each in (config, two))
    assert shown == shown_by_two
    assert len(torch.load(two.out / "state.pt", weights_only=True)["each"]) == 2
    (lines, weights), (others, other_weights) = outcome(config), outcome(two)
    for line, other in zip(lines, others, strict=True):
        assert line["loss"] == pytest.approx(other["loss"], rel=1e-4)
        assert line["per_step"] == pytest.approx(other["per_step"], rel=1e-4)
        assert line["psnr"] == pytest.approx(other["psnr"], abs=1e-2)
        assert line["lr"] == other["lr"]
    for one, another in zip(weights, other_weights, strict=True):
        torch.testing.assert_close(one, another, rtol=1e-2, atol=1e-3)  # Adam enlarges differences in the last digit

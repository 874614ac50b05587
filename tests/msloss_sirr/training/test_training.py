"""Training: it learns, it can be killed and resumed to the same weights, and it refuses what it cannot do."""

import dataclasses
import json
import math
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import torch
from accelerate.state import AcceleratorState

from msloss import AtEpochs
from msloss_sirr import Evaluation, InputError, Layers, LossConfig, Remover, TrainConfig, load_remover, train

from ..conftest import drawing, save, smooth


def metrics(config: TrainConfig) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (config.out / "metrics.jsonl").read_text().splitlines()]


def test_training_learns_and_leaves_a_run_folder(config: TrainConfig) -> None:
    config = drawing(dataclasses.replace(config, epochs=8, epoch_images=32), real_share=1.0)
    best = train(config)
    assert best.after.psnr > best.before.psnr + 0.5
    lines = metrics(config)
    assert [line["epoch"] for line in lines] == list(range(8))
    assert lines[-1]["loss"] < lines[0]["loss"]
    assert max(line["psnr"] for line in lines) == best.after.psnr
    rates = [line["lr"] for line in lines]  # at the last of the eight batches of an epoch
    cosine = [3e-3 * 0.5 * (1 + math.cos(math.pi * (epoch + 7 / 8) / 8)) for epoch in range(8)]
    assert rates == pytest.approx(cosine)
    assert lines[0]["steps"] == 2
    assert len(lines[0]["per_step"]) == 2
    load_remover(config.out / "best.safetensors")
    load_remover(config.out / "last.safetensors")
    assert json.loads((config.out / "config.json").read_text())["epochs"] == 8
    assert sorted(p.name for p in config.out.iterdir()) == [
        "best.safetensors",
        "config.json",
        "last.safetensors",
        "metrics.jsonl",
        "provenance.json",
        "samples",
        "state.previous.pt",
        "state.pt",
    ]


def test_schedule_and_steps_are_those_given(config: TrainConfig) -> None:
    train(config, schedule=AtEpochs({1: 3, 3: 1}, start=2))
    assert [line["steps"] for line in metrics(config)] == [2, 3, 3, 1]


def test_plateau_adds_a_step(config: TrainConfig) -> None:
    train(dataclasses.replace(config, lr=1e-12))  # nothing moves: validation PSNR never improves
    assert [line["steps"] for line in metrics(config)] == [2, 2, 3, 3]


@pytest.mark.parametrize(("threshold", "steps"), [(1e-4, [1, 1, 1, 1]), (0.03, [1, 1, 2, 2])])
def test_a_gain_within_the_threshold_is_none(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch, threshold: float, steps: list[int]
) -> None:
    rising = iter([20.0, 20.5, 21.2, 21.9])  # 0.5 dB, then 0.7: 0.03 of 20 dB are 0.6
    score = Mock(side_effect=lambda *_, **__: Evaluation.of([20.0, 0.5, next(rising), 0.5]))
    monkeypatch.setattr("msloss_sirr.training.validation.Validation.score", score)
    train(dataclasses.replace(config, start_steps=1, threshold=threshold, samples=0))
    assert [line["steps"] for line in metrics(config)] == steps


def test_options_do_not_change_what_is_learned(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(config)
    expected = load_remover(config.out / "last.safetensors").state_dict()
    for name, options in {"workers": {"workers": 2}, "checkpointing": {"checkpointing": True}}.items():
        other = dataclasses.replace(config, out=tmp_path / name, **options)
        recompute = Mock(wraps=torch.utils.checkpoint.checkpoint)
        monkeypatch.setattr("torch.utils.checkpoint.checkpoint", recompute)
        train(other)
        assert recompute.called == (name == "checkpointing")
        for key, value in load_remover(other.out / "last.safetensors").state_dict().items():
            torch.testing.assert_close(value, expected[key], rtol=1e-5, atol=1e-6)


def test_a_pair_without_reflection_does_not_decide_which_is_best(config: TrainConfig, pairs: Path) -> None:
    class Halving(Remover):
        """A remover that takes half of its input away until it is trained."""

        def forward(self, *given: Any) -> Layers:
            transmission, reflection = super().forward(*given)
            return Layers(transmission * (1.0 if epochs else 0.5), reflection)

    for name in ("0", "1"):
        clean = pairs / "transmission" / f"{name}.png"
        (pairs / "ambient" / clean.name).write_bytes(clean.read_bytes())
    epochs: list[float] = []
    schedule = Mock(wraps=AtEpochs({}, start=1), steps=1)
    schedule.step.side_effect = epochs.append
    best = train(dataclasses.replace(config, epochs=2, lr=1e-12), remover=Halving(config.model), schedule=schedule)
    lines = metrics(config)
    assert lines[0]["input_psnr"] == lines[1]["psnr"] > lines[0]["psnr"]
    assert 50 < best.after.psnr == lines[1]["psnr"] < 100
    assert "Infinity" not in (config.out / "metrics.jsonl").read_text()


def test_only_photos_or_only_pairs(config: TrainConfig, tmp_path: Path) -> None:
    train(drawing(dataclasses.replace(config, epochs=1), pairs=()))
    AcceleratorState._reset_state()
    train(drawing(dataclasses.replace(config, epochs=1, out=tmp_path / "other", precision="bfloat16"), photos=()))


def test_run_folder_is_not_taken_twice(config: TrainConfig, capsys: pytest.CaptureFixture[str]) -> None:
    config = dataclasses.replace(config, epochs=1)
    with pytest.raises(InputError, match="holds no run to resume"):
        train(dataclasses.replace(config, resume=True))
    best = train(config)
    with pytest.raises(InputError, match="holds a run already; continue it with --resume"):
        train(config)
    with pytest.raises(InputError, match=r"another configuration \(batch: 4 then, 2 now, lr: .*resume it with its own"):
        train(dataclasses.replace(config, resume=True, batch=2, lr=0.1))
    capsys.readouterr()
    assert train(dataclasses.replace(config, resume=True)) == best
    assert capsys.readouterr().out.splitlines()[-1] == f"the training in {config.out} has ended already"


def test_what_a_run_came_to_outlives_its_state(config: TrainConfig) -> None:
    config = dataclasses.replace(config, epochs=1)
    train(config)
    kept = {path: path.read_bytes() for path in config.out.rglob("*") if path.is_file() and "state" not in path.name}
    for state in config.out.glob("state*.pt"):
        state.unlink()
    for resume in (False, True):
        with pytest.raises(InputError, match="holds a run already, but no state to resume it from; give another --out"):
            train(dataclasses.replace(config, resume=resume))
    assert kept == {path: path.read_bytes() for path in config.out.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", ["best.safetensors", "metrics.jsonl"])
def test_other_files_are_not_overwritten(config: TrainConfig, name: str) -> None:
    config.out.mkdir()
    (config.out / name).write_text("precious")
    with pytest.raises(InputError, match="holds a run already"):
        train(config)
    assert (config.out / name).read_text() == "precious"


@pytest.mark.parametrize("text", ["{", "3"])
def test_damaged_configuration_is_named(config: TrainConfig, text: str) -> None:
    config.out.mkdir()
    (config.out / "config.json").write_text(text)
    with pytest.raises(InputError, match=r"config\.json is damaged"):
        train(dataclasses.replace(config, resume=True))


def test_a_configuration_of_something_else_is_not_replaced(config: TrainConfig) -> None:
    config.out.mkdir()
    (config.out / "config.json").write_text('{"precious": 1}')
    with pytest.raises(InputError, match=r"config\.json is of no training, and would be replaced; give another --out"):
        train(config)
    assert (config.out / "config.json").read_text() == '{"precious": 1}'


def test_validation_is_decoded_before_training(config: TrainConfig, pairs: Path, tmp_path: Path) -> None:
    for part in ("ambient", "transmission"):
        save(tmp_path / "val" / part / "a.png", smooth(1, 8, 40))
    with pytest.raises(InputError, match="validation pair 0 is 40x8; 11 pixels a side is the least"):
        train(dataclasses.replace(config, val=tmp_path / "val"))
    damaged = pairs / "ambient" / "3.png"
    damaged.write_bytes(damaged.read_bytes()[:-400])
    with pytest.raises(InputError, match=r"cannot read .*3\.png"):
        train(config)
    assert not config.out.exists()


def test_nothing_is_written_before_the_input_is_checked(config: TrainConfig, tmp_path: Path) -> None:
    for change in (
        {"val": tmp_path / "none"},
        {"data": dataclasses.replace(config.data, photos=(tmp_path / "none",))},
        {"data": dataclasses.replace(config.data, pairs=(tmp_path / "none",))},
        {"loss": LossConfig(backbone="vgg19", weights=tmp_path / "none.pth")},
    ):
        with pytest.raises(InputError, match="none"):
            train(dataclasses.replace(config, **change))
    with pytest.raises(InputError, match="asks for 3 steps but the loss has steps=2"):
        train(dataclasses.replace(config, steps=2), schedule=AtEpochs({5: 3}))
    assert not config.out.exists()


def test_nothing_to_train_on(config: TrainConfig) -> None:
    with pytest.raises(InputError, match="nothing to train on; give --pairs, --photos or both"):
        train(drawing(config, photos=(), pairs=()))


def test_loss_that_is_not_finite_ends_the_run(config: TrainConfig) -> None:
    with pytest.raises(InputError, match=r"gradients was .* 11 times in a row; begin a new run with a lower --lr"):
        train(dataclasses.replace(config, lr=1e30, epoch_images=60))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": 0}, "steps is 0; give 1 or more"),
        ({"start_steps": 0}, "start_steps is 0; give 1 or more"),
        ({"start_steps": 4}, "start_steps is 4 but steps is 3; start with as many or fewer"),
        ({"seed": -1}, "seed is -1; give a number from 0 to"),
        ({"lr": 0.0}, "lr is 0.0; give a number greater than 0"),
        ({"patience": -1}, "patience is -1; it may not be negative"),
        ({"threshold": -0.1}, "threshold is -0.1; give a share of the best PSNR, 0 or more"),
        ({"threshold": math.nan}, "threshold is nan; give a share"),
        ({"epochs": 0}, "epochs is 0; give 1 or more"),
    ],
)
def test_configuration_is_checked(config: TrainConfig, change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        dataclasses.replace(config, **change)

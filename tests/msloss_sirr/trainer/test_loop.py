"""What ends a training, what moves the weights, what is kept of them, and how it is configured."""

import dataclasses
import json
import math
import re
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import torch
from accelerate import Accelerator
from accelerate.utils import DistributedType
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor, nn

from msloss import AtEpochs
from msloss_sirr import (
    InputError,
    Layers,
    LayersCriterion,
    LossConfig,
    Remover,
    RemoverConfig,
    TrainConfig,
    load_remover,
    train,
)
from msloss_sirr.cli import main
from msloss_sirr.trainer.durations import seconds_of
from msloss_sirr.trainer.pace import Pace, half_cosine, half_line
from msloss_sirr.trainer.processes import Processes
from msloss_sirr.trainer.provenance import Source, fingerprint, read_contents
from msloss_sirr.training.average import RunningMean
from msloss_sirr.training.presets import defaults

from ..conftest import drawing, interrupt_at


def metrics(config: TrainConfig) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (config.out / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("25m", 1500), ("1.5h", 5400), ("1h30m", 5400), ("2d", 172800)]
)
def test_durations(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "m", "5x", "1h 5", "-3m", "1e3", "m5"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(InputError, match="give a time, as 90s, 25m or 1h30m"):
        seconds_of(text)


def test_pace_goes_by_updates_or_by_a_clock_that_stands_still_in_a_break() -> None:
    now = 0.0
    by_time = Pace(7, 100.0, clock=lambda: now)
    now = 25.0
    assert (by_time.fraction, by_time.left) == (0.25, 75.0)
    state = by_time.state_dict()
    now = 1000.0
    later = Pace(7, 100.0, clock=lambda: now)
    later.load_state_dict(state)
    now = 1025.0
    assert later.fraction == 0.5
    by_updates = Pace(8, clock=lambda: now)
    assert by_updates.left is None
    by_updates.done, now = 2, 1035.0
    assert (by_updates.fraction, by_updates.left) == (0.25, 30.0)


@given(st.integers(1, 40), st.lists(st.tuples(st.integers(1, 40), st.integers(0, 100)), max_size=4))
def test_pace_goes_on_where_it_was_with_epochs_of_other_updates(epoch: int, changes: list[tuple[int, int]]) -> None:
    pace = Pace(3 * epoch, epoch=epoch)
    pace.done = epoch
    share, done = Fraction(1), epoch
    for epoch, some in changes:
        state, fraction = pace.state_dict(), pace.fraction
        pace = Pace(3 * epoch, epoch=epoch)
        pace.load_state_dict(state)
        assert (pace.fraction, pace.done) == (fraction, done)
        pace.done += some
        done, share = done + some, share + Fraction(some, epoch)
    assert pace.fraction == float(min(1, share / 3))


def test_updates_that_make_a_training_are_counted_whatever_they_are_of() -> None:
    by_epochs, by_updates = Pace(8, epoch=4), Pace(10)
    by_epochs.done = 4
    by_updates.load_state_dict(by_epochs.state_dict())
    assert by_updates.fraction == 0.4


def test_shapes_begin_at_all_and_end_at_nothing() -> None:
    assert [round(half_cosine(x), 3) for x in (0, 0.25, 0.5, 1)] == [1.0, 0.854, 0.5, 0.0]
    assert [half_line(x) for x in (0, 0.5, 0.75, 1)] == [1.0, 1.0, 0.5, 0.0]


def test_iterations_end_it_in_the_middle_of_an_epoch(config: TrainConfig) -> None:
    train(dataclasses.replace(config, iterations=5, epoch_images=12))
    lines = metrics(config)
    assert [line["epoch"] for line in lines] == [0, 1]
    assert [line["lr"] for line in lines] == pytest.approx([config.lr * half_cosine(x / 5) for x in (2, 4)])


@pytest.mark.parametrize(("steps", "updates"), [(1, 12), (2, 6), (3, 4), (5, 3)])
def test_applications_are_the_same_whatever_the_steps(config: TrainConfig, steps: int, updates: int) -> None:
    train(dataclasses.replace(config, applications=12, steps=steps, start_steps=steps, epochs=1))
    state = torch.load(config.out / "state.pt", weights_only=True)
    assert state["pace"]["done"] == updates
    assert sum(line["images_per_second"] * line["seconds"] for line in metrics(config)) == pytest.approx(4 * updates)
    assert [line["lr"] for line in metrics(config)][-1] == pytest.approx(
        config.lr * half_cosine((updates - 1) * steps / 12)
    )


def test_applications_are_counted_through_a_step_that_is_added_and_a_resume(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = dataclasses.replace(config, applications=40, lr=1e-12, accumulate=2, batch=2)  # no gain: a step is added
    train(whole)
    assert [line["steps"] for line in metrics(whole)] == [2, 2, 3]  # three updates each, of 4, 4 and 6
    broken = dataclasses.replace(whole, out=tmp_path / "broken")
    with monkeypatch.context() as patch:
        interrupt_at(patch, 1)
        with pytest.raises(KeyboardInterrupt):
            train(broken)
    train(dataclasses.replace(broken, resume=True))
    states = [torch.load(each.out / "state.pt", weights_only=True)["pace"] for each in (whole, broken)]
    assert states[0]["done"] == states[1]["done"] == 9
    assert states[0]["along"] == states[1]["along"] == (42, 1)


def test_truncated_gradients_are_those_of_steps_without_a_past(config: TrainConfig) -> None:
    trained = []
    loss = LossConfig(over_steps="last", reflection_target="residual")
    for name, truncate in (("full", None), ("cut", 1), ("long", 2)):
        each = dataclasses.replace(config, out=config.out / name, truncate=truncate, steps=2, iterations=1, loss=loss)
        train(each)
        trained.append(
            torch.cat([weight.flatten() for weight in load_remover(each.out / "last.safetensors").parameters()])
        )
    full, cut, long = trained
    assert torch.equal(full, long)
    assert not torch.equal(full, cut)


def test_a_reflection_net_without_a_loss_is_refused(config: TrainConfig) -> None:
    last = LossConfig(over_steps="last")
    with pytest.raises(InputError, match="the reflection net would have no loss"):
        dataclasses.replace(config, steps=2, loss=last)
    dataclasses.replace(config, steps=1, loss=last)
    dataclasses.replace(config, steps=2, loss=dataclasses.replace(last, reflection=0.0))
    dataclasses.replace(config, steps=2, loss=last, model=dataclasses.replace(config.model, networks="transmission"))


@pytest.mark.parametrize("other", [{"iterations": 3}, {"budget": "1m"}])
def test_a_training_has_one_end(config: TrainConfig, other: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="give one of them"):
        dataclasses.replace(config, applications=3, **other)


def test_a_budget_ends_it_with_an_annealed_rate(config: TrainConfig) -> None:
    train(dataclasses.replace(config, budget="3s", epoch_images=8))
    assert metrics(config)[0]["lr"] > 0.3 * config.lr
    assert metrics(config)[-1]["lr"] < 0.1 * config.lr
    state = torch.load(config.out / "state.pt", weights_only=True)
    assert 2.5 <= state["pace"]["spent"] < 10


def test_warmup_rises_to_the_rate(config: TrainConfig) -> None:
    train(dataclasses.replace(config, epochs=4, epoch_images=4, warmup=3))
    expected = [config.lr * min(1, (n + 1) / 4) * half_cosine(n / 4) for n in range(4)]
    assert [line["lr"] for line in metrics(config)] == pytest.approx(expected)


def test_epochs_are_whole_updates(config: TrainConfig) -> None:
    train(dataclasses.replace(config, epochs=1, epoch_images=9, batch=2, accumulate=2))
    assert torch.load(config.out / "state.pt", weights_only=True)["pace"]["done"] == 3


def weights(path: Path) -> Tensor:
    return nn.utils.parameters_to_vector(load_remover(path).parameters())


def test_accumulated_batches_are_one_large_one(config: TrainConfig, tmp_path: Path) -> None:
    large = dataclasses.replace(config, epochs=2, epoch_images=16, batch=8)
    small = dataclasses.replace(large, out=tmp_path / "small", batch=2, accumulate=4)
    train(large)
    train(small)
    whole, parts = (weights(each.out / "last.safetensors") for each in (large, small))
    torch.testing.assert_close(whole, parts, rtol=1e-3, atol=2e-5)
    assert metrics(large)[0]["gradient"] == pytest.approx(metrics(small)[0]["gradient"], rel=1e-3)


def test_gradients_are_scaled_down_to_the_clip(config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    norms = []
    step = torch.optim.Adam.step

    def watched(self: torch.optim.Adam, *args: Any, **options: Any) -> Any:
        gradients = [p.grad for group in self.param_groups for p in group["params"]]
        norms.append(float(torch.nn.utils.get_total_norm(gradients)))
        return step(self, *args, **options)

    monkeypatch.setattr(torch.optim.Adam, "step", watched)
    train(dataclasses.replace(config, epochs=1, clip=1e-3))
    assert norms == pytest.approx([1e-3] * 3, rel=1e-3)
    assert metrics(config)[0]["gradient"] > 2e-3


def test_running_mean_is_that_of_all_at_first_and_decays_then() -> None:
    network = nn.Linear(1, 1, bias=False)
    mean = RunningMean(network, 0.75)
    seen = []
    for value in (1.0, 2.0, 6.0, 7.0, 9.0):
        nn.init.constant_(network.weight, value)
        mean.update()
        seen.append(mean.network.weight.item())
    assert seen == pytest.approx([1, 1.5, 3, 4, 5.25])
    again = RunningMean(nn.Linear(1, 1, bias=False), 0.75)
    again.load_state_dict(mean.state_dict())
    assert again.network.weight.item() == pytest.approx(5.25)
    assert RunningMean(network, 0.0).network is network


def test_the_mean_is_what_is_validated_and_kept(config: TrainConfig) -> None:
    config = dataclasses.replace(config, epochs=2, average=0.9)
    train(config)
    state = torch.load(config.out / "state.pt", weights_only=True)
    kept = load_remover(config.out / "last.safetensors").state_dict()
    assert all(torch.equal(kept[key], state["average"]["network"][key]) for key in kept)
    assert any(not torch.equal(kept[key], state["remover"][key]) for key in kept)


class Spoiling(LayersCriterion):
    """A criterion whose loss is NaN at some of its calls."""

    def __init__(self, when: Iterator[bool]) -> None:
        super().__init__()
        self.when = when

    def forward(self, *given: Any) -> dict[str, Tensor]:
        factor = math.nan if next(self.when) else 1.0
        return {name: term * factor for name, term in super().forward(*given).items()}


def test_losses_that_are_not_finite_are_left_out(config: TrainConfig) -> None:
    config = dataclasses.replace(config, epochs=1, steps=1, epoch_images=32)
    train(config, criterion=Spoiling(iter([False, True, True, False] + 4 * [False])))
    (line,) = metrics(config)
    assert line["left_out"] == 2
    assert math.isfinite(line["loss"])
    assert weights(config.out / "last.safetensors").isfinite().all()


def test_an_update_is_left_out_with_all_its_batches(config: TrainConfig) -> None:
    config = dataclasses.replace(config, epochs=1, steps=1, batch=2, accumulate=2, epoch_images=16)
    train(config, criterion=Spoiling(iter([False, False, True, False] + 4 * [False])))
    (line,) = metrics(config)
    assert line["left_out"] == 2
    assert all(math.isfinite(line[name]) for name in ("loss", "gradient"))


def test_a_budget_that_is_over_at_once_trains_one_update(config: TrainConfig) -> None:
    train(dataclasses.replace(config, budget="0.001s", epoch_images=16, batch=2, accumulate=2))
    assert torch.load(config.out / "state.pt", weights_only=True)["pace"]["done"] == 1
    assert len(metrics(config)) == 1


def test_too_many_of_them_end_it(config: TrainConfig) -> None:
    config = dataclasses.replace(config, epochs=1, steps=1, epoch_images=32, bear=2)
    with pytest.raises(InputError, match="was nan 3 times in a row; begin a new run with a lower --lr, or with --clip"):
        train(config, criterion=Spoiling(iter([False] + 7 * [True])))


def test_every_term_is_told_at_every_step(config: TrainConfig) -> None:
    train(dataclasses.replace(config, epochs=1))
    (line,) = metrics(config)
    assert {name: len(values) for name, values in line["terms"].items()} == {
        "transmission": 2,
        "reflection": 2,
        "gradient": 2,
    }
    assert sum(values[1] for values in line["terms"].values()) == pytest.approx(line["per_step"][1], rel=1e-4)


class Own(nn.Module):
    """A network of another kind than those of the package."""

    def __init__(self) -> None:
        super().__init__()
        self.change = nn.Conv2d(3, 3, 1)

    def forward(self, ambient: Tensor) -> Layers:
        transmission = ambient + self.change(ambient)
        return Layers(transmission, ambient - transmission)


def test_a_network_of_ones_own_is_trained_kept_and_resumed(config: TrainConfig) -> None:
    train(dataclasses.replace(config, epochs=1, average=0.9), remover=Own())
    longer = dataclasses.replace(config, epochs=2, average=0.9, resume=True, allow_changes=True)
    train(longer, remover=Own())
    kept = load_file(config.out / "last.safetensors")
    state = torch.load(config.out / "state.pt", weights_only=True)
    assert torch.equal(kept["change.weight"], state["average"]["network"]["change.weight"])
    with pytest.raises(InputError, match="holds another model"):
        load_remover(config.out / "last.safetensors")


def test_samples_show_a_row_for_each_pair(config: TrainConfig) -> None:
    train(dataclasses.replace(config, epochs=1, samples=3))
    with Image.open(config.out / "samples" / "0000.jpg") as picture:
        assert picture.size == (4 * 56 + 5 * 4, 3 * 40 + 4 * 4)
    train(dataclasses.replace(config, epochs=1, samples=0, out=config.out / "none"))
    assert not (config.out / "none" / "samples").exists()


def test_a_terminal_shows_what_a_training_is_at(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in {"FORCE_COLOR": "1", "COLUMNS": "300", "TERM": "xterm"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("msloss_sirr.trainer.progress._EVERY", 0.0)
    train(dataclasses.replace(config, epochs=2, average=0.0))
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", capsys.readouterr().out)
    number = r"\d+\.\d+"
    first, last = (f"{line['psnr']:.2f} dB" for line in metrics(config))
    assert re.search(
        rf"epoch 1 .* 0:00:0\d left {number} images/s\s+steps {number} {number}; transmission {number} "
        rf"reflection {number} gradient {number}; lr \S+; PSNR {first}; best {first}",
        shown,
    )
    assert last in shown


def test_a_set_that_shrinks_meanwhile_is_named_and_borne_if_asked_for(
    config: TrainConfig, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lost = photos / "photo 3.png"

    class Losing(AtEpochs):
        """A schedule at whose first epoch's end a photo goes."""

        def step(self, metric: float | None = None) -> None:
            super().step(metric)
            lost.rename(tmp_path / "elsewhere.png")
            self.step = super().step  # type: ignore[method-assign]

    config = drawing(dataclasses.replace(config, epochs=3), real_share=0.0, cache="none")
    with pytest.raises(InputError, match=f"{lost} does not exist"):
        train(config, schedule=Losing({}, start=1))
    (tmp_path / "elsewhere.png").rename(lost)
    train(
        drawing(dataclasses.replace(config, out=tmp_path / "borne"), damaged=1),
        schedule=Losing({}, start=1),
    )
    assert capsys.readouterr().err.count(f"left out: {lost} does not exist") == 1
    assert [line["epoch"] for line in metrics(dataclasses.replace(config, out=tmp_path / "borne"))] == [0, 1, 2]


@pytest.mark.parametrize("cache", ["none", "device"])
def test_a_cache_changes_nothing(config: TrainConfig, tmp_path: Path, cache: Any) -> None:
    config = drawing(dataclasses.replace(config, epochs=1), clean_share=0.3)
    train(config)
    other = drawing(dataclasses.replace(config, out=tmp_path / cache), cache=cache)
    train(other)
    assert torch.equal(*(weights(each.out / "last.safetensors") for each in (config, other)))


def test_tensorboard_has_the_numbers(config: TrainConfig) -> None:
    event_accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    train(dataclasses.replace(config, epochs=2, tensorboard=True))
    events = event_accumulator.EventAccumulator(str(config.out / "tensorboard"))
    events.Reload()
    lines = metrics(config)
    assert [event.value for event in events.Scalars("PSNR")] == pytest.approx([line["psnr"] for line in lines])
    assert "transmission/step 1" in events.Tags()["scalars"]


def test_fingerprints_are_of_contents_in_their_order(tmp_path: Path) -> None:
    def of(*paths: Path) -> Source:
        return fingerprint(read_contents(paths))

    one, two = tmp_path / "one", tmp_path / "two"
    one.write_bytes(b"1")
    two.write_bytes(b"22")
    assert of(one, two)[:2] == (2, 3)
    assert of(one, two) != of(two, one)
    assert of(one, two) == of(one, two)
    assert of(one, tmp_path / "none", tmp_path).files == 3


@pytest.mark.parametrize("count", [1, 2, 3, 9])
def test_work_that_processes_share_out_comes_back_in_its_order(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    items = list(range(7))
    shares: list[list[int]] = []

    def work(some: Sequence[int]) -> list[int]:
        shares.append(list(some))
        return [10 * item for item in some]

    gathered = [[work(items[number::count]) for number in range(count)], count * [None], count * [len(items)]]
    monkeypatch.setattr(Processes, "gather", lambda *_: gathered.pop())
    shares.clear()
    assert Processes(Mock(process_index=count - 1, num_processes=count)).share_out(work, items) == [
        10 * item for item in items
    ]
    assert shares == [items[count - 1 :: count]]


YAML = """
photos: [PHOTOS]
pairs: [PAIRS]
lr: 2.0e-3
clip: 1
real-share: 0.5
synthesis:
  transplant: 1
model:
  architecture: unet
  channels: [6, 8]
  patch: 1
"""


def test_options_are_read_from_a_file_and_the_command_line_goes_before(
    config: TrainConfig, pairs: Path, photos: Path, tmp_path: Path
) -> None:
    path = tmp_path / "options.yaml"
    path.write_text(YAML.replace("PHOTOS", str(photos)).replace("PAIRS", str(pairs)))
    few = ["--epochs", "1", "--epoch-images", "4", "--device", "cpu", "--crop", "24"]
    words = ["train", "--config", str(path), "--val", str(pairs), "--out", str(tmp_path / "one"), "--lr", "1e-3", *few]
    main(words)
    told = json.loads((tmp_path / "one" / "config.json").read_text())
    assert (told["lr"], told["clip"], told["data"]["real_share"]) == (1e-3, 1.0, 0.5)
    assert (told["model"]["channels"], told["data"]["synthesis"]["transplant"]) == ([6, 8], 1.0)
    main(["train", "--config", str(tmp_path / "one" / "config.json"), "--out", str(tmp_path / "two")])
    one, two = (weights(tmp_path / run / "last.safetensors") for run in ("one", "two"))
    assert torch.equal(one, two)


def test_a_file_may_leave_the_folders_to_the_command_line(tmp_path: Path) -> None:
    path = tmp_path / "options.yaml"
    path.write_text("clean_share: 0.2\npair_weights: [1]\nsynthesis: {transplant: 1}")
    found = defaults(["--config", str(path)]).data
    assert (found.clean_share, found.synthesis.transplant, found.photos) == (0.2, 1.0, ())


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("budget: 90", "budget", "90"),
        ("save_every: 1.5", "save_every", "1.5"),
        ("lr: 1e-4", "lr", 1e-4),
        ("lr: 1", "lr", 1.0),
        ("out: 3", "out", Path("3")),
        ("clip: null", "clip", None),
        ("iterations: 90", "iterations", 90),
    ],
)
def test_a_file_of_options_may_write_them_as_yaml_does(tmp_path: Path, text: str, name: str, value: Any) -> None:
    path = tmp_path / "options.yaml"
    path.write_text(text)
    found = getattr(defaults(["--config", str(path)]), name)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("out: null", "out is None; give a path"),
        ("val: [a]", r"val is \['a'\]; give a path"),
        ("iterations: 1e3", "iterations is '1e3'; give a whole number"),
        ("lrr: 1", "there is no option lrr; perhaps lr"),
        ("lr: fast", "lr is 'fast'; give a number"),
        ("model: 3", "model is 3; give it options of its own"),
        ("model: {depht: ranged}", "there is no option depht; perhaps depth"),
        ("resume: true", "resume is for the command line alone; take it out of the file"),
        ("allow-changes: false", "allow_changes is for the command line alone"),
        ("config: other.yaml", "config is for the command line alone"),
        ("[1]", "holds no options"),
        ("a: [", "is no YAML"),
        ("epochs: 0", "epochs is 0; give 1 or more"),
    ],
)
def test_a_file_of_options_is_checked(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "options.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        defaults(["--config", str(path)])
    assert str(caught.value).startswith(str(path))
    with pytest.raises(InputError, match=r"cannot read .*none\.yaml"):
        defaults(["--config", str(tmp_path / "none.yaml")])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"iterations": 5, "budget": "5m"}, "give one of them"),
        ({"budget": "soon"}, "budget is 'soon'; give a time"),
        ({"save_every": "0s"}, "save_every is 0s; give some time"),
        ({"lr": math.inf}, "lr is inf"),
        ({"workers": 100000}, "workers is 100000; give 0 to 256"),
        ({"clip": 0.0}, "clip is 0.0; give a number greater than 0"),
        ({"average": 1.0}, "average is 1.0; give a number from 0 to below 1"),
        ({"warmup": -1}, "warmup is -1; it may not be negative"),
        ({"accumulate": 0}, "accumulate is 0; give 1 or more"),
        ({"clip": "much"}, "clip is 'much'; give a number"),
    ],
)
def test_configuration_is_checked(config: TrainConfig, change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        dataclasses.replace(config, **change)


def test_weights_that_are_shared_out_are_refused(config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Accelerator, "distributed_type", property(lambda _: DistributedType.FSDP))
    with pytest.raises(InputError, match="FSDP shares out the weights; launch with --multi_gpu instead"):
        train(config)
    assert not config.out.exists()


def test_a_second_run_in_the_folder_is_refused(config: TrainConfig) -> None:
    config = dataclasses.replace(config, start_steps=3)
    second = dataclasses.replace(config, resume=True)  # one that does not resume sees the files there already

    class Impatient(Remover):
        """A remover that begins another training in the same folder while it is trained."""

        def forward(self, *given: Tensor) -> Any:
            if self.training:
                train(second)
            return super().forward(*given)

    with pytest.raises(InputError, match="another run is writing to"):
        train(config, remover=Impatient(RemoverConfig()))

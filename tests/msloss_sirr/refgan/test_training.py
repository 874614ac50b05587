"""The training of RefGAN: the steps are those published, it can be killed and resumed to the bit, and learns."""

import copy
import dataclasses
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

from msloss_sirr import DataConfig, InputError
from msloss_sirr.data.sources import build_draws
from msloss_sirr.images.reading import read_pixels
from msloss_sirr.refgan.checkpoint import load_generator
from msloss_sirr.refgan.config import RefganConfig, RefganTrainConfig
from msloss_sirr.refgan.discriminator import PatchDiscriminator
from msloss_sirr.refgan.generator import Generator
from msloss_sirr.refgan.pairs import Example
from msloss_sirr.refgan.sheet import contact_sheet
from msloss_sirr.refgan.training import _Training, train_refgan

from ..conftest import drawing, interrupt_at, save, smooth
from .test_refgan import STYLES, TINY, inputs


@pytest.fixture
def run(pairs: Path, photos: Path, tmp_path: Path) -> RefganTrainConfig:
    """A training of a few seconds."""
    return RefganTrainConfig(
        out=tmp_path / "refgan",
        data=DataConfig(pairs=(pairs,), photos=(photos,), crop=32, real_share=0.7),
        epochs=3,
        epoch_images=4,
        samples=2,
        device="cpu",
        network=TINY,
    )


def weights(config: RefganTrainConfig) -> dict[str, Tensor]:
    state = torch.load(config.out / "state.pt", weights_only=True)
    return {f"{part}.{key}": value for part in ("generator", "discriminator") for key, value in state[part].items()}


def metrics(config: RefganTrainConfig) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (config.out / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if "second" not in key} for line in lines]


@pytest.mark.parametrize("killed_after", [0, 2])
def test_killed_training_resumes_to_the_same_bits(
    run: RefganTrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed_after: int
) -> None:
    train_refgan(run)
    again = dataclasses.replace(run, out=tmp_path / "again")
    with monkeypatch.context() as patch:
        interrupt_at(patch, killed_after + 1)
        with pytest.raises(KeyboardInterrupt):
            train_refgan(again)
    torch.manual_seed(99)
    train_refgan(dataclasses.replace(again, resume=True))
    whole, resumed = weights(run), weights(again)
    assert all(torch.equal(whole[key], resumed[key]) for key in whole)
    assert metrics(run) == metrics(again)
    assert (run.out / "samples" / "0002.png").read_bytes() == (again.out / "samples" / "0002.png").read_bytes()
    kept = [load_generator(r.out / "last.safetensors").parameters() for r in (run, again)]
    assert all(torch.equal(a, b) for a, b in zip(*kept, strict=True))
    states = [torch.load(r.out / "state.pt", weights_only=True) for r in (run, again)]
    for one, two in ([state[part] for state in states] for part in ("paints", "judges")):
        assert all(torch.equal(one["state"][i]["exp_avg"], two["state"][i]["exp_avg"]) for i in one["state"])


@pytest.mark.parametrize("style", STYLES)
def test_both_networks_move_and_the_folder_is_a_run(run: RefganTrainConfig, style: Any) -> None:
    run = dataclasses.replace(run, network=dataclasses.replace(TINY, style=style), epochs=2)
    assert train_refgan(dataclasses.replace(run, epochs=1, out=run.out / "one")) == run.out / "one" / "last.safetensors"
    before = weights(dataclasses.replace(run, out=run.out / "one"))
    run = dataclasses.replace(run, out=run.out / "two")
    train_refgan(run)
    after = weights(run)
    assert all(not torch.equal(before[key], after[key]) for key in before)
    assert sorted(str(p.relative_to(run.out)) for p in run.out.rglob("*")) == [
        "config.json",
        "last.safetensors",
        "metrics.jsonl",
        "provenance.json",
        "samples",
        "samples/0000.png",
        "samples/0001.png",
        "state.previous.pt",
        "state.pt",
    ]
    with Image.open(run.out / "samples" / "0001.png") as sheet:
        columns = 5 if style == "none" else 9
        assert sheet.size == (columns * 34 + 2, 2 * 34 + 2)
    assert json.loads((run.out / "config.json").read_text())["network"]["style"] == style


def test_rate_is_constant_then_falls_to_zero(run: RefganTrainConfig) -> None:
    train_refgan(dataclasses.replace(run, epochs=4, epoch_images=2))
    assert [line["lr"] for line in metrics(run)] == pytest.approx([2e-4, 2e-4, 1.5e-4, 0.5e-4])


def test_every_epoch_is_drawn_anew(run: RefganTrainConfig) -> None:
    train_refgan(dataclasses.replace(run, lr=1e-30, network=dataclasses.replace(TINY, dropout=0.0)))
    assert len({line["difference"] for line in metrics(run)}) == run.epochs


def test_samples_show_what_is_not_trained_on(run: RefganTrainConfig, pairs: Path) -> None:
    run = dataclasses.replace(run, data=DataConfig(pairs=(pairs,), crop=32), epoch_images=8)
    train_refgan(run)
    draws = build_draws(run.data, length=run.epoch_images, seed=run.seed)
    trained = []
    for epoch in range(run.epochs):
        draws.set_epoch(epoch)
        trained += [draws[number].first for number in range(len(draws))]
    sheet = read_pixels(run.out / "samples" / "0000.png")
    for row in range(run.samples):
        shown = sheet[:, 34 * row + 2 : 34 * row + 34, 36:68]
        assert shown.float().std() > 5
        assert not any(torch.equal(shown, image) for image in trained)


def test_one_pair_can_be_learned(tmp_path: Path) -> None:
    """Far better than at the start, and than leaving the photograph as it is."""
    scene, added = 0.6 * smooth(1, 32, 32), 0.4 * smooth(2, 32, 32)
    save(tmp_path / "pairs" / "transmission" / "a.png", scene)
    save(tmp_path / "pairs" / "ambient" / "a.png", scene + added)
    network = RefganConfig(width=8, levels=3, style="none", dropout=0.0)
    run = RefganTrainConfig(
        out=tmp_path / "run",
        data=DataConfig(pairs=(tmp_path / "pairs",), crop=32),
        epochs=8,
        epoch_images=25,
        lr=2e-3,
        device="cpu",
        network=network,
    )
    train_refgan(run)
    differences = [line["difference"] for line in metrics(run)]
    assert differences[-1] < 0.4 * differences[0]
    assert differences[-1] < 0.3 * float(added.mean())


def test_a_step_is_that_of_the_publication(run: RefganTrainConfig) -> None:
    """Written by hand: logarithms of probabilities, two calls of the discriminator, pictures from -1 to 1."""
    training = _Training(dataclasses.replace(run, network=dataclasses.replace(TINY, dropout=0.0)))
    generator, judge = training.generator.double(), training.discriminator.double()
    mine, my_judge = copy.deepcopy(generator), copy.deepcopy(judge)
    transmission, style, ambient = torch.rand(3, 2, 3, 32, 32, dtype=torch.float64).unbind()
    losses = training._step(Example(transmission, style, ambient))

    adam = [torch.optim.Adam(net.parameters(), lr=2e-4, betas=(0.5, 0.999)) for net in (mine, my_judge)]
    made = mine(transmission, style)
    real, fake = (torch.sigmoid(my_judge(transmission, picture)) for picture in (ambient, made.detach()))
    told = (-real.log().mean() - (1 - fake).log().mean()) / 2
    told.backward()
    adam[1].step()
    fooled = -torch.sigmoid(my_judge(transmission, made)).log().mean()
    away = ((2 * made - 1) - (2 * ambient - 1)).abs().mean()
    (fooled + 100 * away).backward()
    adam[0].step()

    torch.testing.assert_close(losses, torch.stack([told, fooled, away / 2]).detach())
    for net, by_hand in ((generator, mine), (judge, my_judge)):
        torch.testing.assert_close(dict(net.named_parameters()), dict(by_hand.named_parameters()), rtol=1e-6, atol=1e-9)


def test_samples_leave_training_as_it_was() -> None:
    generator = Generator(TINY).train()
    image, style = inputs("reference", 2, 3, 32, 32)
    torch.manual_seed(5)
    state = torch.get_rng_state()
    first = contact_sheet(generator, Example(image, style, image))
    assert generator.training
    assert torch.equal(state, torch.get_rng_state())
    assert torch.equal(first, contact_sheet(generator, Example(image, style, image)))
    assert (first[:, 2:34, 5 * 34 + 2 : 6 * 34].int() - 128).abs().max() <= 1  # I - T of I = T is grey


def test_runs_are_not_mixed_up(run: RefganTrainConfig) -> None:
    run = dataclasses.replace(run, epochs=1)
    with pytest.raises(InputError, match="holds no run to resume"):
        train_refgan(dataclasses.replace(run, resume=True))
    (run.out / "samples").mkdir(parents=True)
    with pytest.raises(InputError, match="holds a run already"):
        train_refgan(run)
    (run.out / "samples").rmdir()
    train_refgan(run)
    with pytest.raises(InputError, match="holds a run already; continue it with --resume"):
        train_refgan(run)
    with pytest.raises(InputError, match=r"another configuration \(l1: 100.0 then, 10.0 now\)"):
        train_refgan(dataclasses.replace(run, resume=True, l1=10.0))
    torch.save({"epoch": 0}, run.out / "state.pt")
    (run.out / "state.previous.pt").unlink(missing_ok=True)
    with pytest.raises(InputError, match=r"state\.pt is no state of a training"):
        train_refgan(dataclasses.replace(run, resume=True))


def test_what_cannot_be_trained_is_one_error(run: RefganTrainConfig, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing to train on; give --pairs, --photos or both"):
        train_refgan(drawing(run, pairs=(), photos=()))
    with pytest.raises(InputError, match="none does not exist"):
        train_refgan(drawing(run, pairs=(tmp_path / "none",)))
    assert not run.out.exists()
    with pytest.raises(InputError, match=r"the norm of the gradients was nan 3 times in a row; .* a lower --lr"):
        train_refgan(dataclasses.replace(run, lr=1e38, bear=2))
    assert not (run.out / "state.pt").exists()


def spoil(patch: pytest.MonkeyPatch, network: type[torch.nn.Module], which: Callable[[int], bool]) -> None:
    """Have a network answer NaN at some of its calls in training, counted from 0."""
    forward, calls = network.forward, 0

    def spoiling(self: torch.nn.Module, *given: Tensor | None) -> Tensor:
        nonlocal calls
        made: Tensor = forward(self, *given)
        calls += self.training
        return made * math.nan if self.training and which(calls - 1) else made

    patch.setattr(network, "forward", spoiling)


@pytest.mark.parametrize(("spoilt", "call"), [(Generator, 0), (PatchDiscriminator, 0), (PatchDiscriminator, 1)])
def test_gradients_that_are_not_finite_spoil_no_network(
    run: RefganTrainConfig, monkeypatch: pytest.MonkeyPatch, spoilt: type[torch.nn.Module], call: int
) -> None:
    spoil(monkeypatch, spoilt, lambda number: number == call)
    train_refgan(dataclasses.replace(run, epochs=1))
    (line,) = metrics(run)
    assert line["left_out"] == 1
    assert all(math.isfinite(line[name]) for name in ("discriminator", "adversarial", "difference"))
    assert all(weight.isfinite().all() for weight in weights(run).values())


def test_a_generator_that_never_moves_ends_it(run: RefganTrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    spoil(monkeypatch, PatchDiscriminator, lambda number: number % 2 == 1)  # as it judges for the generator
    with pytest.raises(InputError, match="was nan 3 times in a row"):
        train_refgan(dataclasses.replace(run, bear=2))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data": DataConfig(crop=16)}, "crop is 16; give 32 or more"),
        ({"batch": 0}, "batch is 0; give 1 or more"),
        ({"l1": -1.0}, "l1 is -1.0"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_configuration_is_checked(run: RefganTrainConfig, change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        dataclasses.replace(run, **change)
    with pytest.raises(InputError, match="levels=1"):
        RefganConfig(levels=1)
    with pytest.raises(InputError, match="style is 'paint'; give one of 'none', 'noise', 'reference'"):
        RefganConfig(style="paint")  # type: ignore[arg-type]


def test_damaged_files_are_named_and_borne(
    run: RefganTrainConfig, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cut = photos / "photo 1.png"
    cut.write_bytes(cut.read_bytes()[:-200])
    run = drawing(dataclasses.replace(run, epochs=1, epoch_images=12), real_share=0.0)
    with pytest.raises(InputError, match=r"cannot read .*photo 1.png"):
        train_refgan(run)
    train_refgan(drawing(run, damaged=1))
    assert capsys.readouterr().err.count(f"left out: cannot read {cut}") == 1

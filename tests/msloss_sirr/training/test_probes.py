"""Looks at a training: they tell its loss, step by step, and leave it as it is."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from msloss import MultiStepLoss
from msloss_sirr import InputError, Layers, LossConfig, TrainConfig, load_remover, train
from msloss_sirr.layers import Estimate
from msloss_sirr.losses.criterion import build_criterion, term_weights
from msloss_sirr.trainer.run_folder import differences
from msloss_sirr.training.probes import Look, Looks, Probe, angles, read_looks

from ..conftest import interrupt_at, smooth

PLAIN = LossConfig(backbone="none", gradient=0.0)


class Adding(nn.Module):
    """T = I + a change of its own, which begins with none."""

    def __init__(self, value: float = 0.0) -> None:
        super().__init__()
        self.change = nn.Conv2d(3, 3, 3, padding=1)
        nn.init.zeros_(self.change.bias)
        nn.init.constant_(self.change.weight, value)

    def forward(self, ambient: Tensor) -> Layers:
        change = self.change(ambient)
        return Layers(ambient + change, -change)


def halves(count: int = 2) -> list[list[tuple[Tensor, Layers]]]:
    def batch(seed: int) -> tuple[Tensor, Layers]:
        scene, other = smooth(seed, 12, 12)[None], smooth(seed + 50, 12, 12)[None]
        return scene + other / 4, Layers(scene, other / 4)

    return [[batch(10 * half + number) for number in range(count)] for half in range(2)]


def probe_of(model: nn.Module, config: LossConfig = PLAIN, given: Any = None, **options: Any) -> Probe:
    weights = term_weights(config, networks="transmission")
    loss = MultiStepLoss(model, build_criterion(config), 3, weights=weights, feedback="transmission", **options)
    return Probe(loss, config, "transmission", given or halves())


def state_of(config: TrainConfig) -> dict[str, Tensor]:
    return load_remover(config.out / "last.safetensors").state_dict()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"loss": LossConfig(backbone="none", reflection_target="residual")},
        {"accumulate": 2, "average": 0.9, "precision": "bfloat16"},
    ],
    ids=["plain", "telling", "bfloat16"],
)
def test_a_training_that_is_looked_at_ends_with_the_same_weights(
    config: TrainConfig, tmp_path: Path, options: dict[str, Any]
) -> None:
    config = dataclasses.replace(config, epochs=2, **options)
    train(config)
    seen = dataclasses.replace(config, out=tmp_path / "seen", probe_every=2)
    train(seen)
    expected = state_of(config)
    assert all(torch.equal(value, expected[name]) for name, value in state_of(seen).items())
    updates = 6 if config.accumulate == 1 else 4
    assert [look.update for look in read_looks(seen.out / "probes.jsonl")] == [*range(0, updates + 1, 2)]
    same, other = ((each.out / "metrics.jsonl").read_text().splitlines() for each in (config, seen))
    assert [json.loads(line)["loss"] for line in same] == [json.loads(line)["loss"] for line in other]
    assert not (config.out / "probes.jsonl").exists()


def test_what_is_seen_is_the_same_after_a_break_and_for_every_seed(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = dataclasses.replace(config, epochs=2, probe_every=1)
    train(whole)
    broken = dataclasses.replace(whole, out=tmp_path / "broken")
    with monkeypatch.context() as patch:
        interrupt_at(patch, 1)
        with pytest.raises(KeyboardInterrupt):
            train(broken)
    assert len(read_looks(broken.out / "probes.jsonl")) == 3
    train(dataclasses.replace(broken, resume=True))
    looks = read_looks(whole.out / "probes.jsonl")
    assert read_looks(broken.out / "probes.jsonl") == looks
    assert [look.update for look in looks] == list(range(7))
    other = dataclasses.replace(whole, out=tmp_path / "other", seed=1, probe_every=6)
    train(other)
    assert read_looks(other.out / "probes.jsonl")[0].identity == looks[0].identity
    assert not differences(whole.out, dataclasses.replace(whole, probe_every=0))  # no other training than without


def test_of_the_identity_all_steps_cost_the_same_and_ask_for_the_same() -> None:
    seen = probe_of(Adding()).look(7)
    assert seen.update == 7
    assert seen.loss == pytest.approx(seen.identity)
    assert seen.change == [0, 0, 0]
    torch.testing.assert_close(torch.tensor(seen.cosine), torch.ones(3, 3))
    # every application moves the output alike, and there are t of them before step t
    assert [norm / seen.norm[0] for norm in seen.norm] == pytest.approx([1, 2, 3], rel=1e-4)
    assert [norm / seen.norm[0] for norm in seen.own_norm] == pytest.approx([1, 1, 1], rel=1e-4)
    assert seen.agreement == pytest.approx([seen.agreement[0]] * 3)


def test_losses_and_gradients_are_those_of_a_loop_by_hand() -> None:
    model, given = Adding(0.02), halves()
    seen = probe_of(model, dataclasses.replace(PLAIN, scale=3.0, over_steps="gamma"), given, truncate=1).look(0)
    weights = list(model.parameters())
    gradients, own, losses = [], [], []
    for t in range(1, 4):
        for cut, kept in ((False, gradients), (True, own)):
            of_halves, values = [], []
            for half in given:
                total = torch.zeros(())
                for ambient, target in half:
                    x = ambient
                    for _ in range(t):
                        x = model(x.detach() if cut else x).transmission
                    total = total + F.mse_loss(x, target.transmission) / len(half)
                values.append(float(total.detach()))
                of_halves.append(torch.cat([g.flatten() for g in torch.autograd.grad(total, weights)]))
            kept.append(torch.stack(of_halves))
        losses.append(sum(values) / 2)
    assert seen.loss == pytest.approx(losses)
    for found, norms, cosines, agreement in (
        (gradients, seen.norm, seen.cosine, seen.agreement),
        (own, seen.own_norm, seen.own_cosine, seen.own_agreement),
    ):
        means = [each.mean(dim=0) for each in found]
        assert norms == pytest.approx([float(mean.norm()) for mean in means], rel=1e-4)
        for i in range(3):
            assert agreement[i] == pytest.approx(float(F.cosine_similarity(*found[i], dim=0)), abs=1e-5)
            for j in range(3):
                assert cosines[i][j] == pytest.approx(float(F.cosine_similarity(means[i], means[j], dim=0)), abs=1e-5)
    assert seen.own_norm[1] != pytest.approx(seen.norm[1], rel=1e-3)


def test_neither_gradients_nor_buffers_nor_modes_nor_randomness_are_touched() -> None:
    class Restless(Adding):
        def __init__(self) -> None:
            super().__init__(0.01)
            self.norm = nn.BatchNorm2d(3)
            self.seen = 0

        def forward(self, ambient: Tensor) -> Layers:
            self.seen += 1
            noisy = F.dropout(self.norm(ambient), 0.5)
            return super().forward(ambient + noisy / 100)

    model = Restless()
    model.change.weight.grad = torch.ones_like(model.change.weight)
    probe = probe_of(model)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    random = torch.get_rng_state()
    first, again = probe.look(0), probe.look(0)
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(model.change.weight.grad, torch.ones_like(model.change.weight))
    assert model.change.bias.grad is None
    assert model.training
    assert model.seen == 0
    assert first == again


def test_angles_of_gradients() -> None:
    found = angles(torch.tensor([[3.0, 0.0], [5.0, 0.0], [-1.0, 0.0], [0.0, 2.0], [1.0, 1.0], [0.0, 0.0]]))
    half = 0.5**0.5
    torch.testing.assert_close(found[0], torch.tensor([1.0, 1.0, -1.0, 0.0, half, 0.0]))
    torch.testing.assert_close(found, found.T)


def test_telling_models_are_held_to_what_remains() -> None:
    class Tells(Adding):
        def forward(self, ambient: Tensor) -> Estimate:
            return Estimate(*super().forward(ambient), ambient)

    config = LossConfig(backbone="none", reflection_target="residual")
    loss = MultiStepLoss(Tells(0.01), build_criterion(config), 3, weights=term_weights(config), feedback="transmission")
    seen = Probe(loss, config, "both", halves()).look(0)
    ambient, target = halves()[0][0]
    by_hand = loss(ambient, target, details=True).per_step
    alone = Probe(loss, config, "both", [[(ambient, target)], [(ambient, target)]]).look(0)
    assert alone.loss == pytest.approx(by_hand.tolist(), rel=1e-5)
    assert alone.agreement == pytest.approx([1, 1, 1])
    assert seen.loss != alone.loss


def test_looks_that_are_no_looks_and_budgets_are_refused(config: TrainConfig, tmp_path: Path) -> None:
    (tmp_path / "probes.jsonl").write_text('{"update": 1}\n')
    with pytest.raises(InputError, match="holds no looks at a training, or is damaged"):
        read_looks(tmp_path / "probes.jsonl")
    with pytest.raises(InputError, match="probe_every is 5, but looks take time, and budget=1m"):
        dataclasses.replace(config, probe_every=5, budget="1m")
    with pytest.raises(InputError, match="probe_every is -1; it may not be negative"):
        dataclasses.replace(config, probe_every=-1)


def test_only_when_it_is_time(tmp_path: Path) -> None:
    taken: list[int] = []

    class Counting(Probe):
        def __init__(self) -> None:
            pass

        def look(self, update: int) -> Look:
            taken.append(update)
            return Look(update, *([] for _ in range(9)))

    looks = Looks(Counting(), 4, tmp_path)
    for update in (0, 0, 1, 2, 3, 4, 4, 5):
        looks.at(update)
    looks.at(5, ended=True)
    assert taken == [0, 4, 5]
    Looks(Counting(), 4, tmp_path).at(4)  # taken up again
    assert [look.update for look in read_looks(tmp_path / "probes.jsonl")] == [0, 4]

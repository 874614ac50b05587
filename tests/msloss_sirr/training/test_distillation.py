"""Distillation: what a teacher's estimates are blended into, and that a training is of one teacher alone."""

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate.state import AcceleratorState
from torch import Tensor, nn

from msloss_sirr import (
    InputError,
    Layers,
    LayersCriterion,
    Remover,
    RemoverConfig,
    TrainConfig,
    load_remover,
    save_remover,
    train,
)
from msloss_sirr.cli import main
from msloss_sirr.data import batches
from msloss_sirr.data.draws import Kind
from msloss_sirr.models.checkpoint import shipped_file
from msloss_sirr.training import distillation, loss_inputs
from msloss_sirr.training.config import DistillConfig
from msloss_sirr.training.distillation import Teacher, build_teacher, teacher_files

from ..conftest import drawing, fails, interrupt_at, smooth
from ..models.test_models import awake
from ..trainer.test_resuming import assert_same, run

ALONE = RemoverConfig(architecture="unet", channels=(6, 8), patch=1, networks="transmission")


def saved(folder: Path, config: RemoverConfig, seed: int = 5) -> str:
    """Return the file of a remover that changes what it is given."""
    torch.manual_seed(seed)
    path = folder / f"teacher {seed}.safetensors"
    save_remover(awake(Remover(config)), path)
    return str(path)


def taught(config: TrainConfig, name: str, share: float = 0.5, **changes: Any) -> TrainConfig:
    return dataclasses.replace(config, distill=DistillConfig((name,), share), **changes)


class Watching(LayersCriterion):
    """A criterion that keeps what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Layers] = []

    def prepare(self, target: Any) -> Any:
        self.seen.append(target)
        return super().prepare(target)


@pytest.mark.parametrize("share", [0.25, 1.0])
def test_the_target_is_the_blend_of_truth_and_estimate(share: float) -> None:
    remover = awake(Remover(RemoverConfig(architecture="unet", channels=(6, 8), patch=1)))
    ambient = torch.stack([smooth(seed) for seed in (1, 2, 3)])
    target = Layers(*(torch.stack([smooth(seed + k) for seed in (4, 5, 6)]) for k in (0, 10)))
    known = torch.tensor([False, True, False])
    blend = Teacher([remover], share)(ambient, target, known)
    found = remover(ambient)
    assert (found.transmission < 0).any()
    assert (found.reflection < 0).any()
    for got, truth, estimate in zip(blend, target, found, strict=True):
        expected = (1 - share) * truth + share * estimate.clamp(0, 1)
        torch.testing.assert_close(got[[0, 2]], expected[[0, 2]])
        assert torch.equal(got[1], truth[1])
        assert not got.requires_grad


def test_several_teachers_are_one_whose_estimate_is_their_mean() -> None:
    removers = [awake(Remover(RemoverConfig(architecture="unet", channels=(6, 8), patch=size))) for size in (1, 2)]
    ambient = torch.stack([smooth(seed) for seed in (1, 2)])
    target = Layers(*(torch.stack([smooth(seed + k) for seed in (4, 5)]) for k in (0, 10)))
    blend = Teacher(removers, 1.0)(ambient, target, torch.tensor([False, False]))
    first, second = (remover(ambient) for remover in removers)
    assert not torch.equal(first.transmission, second.transmission)
    for got, one, other in zip(blend, first, second, strict=True):
        torch.testing.assert_close(got, ((one + other) / 2).clamp(0, 1))


def test_for_mse_the_blend_has_the_gradient_of_both_losses() -> None:
    """The law that it is chosen by; pixels and gradients, R included."""
    remover = awake(Remover(RemoverConfig(architecture="unet", channels=(6, 8), patch=1))).double()
    ambient, truth = smooth(1)[None].double(), Layers(smooth(2)[None].double(), smooth(3)[None].double())
    blend = Teacher([remover], 0.3)(ambient, truth, torch.tensor([False]))
    estimate = Layers(*(image.clamp(0, 1) for image in remover(ambient)))
    criterion, guess = LayersCriterion(), smooth(4)[None].double().requires_grad_()

    def slope(target: Layers) -> Tensor:
        loss = sum(criterion(Layers(guess, 0.2 * guess), criterion.prepare(target)).values())
        (gradient,) = torch.autograd.grad(loss, guess)
        return gradient

    torch.testing.assert_close(slope(blend), 0.7 * slope(truth) + 0.3 * slope(estimate))


def test_a_training_is_held_to_the_blend_at_every_step(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    composed: list[batches.Batch] = []
    compose = batches.compose

    def watched(*given: Any) -> batches.Batch:
        composed.append(compose(*given))
        return composed[-1]

    monkeypatch.setattr(loss_inputs, "compose", watched)
    monkeypatch.setattr(TrainConfig, "first_steps", config.steps)  # so that nothing is rehearsed
    name, criterion = saved(tmp_path, config.model), Watching()
    config = drawing(taught(config, name, 0.3, epochs=1, epoch_images=16), clean_share=0.5)
    train(config, criterion=criterion)
    assert len(criterion.seen) == len(composed) == 4  # once a batch, of three steps each
    remover, kinds = load_remover(Path(name)), set()
    for target, batch in zip(criterion.seen, composed, strict=True):
        assert batch.kind is not None
        kinds.update(batch.kind.tolist())
        with torch.no_grad():
            estimate = remover(batch.ambient)
        for got, truth, found in zip(target, batch.target, estimate, strict=True):
            for index, kind in enumerate(batch.kind.tolist()):
                expected = truth[index] if kind == Kind.CLEAN else 0.7 * truth[index] + 0.3 * found[index].clamp(0, 1)
                torch.testing.assert_close(got[index], expected)
    assert kinds == {Kind.REAL, Kind.REFLECTED, Kind.CLEAN}


def test_whoever_begins_as_the_teacher_has_nothing_to_learn_from_it_alone(
    config: TrainConfig, checkpoint: Path, tmp_path: Path
) -> None:
    halving = load_remover(checkpoint)  # estimates within [0, 1], so that nothing is cut off
    config = dataclasses.replace(config, model=halving.config, weights=str(checkpoint), lr=1e-12, steps=1, epochs=1)
    train(taught(config, str(checkpoint), 1.0))
    AcceleratorState._reset_state()
    train(dataclasses.replace(config, out=tmp_path / "truth"))
    (with_teacher,), (without,) = (
        [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
        for out in (config.out, tmp_path / "truth")
    )
    for term in ("transmission", "gradient"):
        assert with_teacher["terms"][term] == pytest.approx([0], abs=1e-9)
        assert without["terms"][term][0] > 1e-4
    assert with_teacher["psnr"] == without["psnr"]  # which is to the truth


def test_the_teacher_stays_as_it_is(config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Frozen, in evaluation mode, asked once a batch, in no optimiser and no state."""
    calls: list[tuple[bool, bool, int]] = []

    class Normed(Remover):
        """A teacher with statistics of batches."""

        def __init__(self) -> None:
            super().__init__(dataclasses.replace(ALONE, norm="batch"))

        def forward(self, ambient: Tensor, depth: Tensor | None = None) -> Layers:
            calls.append((self.training, torch.is_grad_enabled(), len(ambient)))
            return super().forward(ambient, depth)

    remover = awake(Normed())
    before = {name: value.clone() for name, value in remover.state_dict().items()}
    monkeypatch.setattr(distillation, "networks_of", lambda name: remover)
    monkeypatch.setattr(TrainConfig, "first_steps", config.steps)  # so that nothing is rehearsed
    (tmp_path / "a.safetensors").touch()
    config = taught(config, str(tmp_path / "a.safetensors"), epochs=2, epoch_images=8)
    train(config)
    assert calls == 4 * [(False, False, 4)]
    assert all(torch.equal(value, before[name]) for name, value in remover.state_dict().items())
    assert not any(parameter.requires_grad or parameter.grad is not None for parameter in remover.parameters())
    state = torch.load(config.out / "state.pt", weights_only=True)
    trained = sum(len(group["params"]) for group in state["optimizer"]["param_groups"])
    assert trained == len(list(load_remover(config.out / "last.safetensors").parameters()))


def test_a_teacher_that_is_told_to_train_does_not() -> None:
    alone = Teacher([Remover(dataclasses.replace(ALONE, norm="batch"))], 0.5)
    alone.train()
    assert not any(module.training for module in alone.modules())


def test_a_training_with_a_teacher_resumes_to_the_same_bits(config: TrainConfig, tmp_path: Path) -> None:
    config = taught(config, saved(tmp_path, ALONE), epochs=3)
    run(config)
    again = dataclasses.replace(config, out=tmp_path / "again")
    with pytest.MonkeyPatch.context() as patch:
        interrupt_at(patch, 2)
        with pytest.raises(KeyboardInterrupt):
            run(again)
    torch.manual_seed(77)
    run(again, resume=True)
    assert_same(config, again)


def test_a_run_is_of_one_teacher(config: TrainConfig, tmp_path: Path) -> None:
    name = saved(tmp_path, ALONE)
    config = taught(config, name, epochs=1, epoch_images=4)
    run(config)
    (begun,) = json.loads((config.out / "provenance.json").read_text())
    assert begun["data"]["teachers"]["files"] == 1
    assert begun["data"]["teachers"]["bytes"] == Path(name).stat().st_size
    run(config, resume=True)
    Path(saved(tmp_path, ALONE, seed=6)).replace(name)
    with pytest.raises(InputError, match=r"other data \(teachers: 1 files \(\w+\) then, 1 files \(\w+\) now\); resume"):
        run(config, resume=True)
    run(dataclasses.replace(config, allow_changes=True), resume=True)
    with pytest.raises(InputError, match=r"another configuration \(distill.share: 0.5 then, 0.25 now\)"):
        run(taught(config, name, 0.25), resume=True)
    with pytest.raises(InputError, match=rf"distill.teachers: \['{re.escape(name)}'\] then, \[\] now"):
        run(dataclasses.replace(config, distill=DistillConfig()), resume=True)
    Path(name).unlink()
    with pytest.raises(InputError, match="does not exist"):
        run(config, resume=True)


def test_the_remover_in_the_package_is_recorded_as_a_teacher_too() -> None:
    assert teacher_files(DistillConfig()) == []
    (path,) = teacher_files(DistillConfig(("shipped",)))
    assert path == shipped_file()
    told = load_remover(path).state_dict()
    shipped = build_teacher(DistillConfig(("shipped",)), guided=False)
    assert shipped is not None
    assert all(torch.equal(value, told[name]) for name, value in shipped.removers[0].state_dict().items())


class Counting(nn.Module):
    """Depth by brightness, counted."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, ambient: Tensor, stored: Tensor | None) -> Tensor:
        self.calls += 1
        return 5 * ambient.mean(1, keepdim=True)


def test_a_guided_teacher_prepares_the_depth_that_there_is_for_itself(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = saved(tmp_path, dataclasses.replace(ALONE, depth="pure"))
    model = dataclasses.replace(config.model, depth="ranged", ranges=3)
    source, given = Counting(), []

    class Watched(Remover):
        def forward(self, ambient: Tensor, depth: Tensor | None = None) -> Layers:
            given.append(depth)
            return super().forward(ambient, depth)

    asked: list[Tensor] = []
    estimate = Teacher.forward

    def watched(self: Teacher, ambient: Tensor, target: Layers, known: Tensor, depth: Tensor | None) -> Layers:
        (remover,) = self.removers
        assert isinstance(remover, Remover)
        hook = remover.transmission_net.register_forward_pre_hook(lambda net, inputs: asked.append(inputs[0][:, 3:]))
        found = estimate(self, ambient, target, known, depth)
        hook.remove()
        torch.testing.assert_close(asked[-1], remover.prepare_depth(ambient.mean(1, keepdim=True)))
        return found

    monkeypatch.setattr(Teacher, "forward", watched)
    monkeypatch.setattr(TrainConfig, "first_steps", 1)
    config = taught(config, name, steps=1, epochs=1, epoch_images=8, model=model)
    train(config, remover=Watched(model), depth=source)
    assert len(asked) == 2
    assert source.calls == 2 + 4  # once a batch, and of four validation pairs
    assert {len(depth.unique()) for depth in given} == {3}
    assert all(len(depth.unique()) > 3 for depth in asked)


def test_a_teacher_without_depth_is_given_none(config: TrainConfig, tmp_path: Path) -> None:
    model = dataclasses.replace(config.model, depth="pure")
    config = taught(config, saved(tmp_path, ALONE), epochs=1, epoch_images=4, model=model)
    assert train(config, depth=Counting()).after.psnr > 0


def test_a_teacher_that_cannot_be_is_one_line(
    config: TrainConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    guided = saved(tmp_path, dataclasses.replace(ALONE, depth="ranged"))
    words = f"train --val {config.val} --pairs {config.val} --out {config.out} --crop 24 --device cpu".split()
    for more, told in (
        (["--distill.teachers", guided], "is guided by depth, but the remover that is trained by none; give another"),
        (["--distill.teachers", tmp_path / "none.safetensors"], "none.safetensors does not exist"),
        (["--distill.teachers", guided, "--distill.share", "0"], "share is 0.0; give a number above 0, to 1"),
        (["--distill.teachers", guided, "--distill.share", "1.5"], "share is 1.5; give a number above 0, to 1"),
        (["--distill.share", "0.25"], "share is 0.25, but there is no teacher; give --distill.teacher"),
        (["--distill.teachers", "shipped", "--loss.tolerance", "1"], "tolerance is 1, but there is a teacher"),
    ):
        assert told in fails(capsys, *words, *more)
    assert not config.out.exists()


def test_the_command_learns_from_the_remover_in_the_package(config: TrainConfig) -> None:
    words = f"train --val {config.val} --pairs {config.val} --out {config.out} --crop 24 --device cpu".split()
    words += [
        "--epochs",
        "1",
        "--epoch-images",
        "2",
        "--batch",
        "2",
        "--model.architecture",
        "unet",
        "--model.channels",
        "4",
    ]
    main([*words, "--precision", "bfloat16", "--distill.teachers", "shipped", "--distill.share", "0.3"])
    told = json.loads((config.out / "config.json").read_text())
    assert told["distill"] == {"teachers": ["shipped"], "share": 0.3}


def test_a_teacher_computes_as_the_network_it_teaches_and_its_blend_is_not_rounded(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reduced: list[bool] = []

    class Watched(Remover):
        def forward(self, ambient: Tensor, depth: Tensor | None = None) -> Layers:
            reduced.append(torch.is_autocast_enabled("cpu"))
            return super().forward(ambient, depth)

    monkeypatch.setattr(distillation, "networks_of", lambda name: Watched(ALONE))
    criterion = Watching()
    for precision in ("float32", "bfloat16"):
        train(
            taught(config, "shipped", epochs=1, epoch_images=4, precision=precision, out=tmp_path / precision),
            criterion=criterion,
        )
        assert set(reduced) == {precision == "bfloat16"}
        reduced.clear()
        AcceleratorState._reset_state()
    assert all(image.dtype == torch.float32 for target in criterion.seen for image in target)

"""What a training begins with: features learned elsewhere, or the networks of a checkpoint."""

import dataclasses
from pathlib import Path

import pytest
import torch
import torchvision
from safetensors.torch import load_file

from msloss_sirr import (
    InputError,
    LossConfig,
    Remover,
    RemoverConfig,
    TrainConfig,
    load_remover,
    preset,
    save_remover,
    train,
)
from msloss_sirr.cli import main
from msloss_sirr.depth.config import DepthConfig
from msloss_sirr.training.initial_weights import begin_remover, beginnings
from msloss_sirr.training.presets import defaults

SQUEEZED = RemoverConfig(architecture="squeezenet", channels=(4, 6, 8))


def test_squeezenet_begins_with_the_features_it_is_given(config: TrainConfig, squeezenet: Path) -> None:
    known = torchvision.models.squeezenet1_1(weights=None).features
    known.load_state_dict({k.removeprefix("features."): v for k, v in load_file(squeezenet).items()})
    remover = begin_remover(dataclasses.replace(config, model=SQUEEZED, encoder=str(squeezenet)))
    for network in (remover.reflection_net, remover.transmission_net):
        assert network is not None
        state = network.encoder.state_dict()
        assert all(torch.equal(state[key], value) for key, value in known.state_dict().items())
    torch.manual_seed(0)
    random = begin_remover(dataclasses.replace(config, model=SQUEEZED, encoder="random"))
    torch.manual_seed(0)
    assert all(map(torch.equal, random.parameters(), Remover(SQUEEZED).parameters()))


def test_weights_that_cannot_be_had_are_an_error(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    squeezed = dataclasses.replace(config, model=SQUEEZED)
    with pytest.raises(InputError, match=r"none\.pth does not exist"):
        begin_remover(dataclasses.replace(squeezed, encoder=str(tmp_path / "none.pth")))

    def refuse(*_: object, **__: object) -> None:
        raise OSError("no network")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    with pytest.raises(InputError, match="give a file by --encoder, or begin with --encoder random or --weights"):
        train(squeezed)


def test_training_goes_on_with_the_networks_of_a_checkpoint(config: TrainConfig, tmp_path: Path) -> None:
    torch.manual_seed(3)
    begun = Remover(config.model)
    for parameter in begun.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    save_remover(begun, tmp_path / "begun.safetensors")
    config = dataclasses.replace(config, weights=str(tmp_path / "begun.safetensors"), lr=1e-12, epochs=1)
    train(config)
    after = load_remover(config.out / "last.safetensors")
    for ours, theirs in zip(after.parameters(), begun.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs)
    other = dataclasses.replace(config, model=dataclasses.replace(config.model, networks="transmission"))
    with pytest.raises(InputError, match="has networks of networks both, not transmission; leave the model out"):
        begin_remover(other)
    save_remover(Remover(config.model), tmp_path / "begun.safetensors")
    with pytest.raises(InputError, match=r"has other data .weights: 1 files"):
        train(dataclasses.replace(config, resume=True))


def test_networks_are_those_of_the_checkpoint_that_is_named(tmp_path: Path) -> None:
    assert defaults(["train", "--weights", "shipped"]).model == Remover.from_pretrained().config
    save_remover(Remover(SQUEEZED), tmp_path / "a.safetensors")
    assert defaults(["--weights", str(tmp_path / "a.safetensors")]).model == SQUEEZED
    (tmp_path / "options.yaml").write_text(f"weights: {tmp_path / 'a.safetensors'}\nlr: 0.5\n")
    options = defaults(["--config", str(tmp_path / "options.yaml")])
    assert (options.model, options.lr, options.weights) == (SQUEEZED, 0.5, str(tmp_path / "a.safetensors"))
    assert defaults(["--config", str(tmp_path / "options.yaml"), "--weights", "None"]).model == RemoverConfig()
    with pytest.raises(InputError, match="none does not exist"):
        defaults(["--weights", str(tmp_path / "none")])


def test_a_preset_has_the_networks_of_the_checkpoint_that_is_named(config: TrainConfig) -> None:
    own = preset("compact", val=config.val, out=config.out, weights="shipped")
    assert own.model == Remover.from_pretrained().config
    assert preset("compact", val=config.val, out=config.out, weights="shipped", model=SQUEEZED).model == SQUEEZED


def test_networks_go_on_with_another_view(config: TrainConfig, tmp_path: Path) -> None:
    then = Remover(SQUEEZED)
    save_remover(then, tmp_path / "a.safetensors")
    other = dataclasses.replace(SQUEEZED, view=64)
    begun = begin_remover(dataclasses.replace(config, weights=str(tmp_path / "a.safetensors"), model=other))
    assert begun.config == other
    assert all(torch.equal(a, b) for a, b in zip(begun.parameters(), then.parameters(), strict=True))


@pytest.mark.parametrize("named", ["weights", "encoder"])
def test_a_run_goes_on_without_the_file_that_it_began_with(
    named: str, config: TrainConfig, squeezenet: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_remover(Remover(SQUEEZED), tmp_path / "a.safetensors")
    given = {"weights": tmp_path / "a.safetensors", "encoder": squeezenet}[named]
    words = f"train --{named} {given} --val {config.val} --pairs {config.val} --out {config.out} --crop 16".split()
    words += ["--epoch-images", "2", "--batch", "2", "--device", "cpu"]
    if named == "encoder":
        words += ["--model.architecture", "squeezenet", "--model.channels", "4", "6", "8"]
    main([*words, "--epochs", "1"])
    given.unlink()
    main([*words, "--epochs", "2", "--resume", "--allow-changes"])
    assert "has other data (weights: 1 files" in capsys.readouterr().err
    assert len((config.out / "metrics.jsonl").read_text().splitlines()) == 2


def test_an_encoder_that_nothing_begins_with_is_refused(config: TrainConfig, squeezenet: Path) -> None:
    for changes in ({"encoder": str(squeezenet)}, {"encoder": "random"}, {"encoder_lr": 0.5}):
        with pytest.raises(InputError, match="but unet networks have no encoder; leave them out"):
            begin_remover(dataclasses.replace(config, **changes))


def test_a_target_of_a_reflection_that_nothing_estimates_is_refused(config: TrainConfig) -> None:
    config = dataclasses.replace(config, loss=LossConfig(reflection_target="residual"))
    begin_remover(config)
    with pytest.raises(InputError, match="without a reflection net R has no term in the loss"):
        begin_remover(dataclasses.replace(config, model=dataclasses.replace(config.model, networks="transmission")))


def test_weights_of_the_depth_estimator_are_of_the_run(config: TrainConfig) -> None:
    depth = DepthConfig(weights=Path("midas.pt"))
    guided = dataclasses.replace(config, depth=depth, model=dataclasses.replace(SQUEEZED, depth="pure"))
    assert beginnings(guided) == [Path("midas.pt")]
    assert not beginnings(dataclasses.replace(config, depth=depth))


def test_what_was_learned_elsewhere_learns_at_its_own_rate_from_a_resume_on(config: TrainConfig) -> None:
    config = dataclasses.replace(config, model=SQUEEZED, encoder="random", epochs=1, epoch_images=4)

    def encoders(config: TrainConfig) -> list[torch.Tensor]:
        train(config)
        state = load_remover(config.out / "last.safetensors").state_dict()
        return [value for key, value in state.items() if ".encoder." in key]

    first = encoders(config)
    second = encoders(dataclasses.replace(config, epochs=2, encoder_lr=0.0, resume=True, allow_changes=True))
    assert all(map(torch.equal, first, second))


def test_other_commands_have_no_weights_to_begin_with(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["remove", "a.jpg", "--out", "b", "--weights", "none"])
    assert "unrecognized" in capsys.readouterr().err.lower()

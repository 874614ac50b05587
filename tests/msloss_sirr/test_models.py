"""The remover: any size, identity at birth, one graph from T back to the reflection net; and its checkpoints."""

import json
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from msloss_sirr import InputError, Remover, RemoverConfig, load_remover, save_remover
from msloss_sirr.models.unet import UNet

SMALL = RemoverConfig(channels=(4, 6, 8), patch=2)


def awake(remover: Remover) -> Remover:
    """Give the last layers, which start at zero, something to say."""
    for net in (remover.reflection_net, remover.transmission_net):
        torch.nn.init.normal_(net.out.weight, std=0.1)
    return remover


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 2))
def test_untrained_remover_returns_its_input_at_any_size(height: int, width: int, batch: int) -> None:
    ambient = torch.rand(batch, 3, height, width)
    layers = Remover(SMALL)(ambient)
    assert torch.equal(layers.transmission, ambient)
    assert layers.reflection.shape == ambient.shape


@pytest.mark.parametrize(("channels", "patch"), [((4,), 1), ((4, 6), 1), ((4, 6, 8), 2), ((2, 2, 2, 2, 2), 1)])
def test_unet_of_any_depth(channels: tuple[int, ...], patch: int) -> None:
    net = UNet(5, 2, channels, patch)
    assert net.multiple == patch * 2 ** (len(channels) - 1)
    assert net(torch.rand(1, 5, 33, 47)).shape == (1, 2, 33, 47)


def test_padding_is_the_border_continued() -> None:
    net = UNet(3, 3, SMALL.channels, SMALL.patch)
    torch.nn.init.normal_(net.out.weight)
    image = torch.rand(1, 3, 13, 18)
    padded = torch.nn.functional.pad(image, (0, 6, 0, 3), mode="replicate")
    assert torch.equal(net(image), net(padded)[..., :13, :18])


def test_transmission_loss_reaches_the_reflection_net() -> None:
    remover = awake(Remover(SMALL))
    remover(torch.rand(1, 3, 16, 16)).transmission.sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in remover.reflection_net.parameters())


def test_checkpoint_brings_back_the_remover(tmp_path: Path) -> None:
    remover = awake(Remover(SMALL)).eval()
    save_remover(remover, tmp_path / "a.safetensors", {"psnr": "20"})
    again = load_remover(tmp_path / "a.safetensors")
    assert again.config == SMALL
    assert not again.training
    image = torch.rand(1, 3, 20, 20)
    assert torch.equal(again(image).transmission, remover(image).transmission)


def test_checkpoint_in_half_precision_is_read_as_float32(tmp_path: Path) -> None:
    save_remover(Remover(SMALL).half(), tmp_path / "a.safetensors")
    assert {p.dtype for p in load_remover(tmp_path / "a.safetensors").parameters()} == {torch.float32}


def test_other_files_are_refused(tmp_path: Path) -> None:
    save_file({"weight": torch.zeros(3)}, tmp_path / "other.safetensors")
    (tmp_path / "text.safetensors").write_text("text")
    save_remover(Remover(SMALL), tmp_path / "a.safetensors")
    (tmp_path / "cut.safetensors").write_bytes((tmp_path / "a.safetensors").read_bytes()[:-100])
    about = {"format": "msloss_sirr.remover/1", "config": json.dumps({"channels": [4], "patch": 1, "residual": True})}
    save_file({"weight": torch.zeros(3)}, tmp_path / "misfit.safetensors", about)
    save_file({"weight": torch.zeros(3)}, tmp_path / "bare.safetensors", {"format": about["format"]})
    reasons = {
        "other.safetensors": "holds another model; give a checkpoint that msloss-sirr train wrote",
        "text.safetensors": "is no checkpoint of msloss-sirr, or is damaged",
        "cut.safetensors": "is no checkpoint of msloss-sirr, or is damaged",
        "misfit.safetensors": "does not fit this version of msloss",
        "bare.safetensors": "does not fit this version of msloss",
        "none.safetensors": "does not exist",
    }
    for name, reason in reasons.items():
        with pytest.raises(InputError, match=reason) as caught:
            load_remover(tmp_path / name)
        assert name in str(caught.value)
        assert "\n" not in str(caught.value)


def test_configuration_that_makes_no_network() -> None:
    with pytest.raises(InputError, match="give one or more levels"):
        RemoverConfig(channels=())
    with pytest.raises(InputError, match="all at least 1"):
        RemoverConfig(patch=0)

"""The remover: any size, identity at birth, one graph from T back to the reflection net; and its checkpoints."""

import copy
import dataclasses
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torchvision
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch._subclasses import FakeTensorMode

from msloss_sirr import InputError, Remover, RemoverConfig, load_remover, preset, remove, save_remover
from msloss_sirr.models.compact import CompactNet
from msloss_sirr.models.ensemble import FlipEnsemble, mean_remover
from msloss_sirr.models.squeezenet import SqueezeUNet
from msloss_sirr.models.unet import UNet
from msloss_sirr.training.presets import PRESETS, defaults

from ..conftest import room

SMALL = RemoverConfig(channels=(4, 6, 8), patch=2, blocks=1)
CLASSIC = RemoverConfig(architecture="unet", channels=(4, 6, 8), patch=1, upsampling="transposed")
SQUEEZED = RemoverConfig(architecture="squeezenet", channels=(4, 6, 8))
KINDS = {
    "compact": SMALL,
    "unet": CLASSIC,
    "one network": dataclasses.replace(CLASSIC, networks="transmission"),
    "depth": dataclasses.replace(SMALL, depth="pure"),
    "ranged depth": dataclasses.replace(CLASSIC, depth="ranged"),
    "squeezenet": SQUEEZED,
    "squeezenet with a view": dataclasses.replace(SQUEEZED, view=32, networks="transmission"),
    "one squeezenet, depth": dataclasses.replace(SQUEEZED, networks="transmission", depth="pure"),
    "one network, ranged depth": dataclasses.replace(SMALL, depth="ranged", networks="transmission"),
}


def awake(remover: Remover) -> Remover:
    """Give the last layers, which start at zero, something to say."""
    for net in (remover.reflection_net, remover.transmission_net):
        if net is not None:
            torch.nn.init.normal_(net.out.weight, std=0.1)
    return remover


def depth_for(remover: Remover, ambient: Tensor) -> tuple[Tensor, ...]:
    """Return what a remover is given beside an image."""
    return () if remover.config.depth == "none" else (remover.prepare_depth(100 * ambient.mean(1, keepdim=True)),)


@given(st.sampled_from(sorted(KINDS)), st.integers(1, 40), st.integers(1, 40), st.integers(1, 2))
def test_untrained_remover_returns_its_input_at_any_size(kind: str, height: int, width: int, batch: int) -> None:
    ambient, remover = torch.rand(batch, 3, height, width), Remover(KINDS[kind])
    layers = remover(ambient, *depth_for(remover, ambient))
    assert torch.equal(layers.transmission, ambient)
    assert layers.reflection.shape == ambient.shape


def test_remover_that_is_not_residual_does_not() -> None:
    ambient = torch.rand(1, 3, 16, 16)
    layers = Remover(dataclasses.replace(CLASSIC, residual=False))(ambient)
    assert not torch.allclose(layers.transmission, ambient, atol=0.1)
    assert layers.transmission.any()


def test_classic_unet_is_the_published_one() -> None:
    """Two 3x3 convolutions a level, from 64 to 1024 channels and back, 2x2 up-convolutions, 1x1 at the end."""
    widths = (64, 128, 256, 512, 1024)
    conv = lambda a, b, k: a * b * k * k + b  # noqa: E731
    down = sum(conv(a, b, 3) + conv(b, b, 3) for a, b in zip((1, *widths), widths, strict=False))
    up = sum(conv(2 * a, a, 2) + conv(2 * a, a, 3) + conv(a, a, 3) for a in widths[:-1])
    assert sum(p.numel() for p in UNet(1, 2).parameters()) == down + up + conv(64, 2, 1) == 31_030_658
    kinds = [type(m).__name__ for m in UNet(1, 2).modules() if not list(m.children())]
    assert kinds.count("Conv2d") == 19
    assert kinds.count("ConvTranspose2d") == 4
    assert kinds.count("ReLU") == 18


@pytest.mark.parametrize("norm", ["batch", "instance", "group"])
def test_norms_stand_between_convolution_and_activation(norm: str) -> None:
    net = UNet(3, 3, (8, 16), norm=norm)
    for block in (*net.down, *net.up):
        names = [type(layer).__name__.lower() for layer in block]
        assert [name[:4] for name in names] == ["conv", norm[:4], "relu"] * 2
    assert net(torch.rand(2, 3, 9, 9)).shape == (2, 3, 9, 9)


def test_compact_network_keeps_no_statistics_and_sees_the_whole_picture() -> None:
    net = CompactNet(3, 3, (4, 6), 2, blocks=1).eval()
    assert not list(net.buffers())
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    image = torch.rand(1, 3, 96, 96)
    other = image.clone()
    other[..., -8:, -8:] = 0
    assert (net(image) - net(other))[..., :8, :8].abs().max() > 0
    one, two = net(image), net(torch.cat([image, other]))[:1]
    torch.testing.assert_close(one, two)


def test_paper_networks_and_compact_ones_in_numbers() -> None:
    paper, compact = Remover(PRESETS["paper"].model), Remover(PRESETS["compact"].model)
    count = lambda m: sum(p.numel() for p in m.parameters())  # noqa: E731
    assert paper.reflection_net.down[0][0].in_channels == 4
    assert paper.transmission_net.down[0][0].in_channels == 7
    assert count(compact) <= 6_000_000
    assert count(paper) > 10 * count(compact)


@given(st.integers(0, 2**31), st.integers(1, 6), st.sampled_from(["uniform", "quantile"]))
def test_ranged_depth_against_numpy(seed: int, ranges: int, mode: str) -> None:
    config = dataclasses.replace(SMALL, depth="ranged", ranges=ranges, range_mode=mode)
    depth = torch.rand(2, 1, 5, 7, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 900 - 20
    found = Remover(config).prepare_depth(depth)
    for ours, image in zip(found.numpy(), depth.numpy(), strict=True):
        if mode == "uniform":
            part = (image - image.min()) / (image.max() - image.min())
        else:
            part = np.argsort(np.argsort(image.ravel())).reshape(image.shape) / image.size
        index = np.minimum(np.floor(part * ranges), ranges - 1)
        np.testing.assert_allclose(ours, index / max(ranges - 1, 1))


def test_pure_depth_is_scaled_to_its_own_range() -> None:
    remover = Remover(dataclasses.replace(SMALL, depth="pure"))
    depth = torch.tensor([[2.0, 4.0], [10.0, 6.0]]).view(1, 1, 2, 2)
    assert remover.prepare_depth(depth).flatten().tolist() == [0.0, 0.25, 1.0, 0.5]
    assert not remover.prepare_depth(torch.full((1, 1, 2, 2), 3.0)).any()
    strange = torch.tensor([[torch.nan, 1.0], [torch.inf, -torch.inf]]).view(1, 1, 2, 2)
    assert remover.prepare_depth(strange).flatten().tolist() == [0.0, 0.0, 1.0, 0.0]
    assert remover.prepare_depth(torch.tensor([[-3e38, 0.0], [3e38, 3e38]])[None, None]).flatten().tolist() == [
        0,
        0.5,
        1,
        1,
    ]


def test_depth_changes_the_estimate_and_gets_no_gradient() -> None:
    for kind in ("depth", "ranged depth", "one network, ranged depth"):
        remover, ambient = awake(Remover(KINDS[kind])), torch.rand(1, 3, 16, 16)
        raw = torch.rand(1, 1, 16, 16).requires_grad_()
        depth = remover.prepare_depth(raw)
        assert not depth.requires_grad
        assert not torch.equal(remover(ambient, depth).transmission, remover(ambient, 1 - depth).transmission)


def test_what_does_not_fit_is_refused_in_one_line() -> None:
    plain, guided = Remover(SMALL), Remover(KINDS["depth"])
    image, depth = torch.rand(1, 3, 8, 8), torch.rand(1, 1, 8, 8)
    refused: list[tuple[Callable[[], Any], str]] = [
        (lambda: plain(image[:, :1]), r"ambient is \(1, 1, 8, 8\) .*give \(N, 3, H, W\)"),
        (lambda: plain(image[0, 0]), r"ambient is \(8, 8\)"),
        (lambda: plain.forward([image[0], image[0, :, :4]]), "ambient is no tensor; give pictures of one size"),
        (lambda: guided.eval()(image, 1000 * depth), r"depth goes from .*; give \[0, 1\]"),
        (lambda: guided.eval()(image, depth * torch.nan), "depth holds NaN or infinity"),
        (lambda: plain(image[..., :0]), r"ambient is \(1, 3, 8, 0\)"),
        (lambda: plain.forward((255 * image).byte()), r"of torch.uint8; give .*floating-point, in \[0, 1\]"),
        (lambda: plain(image, depth), "guided by no depth, but was given some"),
        (lambda: guided(image), "guided by depth, as prepare_depth returns it, but was given none"),
        (lambda: guided(image, depth[..., :4]), r"depth is \(1, 1, 8, 4\) but ambient"),
        (lambda: guided.prepare_depth(depth[0]), r"depth has shape \(1, 8, 8\)"),
        (lambda: remove(plain, image[0]), r"photograph is \(3, 8, 8\) of torch.float32; give .* torch.uint8"),
        (lambda: plain.prepare_depth(depth), "guided by no depth; call it with the image alone"),
    ]
    for call, message in refused:
        with pytest.raises(ValueError, match=message) as caught:
            call()
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("channels", "patch"), [((4,), 1), ((4, 6), 1), ((4, 6, 8), 2), ((2, 2, 2, 2, 2), 1)])
def test_unet_of_any_depth_adds_nothing_to_a_picture(channels: tuple[int, ...], patch: int) -> None:
    net, sizes = UNet(5, 2, channels, patch), []
    for block in (*net.down, *net.up):
        block.register_forward_pre_hook(lambda _, given: sizes.append(given[0].shape[2:]))
    assert net(torch.rand(1, 5, 33, 47)).shape == (1, 2, 33, 47)
    sides = [patch * 2**level for level in range(len(channels))]
    down = [(math.ceil(33 / side), math.ceil(47 / side)) for side in sides]
    assert sizes == [*down, *down[-2::-1]]


def test_sides_that_cannot_be_folded_are_continued_by_their_last_pixels() -> None:
    net = UNet(3, 3, (4, 6), 2)
    image = torch.rand(1, 3, 13, 19)
    rows, columns = torch.arange(14).clamp(max=12), torch.arange(20).clamp(max=18)
    assert torch.equal(net(image), net(image[:, :, rows][..., columns])[..., :13, :19])


@pytest.mark.parametrize("architecture", ["unet", "compact"])
def test_a_line_more_changes_nothing_far_from_it(architecture: str) -> None:
    config = RemoverConfig(architecture=architecture, channels=(4, 4, 4), patch=1, blocks=1)  # type: ignore[arg-type]
    net = awake(Remover(config)).double().eval()
    for module in net.modules():
        if getattr(module, "whole", None) is not None:  # what sees the whole picture sees the line, too
            torch.nn.init.zeros_(module.whole.weight)
    image = torch.rand(1, 3, 97, 97, dtype=torch.float64)
    more, less = net(image).transmission, net(image[..., :96, :96]).transmission
    torch.testing.assert_close(more[..., :40, :40], less[..., :40, :40])
    assert not torch.allclose(more[..., 90:96, 90:96], less[..., 90:, 90:])


@pytest.mark.parametrize("kind", ["compact", "unet", "depth", "ranged depth"])
def test_transmission_loss_reaches_the_reflection_net(kind: str) -> None:
    remover, ambient = awake(Remover(KINDS[kind])), torch.rand(1, 3, 32, 32)
    remover(ambient, *depth_for(remover, ambient)).transmission.square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in remover.reflection_net.parameters())


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_checkpoint_brings_back_the_remover(tmp_path: Path, kind: str) -> None:
    remover = awake(Remover(KINDS[kind])).eval()
    save_remover(remover, tmp_path / "a.safetensors", {"psnr": "20"})
    again = load_remover(tmp_path / "a.safetensors")
    assert again.config == KINDS[kind]
    assert not again.training
    image = torch.rand(1, 3, 20, 20)
    depth = depth_for(remover, image)
    assert torch.equal(again(image, *depth).transmission, remover(image, *depth).transmission)


def test_pretrained_is_the_shipped_remover_or_a_file(tmp_path: Path) -> None:
    shipped = Remover.from_pretrained()
    assert not shipped.training
    save_remover(shipped, tmp_path / "a.safetensors")
    image = torch.rand(1, 3, 20, 20)
    again = Remover.from_pretrained(str(tmp_path / "a.safetensors"))
    assert torch.equal(again(image).transmission, shipped(image).transmission)
    assert not torch.equal(again(image).transmission, image)
    with pytest.raises(InputError, match=r"none\.safetensors does not exist"):
        Remover.from_pretrained(tmp_path / "none.safetensors")


LEVELS = [(4, 6, 8), (8, 4, 6, 8), (6, 8, 4, 6, 8)]
"""Channels of squeezenets whose way up leads to a quarter of the size, half, and all of it."""


@pytest.mark.parametrize("channels", LEVELS[:2])
def test_what_squeezenet_unfolds_has_no_grid(channels: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    network = SqueezeUNet(3, channels).eval()  # not silent: its last convolution tells the pixels of a block apart
    with torch.no_grad():
        middle = network(torch.full((1, 3, 640, 640), 0.6))[..., 312:328, 312:328]
        blocks = network.out(torch.rand(1, channels[0], 8, 8)).unflatten(1, (6, -1))
    assert blocks.std(dim=2).mean() > 0.1 * blocks.abs().mean()
    assert middle.abs().mean() > 1e-3
    assert (middle - middle.mean(dim=(2, 3), keepdim=True)).abs().max() < 1e-3 * middle.abs().mean()


@pytest.mark.parametrize("levels", LEVELS)
@pytest.mark.parametrize(("channels", "view"), [(3, 0), (4, 0), (4, 32)])
def test_squeezenet_gives_the_picture_a_gain_and_an_offset(channels: int, view: int, levels: tuple[int, ...]) -> None:
    network, image = SqueezeUNet(channels, levels, view=view).eval(), torch.rand(1, channels, 64, 48)
    offset, gain = torch.arange(6.0).view(2, 3, 1, 1)
    with torch.no_grad():
        network.out.weight.zero_()
        network.out.bias.copy_(torch.arange(6.0).repeat_interleave(len(network.out.bias) // 6))
        torch.testing.assert_close(network(image), image[:, :3] * gain + offset)


@pytest.mark.parametrize("levels", LEVELS)
def test_every_level_of_a_squeezenet_is_told_of_what_is_as_fine(levels: tuple[int, ...]) -> None:
    """Pixels where the last level is, SqueezeNet's features where it has any, and nothing twice."""
    torch.manual_seed(0)
    network, image = SqueezeUNet(4, levels).eval(), torch.rand(1, 4, 64, 96)
    seen: list[torch.Size] = []
    for skip in network.skips:
        skip.register_forward_pre_hook(lambda _, given: seen.append(given[0].shape[1:]))
    assert network(image).shape == (1, 3, 64, 96)
    side = 16 // 2 ** (len(levels) - 1)
    features = {8: 256, 4: 128, 2: 64}
    coarse = [(features[s], 64 // s, 96 // s) for s in (8, 4, 2) if s > side]
    assert seen == [*coarse, (features.get(side, 0) + 4 * side**2, 64 // side, 96 // side)]


@pytest.mark.parametrize("channels", [(4, 6), (1, 2, 3, 4, 5, 6)])
def test_a_squeezenet_has_three_to_five_levels(channels: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"give three to five for a squeezenet"):
        RemoverConfig(architecture="squeezenet", channels=channels)


def test_squeezenet_looks_at_larger_pictures_reduced_and_keeps_their_detail() -> None:
    torch.manual_seed(0)
    small = F.interpolate(torch.rand(1, 3, 6, 9), size=(48, 72), mode="bicubic").clamp(0, 1)
    large = F.interpolate(small, scale_factor=4, mode="bilinear", align_corners=False)
    plain, viewing = SqueezeUNet(3, (4, 6, 8)).eval(), SqueezeUNet(3, (4, 6, 8), view=48).eval()
    viewing.load_state_dict(plain.state_dict())
    with torch.no_grad():
        assert torch.equal(viewing(small), plain(small))
        assert torch.equal(viewing(small[..., :40]), plain(small[..., :40]))
        seen = F.interpolate(viewing(large), size=(48, 72), mode="bilinear", align_corners=False, antialias=True)
        assert (seen - plain(small)).abs().mean() < 0.05 * plain(small).abs().mean()
        viewing.out.weight.zero_()
        viewing.out.bias.copy_(torch.tensor([0.5, -0.5]).repeat_interleave(48))
        torch.testing.assert_close(viewing(large), 0.5 - 0.5 * large)  # at full size


def test_a_view_is_a_mean_and_a_remover_has_that_of_its_configuration() -> None:
    torch.manual_seed(0)
    checked = (torch.arange(128)[:, None] + torch.arange(128)) % 2
    board, grey = (each.float().expand(1, 3, 128, 128) for each in (checked, torch.full((128, 128), 0.5)))
    plain = SqueezeUNet(3, (4, 6, 8)).eval()
    viewing = Remover(KINDS["squeezenet with a view"]).eval().transmission_net
    viewing.load_state_dict(plain.state_dict())
    with torch.no_grad():
        viewing.out.weight[48:], viewing.out.bias[48:] = 0, 0  # no gain
        torch.testing.assert_close(viewing(board), viewing(grey), atol=2e-2, rtol=0)
        assert (plain(board) - plain(grey)).abs().mean() > 5e-2


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_a_view_is_of_the_type_of_the_picture(dtype: torch.dtype) -> None:
    remover = Remover(KINDS["squeezenet with a view"]).to(dtype).eval()
    image = torch.rand(1, 3, 50, 40).to(dtype)
    assert torch.equal(remover(image).transmission, image)


@pytest.mark.parametrize(("channels", "block"), list(zip(LEVELS, (4, 2, 1), strict=True)))
def test_squeezenet_smooths_about_each_pixel(channels: tuple[int, ...], block: int) -> None:
    network, pattern = SqueezeUNet(3, channels).eval(), torch.rand(1, 6, 64, 48)
    network.out = Mock(spec=nn.Module, side_effect=lambda _: F.pixel_unshuffle(pattern, block))
    image = torch.full((1, 3, 64, 48), 0.5)
    smoothed = network(image)
    pattern = pattern.flip(-1, -2)
    torch.testing.assert_close(network(image), smoothed.flip(-1, -2))


def test_squeezenet_knows_the_whole_picture_everywhere() -> None:
    torch.manual_seed(0)
    network, image = SqueezeUNet(3, (4, 6, 8)).eval(), torch.rand(1, 3, 32, 800)
    other = torch.cat([image[..., :400] / 2, image[..., 400:]], dim=-1)
    with torch.no_grad():
        found, changed = network(image)[..., 700:], network(other)[..., 700:]
        assert (found - changed).abs().mean() > 1e-3 * found.abs().mean()
        network.whole.weight.zero_()  # the rest is too far away
        torch.testing.assert_close(network(image)[..., 700:], network(other)[..., 700:])


@pytest.mark.parametrize("channels", LEVELS)
def test_squeezenet_continues_pictures_by_their_border(channels: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    network, image = SqueezeUNet(3, channels).eval(), torch.rand(1, 3, 50, 41)
    with torch.no_grad():
        network.whole.weight.zero_()  # what is continued counts nothing in the mean
        continued = network(F.pad(image, (0, 7, 0, 14), mode="replicate"))[..., :50, :41]
        torch.testing.assert_close(network(image), continued)


SIZES = [(128, 16, 24), (256, 8, 12), (512, 4, 6)]


def test_squeezenet_is_torchvisions_looked_at_where_the_pixels_are() -> None:
    torch.manual_seed(0)
    network, image = SqueezeUNet(3, silent=False).eval(), torch.rand(1, 3, 64, 96)
    state = network.encoder.state_dict()
    features = torchvision.models.squeezenet1_1(weights=None).features
    assert state.keys() == features.state_dict().keys()
    features.load_state_dict(state)
    ours = network.encoder[:2](network.normalise(image))
    theirs = features[:2](F.pad(network.normalise(image), (1, 1, 1, 1), mode="replicate"))[..., :32, :48]
    torch.testing.assert_close(ours, theirs)
    for number, width in ((3, 64), (7, 256), (12, 512)):
        seen = torch.rand(1, width, 8, 9)
        torch.testing.assert_close(network.encoder[number](seen), features[number](seen))
    assert [tuple(network.encoder[: end + 1](image).shape[1:]) for end in (4, 7, 12)] == SIZES


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_flip_ensemble_is_the_mean_of_two_and_turns_with_the_photograph(kind: str) -> None:
    remover, image = awake(Remover(KINDS[kind])).eval(), torch.rand(2, 3, 17, 22)
    depth, ensemble = depth_for(remover, image), FlipEnsemble(remover)
    estimate = ensemble(image, *depth)
    there, back = remover(image, *depth), remover(image.flip(-1), *(d.flip(-1) for d in depth))
    for found, one, other in zip(estimate, there, back, strict=True):
        torch.testing.assert_close(found, (one + other.flip(-1)) / 2)
        assert not torch.allclose(found, one)
    turned = ensemble(image.flip(-1), *(d.flip(-1) for d in depth))
    torch.testing.assert_close(turned.transmission.flip(-1), estimate.transmission)


def test_mean_remover_is_between() -> None:
    one, two = awake(Remover(SQUEEZED)), awake(Remover(SQUEEZED))
    before = copy.deepcopy(one.state_dict()), torch.get_rng_state()
    mean = mean_remover({one: 3.0, two: 1.0})
    assert (mean.config, mean.training, one.training) == (SQUEEZED, False, True)
    assert torch.equal(torch.get_rng_state(), before[1])
    assert all(torch.equal(value, before[0][name]) for name, value in one.state_dict().items())
    for a, b, found in zip(one.parameters(), two.parameters(), mean.parameters(), strict=True):
        torch.testing.assert_close(found, 0.75 * a + 0.25 * b)
    nothing = [{one: share} for share in (0.0, -1.0, math.inf, math.nan)]
    for removers in ({}, {one: 1.0, Remover(SMALL): 1.0}, *nothing):
        with pytest.raises(ValueError, match="give removers of one configuration"):
            mean_remover(removers)


def test_checkpoint_in_half_precision_is_read_as_float32(tmp_path: Path) -> None:
    save_remover(Remover(SMALL).half(), tmp_path / "a.safetensors")
    assert {p.dtype for p in load_remover(tmp_path / "a.safetensors").parameters()} == {torch.float32}


def test_a_full_disk_leaves_the_checkpoint_before(tmp_path: Path) -> None:
    save_remover(Remover(SMALL), tmp_path / "a.safetensors")
    before = (tmp_path / "a.safetensors").read_bytes()
    with room(1000), pytest.raises(OSError, match=r"File too large: '.*a\.safetensors'$"):
        save_remover(Remover(CLASSIC), tmp_path / "a.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


def test_other_files_are_refused(tmp_path: Path) -> None:
    save_file({"weight": torch.zeros(3)}, tmp_path / "other.safetensors")
    (tmp_path / "text.safetensors").write_text("text")
    save_remover(Remover(SMALL), tmp_path / "a.safetensors")
    (tmp_path / "cut.safetensors").write_bytes((tmp_path / "a.safetensors").read_bytes()[:-100])
    about = {"format": "msloss_sirr.remover/1", "config": json.dumps({"channels": [4], "patch": 1, "residual": True})}
    save_file({"weight": torch.zeros(3)}, tmp_path / "misfit.safetensors", about)
    broken = Remover(SMALL)
    broken.transmission_net.out.bias.data.fill_(torch.nan)
    save_remover(broken, tmp_path / "nan.safetensors")
    save_file({"weight": torch.zeros(3)}, tmp_path / "bare.safetensors", {"format": about["format"]})
    reasons = {
        "other.safetensors": "holds another model; give a checkpoint that msloss-sirr train wrote",
        "text.safetensors": "is no checkpoint of msloss-sirr, or is damaged",
        "cut.safetensors": "is no checkpoint of msloss-sirr, or is damaged",
        "misfit.safetensors": r"holds no remover of this version of msloss: \w+_net\.\S+ is missing",
        "nan.safetensors": r"out\.bias holds NaN or infinity",
        "bare.safetensors": "does not fit this version of msloss",
        "none.safetensors": "does not exist",
    }
    for name, reason in reasons.items():
        with pytest.raises(InputError, match=reason) as caught:
            load_remover(tmp_path / name)
        assert name in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("spoil", "seen"),
    [
        (lambda image: image * 255, "ambient goes from .* to 2"),
        (lambda image: image * 20, "ambient goes from .* to (19|20)"),  # a dark picture in bytes
        (lambda image: image.index_fill(3, torch.tensor(2), torch.nan), "ambient holds NaN or infinity; give"),
        (lambda image: image.index_fill(3, torch.tensor(2), -torch.inf), "ambient holds NaN or infinity; give"),
        (lambda image: image.half() - 1e4, "ambient goes from -10000 to"),
    ],
)
def test_image_on_another_scale_is_refused_where_the_remover_is_used(
    spoil: Callable[[Tensor], Tensor], seen: str
) -> None:
    remover, image = Remover(SMALL), spoil(torch.rand(2, 3, 9, 9) + 0.01)
    with pytest.raises(ValueError, match=seen) as caught:
        remover.eval()(image)
    assert "\n" not in str(caught.value)
    remover.train().to(image.dtype)(image)  # in training, numbers are the business of whoever trains


def test_what_a_later_step_leaves_is_not_refused() -> None:
    image = torch.rand(1, 3, 9, 9) * 3 - 1
    assert torch.equal(Remover(SMALL).eval()(image).transmission, image)


@pytest.mark.parametrize("kind", ["compact", "squeezenet", "squeezenet with a view", "one squeezenet, depth"])
def test_remover_is_exported_and_traced_whole(kind: str) -> None:
    """No decision depends on the numbers of the picture while operations are being recorded."""
    side = 48 if KINDS[kind].view else 16
    remover, image, other = awake(Remover(KINDS[kind])).eval(), *torch.rand(2, 1, 3, side, side)
    given, others = ((each, *depth_for(remover, each)) for each in (image, other))
    expected = remover(*others).transmission
    exported = torch.export.export(remover, given).module()
    assert torch.equal(exported(*others).transmission, expected)
    compiled = torch.compile(remover, backend="eager", fullgraph=True)
    assert torch.equal(compiled(*others).transmission, expected)
    on_meta = [each.to("meta") for each in given]
    assert Remover(KINDS[kind]).to("meta").eval()(*on_meta).transmission.is_meta


def test_configuration_that_makes_no_network() -> None:
    with pytest.raises(InputError, match="give one to 10 levels"):
        RemoverConfig(channels=())
    with pytest.raises(InputError, match="give one to 10 levels"):
        RemoverConfig(channels=(2,) * 11)
    with pytest.raises(InputError, match="at most 100 blocks"):
        RemoverConfig(blocks=101)
    with pytest.raises(InputError, match="give at least 1"):
        RemoverConfig(blocks=0)
    for changes in ({"view": 224}, {"view": 8, "architecture": "squeezenet", "channels": (4, 6, 8)}):
        with pytest.raises(InputError, match="give squeezenets 32 pixels or more, other networks 0"):
            RemoverConfig(**changes)
    with pytest.raises(InputError, match="compact networks take none"):
        RemoverConfig(norm="batch")
    with pytest.raises(InputError, match="all at least 1"):
        RemoverConfig(patch=0)
    with pytest.raises(InputError, match="give at least 1"):
        RemoverConfig(ranges=0)
    with pytest.raises(InputError, match="give multiples of 8"):
        RemoverConfig(architecture="unet", channels=(4, 8), norm="group")


@pytest.mark.parametrize(
    ("field", "value", "wanted"),
    [
        ("architecture", "unet3", "give one of 'unet', 'compact'"),
        ("networks", "one", "give one of 'both', 'transmission'"),
        ("depth", "range", "give one of 'none', 'pure', 'ranged'"),
        ("range_mode", "fixed", "give one of 'uniform', 'quantile'"),
        ("norm", "layer", "give one of 'none', 'batch', 'instance', 'group'"),
        ("upsampling", "nearest", "give one of 'bilinear', 'transposed'"),
        ("residual", "false", "give True or False"),
        ("patch", 2.0, "give a whole number"),
        ("ranges", "4", "give a whole number"),
        ("channels", (8.0, 16.0), "give whole numbers"),
    ],
)
def test_fields_are_what_they_are_typed_as(tmp_path: Path, field: str, value: Any, wanted: str) -> None:
    """A checkpoint of a later version is refused, not misread."""
    with pytest.raises(InputError, match=f"{field} is .*; {wanted}"):
        RemoverConfig(**{field: value})
    remover = Remover(SMALL)
    config = json.dumps({**dataclasses.asdict(SMALL), field: value})
    about = {"format": "msloss_sirr.remover/1", "config": config}
    save_file(dict(remover.state_dict()), tmp_path / "later.safetensors", about)
    with pytest.raises(InputError, match=f"does not fit this version of msloss: {field} is"):
        load_remover(tmp_path / "later.safetensors")


def test_notes_and_any_layout_are_saved(tmp_path: Path) -> None:
    remover = awake(Remover(CLASSIC)).to(memory_format=torch.channels_last)
    save_remover(remover, tmp_path / "a.safetensors", {"psnr": "20"})
    with safe_open(tmp_path / "a.safetensors", framework="pt") as file:
        assert file.metadata()["psnr"] == "20"
    again = load_remover(tmp_path / "a.safetensors")
    assert all(torch.equal(a, b) for a, b in zip(again.parameters(), remover.parameters(), strict=True))


def test_batch_norm_comes_back_with_its_statistics(tmp_path: Path) -> None:
    remover = Remover(dataclasses.replace(CLASSIC, norm="batch"))
    remover(torch.rand(2, 3, 16, 16))
    save_remover(remover, tmp_path / "a.safetensors")
    again = load_remover(tmp_path / "a.safetensors").state_dict()
    for name, tensor in remover.state_dict().items():
        assert torch.equal(again[name], tensor)
        assert again[name].dtype == tensor.dtype


def test_the_numbers_of_a_picture_are_not_looked_at_where_there_are_none() -> None:
    remover = awake(Remover(SMALL)).eval()
    images = torch.rand(2, 1, 3, 16, 16)
    each = torch.func.vmap(lambda image: remover(image).transmission)(images)
    torch.testing.assert_close(each, torch.stack([remover(image).transmission for image in images]))
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        assert remover(mode.from_tensor(images[0])).transmission.shape == (1, 3, 16, 16)


def test_the_paper_preset_is_section_four_of_the_paper(tmp_path: Path) -> None:
    config = preset("paper", val=tmp_path, out=tmp_path / "run", photos=tmp_path)
    told = dataclasses.asdict(config)
    assert (told["batch"], told["epochs"], told["lr"]) == (1, 100, 1e-4)
    assert (told["steps"], config.first_steps, told["data"]["crop"], told["precision"]) == (3, 2, 336, "float32")
    assert told["model"] == {
        "architecture": "unet",
        "networks": "both",
        "depth": "ranged",
        "ranges": 4,
        "range_mode": "uniform",
        "channels": (64, 128, 256, 512, 1024),
        "patch": 1,
        "residual": False,
        "norm": "none",
        "upsampling": "transposed",
        "blocks": 2,
        "view": 0,
    }
    assert told["depth"] == {"source": "midas", "weights": None}
    assert told["loss"] == {
        "measure": "mse",
        "transmission": 1.0,
        "reflection": 1.0,
        "reflection_target": "first",
        "gradient": 1.0,
        "feature": 1.0,
        "backbone": "vgg19",
        "weights": None,
        "tolerance": 0,
        "over_steps": "sum",
        "gamma": 0.8,
        "scale": 1.0,
    }
    for words in (["train", "--preset", "paper"], ["--preset=paper", "--lr", "1"]):
        options = dataclasses.asdict(defaults(words))
        assert (options.pop("preset"), options.pop("config")) == ("paper", None)
        assert {**options, "val": 0, "out": 0} == {**told, "val": 0, "out": 0, "data": {**told["data"], "photos": ()}}
    assert defaults(["train", "--preset"]).preset == defaults([]).preset == "compact"
    with pytest.raises(InputError, match="there is no preset 'papers'; give one of compact, paper, shipped"):
        preset("papers", val=tmp_path, out=tmp_path)


@pytest.mark.parametrize("depth", ["none", "pure", "ranged"])
def test_compact_networks_stay_within_six_million_weights(depth: Any) -> None:
    config = dataclasses.replace(PRESETS["compact"].model, depth=depth)
    assert sum(parameter.numel() for parameter in Remover(config).parameters()) < 6_000_000


@pytest.mark.parametrize("depth", ["pure", "ranged"])
def test_depth_of_each_picture_is_prepared_by_itself(depth: Any) -> None:
    remover = Remover(dataclasses.replace(SMALL, depth=depth))
    one, two = torch.rand(1, 1, 5, 7), 300 + 40 * torch.rand(1, 1, 5, 7)
    together = remover.prepare_depth(torch.cat([one, two]))
    assert torch.equal(together, torch.cat([remover.prepare_depth(one), remover.prepare_depth(two)]))
    assert together.amin((1, 2, 3)).tolist() == [0.0, 0.0]
    assert together.amax((1, 2, 3)).tolist() == [1.0, 1.0]


@pytest.mark.parametrize("depth", ["none", "ranged"])
def test_networks_are_given_channels_last(depth: Any) -> None:
    remover = Remover(RemoverConfig(channels=(4, 4), depth=depth))
    seen = []
    for net in (remover.reflection_net, remover.transmission_net):
        assert net is not None
        net.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    remover(torch.rand(2, 3, 16, 24), *([torch.rand(2, 1, 16, 24)] if depth == "ranged" else []))
    assert len(seen) == 2
    assert all(each.is_contiguous(memory_format=torch.channels_last) for each in seen)

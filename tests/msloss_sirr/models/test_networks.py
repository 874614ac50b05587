"""The networks against their arithmetic, written out from the weights by their names in a checkpoint."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from msloss_sirr import Remover, RemoverConfig
from msloss_sirr.models.compact import CompactNet
from msloss_sirr.models.unet import UNet

State = Mapping[str, Tensor]


def spread(module: nn.Module) -> nn.Module:
    """Give every weight a part in the result, and no normalisation the identity for its scale."""
    torch.manual_seed(0)
    for name, parameter in module.named_parameters():
        if parameter.dim() > 1:
            nn.init.normal_(parameter, std=1.2 / parameter[0].numel() ** 0.5)
        else:
            nn.init.uniform_(parameter, *((0.5, 1.5) if name.endswith("weight") else (-0.3, 0.3)))
    return module


def conv(w: State, name: str, x: Tensor, **options: Any) -> Tensor:
    return F.conv2d(x, w[f"{name}.weight"], w.get(f"{name}.bias"), **options)


def continued(x: Tensor, multiple: int, least: int = 0) -> Tensor:
    """Continue a picture downwards and to the right by its last pixels, to a multiple."""
    height, width = (max(-(-side // multiple) * multiple, least) for side in x.shape[2:])
    rows, columns = torch.arange(height).clamp(max=x.shape[2] - 1), torch.arange(width).clamp(max=x.shape[3] - 1)
    return x[:, :, rows][..., columns]


def normalised(w: State, name: str, x: Tensor, norm: str) -> Tensor:
    scale, shift = (w[f"{name}.{part}"].view(1, -1, 1, 1) for part in ("weight", "bias"))
    groups = {"batch": x.transpose(0, 1).flatten(1), "instance": x.flatten(2), "group": x.unflatten(1, (8, -1))}[norm]
    if norm == "batch":
        mean, deviation = (m.view(1, -1, 1, 1) for m in (groups.mean(1), groups.var(1, correction=0)))
        return (x - mean) / (deviation + 1e-5).sqrt() * scale + shift
    dims = (2,) if norm == "instance" else (2, 3, 4)
    whole = (groups - groups.mean(dims, keepdim=True)) / (groups.var(dims, correction=0, keepdim=True) + 1e-5).sqrt()
    return whole.reshape(x.shape) * scale + shift


def unet(w: State, x: Tensor, levels: int, patch: int, norm: str, upsampling: str) -> Tensor:
    def block(name: str, h: Tensor) -> Tensor:
        layers = 2 if norm == "none" else 3
        for layer in (0, layers):
            h = conv(w, f"{name}.{layer}", h, padding=1)
            h = h if norm == "none" else normalised(w, f"{name}.{layer + 1}", h, norm)
            h = h.clamp(min=0)
        return h

    height, width = x.shape[2:]
    h = F.pixel_unshuffle(continued(x, patch, 1 if norm == "none" else patch * 2**levels), patch)
    seen = [block("down.0", h)]
    for level in range(1, levels):
        a = F.pad(seen[-1], (0, seen[-1].shape[3] % 2, 0, seen[-1].shape[2] % 2), value=-torch.inf)
        largest = torch.stack([a[..., i::2, j::2] for i in (0, 1) for j in (0, 1)]).amax(0)
        seen.append(block(f"down.{level}", largest))
    h = seen.pop()
    for number, level in enumerate(reversed(range(levels - 1))):
        if upsampling == "transposed":
            h = F.conv_transpose2d(h, w[f"narrow.{level}.weight"], w[f"narrow.{level}.bias"], stride=2)
        else:
            h = conv(w, f"narrow.{level}", h)
            h = F.interpolate(h, (2 * h.shape[2], 2 * h.shape[3]), mode="bilinear", align_corners=False)
        skip = seen[-1 - number]
        h = block(f"up.{level}", torch.cat([skip, h[..., : skip.shape[2], : skip.shape[3]]], dim=1))
    return F.pixel_shuffle(conv(w, "out", h), patch)[..., :height, :width]


def compact(w: State, x: Tensor, levels: int, patch: int, blocks: int) -> Tensor:
    def normal(name: str, h: Tensor) -> Tensor:
        mean, variance = h.mean(1, keepdim=True), h.var(1, correction=0, keepdim=True)
        scale, shift = (w[f"{name}.{part}"].view(1, -1, 1, 1) for part in ("weight", "bias"))
        return (h - mean) / (variance + 1e-5).sqrt() * scale + shift

    def gated(h: Tensor) -> Tensor:
        return h[:, : h.shape[1] // 2] * h[:, h.shape[1] // 2 :]

    def block(name: str, h: Tensor) -> Tensor:
        a = conv(w, f"{name}.spread", normal(f"{name}.before", h))
        a = gated(conv(w, f"{name}.across", a, padding=1, groups=a.shape[1]))
        if f"{name}.whole.weight" in w:
            each = a.repeat_interleave(multiple, 2).repeat_interleave(multiple, 3)[..., :height, :width]
            a = a * conv(w, f"{name}.whole", each.mean((2, 3), keepdim=True))  # of the picture, not of the padding
        h = h + conv(w, f"{name}.gather", a)
        return h + conv(w, f"{name}.mix", gated(conv(w, f"{name}.widen", normal(f"{name}.between", h))))

    (height, width), multiple = x.shape[2:], patch * 2 ** (levels - 1)
    h = conv(w, "enter", F.pixel_unshuffle(continued(x, multiple), patch), padding=1)
    seen = []
    for level in range(levels - 1):
        for number in range(blocks):
            h = block(f"down.{level}.{number}", h)
        seen.append(h)
        h = conv(w, f"halve.{level}", h, stride=2)
    for number in range(2 * blocks):
        h = block(f"lowest.{number}", h)
    assert f"lowest.{2 * blocks}.spread.weight" not in w
    for level in reversed(range(levels - 1)):
        h = F.pixel_shuffle(conv(w, f"enlarge.{level}.0", h), 2) + seen[level]
        for number in range(blocks):
            h = block(f"up.{level}.{number}", h)
    return F.pixel_shuffle(conv(w, "out", h, padding=1), patch)[..., :height, :width]


@pytest.mark.parametrize("upsampling", ["bilinear", "transposed"])
@pytest.mark.parametrize("norm", ["none", "batch", "instance", "group"])
def test_unet_computes_what_is_written_out(norm: str, upsampling: str) -> None:
    net = spread(UNet(4, 3, (8, 16, 24), 2, norm=norm, upsampling=upsampling)).double()
    x = torch.rand(2, 4, 21, 34, dtype=torch.float64)
    torch.testing.assert_close(net(x), unet(net.state_dict(), x, 3, 2, norm, upsampling), rtol=1e-9, atol=1e-9)
    if norm in ("instance", "group"):
        assert not list(net.buffers())  # no statistics of batches
        torch.testing.assert_close(net.eval()(x[:1]), net(x)[:1])


@pytest.mark.parametrize("blocks", [1, 2])
def test_compact_network_computes_what_is_written_out(blocks: int) -> None:
    net = spread(CompactNet(4, 3, (4, 6, 10), 2, blocks)).double()
    x = torch.rand(2, 4, 21, 34, dtype=torch.float64)
    torch.testing.assert_close(net(x), compact(net.state_dict(), x, 3, 2, blocks), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("norm", ["instance", "group", "batch"])
@pytest.mark.parametrize("size", [(1, 1), (7, 5), (16, 16)])
def test_normalised_unet_takes_pictures_smaller_than_its_stride(norm: str, size: tuple[int, int]) -> None:
    net = UNet(3, 3, (8, 8, 8, 8, 8), norm=norm)
    for mode in (True, False):
        assert net.train(mode)(torch.rand(1, 3, *size)).isfinite().all()


@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize("depth", ["none", "ranged"])
@pytest.mark.parametrize("networks", ["both", "transmission"])
@pytest.mark.parametrize(
    "options",
    [
        {"architecture": "compact", "blocks": 2, "patch": 2},
        {"architecture": "compact", "blocks": 1, "patch": 1},
        {"architecture": "unet", "norm": "group", "upsampling": "bilinear"},
        {"architecture": "unet", "norm": "instance", "upsampling": "transposed", "patch": 1},
    ],
)
def test_remover_computes_what_is_written_out(options: Any, networks: Any, depth: Any, residual: bool) -> None:
    """R from I and D, T from I, R and D, in this order, as figure 2 of the paper has it."""
    config = RemoverConfig(networks=networks, depth=depth, residual=residual, channels=(8, 16), **options)
    remover = spread(Remover(config)).double()
    image = torch.rand(1, 3, 14, 19, dtype=torch.float64)
    guide = () if depth == "none" else (remover.prepare_depth(torch.rand(1, 1, 14, 19, dtype=torch.float64)),)

    def net(name: str, *given: Tensor) -> Tensor:
        w = {key.removeprefix(f"{name}."): value for key, value in remover.state_dict().items() if key.startswith(name)}
        x = torch.cat(given, dim=1)
        if config.architecture == "compact":
            return compact(w, x, 2, config.patch, config.blocks)
        return unet(w, x, 2, config.patch, config.norm, config.upsampling)

    if networks == "both":
        reflection = net("reflection_net", image, *guide)
        out = net("transmission_net", image, reflection, *guide)
        transmission = image + out if residual else out
    else:
        out = net("transmission_net", image, *guide)
        transmission = image + out if residual else out
        reflection = image - transmission
    found = remover(image, *guide)
    torch.testing.assert_close(found.transmission, transmission, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(found.reflection, reflection, rtol=1e-9, atol=1e-9)


def test_gradient_reaches_the_ambient_image_by_every_way() -> None:
    """Through T as it is put, through R, and through the transmission net: steps before this one learn from all."""
    remover = spread(Remover(RemoverConfig(architecture="unet", channels=(4, 6), patch=1))).double()
    image = torch.rand(1, 3, 4, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: tuple(remover(x)), image)


def test_weights_of_the_unet_begin_as_he_et_al_have_them() -> None:
    torch.manual_seed(0)
    net = UNet(64, 3, (64, 128), norm="batch")
    for name, parameter in net.named_parameters():
        if parameter.dim() == 4:
            inputs = parameter[0].numel()
            assert float(parameter.detach().std()) == pytest.approx((2 / inputs) ** 0.5, rel=0.1), name
        elif name.endswith("bias"):
            assert not parameter.any()


def test_depth_is_prepared_without_a_gradient_and_given_in_the_type_of_the_image() -> None:
    remover = Remover(RemoverConfig(architecture="unet", channels=(4,), patch=1, depth="pure"))
    prepared = remover.prepare_depth(torch.rand(1, 1, 6, 6, requires_grad=True))
    assert not prepared.requires_grad
    half = remover.to(torch.bfloat16)(torch.rand(1, 3, 6, 6, dtype=torch.bfloat16), prepared)
    assert half.transmission.dtype == torch.bfloat16
    with pytest.raises(ValueError, match="give \\(N, 1, H, W\\)"):
        remover(torch.rand(2, 3, 6, 6), prepared)


def test_the_defaults_are_the_networks_of_the_compact_preset() -> None:
    """What a checkpoint without these fields would mean, and what the documentation counts."""
    assert dataclasses.asdict(RemoverConfig()) == {
        "architecture": "compact",
        "networks": "both",
        "depth": "none",
        "ranges": 4,
        "range_mode": "uniform",
        "channels": (32, 64, 128, 256),
        "patch": 2,
        "residual": True,
        "norm": "none",
        "upsampling": "bilinear",
        "blocks": 2,
        "view": 0,
    }
    assert sum(parameter.numel() for parameter in Remover().parameters()) == 5_525_848

"""RefGAN's networks against their arithmetic, written out from the weights by their names in a checkpoint."""

from collections.abc import Callable, Mapping

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from msloss_sirr.refgan.config import RefganConfig
from msloss_sirr.refgan.discriminator import PatchDiscriminator
from msloss_sirr.refgan.generator import Generator

from ..models.test_networks import spread

State = Mapping[str, Tensor]


def normalised(w: State, name: str, x: Tensor) -> Tensor:
    mean, variance = x.mean((2, 3), keepdim=True), x.var((2, 3), correction=0, keepdim=True)
    scale, shift = (w[f"{name}.{part}"].view(1, -1, 1, 1) for part in ("weight", "bias"))
    return (x - mean) / (variance + 1e-5).sqrt() * scale + shift


def leaky(x: Tensor) -> Tensor:
    return x.clamp(min=0) + 0.2 * x.clamp(max=0)


def mirrored(x: Tensor, multiple: int) -> Tensor:
    """Continue a picture downwards and to the right as in a mirror at its border."""
    height, width = (-(-side // multiple) * multiple for side in x.shape[2:])
    twice = torch.cat([x, x.flip(2)], dim=2)[:, :, :height]
    return torch.cat([twice, twice.flip(3)], dim=3)[..., :width]


def generated(w: State, transmission: Tensor, style: Tensor, levels: int, *, residual: bool) -> Tensor:
    (height, width), x = transmission.shape[2:], 2 * torch.cat([transmission, style], dim=1) - 1
    x = mirrored(x, 2**levels)
    seen = [F.conv2d(x, w["enter.weight"], w["enter.bias"], stride=2, padding=1)]
    for level in range(levels - 1):
        h = F.conv2d(leaky(seen[-1]), w[f"down.{level}.1.weight"], stride=2, padding=1)
        seen.append(h if level == levels - 2 else normalised(w, f"down.{level}.2", h))
    h = seen.pop()
    for level in range(levels - 1):
        h = F.conv_transpose2d(h.clamp(min=0), w[f"up.{level}.1.weight"], stride=2, padding=1)
        h = torch.cat([seen.pop(), normalised(w, f"up.{level}.2", h)], dim=1)
    h = F.conv_transpose2d(h.clamp(min=0), w["leave.1.weight"], w["leave.1.bias"], stride=2, padding=1)
    made = h.tanh()[..., :height, :width]
    return (transmission + made).clamp(0, 1) if residual else (made + 1) / 2


@pytest.mark.parametrize("residual", [False, True])
def test_generator_computes_what_is_written_out(residual: bool) -> None:
    generator = spread(Generator(RefganConfig(style="reference", width=4, levels=4, residual=residual))).double().eval()
    transmission, style = torch.rand(2, 2, 3, 37, 50, dtype=torch.float64)
    expected = generated(generator.state_dict(), transmission, style, 4, residual=residual)
    torch.testing.assert_close(generator(transmission, style), expected, rtol=1e-9, atol=1e-9)


def test_discriminator_computes_what_is_written_out() -> None:
    discriminator = spread(PatchDiscriminator(4)).double()
    w = discriminator.state_dict()
    transmission, ambient = torch.rand(2, 2, 3, 70, 81, dtype=torch.float64)
    h = leaky(F.conv2d(2 * torch.cat([transmission, ambient], 1) - 1, w["layers.0.weight"], w["layers.0.bias"], 2, 1))
    for number, stride in ((2, 2), (5, 2), (8, 1)):
        h = F.conv2d(h, w[f"layers.{number}.weight"], None, stride, 1)
        h = leaky(normalised(w, f"layers.{number + 1}", h))
    expected = F.conv2d(h, w["layers.11.weight"], w["layers.11.bias"], 1, 1)
    torch.testing.assert_close(discriminator(transmission, ambient), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("make", [lambda: Generator(RefganConfig(width=32, levels=5)), lambda: PatchDiscriminator(32)])
def test_weights_begin_as_published(make: Callable[[], nn.Module]) -> None:
    torch.manual_seed(0)
    for name, weights in make().state_dict().items():
        if name.endswith("bias"):
            assert not weights.any()
        elif weights.dim() > 1:
            assert float(weights.std()) == pytest.approx(0.02, rel=0.1)
            assert abs(float(weights.mean())) < 0.002
        else:
            assert float(weights.mean()) == pytest.approx(1.0, abs=0.02)
            assert 0.01 < float(weights.std()) < 0.03

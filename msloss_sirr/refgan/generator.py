"""The generator of pix2pix: from a photograph to the same behind a reflection."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from msloss_sirr.refgan.config import RefganConfig

STYLE_CHANNELS = {"none": 0, "noise": 3, "reference": 3}
"""Channels that each kind of style has."""
_DROPPED = 3


class Generator(nn.Module):
    """A U-Net of 4x4 convolutions of stride 2, from T ``(N, 3, H, W)`` and a style to I, both in [0, 1].

    On the way down LeakyReLU of slope 0.2, on the way up ReLU, with skips between; channels double from ``width`` to
    eight times that; dropout behind the first three levels on the way up; tanh at the end. Every convolution but the
    first, the lowest on the way down and the last has a norm. Weights begin normally distributed, with a deviation of
    0.02. With ``config.residual``, what comes out of the tanh is added to T, and the sum cut to [0, 1].

    Published is batch normalisation by the statistics of the batch, in tests too, on batches of one picture. That is
    instance normalisation, which is what this has: the same numbers, and those of a picture do not depend on what else
    is in its batch. Likewise dropout stays on where the publication leaves it on: see `generate`.

    Sides that are no multiple of ``2 ** levels`` are continued by reflection for the computation, and cut again.

    Args:
        config: what it is made of.

    Source: Isola et al., "Image-to-Image Translation with Conditional Adversarial Networks", CVPR 2017.
    """

    def __init__(self, config: RefganConfig | None = None) -> None:
        super().__init__()
        self.config = config or RefganConfig()
        widths = [self.config.width * min(2**level, 8) for level in range(self.config.levels)]
        inputs = 3 + STYLE_CHANNELS[self.config.style]
        self.multiple = 2**self.config.levels
        self.enter = nn.Conv2d(inputs, widths[0], 4, 2, 1)
        last = len(widths) - 2
        self.down = nn.ModuleList(
            _down(above, here, norm=level < last) for level, (above, here) in enumerate(pairwise(widths))
        )
        self.up = nn.ModuleList(
            _up(below if level == 0 else 2 * below, here, self.config.dropout if level < _DROPPED else 0.0)
            for level, (below, here) in enumerate(pairwise(reversed(widths)))
        )
        self.leave = nn.Sequential(nn.ReLU(), nn.ConvTranspose2d(2 * widths[0], 3, 4, 2, 1), nn.Tanh())
        begin(self)

    def forward(self, transmission: Tensor, style: Tensor | None = None) -> Tensor:
        """Return I.

        Args:
            transmission: ``(N, 3, H, W)``, RGB, sRGB-encoded, [0, 1].
            style: ``(N, 3, H, W)``, unless ``config.style`` is ``"none"``: of ``"reference"`` a reflection on black,
                sRGB-encoded, [0, 1]; of ``"noise"``, what `smooth_noise` returns.

        Raises:
            ValueError: if a style is missing, or is given and not used.
        """
        if (style is None) != (self.config.style == "none"):
            given = "none" if style is None else f"one of shape {tuple(style.shape)}"
            raise ValueError(f"this generator's style is {self.config.style!r}, but {given} was given")
        height, width = transmission.shape[-2:]
        seen = [2 * transmission - 1]
        if style is not None:
            seen.append(2 * style - 1 if self.config.style == "reference" else style)
        h = self.enter(_continued(torch.cat(seen, dim=1), self.multiple))
        skips: list[Tensor] = []
        for down in self.down:
            skips.append(h)
            h = down(h)
        for up in self.up:
            h = torch.cat([skips.pop(), up(h)], dim=1)
        made: Tensor = self.leave(h)[..., :height, :width]
        return (transmission + made).clamp(0, 1) if self.config.residual else (made + 1) / 2


def begin(network: nn.Module) -> None:
    """Give a network the weights that pix2pix begins with: N(0, 0.02), scales of norms N(1, 0.02), biases 0."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0.0, 0.02)
        elif isinstance(module, nn.InstanceNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.02)
        else:
            continue
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def _down(above: int, here: int, *, norm: bool) -> nn.Sequential:
    layers: list[nn.Module] = [nn.LeakyReLU(0.2), nn.Conv2d(above, here, 4, 2, 1, bias=False)]
    return nn.Sequential(*layers, *([nn.InstanceNorm2d(here, affine=True)] if norm else []))


def _up(below: int, here: int, dropout: float) -> nn.Sequential:
    layers: list[nn.Module] = [nn.ReLU(), nn.ConvTranspose2d(below, here, 4, 2, 1, bias=False)]
    layers.append(nn.InstanceNorm2d(here, affine=True))
    return nn.Sequential(*layers, *([nn.Dropout(dropout)] if dropout else []))


def _continued(images: Tensor, multiple: int) -> Tensor:
    """Return images continued by reflection to sides that are multiples of a number."""
    for dim in (2, 3):
        length = images.shape[dim]
        if length % multiple:
            index = torch.arange(length + -length % multiple, device=images.device) % (2 * length)
            images = images.index_select(dim, torch.minimum(index, 2 * length - 1 - index))
    return images

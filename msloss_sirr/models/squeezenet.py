"""A network that begins with what others have learned of pictures: a U-Net whose way down is SqueezeNet."""

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from msloss_sirr.imagenet import Normalise
from msloss_sirr.models.blocks import ChannelNorm, convolutions, start
from msloss_sirr.models.padding import padded, shares

_DEEPEST = 16
"""Pixels of the picture to one at the lowest level."""
_TAPS = {1: 64, 4: 128, 7: 256, 12: 512}
"""Layers of SqueezeNet whose outputs may be used, from half the size down to a sixteenth; their channels."""


class SqueezeUNet(nn.Module):
    """A U-Net whose way down is SqueezeNet 1.1, for images of any size.

    ``(N, in_channels, H, W)`` to ``(N, 3, H, W)``: the picture, which the first three channels are, times a gain, and
    an offset, both without detail; that of the picture remains, and may be weakened or brought out. The picture, RGB,
    sRGB-encoded, [0, 1], is looked at by SqueezeNet; all channels are given to the last level of the way up, which has
    a quarter of the picture's size, half, or all of it. What SqueezeNet sees is normalised at every pixel over the
    channels; its mean over the whole picture is added everywhere at the lowest level. Where the last level is smaller
    than the picture, all channels are folded for it into blocks of 4 or 2 pixels, and gain and offset unfolded, which
    leaves a grid, and smoothed by means over such blocks, which take that out. Sides that are no multiple of 16 are
    continued by their border for the computation, and cut again.

    A picture whose short side is longer than ``view`` is looked at reduced to it, and gain and offset are enlarged to
    the picture by interpolation: reflections are then of the size that was learned, and what grows with the picture is
    a few operations a pixel. Other channels, as depth, are reduced in the same way, ranges blended where they meet.

    SqueezeNet's first convolution and its poolings are padded, so that its levels lie on the pixels that are folded.
    Its weights, too, are random at first.

    Args:
        in_channels: channels of the input, three or more.
        channels: channels of the way up, finest level first, down to a sixteenth of the size: three begin at a quarter
            of it, four at half, five at all.
        view: short side in pixels to which larger pictures are reduced to be looked at; 0 for none.
        silent: begin with the last convolution at zero, so that an untrained network returns zeros.

    Source: Iandola et al., "SqueezeNet", 2016, in version 1.1; features of a classifier as the input of a reflection
    remover as in Zhang et al., CVPR 2018.
    """

    def __init__(
        self, in_channels: int, channels: Sequence[int] = (32, 64, 128), *, view: int = 0, silent: bool = False
    ) -> None:
        super().__init__()
        self.view = view
        *others, coarse = channels
        self.block = _DEEPEST >> len(others)
        seen = list(_TAPS.items())[-len(channels) :]  # fewer than levels, where the finest sees the picture alone
        self.taps = dict(seen)
        widths = [0] * (len(channels) - len(seen)) + list(self.taps.values())
        given = [widths[0] + in_channels * self.block**2, *widths[1:-1]]
        self.normalise = Normalise(persistent=True)
        self.encoder = _encoder()
        self.norms = nn.ModuleList(ChannelNorm(width) for width in self.taps.values())  # of features of any magnitude
        self.whole = nn.Linear(widths[-1], coarse)
        self.lowest = nn.Conv2d(widths[-1], coarse, 1)
        self.refine = convolutions(coarse, coarse)
        steps = [*zip(given, others, channels[1:], strict=True)][::-1]
        self.skips = nn.ModuleList(nn.Conv2d(beside, here, 1) for beside, here, _ in steps)
        self.narrow = nn.ModuleList(nn.Conv2d(below, here, 1) for _, here, below in steps)
        self.up = nn.ModuleList(convolutions(2 * here, here) for _, here, _ in steps)
        self.out = nn.Conv2d(channels[0], 2 * 3 * self.block**2, 3, padding=1)
        start(self, self.out, silent=silent)

    def forward(self, x: Tensor) -> Tensor:
        """Return the output for ``x``; see the class."""
        height, width = x.shape[-2:]
        symbolic = isinstance(height, torch.SymInt)  # a graph for all sizes cannot ask: it scales what is small by one
        seen = _reduced(x, self.view) if self.view and (symbolic or self.view < min(height, width)) else x
        change = self._change(seen)
        if seen is not x:
            change = F.interpolate(change, size=(height, width), mode="bilinear", align_corners=False)
        offset, gain = change.chunk(2, dim=1)
        return gain * x[:, :3] + offset

    def _change(self, x: Tensor) -> Tensor:
        """Return offset and gain of every pixel, ``(N, 6, H, W)``."""
        height, width = x.shape[-2:]
        x = padded(x, _DEEPEST)
        seen: list[Tensor] = []
        h = self.normalise(x[:, :3])
        for index, layer in enumerate(self.encoder):
            h = layer(h)
            if index in self.taps:
                seen.append(self.norms[len(seen)](h))
        *others, sixteenth = seen
        mean = (sixteenth * shares(height, width, _DEEPEST, sixteenth)).sum(dim=(2, 3))
        h = F.relu(self.lowest(sixteenth) + self.whole(mean)[:, :, None, None])
        h = h + self.refine(h)
        folded = F.pixel_unshuffle(x, self.block)
        seeing = len(others) - len(self.up) + 1  # 1 if SqueezeNet sees the finest level too, else 0
        beside = [torch.cat([*others[:seeing], folded], dim=1), *others[seeing:]]
        for skip, narrow, block, other in zip(self.skips, self.narrow, self.up, reversed(beside), strict=True):
            raised = F.interpolate(narrow(h), scale_factor=2, mode="bilinear", align_corners=False)
            h = block(torch.cat([skip(other), raised], dim=1))
        return _smoothed(F.pixel_shuffle(self.out(h), self.block), self.block)[..., :height, :width]


def _reduced(x: Tensor, short: int) -> Tensor:
    """Return pictures with a short side so long, each pixel a mean over those that it stands for."""
    now = _lesser(*x.shape[-2:])
    short = _lesser(short, now)
    size = [(side * short + now // 2) // now for side in x.shape[-2:]]
    exact = x.to(torch.promote_types(x.dtype, torch.float32))  # half precision cannot be averaged so on processors
    return F.interpolate(exact, size=size, mode="bilinear", align_corners=False, antialias=True).to(x.dtype)


def _lesser(a: int, b: int) -> int:
    """Return the lesser of two sizes, which may be unknown as yet."""
    return cast(int, torch.sym_min(a, b))


def _smoothed(x: Tensor, side: int) -> Tensor:
    """Return the mean over squares of so many pixels a side of the mean over such squares."""
    if side == 1:
        return x
    padded = F.pad(x, (side - 1,) * 4, mode="replicate")
    return F.avg_pool2d(F.avg_pool2d(padded, side, stride=1), side, stride=1)


class _Fire(nn.Module):
    """Channels squeezed to few, and expanded by convolutions of 1x1 and 3x3 pixels, half each."""

    def __init__(self, inputs: int, squeezed: int, outputs: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(inputs, squeezed, 1)
        self.expand1x1 = nn.Conv2d(squeezed, outputs // 2, 1)
        self.expand3x3 = nn.Conv2d(squeezed, outputs // 2, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(N, outputs, H, W)`` for ``(N, inputs, H, W)``."""
        x = F.relu(self.squeeze(x))
        return torch.cat([F.relu(self.expand1x1(x)), F.relu(self.expand3x3(x))], dim=1)


def _encoder() -> nn.Sequential:
    """Return SqueezeNet's layers, with the names of torchvision's, each level half as large as the one above it."""
    return nn.Sequential(
        nn.Conv2d(3, 64, 3, stride=2, padding=1, padding_mode="replicate"),  # zeros would be seen as a border
        nn.ReLU(),
        nn.MaxPool2d(3, 2, padding=1),
        *(_Fire(64, 16, 128), _Fire(128, 16, 128)),
        nn.MaxPool2d(3, 2, padding=1),
        *(_Fire(128, 32, 256), _Fire(256, 32, 256)),
        nn.MaxPool2d(3, 2, padding=1),
        *(_Fire(256, 48, 384), _Fire(384, 48, 384), _Fire(384, 64, 512), _Fire(512, 64, 512)),
    )

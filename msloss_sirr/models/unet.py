"""The classic U-Net."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from msloss_sirr.models.blocks import Norm, convolutions, start
from msloss_sirr.models.padding import padded


class UNet(nn.Module):
    """A U-Net for images of any size: two 3x3 convolutions a level, max-pooling down, doubling up, skips between.

    ``(N, in_channels, H, W)`` to ``(N, out_channels, H, W)``. Nothing is added to a picture whose sides cannot be
    halved: pooling rounds up, and what doubling has too much is cut off, so that the statistics of a norm, too, are
    those of the picture alone. Only sides that are no multiple of ``patch``, and with a norm pictures smaller than
    ``patch * 2 ** levels``, are continued by their last pixels for the computation, and cut again. Weights start as He
    et al. 2015 have them, those of transposed convolutions so that they keep the variance; biases at zero.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        channels: channels at each level, from full resolution down.
        patch: side of the pixel blocks that are folded into channels at the door, and unfolded on leaving.
        norm: normalisation behind every convolution but the last; ``"group"`` has groups of channels by the eighth.
        upsampling: ``"transposed"``, a 2x2 transposed convolution, or ``"bilinear"``, behind a 1x1 convolution.
        silent: begin with the last convolution at zero, so that an untrained network returns zeros.

    Source: Ronneberger et al., "U-Net", MICCAI 2015, whose convolutions leave out the border where these continue it
    by zeros; blocks folded into channels as in Shi et al., CVPR 2016.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        channels: Sequence[int] = (64, 128, 256, 512, 1024),
        patch: int = 1,
        *,
        norm: Norm = "none",
        upsampling: Literal["bilinear", "transposed"] = "transposed",
        silent: bool = False,
    ) -> None:
        super().__init__()
        self.patch = patch
        self.least = 1 if norm == "none" else patch * 2 ** len(channels)  # a norm needs several pixels at every level
        self.upsampling = upsampling
        self.fold = nn.PixelUnshuffle(patch)
        self.unfold = nn.PixelShuffle(patch)
        inner = (in_channels * patch**2, *channels)
        self.down = nn.ModuleList(convolutions(a, b, norm) for a, b in zip(inner, channels, strict=False))
        self.narrow = nn.ModuleList(_narrowing(below, here, upsampling) for here, below in pairwise(channels))
        self.up = nn.ModuleList(convolutions(2 * here, here, norm) for here in channels[:-1])
        self.out = nn.Conv2d(channels[0], out_channels * patch**2, 1)
        start(self, self.out, silent=silent)

    def forward(self, x: Tensor) -> Tensor:
        """Return the output for ``x``; see the class."""
        height, width = x.shape[-2:]
        h = self.fold(padded(x, self.patch, self.least))
        skips: list[Tensor] = []
        for level, block in enumerate(self.down):
            h = block(F.max_pool2d(h, 2, ceil_mode=True) if level else h)
            skips.append(h)
        h = skips.pop()
        for narrow, block in zip(reversed(self.narrow), reversed(self.up), strict=True):
            raised, skip = narrow(h), skips.pop()
            if self.upsampling == "bilinear":
                raised = F.interpolate(raised, scale_factor=2, mode="bilinear", align_corners=False)
            h = block(torch.cat([skip, raised[..., : skip.shape[-2], : skip.shape[-1]]], dim=1))
        return self.unfold(self.out(h))[..., :height, :width]  # type: ignore[no-any-return]


def _narrowing(below: int, here: int, upsampling: str) -> nn.Module:
    return nn.Conv2d(below, here, 1) if upsampling == "bilinear" else nn.ConvTranspose2d(below, here, 2, stride=2)

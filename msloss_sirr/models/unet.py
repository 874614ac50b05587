"""The U-Net."""

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class UNet(nn.Module):
    """A U-Net for images of any size: two 3x3 convolutions a level, max-pooling down, bilinear up, skips between.

    ``(N, in_channels, H, W)`` to ``(N, out_channels, H, W)``. Sides that are no multiple of
    ``patch * 2 ** (levels - 1)`` are continued by their border for the computation, and cut again. Weights start as He
    et al. 2015 have them, those of the last convolution at zero: an untrained network returns zeros.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        channels: channels at each level, from full resolution down.
        patch: side of the pixel blocks that are folded into channels at the door, and unfolded on leaving.

    Source: Ronneberger et al., "U-Net", MICCAI 2015; blocks folded into channels as in Shi et al., CVPR 2016.
    """

    def __init__(self, in_channels: int, out_channels: int, channels: Sequence[int], patch: int = 1) -> None:
        super().__init__()
        self.multiple = patch * 2 ** (len(channels) - 1)
        self.fold = nn.PixelUnshuffle(patch)
        self.unfold = nn.PixelShuffle(patch)
        inner = (in_channels * patch**2, *channels)
        self.down = nn.ModuleList(_block(a, b) for a, b in zip(inner, channels, strict=False))
        self.narrow = nn.ModuleList(nn.Conv2d(below, here, 1) for here, below in pairwise(channels))
        self.up = nn.ModuleList(_block(2 * here, here) for here in channels[:-1])
        self.out = nn.Conv2d(channels[0], out_channels * patch**2, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]
        nn.init.zeros_(self.out.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Return the output for ``x``; see the class."""
        height, width = x.shape[-2:]
        h = self.fold(F.pad(x, (0, -width % self.multiple, 0, -height % self.multiple), mode="replicate"))
        skips: list[Tensor] = []
        for level, block in enumerate(self.down):
            h = block(F.max_pool2d(h, 2) if level else h)
            skips.append(h)
        h = skips.pop()
        for narrow, block in zip(reversed(self.narrow), reversed(self.up), strict=True):
            raised = F.interpolate(narrow(h), scale_factor=2, mode="bilinear", align_corners=False)
            h = block(torch.cat([skips.pop(), raised], dim=1))
        return self.unfold(self.out(h))[..., :height, :width]  # type: ignore[no-any-return]


def _block(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(outputs, outputs, 3, padding=1),
        nn.ReLU(inplace=True),
    )

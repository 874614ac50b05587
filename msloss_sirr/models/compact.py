"""The compact network: a U-Net of gated blocks, for little time and memory."""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from msloss_sirr.models.blocks import ChannelNorm
from msloss_sirr.models.padding import padded, shares


class CompactNet(nn.Module):
    """A U-Net of gated depthwise blocks for images of any size.

    ``(N, in_channels, H, W)`` to ``(N, out_channels, H, W)``. Pixels are folded into channels at the door; strided
    convolutions lead down, pixels unfolded from channels up, where what comes from above is added. The mean of the
    whole picture tells every block at the lowest level how much of each channel to let pass. No statistics of batches
    are kept. Sides that are no multiple of ``patch * 2 ** (levels - 1)`` are continued by their border for the
    computation, and cut again. An untrained network returns zeros.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        channels: channels at each level, from the door down; even.
        patch: side of the pixel blocks that are folded into channels.
        blocks: blocks at each level, on the way down and on the way up; twice as many at the lowest.

    Source: the blocks are those of Chen et al., "Simple Baselines for Image Restoration" (NAFNet), ECCV 2022, with a
    gate by the mean of the picture at the lowest level alone.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        channels: Sequence[int] = (32, 64, 128, 256),
        patch: int = 2,
        blocks: int = 1,
    ) -> None:
        super().__init__()
        self.multiple = patch * 2 ** (len(channels) - 1)
        self.fold = nn.PixelUnshuffle(patch)
        self.enter = nn.Conv2d(in_channels * patch**2, channels[0], 3, padding=1)
        self.down = nn.ModuleList(_blocks(width, blocks) for width in channels[:-1])
        self.halve = nn.ModuleList(nn.Conv2d(here, below, 2, stride=2) for here, below in pairwise(channels))
        self.lowest = _blocks(channels[-1], 2 * blocks, whole=True)
        self.enlarge = nn.ModuleList(
            nn.Sequential(nn.Conv2d(below, 4 * here, 1, bias=False), nn.PixelShuffle(2))
            for here, below in pairwise(channels)
        )
        self.up = nn.ModuleList(_blocks(width, blocks) for width in channels[:-1])
        self.out = nn.Conv2d(channels[0], out_channels * patch**2, 3, padding=1)
        self.unfold = nn.PixelShuffle(patch)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """Return the output for ``x``; see the class."""
        height, width = x.shape[-2:]
        h = self.enter(self.fold(padded(x, self.multiple)))
        skips: list[Tensor] = []
        for blocks, halve in zip(self.down, self.halve, strict=True):
            h = blocks(h)
            skips.append(h)
            h = halve(h)
        real = shares(height, width, self.multiple, h)
        for block in self.lowest:
            h = block(h, real)
        for enlarge, blocks in zip(reversed(self.enlarge), reversed(self.up), strict=True):
            h = blocks(enlarge(h) + skips.pop())
        return self.unfold(self.out(h))[..., :height, :width]  # type: ignore[no-any-return]


class GatedBlock(nn.Module):
    """Two branches added to what passes by: across pixels, and across channels; each gates one half by the other.

    Args:
        width: channels.
        whole: weigh the channels by the mean of the whole picture.
    """

    def __init__(self, width: int, *, whole: bool) -> None:
        super().__init__()
        self.before = ChannelNorm(width)
        self.spread = nn.Conv2d(width, 2 * width, 1)
        self.across = nn.Conv2d(2 * width, 2 * width, 3, padding=1, groups=2 * width)
        self.whole = nn.Conv2d(width, width, 1) if whole else None
        self.gather = nn.Conv2d(width, width, 1)
        self.between = ChannelNorm(width)
        self.widen = nn.Conv2d(width, 2 * width, 1)
        self.mix = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor, real: Tensor | None = None) -> Tensor:
        """Return ``x`` ``(N, width, H, W)``, refined.

        Args:
            x: features.
            real: for the mean of the whole picture, what each pixel counts in it, ``(H, W)``, 1 together.
        """
        h = _gated(self.across(self.spread(self.before(x))))
        if self.whole is not None:
            assert real is not None  # noqa: S101
            h = h * self.whole((h * real).sum(dim=(2, 3), keepdim=True))
        x = x + self.gather(h)
        return x + self.mix(_gated(self.widen(self.between(x))))  # type: ignore[no-any-return]


def _gated(h: Tensor) -> Tensor:
    first, second = h.chunk(2, dim=1)
    return first * second


def _blocks(width: int, count: int, *, whole: bool = False) -> nn.Sequential:
    return nn.Sequential(*(GatedBlock(width, whole=whole) for _ in range(count)))

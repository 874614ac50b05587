"""What the three denoising recipes share: a small network, and pictures to be cleaned.

The pictures are dead leaves, discs that cover each other, whose edges and flat parts occur much as in photographs
(Lee, Mumford and Huang 2001); so the recipes need no data. The noise is Gaussian.
"""

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset


class Denoiser(nn.Module):
    """A residual network for images ``(N, 3, H, W)`` in [0, 1]: four layers of 32 channels."""

    def __init__(self) -> None:
        super().__init__()
        layers = [nn.Conv2d(3, 32, 3, padding=1), nn.ReLU()]
        for _ in range(2):
            layers += [nn.Conv2d(32, 32, 3, padding=1), nn.ReLU()]
        self.noise = nn.Sequential(*layers, nn.Conv2d(32, 3, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        return x - self.noise(x)


class NoisyPictures(Dataset):
    """Pairs of a noisy picture and the clean one, ``(3, side, side)`` each; those of an index are always the same."""

    def __init__(self, count: int, side: int = 48, sigma: float = 0.15) -> None:
        self.count, self.side, self.sigma = count, side, sigma

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        random = torch.Generator().manual_seed(index)
        rows = torch.arange(self.side).float()
        clean = torch.rand(3, 1, 1, generator=random).expand(3, self.side, self.side)
        for _ in range(40):
            (row, column, size), color = torch.rand(3, generator=random), torch.rand(3, 1, 1, generator=random)
            distance = (rows[:, None] - row * self.side) ** 2 + (rows - column * self.side) ** 2
            clean = torch.where(distance < (2 / (0.1 + size)) ** 2, color, clean)
        return clean + self.sigma * torch.randn(clean.shape, generator=random), clean


def psnr(estimate: Tensor, clean: Tensor) -> float:
    """Return the peak signal-to-noise ratio in dB, with a peak of 1, over the whole batch."""
    return float(-10 * (estimate - clean).square().mean().log10())

"""The norm of networks whose every pixel stands for itself."""

from torch import Tensor, nn


class ChannelNorm(nn.LayerNorm):
    """Normalise every pixel over its channels."""

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x`` ``(N, C, H, W)``, normalised."""
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)

"""What several of the networks are made of, and how their weights start."""

from typing import Literal

from torch import Tensor, nn

from msloss_sirr.models.config import GROUPS

Norm = Literal["none", "batch", "instance", "group"]


class ChannelNorm(nn.LayerNorm):
    """Normalise every pixel over its channels."""

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x`` ``(N, C, H, W)``, normalised."""
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def convolutions(inputs: int, outputs: int, norm: Norm = "none") -> nn.Sequential:
    """Return two 3x3 convolutions, each with a norm, if one is wanted, and ReLU behind it."""
    layers: list[nn.Module] = []
    for width in (inputs, outputs):
        layers += [nn.Conv2d(width, outputs, 3, padding=1), *_norm(norm, outputs), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


def start(network: nn.Module, last: nn.Conv2d, *, silent: bool) -> None:
    """Draw the weights of a network as He et al. 2015 do, with biases at zero.

    Args:
        network: all of its convolutions and linear layers are drawn.
        last: its last convolution.
        silent: put the weights of that to zero, so that an untrained network returns zeros.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            nn.init.zeros_(module.bias)  # type: ignore[arg-type]
    if silent:
        nn.init.zeros_(last.weight)


def _norm(norm: Norm, width: int) -> list[nn.Module]:
    if norm == "batch":
        return [nn.BatchNorm2d(width)]
    if norm == "instance":
        return [nn.InstanceNorm2d(width, affine=True)]
    return [nn.GroupNorm(GROUPS, width)] if norm == "group" else []

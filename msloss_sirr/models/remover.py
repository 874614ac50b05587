"""The remover: a reflection net and a transmission net, one after the other."""

import torch
from torch import Tensor, nn

from msloss_sirr.layers import Layers
from msloss_sirr.models.config import RemoverConfig
from msloss_sirr.models.unet import UNet


class Remover(nn.Module):
    """Estimate the layers of a photograph taken through glass.

    ``R = reflection_net(I)`` and ``T = transmission_net(I, R)``, both U-Nets (figure 2 of the paper); with
    ``config.residual``, ``T = I + transmission_net(I, R)``. Input ``(N, 3, H, W)``, RGB, sRGB-encoded, [0, 1], of any
    size; output `Layers` of the same size, not clipped to [0, 1]. An untrained residual remover returns its input.

    Args:
        config: what the networks are made of.
    """

    def __init__(self, config: RemoverConfig | None = None) -> None:
        super().__init__()
        self.config = config or RemoverConfig()
        self.reflection_net = UNet(3, 3, self.config.channels, self.config.patch)
        self.transmission_net = UNet(6, 3, self.config.channels, self.config.patch)

    def forward(self, ambient: Tensor) -> Layers:
        """Return the estimated layers of ``ambient``; see the class."""
        reflection = self.reflection_net(ambient)
        transmission = self.transmission_net(torch.cat([ambient, reflection], dim=1))
        return Layers(ambient + transmission if self.config.residual else transmission, reflection)

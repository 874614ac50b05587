"""The discriminator of pix2pix: which parts of a picture look like a photograph through glass."""

import torch
from torch import Tensor, nn

from msloss_sirr.refgan.generator import begin


class PatchDiscriminator(nn.Module):
    """Judge every patch of 70x70 pixels of I, beside T: ``(N, 3, H, W)`` each, [0, 1], to logits ``(N, 1, H', W')``.

    Convolutions of 4x4 to C, 2C, 4C (stride 2) and 8C channels and to one (stride 1), LeakyReLU of slope 0.2 between,
    norms behind all but the first and the last, by instance as in `Generator`. Sides of at least 32.

    Args:
        width: C.

    Source: Isola et al., CVPR 2017.
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(6, width, 4, 2, 1), nn.LeakyReLU(0.2)]
        for factor, stride in ((1, 2), (2, 2), (4, 1)):
            here, beyond = factor * width, 2 * factor * width
            layers += [nn.Conv2d(here, beyond, 4, stride, 1, bias=False), nn.InstanceNorm2d(beyond, affine=True)]
            layers.append(nn.LeakyReLU(0.2))
        self.layers = nn.Sequential(*layers, nn.Conv2d(8 * width, 1, 4, 1, 1))
        begin(self)

    def forward(self, transmission: Tensor, ambient: Tensor) -> Tensor:
        """Return a logit for each patch of ``ambient``, above 0 where it looks real; see the class."""
        return self.layers(2 * torch.cat([transmission, ambient], dim=1) - 1)  # type: ignore[no-any-return]

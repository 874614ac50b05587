"""The network of MiDaS v2.1 small, key for key that of the published weights."""

from typing import Any

import timm
import torch.nn.functional as F
from torch import Tensor, nn

_STAGES = (32, 48, 136, 384)
"""Channels that the encoder hands on at strides of 4, 8, 16 and 32 pixels."""
_WIDTHS = (64, 128, 256, 512)
"""Channels of the decoder at each of them."""


class MidasSmall(nn.Module):
    """MiDaS v2.1 small: an EfficientNet-Lite3, and a decoder that fuses its four stages from coarse to fine.

    Input ``(N, 3, H, W)``, RGB, normalised by ImageNet's mean and deviation, sides multiples of 32. Output
    ``(N, 1, H, W)``, not negative: inverse depth up to an unknown scale and shift, large where things are near.

    Source: Ranftl et al., "Towards Robust Monocular Depth Estimation", TPAMI 2022, and the weights published with it,
    whose keys these are; the first residual unit of the deepest fusion has weights there and is never run.
    """

    def __init__(self) -> None:
        super().__init__()
        encoder: Any = timm.create_model("tf_efficientnet_lite3", pretrained=False)
        blocks: list[nn.Module] = list(encoder.blocks)
        self.pretrained = nn.ModuleDict(
            {
                # timm's normalisation holds the activation that stands third among the published layers
                "layer1": nn.Sequential(encoder.conv_stem, encoder.bn1, nn.Identity(), *blocks[:2]),
                "layer2": nn.Sequential(blocks[2]),
                "layer3": nn.Sequential(*blocks[3:5]),
                "layer4": nn.Sequential(*blocks[5:]),
            }
        )
        parts: dict[str, nn.Module] = {}
        for level, (inputs, width) in enumerate(zip(_STAGES, _WIDTHS, strict=True), start=1):
            parts[f"layer{level}_rn"] = nn.Conv2d(inputs, width, 3, padding=1, bias=False)
            parts[f"refinenet{level}"] = _Fusion(width, width if level == 1 else width // 2)
        parts["output_conv"] = nn.Sequential(
            nn.Conv2d(64, 32, 3, padding=1),
            nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False),
            nn.Conv2d(32, 32, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 1, 1),
            nn.ReLU(),
        )
        self.scratch = nn.ModuleDict(parts)

    def forward(self, images: Tensor) -> Tensor:
        """Return the inverse depth of ``images``; see the class."""
        h, stages = images, []
        for level in range(1, 5):
            h = self.pretrained[f"layer{level}"](h)
            stages.append(self.scratch[f"layer{level}_rn"](h))
        path = self.scratch["refinenet4"](stages[3])
        for level in (3, 2, 1):
            path = self.scratch[f"refinenet{level}"](path, stages[level - 1])
        return self.scratch["output_conv"](path)  # type: ignore[no-any-return]


class _Fusion(nn.Module):
    """Add a stage of the encoder to what comes from below, refine, and double the size."""

    def __init__(self, width: int, outputs: int) -> None:
        super().__init__()
        self.resConfUnit1 = _Residual(width)
        self.resConfUnit2 = _Residual(width)
        self.out_conv = nn.Conv2d(width, outputs, 1)

    def forward(self, below: Tensor, stage: Tensor | None = None) -> Tensor:
        """Return the fusion of ``below`` with a ``stage`` of the encoder, if there is one."""
        h = below if stage is None else below + self.resConfUnit1(stage)
        h = F.interpolate(self.resConfUnit2(h), scale_factor=2.0, mode="bilinear", align_corners=True)
        return self.out_conv(h)  # type: ignore[no-any-return]


class _Residual(nn.Module):
    """Two convolutions, each behind a ReLU, added to their input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the refined ``x``."""
        return x + self.conv2(F.relu(self.conv1(F.relu(x))))  # type: ignore[no-any-return]

"""The feature loss: images compared by what a network trained on ImageNet sees in them."""

from copy import deepcopy
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from msloss_sirr.imagenet import Normalise, imagenet_features
from msloss_sirr.losses.config import BackboneName

_LAYERS = {
    "vgg19": (0, 19),  # conv1_1 and conv4_1, before their ReLU
    "squeezenet1_1": (1, 7),
}
"""Indices into torchvision's ``features`` whose outputs are compared."""


class Backbone(nn.Module):
    """Layers of a network trained on ImageNet, frozen, and cut off behind the last of them.

    Input ``(N, 3, H, W)``, RGB, sRGB-encoded, [0, 1]; it is normalised as torchvision's networks expect. Output: the
    features of the chosen layers, first to last. Always in evaluation mode.

    Args:
        features: a sequence of layers, as torchvision's ``features``; copied.
        layers: indices of those whose outputs are wanted.
    """

    def __init__(self, features: nn.Sequential, layers: tuple[int, ...]) -> None:
        super().__init__()
        if not layers or not all(0 <= layer < len(features) for layer in layers):
            raise ValueError(f"layers are {layers}; give indices of the {len(features)} there are")
        self.layers = layers
        self.features = deepcopy(features[: max(layers) + 1])
        for module in self.features.modules():
            if isinstance(module, nn.ReLU):
                module.inplace = False  # an output that is compared must not be overwritten by the next layer
        self.normalise = Normalise()
        self.requires_grad_(False)
        self.eval()

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the features of ``images``; see the class."""
        h, found = self.normalise(images), []
        for index, layer in enumerate(self.features):
            h = layer(h)
            if index in self.layers:
                found.append(h)
        return found

    def train(self, mode: bool = True) -> "Backbone":
        """Stay in evaluation mode."""
        return super().train(False)


def load_backbone(name: BackboneName, weights: Path | None = None) -> Backbone:
    """Return a backbone with ImageNet weights.

    Args:
        name: ``"vgg19"`` (conv1_1 and conv4_1, as the paper) or ``"squeezenet1_1"`` (layers of stride 2 and 8).
        weights: a ``.pth`` or ``.safetensors`` file with keys as torchvision's; ``None`` takes torchvision's own,
            downloaded once to the torch hub cache.

    Raises:
        InputError: if the weights cannot be had, or are not those of the network.
    """
    if name not in _LAYERS:
        raise ValueError(f"backbone is {name!r}; give one of {sorted(_LAYERS)}")
    layers = _LAYERS[name]
    remedy = "give a file by --loss.weights, or choose --loss.backbone none"
    return Backbone(imagenet_features(name, weights, remedy, layers=max(layers) + 1), layers)


class FeatureLoss(nn.Module):
    """Mean absolute error of features, ``sum_l mean |phi_l(T) - phi_l(T^)|`` (equation 2 of the paper).

    Args:
        backbone: a `Backbone`, or any module from images to a list of feature maps.
    """

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone

    def prepare(self, target: Tensor) -> list[Tensor]:
        """Return the features of a target, to be given to `forward` in its place."""
        with torch.no_grad():
            return list(self.backbone(target))

    def forward(self, estimate: Tensor, target: list[Tensor]) -> Tensor:
        """Return the loss of ``estimate`` ``(N, 3, H, W)`` against a prepared target, a scalar."""
        pairs = zip(self.backbone(estimate), target, strict=True)
        return torch.stack([F.l1_loss(ours, theirs) for ours, theirs in pairs]).sum()

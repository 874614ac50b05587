"""The feature loss: images compared by what a network trained on ImageNet sees in them."""

from copy import deepcopy
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn

from msloss_sirr.losses.config import BackboneName
from msloss_sirr.pretrained import fetch_weights, load_state, read_state

_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class _Source(NamedTuple):
    layers: tuple[int, ...]
    """Indices into torchvision's ``features`` whose outputs are compared."""
    weights: str


_SOURCES = {
    "vgg19": _Source((0, 19), "VGG19_Weights.IMAGENET1K_V1"),  # conv1_1 and conv4_1, before their ReLU
    "squeezenet1_1": _Source((1, 7), "SqueezeNet1_1_Weights.IMAGENET1K_V1"),
}


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
        self.mean: Tensor
        self.deviation: Tensor
        self.register_buffer("mean", torch.tensor(_MEAN).view(1, 3, 1, 1))
        self.register_buffer("deviation", torch.tensor(_DEVIATION).view(1, 3, 1, 1))
        self.requires_grad_(False)
        self.eval()

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the features of ``images``; see the class."""
        h, found = (images - self.mean) / self.deviation, []
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
    if name not in _SOURCES:
        raise ValueError(f"backbone is {name!r}; give one of {sorted(_SOURCES)}")
    source = _SOURCES[name]
    with torch.device("meta"):  # what is cut off need not be made
        network = torchvision.models.get_model(name, weights=None)
    features = network.features[: max(source.layers) + 1].to_empty(device="cpu")
    url = torchvision.models.get_weight(source.weights).url
    path = weights or fetch_weights(url, name, "give a file by --loss.weights, or choose --loss.backbone none")
    cut = nn.ModuleDict({"features": features})
    load_state(cut, {key: value for key, value in read_state(path).items() if key in cut.state_dict()}, path, name)
    return Backbone(features, source.layers)


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

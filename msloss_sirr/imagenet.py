"""Networks that others have trained on ImageNet: their input, and their layers with torchvision's weights."""

from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from msloss_sirr.pretrained import fetch_weights, load_state, read_state

_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class _Source(NamedTuple):
    weights: str
    layers: int
    """How many of torchvision's ``features`` there are."""


_SOURCES = {
    "vgg19": _Source("VGG19_Weights.IMAGENET1K_V1", 37),
    "squeezenet1_1": _Source("SqueezeNet1_1_Weights.IMAGENET1K_V1", 13),
}


class Normalise(nn.Module):
    """Photographs ``(N, 3, H, W)``, RGB, sRGB-encoded, [0, 1], as networks trained on ImageNet expect them.

    Args:
        persistent: keep its constants in checkpoints.
    """

    def __init__(self, *, persistent: bool = False) -> None:
        super().__init__()
        self.mean: Tensor
        self.deviation: Tensor
        self.register_buffer("mean", torch.tensor(_MEAN).view(1, 3, 1, 1), persistent=persistent)
        self.register_buffer("deviation", torch.tensor(_DEVIATION).view(1, 3, 1, 1), persistent=persistent)

    def forward(self, images: Tensor) -> Tensor:
        """Return ``images``, normalised."""
        return (images - self.mean) / self.deviation


def imagenet_features(name: str, weights: Path | None, remedy: str, *, layers: int | None = None) -> nn.Sequential:
    """Return the layers of a network, torchvision's ``features``, with ImageNet weights.

    Args:
        name: of the network, as torchvision has it: ``"vgg19"`` or ``"squeezenet1_1"``.
        weights: a ``.pth`` or ``.safetensors`` file with keys as torchvision's; ``None`` takes torchvision's own,
            downloaded once to the torch hub cache.
        remedy: what else the user can do if they cannot be downloaded, in messages.
        layers: how many of the layers are wanted; ``None`` for all.

    Raises:
        InputError: if the weights cannot be had, or are not those of the network.
    """
    import torchvision  # takes longer than all else that a remover needs

    source = _SOURCES[name]
    with torch.device("meta"):  # what is cut off need not be made
        network = torchvision.models.get_model(name, weights=None)
    features: nn.Sequential = network.features[: layers or source.layers].to_empty(device="cpu")
    path = weights or fetch_weights(torchvision.models.get_weight(source.weights).url, name, remedy)
    cut = nn.ModuleDict({"features": features})
    load_state(cut, {key: value for key, value in read_state(path).items() if key in cut.state_dict()}, path, name)
    return features

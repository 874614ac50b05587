"""LPIPS, with weights that are known, or a reason why there are none."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
import torchvision
from torch import Tensor, nn

from msloss_sirr.errors import InputError
from msloss_sirr.evaluation.config import LpipsConfig, PerceptualName
from msloss_sirr.pretrained import fetch_weights, load_state, read_state

SMALLEST_SIDE = 32
"""Images must be as large: smaller ones vanish on their way through the networks."""


class _Source(NamedTuple):
    title: str
    weights: str
    """By its name in torchvision."""


_SOURCES: Mapping[PerceptualName, _Source] = {
    "alex": _Source("AlexNet", "AlexNet_Weights.IMAGENET1K_V1"),
    "vgg": _Source("VGG16", "VGG16_Weights.IMAGENET1K_V1"),
}


class Lpips(nn.Module):
    """The LPIPS of two pictures, as the package ``lpips`` measures it, version 0.1.

    Its linear weights travel in that package; those of the backbone are torchvision's.

    Args:
        name: the backbone, ``"alex"`` or ``"vgg"``.
        state: the backbone's weights, with torchvision's keys; others than those of its ``features`` are left alone.
        source: the file they are from, in messages.

    Raises:
        InputError: if the weights are not those of the backbone.

    Source: Zhang et al., "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric", CVPR 2018.
    """

    def __init__(self, name: PerceptualName, state: dict[str, Tensor], source: Path) -> None:
        super().__init__()
        with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
            warnings.simplefilter("ignore")  # it calls torchvision in a way that has gone out of use
            import lpips

            self.network = lpips.LPIPS(net=name, pnet_rand=True, verbose=False)
        slices = [part for part in self.network.net.children() if isinstance(part, nn.Sequential)]
        layers = nn.ModuleDict({index: layer for part in slices for index, layer in part.named_children()})
        features = nn.ModuleDict({"features": layers})
        own = features.state_dict()
        load_state(features, {key: state[key] for key in own if key in state}, source, _SOURCES[name].title)
        self.requires_grad_(False)
        self.eval()

    @torch.no_grad()
    def forward(self, estimate: Tensor, truth: Tensor) -> float:
        """Return the distance of two pictures ``(3, H, W)`` in [0, 1], 0 if they are equal."""
        device = next(self.parameters()).device
        distance: Tensor = self.network(estimate[None].to(device), truth[None].to(device), normalize=True)
        return float(distance)


def load_lpips(name: PerceptualName, weights: Path | None = None) -> Lpips:
    """Return LPIPS with ImageNet weights.

    Args:
        name: the backbone, ``"alex"`` or ``"vgg"``.
        weights: a ``.pth`` or ``.safetensors`` file with torchvision's keys; ``None`` takes torchvision's own,
            downloaded once to the torch hub cache.

    Raises:
        InputError: if the weights cannot be had, or are not those of the backbone.
    """
    if name not in _SOURCES:
        raise ValueError(f"backbone is {name!r}; give one of {sorted(_SOURCES)}")
    source = _SOURCES[name]
    url = torchvision.models.get_weight(source.weights).url
    path = weights or fetch_weights(url, source.title, f"or give a file by --lpips.{name}")
    return Lpips(name, read_state(path), path)


class Perceptual(NamedTuple):
    """The networks that there are, and why others are not."""

    networks: Mapping[PerceptualName, Lpips]
    wanting: Mapping[PerceptualName, str]


def load_perceptual(config: LpipsConfig, device: torch.device | str = "cpu") -> Perceptual:
    """Return LPIPS through each backbone that a configuration names; where weights are not to be had, the reason.

    Raises:
        InputError: if a file of weights that the configuration names cannot be used.
    """
    networks: dict[PerceptualName, Lpips] = {}
    wanting: dict[PerceptualName, str] = {}
    for name in config.backbones:
        given: Path | None = getattr(config, name)
        try:
            networks[name] = load_lpips(name, given).to(device)
        except InputError as error:
            if given is not None:
                raise
            wanting[name] = str(error)
        except ModuleNotFoundError as error:
            wanting[name] = f'the package {error.name} is not installed; pip install "msloss[sirr]"'
    return Perceptual(networks, wanting)


def distances(networks: Mapping[PerceptualName, Lpips], estimate: Tensor, truth: Tensor) -> Sequence[float | None]:
    """Return the distances by AlexNet and by VGG16; ``None`` where there is no network."""
    return [networks[name](estimate, truth) if name in networks else None for name in _SOURCES]

"""Depth by MiDaS: published weights, published preparation of the image, and the network, frozen."""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from msloss_sirr.depth.network import MidasSmall
from msloss_sirr.imagenet import Normalise
from msloss_sirr.images.checks import check_form, check_numbers
from msloss_sirr.pretrained import fetch_weights, load_state, read_state

WEIGHTS_URL = "https://github.com/isl-org/MiDaS/releases/download/v2_1/model-small-70d6b9c8.pt"
_ALSO_NAMED = ("midas_v21_small_256.pt", "midas_v21_small-70d6b9c8.pt")
_SIDE, _MULTIPLE = 256, 32


class MidasDepth(nn.Module):
    """The inverse depth of photographs, by a frozen MiDaS v2.1 small.

    Called with photographs ``(N, 3, H, W)``, RGB, sRGB-encoded, [0, 1], of any size, it returns ``(N, 1, H, W)``:
    inverse depth up to an unknown scale and shift, large where things are near; slightly below 0 here and there, where
    the resizing overshoots. The image is resized (bicubic, without antialiasing) so that its longer side is 256 and
    both are multiples of 32, and the result resized back. Always in evaluation mode, never with a gradient.

    Args:
        network: with the weights it is to have.

    Raises:
        ValueError: at a call, unless the photographs have that shape and are floating-point, if they hold NaN or
            infinity, or numbers on a scale that cannot be [0, 1].
    """

    def __init__(self, network: MidasSmall) -> None:
        super().__init__()
        self.network = network
        self.normalise = Normalise()
        self.requires_grad_(False)
        self.eval()

    @torch.no_grad()
    def forward(self, ambient: Tensor, stored: Tensor | None = None) -> Tensor:
        """Return the inverse depth of ``ambient``; ``stored`` depth, if there is some, is not looked at."""
        self.eval()  # whatever its parts have been told since
        check_form(ambient)
        check_numbers("ambient", ambient)
        height, width = ambient.shape[-2:]
        with torch.autocast(ambient.device.type, enabled=False):
            images = _resized(ambient.to(self.normalise.mean.dtype), working_size(height, width))
            return _resized(self.network(self.normalise(images)), (height, width))

    def train(self, mode: bool = True) -> "MidasDepth":
        """Stay in evaluation mode."""
        return super().train(False)


def working_size(height: int, width: int) -> tuple[int, int]:
    """Return the height and width at which the network sees a photograph.

    >>> working_size(480, 640)
    (192, 256)
    """
    scale = min(_SIDE / width, _SIDE / height)
    return _whole(scale * height), _whole(scale * width)


def load_midas(weights: Path | None = None) -> MidasDepth:
    """Return MiDaS v2.1 small with its published weights.

    Args:
        weights: the published file, or one with the same keys; ``None`` takes it from PyTorch's cache, and downloads
            it to there if need be.

    Raises:
        InputError: if the weights cannot be had, or are not those of the network.
    """
    remedy = "give it by --depth.weights, take depth images by --depth.source stored, or a remover without depth"
    path = weights or fetch_weights(WEIGHTS_URL, "MiDaS v2.1 small", remedy, also=_ALSO_NAMED)
    network = MidasSmall()
    load_state(network, read_state(path), path, "MiDaS v2.1 small")
    return MidasDepth(network)


def _whole(side: float) -> int:
    """Return the multiple of 32 nearest to a side, even ones in case of doubt, or a smaller one if 256 is passed."""
    rounded = round(side / _MULTIPLE) * _MULTIPLE
    return max(_MULTIPLE, rounded if rounded <= _SIDE else int(side // _MULTIPLE) * _MULTIPLE)


def _resized(images: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(images, size, mode="bicubic", align_corners=False)

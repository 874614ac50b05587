"""The ways in which numbers of the field are measured, by name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchmetrics.functional.image import peak_signal_noise_ratio

from msloss_sirr.evaluation.config import ProtocolName
from msloss_sirr.evaluation.scores import SMALLEST_SIDE, Scores, score
from msloss_sirr.evaluation.ssim import GAUSSIAN, UNIFORM, gaussian, mean_ssim, uniform
from msloss_sirr.images.reading import to_bytes, to_float


@dataclass(frozen=True)
class Protocol:
    """What is done to an estimate and its truth before they are compared, and how they are."""

    measure: Callable[[Tensor, Tensor], Scores]
    """From estimate and truth, ``(3, H, W)`` in [0, 1] as `view` returns them, to PSNR and SSIM."""
    does: str
    """What that is, in a line."""
    window: int
    """The window of its SSIM: images must be as large."""
    multiple: int = 1
    """Photograph and truth are first reduced to sides that are multiples of this."""
    border: int = 0
    """Pixels that are cut off at each side."""
    eight_bit: bool = True
    """Whether estimates are rounded to 8 bits, as they are when stored."""

    @property
    def smallest(self) -> int:
        """The shortest side that can be measured."""
        return max(self.window + 2 * self.border, self.multiple)

    def size(self, height: int, width: int) -> tuple[int, int]:
        """Return the height and width at which an image of some height and width is measured, before any cut."""
        return height // self.multiple * self.multiple, width // self.multiple * self.multiple

    def view(self, image: Tensor) -> Tensor:
        """Return what is measured of an image ``(3, H, W)``: in [0, 1], on the CPU, rounded and cut as configured."""
        clipped = to_float(to_bytes(image)) if self.eight_bit else image.to(torch.float32).clamp(0, 1)
        height, width = clipped.shape[1:]
        return clipped[:, self.border : height - self.border, self.border : width - self.border].cpu().contiguous()

    def score(self, estimate: Tensor, truth: Tensor) -> Scores:
        """Return the scores of an estimate ``(3, H, W)`` in [0, 1] of the size that `size` tells, and its truth."""
        return self.measure(self.view(estimate), self.view(truth))


def whole(estimate: Tensor, truth: Tensor) -> Scores:
    """Compare whole RGB images in 8 bits at their own size: this project's own figures.

    PSNR is of all pixels and channels together. SSIM has a Gaussian window of 11 pixels, sigma 1.5, and is the mean of
    the map over all pixels, borders continued by reflection. It is what a training scores by.

    Source: ``peak_signal_noise_ratio`` and ``structural_similarity_index_measure`` of torchmetrics, as by default,
    the latter in double precision.
    """
    return score(estimate, truth)


def errnet(estimate: Tensor, truth: Tensor) -> Scores:
    """Compare channel by channel, on numbers that are clipped but not rounded.

    PSNR and SSIM are those of each channel by scikit-image, and their mean over the three. SSIM has a uniform window of
    7 pixels and the covariance of a sample, and is the mean over windows that lie in the image.

    Source: ERRNet (Wei et al. 2019), ``quality_assess`` in ``util/index.py`` and ``tensor2im`` in
    ``models/errnet_model.py`` of Vandermode/ERRNet; the same in mingcv/DSRNet.
    """
    a, b = estimate.double(), truth.double()
    psnr = [float(peak_signal_noise_ratio(*channels, data_range=1.0)) for channels in zip(a, b, strict=True)]
    return Scores(sum(psnr) / len(psnr), mean_ssim(a, b, uniform, sample=UNIFORM**2 / (UNIFORM**2 - 1)))


def border4(estimate: Tensor, truth: Tensor) -> Scores:
    """Compare RGB images in 8 bits whose outermost 4 pixels are cut off.

    PSNR is of all pixels and channels together. SSIM has a Gaussian window of 11 pixels, sigma 1.5, and is the mean
    over channels and windows that lie in the image.

    Source: XReflection, ``crop_border: 4`` in ``options/train_lightning.yml`` of hainuo-wang/XReflection at revision
    49cf845; ``calculate_psnr`` and ``calculate_ssim``, which are BasicSR's, in ``xreflection/metrics/psnr_ssim.py`` of
    visonj/XTest, a copy of that project.
    """
    a, b = estimate.double(), truth.double()
    return Scores(float(peak_signal_noise_ratio(a, b, data_range=1.0)), mean_ssim(a, b, gaussian))


PROTOCOLS: Mapping[ProtocolName, Protocol] = MappingProxyType(
    {
        "whole": Protocol(whole, "whole RGB images in 8 bits at their own size", SMALLEST_SIDE),
        "errnet": Protocol(errnet, "mean over channels, numbers not rounded", UNIFORM, eight_bit=False),
        "multiple32": Protocol(
            errnet,
            "mean over channels, numbers not rounded, images first reduced to multiples of 32",
            UNIFORM,
            multiple=32,
            eight_bit=False,
        ),
        "border4": Protocol(border4, "RGB images in 8 bits without the outermost 4 pixels", GAUSSIAN, border=4),
    }
)
"""By name. ``multiple32`` is `errnet` on images that were reduced, by Pillow's bicubic filter, to the next smaller
multiples of 32 before the network saw them (``align`` in ``data/sirs_dataset.py`` of mingcv/DSRNet, with ``--if_align``
as its README has it, and in ``data/dataset_sir.py`` of lime-j/RDNet, always)."""


def resized(pixels: Tensor, height: int, width: int) -> Tensor:
    """Return 8-bit pixels ``(3, H, W)`` in another size, by Pillow's bicubic filter; as they are if they have it."""
    if pixels.shape[1:] == (height, width):
        return pixels
    image = Image.fromarray(pixels.permute(1, 2, 0).contiguous().cpu().numpy())
    return torch.from_numpy(np.array(image.resize((width, height), Image.Resampling.BICUBIC))).permute(2, 0, 1)

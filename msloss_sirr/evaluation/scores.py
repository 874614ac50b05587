"""PSNR and SSIM, of one image and of a set of pairs."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torchmetrics.functional.image import peak_signal_noise_ratio

from msloss import refine
from msloss_sirr.data.folders import Pairs
from msloss_sirr.depth.source import DepthSource, guidance
from msloss_sirr.evaluation.ssim import GAUSSIAN, continued, gaussian, mean_ssim
from msloss_sirr.images.reading import to_bytes, to_float
from msloss_sirr.layers import Layers

SMALLEST_SIDE = GAUSSIAN
"""The window of SSIM: images must be as large."""
CEILING = 100.0
"""PSNR in dB that an image counts with in a mean at most: an estimate that is the truth would make it infinite."""


class Scores(NamedTuple):
    """PSNR in dB and SSIM, of whole RGB images in 8 bits."""

    psnr: float
    ssim: float


class Evaluation(NamedTuple):
    """Scores of an ambient image as it is and of the estimated transmission, or their means over several pairs."""

    before: Scores
    after: Scores

    @classmethod
    def of(cls, numbers: Sequence[float]) -> "Evaluation":
        """Return the evaluation of four numbers: PSNR and SSIM before, PSNR and SSIM after."""
        return cls(Scores(*numbers[:2]), Scores(*numbers[2:]))

    @property
    def counted(self) -> tuple[float, float, float, float]:
        """The four numbers as they count in a mean, PSNR up to `CEILING`."""
        return min(self.before.psnr, CEILING), self.before.ssim, min(self.after.psnr, CEILING), self.after.ssim


def score(image: Tensor, target: Tensor) -> Scores:
    """Return the scores of an image ``(3, H, W)`` in [0, 1] against its target, both as they are when stored.

    Both are rounded to 8 bits and taken whole, with no border cut, at their own size. SSIM has the Gaussian window of
    11 pixels and sigma 1.5, and is the mean of the map over all pixels, borders continued by reflection. Equal images
    score a PSNR of infinity. It is computed on the processor, wherever the images are, and SSIM in double precision, to
    be the same everywhere.

    Raises:
        ValueError: unless both are RGB images of floats of one size, no side below 11 pixels.
    """
    shapes = {tuple(image.shape), tuple(target.shape)}
    if len(shapes) > 1 or image.dim() != 3 or image.shape[0] != 3 or min(image.shape[1:]) < SMALLEST_SIDE:
        told = " and ".join(str(tuple(each.shape)) for each in (image, target))
        raise ValueError(
            f"scored are two images (3, H, W) of one size, {SMALLEST_SIDE} pixels a side or more, not {told}"
        )
    if not (image.is_floating_point() and target.is_floating_point()):
        raise ValueError(f"scored are images of floats in [0, 1], not {image.dtype} and {target.dtype}")
    a, b = (to_bytes(x).cpu().contiguous() for x in (image, target))  # sums depend on the order in memory
    psnr = float(peak_signal_noise_ratio(to_float(a), to_float(b), data_range=1.0))
    return Scores(psnr, mean_ssim(continued(a.double() / 255), continued(b.double() / 255), gaussian))


@torch.no_grad()
def evaluate(
    model: Callable[..., Layers],
    pairs: Pairs,
    *,
    indices: Sequence[int] | None = None,
    steps: int = 1,
    device: torch.device | str = "cpu",
    source: DepthSource | None = None,
    seen: Callable[[int, Layers], None] | None = None,
) -> list[Evaluation]:
    """Score a model on pairs, image by image at its own size.

    Args:
        model: from an ambient image ``(1, 3, H, W)``, and its prepared depth if it is guided by one, to `Layers`.
        pairs: ambient and transmission images.
        indices: which of the pairs; ``None`` takes all.
        steps: how many times the model is applied.
        device: where the model is.
        source: where the depth comes from that the model is guided by.
        seen: called with the number of each pair and its estimate, ``(1, 3, H, W)``.
    """
    found = []
    for index in range(len(pairs)) if indices is None else indices:
        pair = pairs[index]
        ambient, transmission = to_float(pair.ambient.to(device)), to_float(pair.transmission.to(device))
        stored = None if pair.depth is None else pair.depth[None].to(device)
        guide = guidance(model, source, ambient[None], stored)
        layers = refine(model, ambient[None], *guide, steps=steps, feedback="transmission")
        if seen is not None:
            seen(index, layers)
        found.append(Evaluation(score(ambient, transmission), score(layers.transmission[0], transmission)))
    return found


def mean(evaluations: Sequence[Evaluation]) -> Evaluation:
    """Return the mean scores of one or more evaluations; a PSNR counts with `CEILING` at most."""
    columns = zip(*(e.counted for e in evaluations), strict=True)
    return Evaluation.of([sum(column) / len(evaluations) for column in columns])

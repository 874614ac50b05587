"""The criterion of one step: the terms of equation 4, each under its name."""

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from msloss import gamma, last_only, mean
from msloss_sirr.devices import send
from msloss_sirr.layers import Estimate, Layers, Truth
from msloss_sirr.losses.config import LossConfig
from msloss_sirr.losses.features import FeatureLoss, load_backbone
from msloss_sirr.losses.gradient import gradient_loss, image_gradient
from msloss_sirr.losses.misalignment import inner, nearest


class Prepared(NamedTuple):
    """A target with what is computed from it once, however many steps are compared with it."""

    layers: Layers
    gradient: Tensor
    features: list[Tensor]
    exact: Tensor | None = None
    """Numbers of the images that are compared where they are; ``None`` stands for all."""
    misaligned: Tensor | None = None
    """Numbers of the others."""


class LayersCriterion(nn.Module):
    """Compare estimated layers with the true ones, as named terms for `msloss.MultiStepLoss`.

    - ``transmission``: mean squared error of T (equation 1), or another measure
    - ``reflection``: mean squared error of R (equation 1), or another measure
    - ``gradient``: mean squared error of the gradients of T (equation 3)
    - ``feature``: mean absolute error of the features of T (equation 2), if there is a feature loss

    Their weights are the loss's: see `term_weights`. R is held to the target's, or, if the estimate tells what it was
    made from (`Estimate`), to what that holds beside T: ``I - T`` where it is positive.

    With a tolerance, and a target that says which of its images may be misaligned (`Truth`), ``transmission`` and
    ``gradient`` of those are taken, without a border, at the shift where the pixels' error is least (`nearest`), for
    every image and every estimate anew; the gradient flows through that one. R, and the features, are compared where
    they are.

    Args:
        feature_loss: compares T by its features; ``None`` leaves the term out.
        measure: how pixels of T and R are compared, from two batches of images to a scalar, the mean over the images.
        tolerance: the farthest shift in pixels.
    """

    def __init__(
        self,
        feature_loss: FeatureLoss | None = None,
        measure: Callable[[Tensor, Tensor], Tensor] = F.mse_loss,
        tolerance: int = 0,
    ) -> None:
        super().__init__()
        self.measure = measure
        self.feature_loss = feature_loss
        self.tolerance = tolerance

    def prepare(self, target: Layers | Truth) -> Prepared:
        """Return the target with its gradient and features."""
        transmission = target.transmission
        with _full_precision(transmission):
            features = [] if self.feature_loss is None else self.feature_loss.prepare(transmission)
            prepared = Prepared(Layers(transmission, target.reflection), image_gradient(transmission), features)
        if not self.tolerance or not isinstance(target, Truth):
            return prepared
        sorts = (~target.misaligned, target.misaligned)
        exact, misaligned = (send(which.nonzero().flatten(), transmission.device) for which in sorts)
        return prepared._replace(exact=exact, misaligned=misaligned)

    def forward(self, estimate: Layers | Estimate, target: Prepared) -> dict[str, Tensor]:
        """Return the terms, scalars, of layers ``(N, 3, H, W)`` against a prepared target of that shape."""
        layers = target.layers
        if estimate.transmission.shape != layers.transmission.shape:
            raise ValueError(
                f"the estimate is {tuple(estimate.transmission.shape)} but the target "
                f"{tuple(layers.transmission.shape)}; compare pictures of one size"
            )
        with _full_precision(estimate.transmission):
            transmission = estimate.transmission.to(layers.transmission)
            remaining = layers.reflection
            if isinstance(estimate, Estimate):
                remaining = (estimate.ambient.detach().to(remaining) - layers.transmission).clamp(0, 1)
            pixels, gradient = self._compared(transmission, target)
            terms = {
                "transmission": pixels,
                "reflection": self.measure(estimate.reflection.to(remaining), remaining),
                "gradient": gradient,
            }
            if self.feature_loss is not None:
                terms["feature"] = self.feature_loss(transmission, target.features)
        return terms

    def _compared(self, transmission: Tensor, target: Prepared) -> tuple[Tensor, Tensor]:
        """Return the errors of the pixels and of the gradients of T, means over the images."""
        truth = target.layers.transmission
        if target.exact is None or target.misaligned is None or not len(target.misaligned):
            return self.measure(transmission, truth), F.mse_loss(image_gradient(transmission), target.gradient)
        ours, theirs = transmission[target.misaligned], truth[target.misaligned]
        theirs, ours = nearest(ours, theirs, self.tolerance, self.measure), inner(ours, self.tolerance)
        closest = self.measure(ours, theirs), gradient_loss(ours, theirs)
        if not len(target.exact):
            return closest
        ours, theirs = transmission[target.exact], truth[target.exact]
        exact = self.measure(ours, theirs), F.mse_loss(image_gradient(ours), target.gradient[target.exact])
        share = len(target.misaligned) / len(truth)
        return torch.lerp(exact[0], closest[0], share), torch.lerp(exact[1], closest[1], share)


def log_mse(estimate: Tensor, target: Tensor) -> Tensor:
    """Return the mean over images of ``log(1 + 1000 * mse)``, a scalar.

    Images ``(N, 3, H, W)`` that are far off count as much as they do in the mean of PSNR, instead of almost alone, as
    in the mean squared error; those closer than 30 dB count less, those closer than 40 hardly.

    Source: PSNR as a loss as in Chen et al., "HINet", CVPR Workshops 2021, with a floor.
    """
    return (estimate - target).square().flatten(1).mean(dim=1).div(_FLOOR).log1p().mean()


_FLOOR = 1e-3
_MEASURES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"mse": F.mse_loss, "l1": F.l1_loss, "log": log_mse}


def _full_precision(images: Tensor) -> torch.autocast:
    """Return the context in which differences of pixels are not rounded to the networks' arithmetic."""
    return torch.autocast(images.device.type, enabled=False)


def build_criterion(config: LossConfig) -> LayersCriterion:
    """Return the criterion a configuration asks for.

    Raises:
        InputError: if the weights of its backbone cannot be had.
    """
    features = None
    if config.backbone != "none":
        features = FeatureLoss(load_backbone(config.backbone, config.weights))
    return LayersCriterion(features, _MEASURES[config.measure], config.tolerance)


def term_weights(
    config: LossConfig, *, networks: Literal["both", "transmission"] = "both"
) -> dict[str, float | Callable[[int], Sequence[float]]]:
    """Return the weights of the terms, for `msloss.MultiStepLoss`.

    Args:
        config: the loss.
        networks: what a remover has; with ``"transmission"`` alone R is what T leaves of I, and has no term.
    """
    over = {"sum": _each, "mean": mean, "gamma": gamma(config.gamma), "last": last_only}[config.over_steps]

    def weighed(weight: float, *, first: bool = False) -> float | Callable[[int], Sequence[float]]:
        weight *= config.scale
        if config.over_steps == "sum" and not first:
            return weight
        return lambda steps: tuple(weight * step * (t == 0 or not first) for t, step in enumerate(over(steps)))

    weights = {
        "transmission": weighed(config.transmission),
        "reflection": weighed(
            config.reflection if networks == "both" else 0.0, first=config.reflection_target == "first"
        ),
        "gradient": weighed(config.gradient),
    }
    return weights if config.backbone == "none" else {**weights, "feature": weighed(config.feature)}


def _each(steps: int) -> Sequence[float]:
    return (1.0,) * steps

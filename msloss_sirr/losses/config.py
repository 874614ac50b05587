"""The loss of a training."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from msloss_sirr.errors import InputError
from msloss_sirr.fields import check_fields

BackboneName = Literal["none", "vgg19", "squeezenet1_1"]
_FARTHEST = 7
"""Pixels of tolerance that leave something of the smallest crops there are, of 16."""


@dataclass(frozen=True)
class LossConfig:
    """Weights of the terms of equation 4, and the network whose features are compared."""

    measure: Literal["mse", "l1", "log"] = "mse"
    """How pixels of T and R are compared: mean squared error, as the paper has it; mean absolute error; or log, the
    mean over images of log(1 + 1000 * mean squared error), to which one image hardly counts more than another."""
    tolerance: int = 0
    """Pixels of the crops by which T of a real pair may lie beside the photograph: the estimate is compared, in pixels
    and gradients, with T at that place, no farther away, where their error is least, and without so many pixels at the
    borders. 0 compares it with T where it is, as is done of all that is made on photos."""
    transmission: float = 1.0
    """Weight of the comparison of T."""
    reflection: float = 1.0
    """Weight of the comparison of R."""
    reflection_target: Literal["first", "residual"] = "first"
    """What R is held to at later steps, of which the paper says nothing: first holds it to R at the first step and to
    nothing later; residual to what is still there, the step's input without T."""
    gradient: float = 1.0
    """Weight of the mean squared error of the gradients of T."""
    feature: float = 1.0
    """Weight of the mean absolute error of the features of T."""
    backbone: BackboneName = "none"
    """Network whose features are compared: vgg19 is the paper's; none leaves the term out."""
    weights: Path | None = None
    """File with the backbone's weights, instead of torchvision's download."""
    over_steps: Literal["sum", "mean", "gamma", "last"] = "sum"
    """What the losses of the steps weigh: sum, 1 each, as the paper has it; mean, an M-th each; gamma, less the more
    steps follow, by the factor gamma for each; last, 1 for the last alone."""
    gamma: float = 0.8
    """Factor between neighbouring steps with over-steps gamma."""
    scale: float = 1.0
    """What all of the loss is multiplied by; with 3 and a single step, the 3x1-step loss of the paper."""

    def __post_init__(self) -> None:
        """Refuse what is no loss."""
        check_fields(self)
        if not 0 <= self.tolerance <= _FARTHEST:
            raise InputError(f"tolerance is {self.tolerance}; give 0 to {_FARTHEST} pixels")
        used = [self.transmission, self.reflection, self.gradient] + [self.feature] * (self.backbone != "none")
        if not any(used) or not all(math.isfinite(weight) for weight in used):
            raise InputError(f"the weights of the loss are {used}; give finite numbers, one of them other than 0")
        if self.weights is not None and self.backbone == "none":
            raise InputError(f"weights for a backbone are given ({self.weights}) but no backbone; choose one")
        for name in ("gamma", "scale"):
            if not 0 < getattr(self, name) < math.inf:
                raise InputError(f"{name} is {getattr(self, name)}; give a number greater than 0")

"""Mistakes that a type checker finds: at the lines that say so, each with the code of its error, and no others."""

from typing import Any

import torch
from torch import Tensor, nn

import msloss
from msloss import (
    AtEpochs,
    MultiStepLoss,
    OnPlateau,
    RandomSteps,
    RangedQuantizer,
    Schedule,
    gamma,
    plot_losses,
    unroll,
)


class Stepless:
    """No schedule: nothing says how many steps run."""

    def step(self, metric: float | None = None) -> None: ...
    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: Any) -> None: ...


class Worded:
    """No schedule either: the number of steps is a word."""

    steps = "two"

    def step(self, metric: float | None = None) -> None: ...
    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: Any) -> None: ...


class Fussy(OnPlateau):
    """A schedule that cannot stand where others can."""

    def step(self, metric: float) -> None: ...  # error: override


def alone(output: Tensor) -> Tensor:
    return output


def worded(output: Tensor, target: Tensor) -> str:
    return "good"


def squared(output: Tensor, target: Tensor) -> Tensor:
    return (output - target).square().mean()


model = nn.Conv2d(3, 3, 1)
image = torch.rand(1, 3, 8, 8)

msloss.multi_step_loss(model, squared)  # error: attr-defined
MultiStepLoss(model)  # error: call-arg
MultiStepLoss(model, alone)  # error: arg-type
MultiStepLoss(model, worded)  # error: arg-type
MultiStepLoss(model, squared, steps="3")  # error: arg-type
MultiStepLoss(model, squared, 3, None, [1.0, 1.0, 1.0])  # error: call-arg
MultiStepLoss(model, squared, weights="mean")  # error: arg-type
MultiStepLoss(model, squared, weights={"a": "b"})  # error: dict-item
MultiStepLoss(model, squared, norm_stats="last")  # error: arg-type
MultiStepLoss(model, squared, truncation=1)  # error: call-arg
MultiStepLoss(model, squared, schedule=Stepless())  # error: arg-type
MultiStepLoss(model, squared, schedule=Worded())  # error: arg-type
MultiStepLoss(3, squared)  # error: arg-type

loss = MultiStepLoss(model, squared)
loss(image)  # error: call-overload
print(loss(image, image).total)  # error: attr-defined
loss(image, image, details=True).backward()  # error: attr-defined
loss(image, image, details="yes")  # error: call-overload
loss.current_steps = 2  # error: misc

schedule: Schedule = Stepless()  # error: assignment
AtEpochs([60])  # error: arg-type
OnPlateau(mode="least")  # error: arg-type
RandomSteps(low=None)  # error: arg-type
RangedQuantizer(output="colour")  # error: arg-type
RangedQuantizer(mode="log")  # error: arg-type
gamma("0.8")  # error: arg-type
plot_losses(["ab"])  # error: list-item
for step in unroll(model, image):
    step.input = image  # error: misc

"""Code that users write, in which a type checker finds nothing."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from typing_extensions import assert_type

import msloss
from msloss import (
    AtEpochs,
    Diagnosis,
    MultiStepLoss,
    OnPlateau,
    RandomSteps,
    RangedQuantizer,
    Rehearsal,
    Schedule,
    Step,
    StepLosses,
    gamma,
    last_only,
    mean,
    plot_losses,
    refine,
    unroll,
)


class Network(nn.Module):
    """Conditioned by depth, by position or by name."""

    def forward(self, image: Tensor, depth: Tensor | None = None) -> Tensor:
        return image if depth is None else image * depth


class Outputs(NamedTuple):
    image: Tensor
    noise: Tensor


class Parted(nn.Module):
    def forward(self, image: Tensor) -> Outputs:
        return Outputs(image, image)


def squared(output: Tensor, target: Tensor) -> Tensor:
    return (output - target).square().mean()


def terms(output: Outputs, target: Tensor) -> dict[str, Tensor]:
    return {"image": squared(output.image, target), "noise": output.noise.mean()}


class Prepared:
    """A criterion that works on its target once."""

    def prepare(self, target: Tensor) -> Tensor:
        return target.log1p()

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        return squared(output, target)


class EveryOther:
    """A schedule, by its members alone."""

    def __init__(self) -> None:
        self.epoch = 0

    @property
    def steps(self) -> int:
        return 1 + self.epoch % 2

    def step(self, metric: float | None = None) -> None:
        self.epoch += 1

    def state_dict(self) -> dict[str, Any]:
        return {"epoch": self.epoch}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.epoch = state["epoch"]


class FromMetric(OnPlateau):
    """A schedule that is another, with a limit of its own."""

    def step(self, metric: float | None = None) -> None:
        if metric is not None and metric < 10:
            super().step(metric)


class Logged(MultiStepLoss):
    """A loss that remembers its last value."""

    last: Tensor | None = None

    def forward(self, x: Any, y: Any, /, *cond: Any, details: bool = False, **named_cond: Any) -> Tensor | StepLosses:
        value = super().forward(x, y, *cond, details=details, **named_cond)
        self.last = value.total if isinstance(value, StepLosses) else value
        return value


def halves(steps: int) -> Sequence[float]:
    return [0.5] * steps


image, depth = torch.rand(2, 1, 3, 8, 8)

loss = MultiStepLoss(Network(), squared)
assert_type(loss(image, image), Tensor)
assert_type(loss(image, image, depth), Tensor)
assert_type(loss(image, image, depth=depth), Tensor)
parts = loss(image, image, depth, details=True)
assert_type(parts, StepLosses)
assert_type(parts.total, Tensor)
assert_type(parts.terms, Mapping[str, Tensor])
assert_type(parts.improvement, Tensor)
assert_type(loss(image, image, details=bool(image.any())), Tensor | StepLosses)
assert_type(loss.rehearse(image, image, depth), Rehearsal)
assert_type(loss.diagnose(image, image), Diagnosis)
assert_type(loss.current_steps, int)
assert_type(Logged(Network(), squared)(image, image), Tensor)

MultiStepLoss(lambda x: x, Prepared())
MultiStepLoss(Network(), nn.MSELoss(), steps=2, truncate=1, checkpoint=True, norm_stats="first", eager=False)
MultiStepLoss(Parted(), terms, feedback="image", weights={"image": gamma(0.8), "noise": 0.1})
MultiStepLoss(Parted(), terms, feedback=0)
MultiStepLoss(Parted(), terms, feedback=lambda output: output.image)

for weights in (0.5, [1.0, 2.0, 3.0], (1, 2, 3), gamma(0.8), last_only, mean, halves):
    MultiStepLoss(Network(), squared, weights=weights)

schedules: list[Schedule] = [AtEpochs({60: 3}, start=2), OnPlateau(), RandomSteps(), EveryOther(), FromMetric()]
for schedule in schedules:
    MultiStepLoss(Network(), squared, 3, schedule)
    schedule.step(0.5)
    schedule.load_state_dict(schedule.state_dict())
    assert_type(schedule.steps, int)

for step in unroll(Network(), image, depth, steps=2):
    assert_type(step, Step)
refine(Network(), image, depth=depth, steps=2, tol=1e-3)

quantizer = RangedQuantizer(4, mode="quantile", output="onehot")
plot_losses([[0.5, 0.4], parts.per_step], Path("losses.png"), identity=0.6)
assert_type(msloss.__version__, str)

"""Multi-step training of restoration networks: feed the output back in, sum the losses of all steps."""

from importlib.metadata import version as _version

from msloss._criterion import StepLosses
from msloss._diagnosis import Diagnosis
from msloss._loop import Step
from msloss._loss import MultiStepLoss
from msloss._memory import Rehearsal
from msloss._plot import plot_losses
from msloss._ranges import RangedQuantizer
from msloss._schedules import AtEpochs, OnPlateau, RandomSteps, Schedule
from msloss._unroll import refine, unroll
from msloss._weights import gamma, last_only, mean

__version__ = _version("msloss")

__all__ = [
    "AtEpochs",
    "Diagnosis",
    "MultiStepLoss",
    "OnPlateau",
    "RandomSteps",
    "RangedQuantizer",
    "Rehearsal",
    "Schedule",
    "Step",
    "StepLosses",
    "gamma",
    "last_only",
    "mean",
    "plot_losses",
    "refine",
    "unroll",
]

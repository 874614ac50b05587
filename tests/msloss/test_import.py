"""The public face, and what importing it brings along."""

import functools
import inspect
import subprocess
import sys
from typing import Any

import msloss
from msloss import AtEpochs, OnPlateau, RandomSteps

FACE = {
    "AtEpochs": "(milestones, start=1)",
    "Diagnosis": "(losses, identity, residual)",
    "Diagnosis.identity_gap": "property",
    "MultiStepLoss": "(model, criterion, steps=3, schedule=None, *, weights=None, feedback=None, truncate=None, "
    "checkpoint=False, norm_stats='all', eager=True, check_finite=False)",
    "MultiStepLoss.current_steps": "property",
    "MultiStepLoss.diagnose": "(self, x, y, /, *cond, identity=None, **named_cond)",
    "MultiStepLoss.forward": "(self, x, y, /, *cond, details=False, **named_cond)",
    "MultiStepLoss.rehearse": "(self, x, y, /, *cond, **named_cond)",
    "OnPlateau": "(start=2, patience=10, threshold=0.0001, mode='min', cooldown=0)",
    "RandomSteps": "(low=1, seed=0)",
    "RangedQuantizer": "(ranges=4, mode='uniform', output='level', *, boundaries=None)",
    "RangedQuantizer.forward": "(self, depth)",
    "Rehearsal": "(steps, device, peak_bytes, total_bytes)",
    "Schedule": "a protocol",
    "Schedule.load_state_dict": "(self, state)",
    "Schedule.state_dict": "(self)",
    "Schedule.step": "(self, metric=None)",
    "Schedule.steps": "property",
    "Step": "(index, input, output)",
    "StepLosses": "(total, per_step, terms, outputs)",
    "StepLosses.improvement": "property",
    "gamma": "(decay)",
    "last_only": "(steps)",
    "mean": "(steps)",
    "plot_losses": "(history, path=None, *, identity=None, axes=None)",
    "refine": "(model, x, /, *cond, steps=3, feedback=None, tol=None, **named_cond)",
    "unroll": "(model, x, /, *cond, steps=3, feedback=None, truncate=None, checkpoint=False, norm_stats='all', "
    "**named_cond)",
}
"""Every public name, and how it is called: what users build on, and what a release may add to but not change."""


def signature(thing: Any) -> str:
    """Return how something is called, without its types."""
    if isinstance(thing, property):
        return "property"
    parameters = inspect.signature(thing).parameters.values()
    bare = [parameter.replace(annotation=inspect.Parameter.empty) for parameter in parameters]
    return str(inspect.Signature(bare))


def test_public_names_and_signatures() -> None:
    assert sorted(msloss.__all__) == sorted({name.split(".")[0] for name in FACE})
    for name, expected in FACE.items():
        thing = functools.reduce(getattr, name.split("."), msloss)
        if name != "Schedule":
            assert signature(thing) == expected, name
        assert thing.__doc__, name


def test_public_members_are_all_named() -> None:
    for name in msloss.__all__:
        thing = getattr(msloss, name)
        if inspect.isclass(thing) and not issubclass(thing, (AtEpochs, OnPlateau, RandomSteps)):
            members = {member for member in vars(thing) if not member.startswith("_")}
            members -= {"extra_repr", *getattr(thing, "_fields", ())}
            assert members == {entry.split(".")[1] for entry in FACE if entry.startswith(f"{name}.")}


def test_schedules_share_their_members() -> None:
    for schedule in (AtEpochs, OnPlateau, RandomSteps):
        own = {"forget"} if schedule is OnPlateau else set()
        shared = {"bind", "load_state_dict", "state_dict", "step", "steps"}
        assert {member for member in vars(schedule) if not member.startswith("_")} == shared | own


def test_import_needs_torch_alone_and_warns_of_nothing() -> None:
    code = (
        "import sys, torch; before = set(sys.modules); import msloss; "
        "print(*sorted({name.split('.')[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names)))"
    )
    done = subprocess.run([sys.executable, "-W", "error::UserWarning", "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()) <= {"msloss", "torch"}


def test_import_adds_little_to_that_of_torch() -> None:
    code = (
        "import time; a = time.perf_counter(); import torch; b = time.perf_counter(); "
        "import msloss; c = time.perf_counter(); print((c - b) / (b - a))"
    )
    ratios = [
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
        for _ in range(3)
    ]
    assert min(ratios) < 0.1

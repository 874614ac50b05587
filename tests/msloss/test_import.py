"""The public face, and what importing it brings along."""

import subprocess
import sys

import msloss


def test_public_names() -> None:
    assert sorted(msloss.__all__) == [
        "AtEpochs",
        "MultiStepLoss",
        "OnPlateau",
        "RandomSteps",
        "RangedQuantizer",
        "Schedule",
        "Step",
        "StepLosses",
        "gamma",
        "last_only",
        "mean",
        "refine",
        "unroll",
    ]
    assert all(getattr(msloss, name).__doc__ for name in msloss.__all__)


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

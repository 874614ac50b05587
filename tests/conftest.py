"""Seeded property tests: the same examples on every run; ``HYPOTHESIS_PROFILE=search`` looks for new ones."""

import os
import signal

import torch
from hypothesis import HealthCheck, settings

settings.register_profile(
    "seeded", derandomize=True, deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "search", deadline=None, max_examples=500, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "seeded"))

if "PYTEST_XDIST_WORKER" in os.environ:  # processes side by side share the cores, those that tests start included
    threads = max((os.cpu_count() or 1) // int(os.environ["PYTEST_XDIST_WORKER_COUNT"]), 1)
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    torch.set_num_threads(threads)

torch.manual_seed(0)

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in the background of a shell
    signal.signal(signal.SIGINT, signal.default_int_handler)

collect_ignore = ["typing", "release"]
"""Code for a type checker, part of it wrong, and what `make extras` and `make dist` run."""

"""The random state of a process: Python's, PyTorch's, and that of its device."""

import random
from collections.abc import Mapping
from typing import Any

import torch


def random_state(device: torch.device) -> dict[str, Any]:
    """Return what random numbers are drawn from next, in this process and on its device."""
    on_device = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
    return {"python": random.getstate(), "torch": torch.get_rng_state(), "device": on_device}


def set_random_state(state: Mapping[str, Any], device: torch.device) -> None:
    """Draw from where ``state`` was taken; on a device of another kind, that of the device is left alone."""
    version, numbers, gauss = state["python"]
    random.setstate((version, tuple(numbers), gauss))
    torch.set_rng_state(state["torch"])
    if device.type == "cuda" and state["device"] is not None:
        torch.cuda.set_rng_state(state["device"], device)

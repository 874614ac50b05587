"""The devices that there are."""

import os

import torch

from msloss_sirr.errors import InputError, in_words


def find_device(name: str) -> torch.device:
    """Return the device of a name; ``"auto"`` is an accelerator if there is one.

    Of several GPUs of NVIDIA, each process that a launcher has started on this machine takes another, by LOCAL_RANK.

    Raises:
        InputError: if there is no such device.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    place = os.environ.get("LOCAL_RANK", "")
    if name == "cuda" and place.isdecimal() and torch.cuda.device_count() > 1:
        name = f"cuda:{int(place) % torch.cuda.device_count()}"
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).cpu()
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"there is no device {name!r} here: {in_words(error)}") from error
    return device

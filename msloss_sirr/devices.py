"""Devices: which there are, and numbers sent to them."""

import os
from collections.abc import Sequence

import torch
from torch import Tensor

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


def send(numbers: Tensor, device: torch.device) -> Tensor:
    """Return numbers on a device, without waiting for what a GPU has still to do before it takes them."""
    if device.type == "cuda" and numbers.device.type == "cpu":
        return numbers.pin_memory().to(device, non_blocking=True)  # from other memory, a copy waits for the GPU
    return numbers.to(device)


def send_together(parts: Sequence[Tensor], device: torch.device) -> Sequence[Tensor]:
    """Return several tensors of one type on a device, in one copy."""
    if len(parts) < 2 or device.type == "cpu":
        return [send(part, device) for part in parts]
    sent = torch.split(send(torch.cat([part.flatten() for part in parts]), device), [part.numel() for part in parts])
    return [flat.view(part.shape) for flat, part in zip(sent, parts, strict=True)]

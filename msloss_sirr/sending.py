"""Numbers on their way from the processor to another device."""

from collections.abc import Sequence

import torch
from torch import Tensor


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

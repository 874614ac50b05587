"""What a network can be given as photographs."""

from math import isfinite

import torch
from torch import Tensor

_FARTHEST = 8.0
"""How far beyond [0, 1] an image may go: farther than later steps leave it, and not as far as the 255 of bytes."""


def check_form(ambient: Tensor) -> None:
    """Raise ``ValueError`` unless a tensor has the form of photographs, ``(N, 3, H, W)``, floating-point."""
    if not isinstance(ambient, Tensor) or ambient.is_nested:
        raise ValueError("ambient is no tensor; give pictures of one size as one tensor, (N, 3, H, W)")
    if ambient.dim() != 4 or ambient.shape[1] != 3 or 0 in ambient.shape or not ambient.is_floating_point():
        raise ValueError(
            f"ambient is {tuple(ambient.shape)} of {ambient.dtype}; give (N, 3, H, W), floating-point, in [0, 1]"
        )


def check_numbers(name: str, values: Tensor, *, beyond: float = _FARTHEST) -> None:
    """Raise ``ValueError`` if numbers that should be in [0, 1] are NaN or infinite, or farther from it than ``beyond``.

    While operations are being compiled, exported or captured, when no decision may depend on numbers, nothing is done.
    """
    capturing = torch.cuda.is_available() and torch.cuda.is_current_stream_capturing()
    if capturing or torch.compiler.is_compiling() or values.device.type == "meta":
        return
    try:
        low, high = torch.stack(values.detach().aminmax()).tolist()
    except RuntimeError:  # a tensor without numbers of its own, as under vmap or of a fake mode
        return
    if not -beyond <= low <= high <= 1 + beyond:  # NaN is not, either
        seen = f"goes from {low:g} to {high:g}" if isfinite(low) and isfinite(high) else "holds NaN or infinity"
        raise ValueError(f"{name} {seen}; give [0, 1]")

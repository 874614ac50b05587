"""How much memory a photograph may take, and how it is made to fit."""

import re
from pathlib import Path
from typing import Any

import psutil
import torch
from torch import nn

from msloss._memory import LiveBytes
from msloss_sirr.errors import InputError

_UNITS = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?", re.IGNORECASE)
_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
_PROBE = 256
"""Side in pixels of the picture by which the memory of a network is found out."""
_UNKNOWN = 4096
"""Bytes a pixel that are set aside for what is no network of PyTorch."""


def parse_size(text: str) -> int:
    """Return a number of bytes, as ``2G``, ``500 MB`` or ``1073741824``; a K is 1024.

    Raises:
        InputError: if it is none, or zero.

    >>> parse_size("1.5G") == 3 * 2**29
    True
    """
    found = _SIZE.fullmatch(text.strip())
    size = int(float(found[1]) * _UNITS[found[2].lower()]) if found else 0
    if size < 1:
        raise InputError(f"{text!r} is no amount of memory; give one as 500M or 2G")
    return size


def room() -> int:
    """Return how many bytes this process may take by default: half of what the machine, or its container, has left."""
    free: int = psutil.virtual_memory().available
    for file in _LIMITS:
        if file.exists() and (limit := file.read_text().strip()).isdecimal():
            free = min(free, max(int(limit) - psutil.Process().memory_info().rss, 0))
    return free // 2


def allowed(asked: str | None) -> int:
    """Return how many bytes may be taken: so many, or if nobody has asked for any, `room`.

    Raises:
        InputError: if that is no amount of memory.
    """
    return room() if asked is None else parse_size(asked)


@torch.no_grad()
def bytes_per_pixel(estimator: Any, channels: int = 0) -> float:
    """Return how many bytes a network takes at its peak for every pixel of a picture.

    Args:
        estimator: the network. Of one without weights, whose operations PyTorch may not know, much is taken for
            granted.
        channels: of depth that it is given.
    """
    weight = next(estimator.parameters(), None) if isinstance(estimator, nn.Module) else None
    if weight is None:
        return _UNKNOWN
    picture = torch.full((1, 3, _PROBE, _PROBE), 0.5, dtype=weight.dtype, device=weight.device)
    guide = [picture[:, :1]] * channels
    with LiveBytes() as counter:
        estimator(picture, *guide)
    return float(counter.peak / _PROBE**2)

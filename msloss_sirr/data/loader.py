"""Draws as batches: a loader, with the processes that it has decode images."""

import atexit
import os
import signal
from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Sampler

from msloss_sirr.data.draws import Draw, Draws, present
from msloss_sirr.devices import send


class DrawBatch(NamedTuple):
    """Several draws: images ``(N, 3, H, W)`` uint8, ``kind`` and ``seed`` ``(N,)`` int64, on the processor."""

    first: Tensor
    second: Tensor
    kind: Tensor
    seed: Tensor
    depth: Tensor | None = None
    """``(N, 1, H, W)`` float32, if all have one."""
    damaged: tuple[str, ...] = ()

    def on(self, device: torch.device) -> "DrawBatch":
        """Return the images on a device; kinds and seeds stay on the processor, which has to know them."""
        depth = None if self.depth is None else send(self.depth, device)
        return self._replace(first=send(self.first, device), second=send(self.second, device), depth=depth)


def collate(draws: list[Draw]) -> DrawBatch:
    """Return draws as a batch."""
    depths = present(*(draw.depth for draw in draws))
    return DrawBatch(
        torch.stack([draw.first for draw in draws]),
        torch.stack([draw.second for draw in draws]),
        torch.tensor([int(draw.kind) for draw in draws]),
        torch.tensor([draw.seed for draw in draws]),
        torch.stack(depths) if len(depths) == len(draws) else None,
        tuple(what for draw in draws for what in draw.damaged),
    )


class Rest(Sampler[int]):
    """The numbers of an epoch's draws in their order, from one of them on; that is of the next epoch to begin.

    Args:
        draws: what is drawn.
    """

    def __init__(self, draws: Draws) -> None:
        self.first = 0
        self._draws = draws

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.first, len(self._draws)))

    def __len__(self) -> int:
        return len(self._draws) - self.first


def load(draws: Draws, batch: int, workers: int, order: Sampler[int] | None = None) -> DataLoader[DrawBatch]:
    """Return a loader of batches; its processes live as long as it does, and keep what they have decoded.

    It draws no random number of the process it is in. Its processes go on loading after a Ctrl-C and one SIGTERM, which
    may be sent to all processes of a training together: that which trains is to end them, and does when it ends.
    """
    ending = torch.zeros((), dtype=torch.bool)
    ending.share_memory_()  # type: ignore[no-untyped-call]
    if workers:
        atexit.register(ending.fill_, True)  # before Python sends each of them one SIGTERM, and waits for it
    return DataLoader(
        draws,  # type: ignore[arg-type]
        batch,
        sampler=Rest(draws) if order is None else order,
        collate_fn=collate,
        num_workers=workers,
        persistent_workers=workers > 0,
        worker_init_fn=partial(_bear_signals, ending),
        generator=torch.Generator(),
    )


def _bear_signals(ending: Tensor, _: int) -> None:
    def bear(*_: object) -> None:
        if ending:
            os._exit(0)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, bear)

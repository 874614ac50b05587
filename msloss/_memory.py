"""How much memory a computation takes at its peak."""

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Rehearsal(NamedTuple):
    """What a training step at the full number of steps takes.

    >>> str(Rehearsal(steps=3, device=torch.device("cpu"), peak_bytes=3 * 2**20, total_bytes=None))
    '3 steps on cpu: 3.0 MiB at the peak'
    """

    steps: int
    """M, as many as there will ever be."""
    device: torch.device
    peak_bytes: int
    """Most bytes in tensors at one time: on an accelerator all that is allocated there, weights included; on a CPU
    what the rehearsal itself made, operation by operation."""
    total_bytes: int | None
    """Bytes the accelerator has; ``None`` on a CPU."""

    def __str__(self) -> str:
        """Return one line."""
        of = "" if self.total_bytes is None else f" of {_readable(self.total_bytes)}"
        return f"{self.steps} steps on {self.device}: {_readable(self.peak_bytes)}{of} at the peak"


class LiveBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's own
    """Count the bytes of the storages that operations make, as they come and go."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.live = self.peak = 0
        self._known: dict[int, weakref.ref[Any]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                self._count(leaf.untyped_storage())
        return result

    def _count(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self._known:
            return

        def gone(_: Any) -> None:
            self.live -= size
            del self._known[key]

        self._known[key] = weakref.ref(storage, gone)
        self.live += size
        self.peak = max(self.peak, self.live)


class Peak:
    """The most bytes in tensors at one time on a device; see `Rehearsal` for what is counted."""

    def __init__(self, device: torch.device) -> None:
        self._statistics = None if device.type in ("cpu", "meta") else torch.get_device_module(device)
        self._device = device
        self.bytes = 0
        self.total: int | None = None

    @contextmanager
    def measured(self) -> Iterator[None]:
        """Measure what happens in the block."""
        if self._statistics is None or not hasattr(self._statistics, "max_memory_allocated"):
            with LiveBytes() as counter:
                yield
            self.bytes = counter.peak
            return
        self._statistics.reset_peak_memory_stats(self._device)
        yield
        self.bytes = self._statistics.max_memory_allocated(self._device)
        self.total = self._statistics.get_device_properties(self._device).total_memory


def _readable(size: float) -> str:
    units = ["KiB", "MiB", "GiB", "TiB"]
    size /= 1024
    while size >= 1024 and len(units) > 1:
        size /= 1024
        units.pop(0)
    return f"{size:.1f} {units[0]}"

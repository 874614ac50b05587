"""The surroundings of a computation, so that it can be run again later and give the same."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor

from msloss import _buffers
from msloss._modules import Crew


class Surroundings:
    """Where a computation runs: a device, the autocast of now, and a model if there is one.

    Args:
        device: that the computation runs on.
        by: whose buffers the computation may change.
    """

    def __init__(self, device: torch.device, by: Crew) -> None:
        self.device = device
        self.by = by
        self.autocast = [
            (name, torch.get_autocast_dtype(name), torch.is_autocast_enabled(name))
            for name in (("cpu",) if device.type in ("cpu", "meta") else ("cpu", device.type))
        ]
        self._random = _random_source(device)

    @contextmanager
    def plainly(self) -> Iterator[None]:
        """Compute without autocast, as backward passes are."""
        with ExitStack() as stack:
            for name, _, enabled in self.autocast:
                if enabled:
                    stack.enter_context(torch.autocast(name, enabled=False))
            yield

    def now(self) -> "Moment":
        """Return the present moment: random state, and copies of the model's buffers."""
        buffers = _buffers.copies({module: dict(module._buffers) for module in self.by.modules})
        here = None if self._random is None else self._random.get_rng_state(self.device)
        return Moment(self, torch.get_rng_state(), here, buffers)


class Moment(NamedTuple):
    """The state of the surroundings at one time."""

    surroundings: Surroundings
    random: Tensor
    device_random: Tensor | None
    buffers: _buffers.Buffers

    @contextmanager
    def restored(self) -> Iterator[None]:
        """Go back for a while; what happens meanwhile leaves no trace."""
        device, state = self.surroundings.device, self.device_random
        with ExitStack() as stack:
            kind = "cuda" if state is None else device.type
            stack.enter_context(torch.random.fork_rng([] if state is None else [device], device_type=kind))
            torch.set_rng_state(self.random)
            if state is not None:
                torch.get_device_module(device).set_rng_state(state, device)
            for name, dtype, enabled in self.surroundings.autocast:
                stack.enter_context(torch.autocast(name, dtype=dtype, enabled=enabled))
            stack.enter_context(_buffers.Rewound(self.surroundings.by.models, self.buffers))
            yield


def _random_source(device: torch.device) -> Any:
    """Return the module that knows the random state of an accelerator; ``None`` if there is none to be known."""
    if device.type in ("cpu", "meta"):
        return None
    if device.type == "cuda" and torch.cuda.is_current_stream_capturing():  # the state cannot be read meanwhile
        return None
    module = torch.get_device_module(device)
    return module if hasattr(module, "get_rng_state") else None

"""Buffers that a forward pass writes to (running statistics above all), and how to run one that leaves no trace."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.parameter import is_lazy

Buffers = list[tuple[nn.Module, str, Tensor]]


def running_statistics(model: Any) -> Buffers:
    """Return the running statistics of the model's normalisation layers that a forward pass would update."""
    return [
        entry
        for entry in buffers(model)
        if isinstance(entry[0], _NormBase) and entry[0].training and entry[0].track_running_stats
    ]


def buffers(model: Any) -> Buffers:
    """Return every buffer of the model as (module, name, tensor); none if it is no module."""
    if not isinstance(model, nn.Module):
        return []
    return [
        (module, name, buffer)
        for module in model.modules()
        for name, buffer in module._buffers.items()
        if buffer is not None and not is_lazy(buffer)
    ]


def snapshot(entries: Buffers) -> Buffers:
    """Return the same entries with copies of their tensors."""
    return [(module, name, buffer.clone()) for module, name, buffer in entries]


@contextmanager
def replaced(entries: Buffers) -> Iterator[None]:
    """Let the modules see, and write to, copies of the entries' tensors; afterwards, their own again, untouched.

    The tensors are exchanged rather than written back: writing in place to a tensor that autograd has saved would
    make the backward pass fail.
    """
    own = [(module, name, module._buffers[name]) for module, name, _ in entries]
    for module, name, buffer in snapshot(entries):
        module._buffers[name] = buffer
    try:
        yield
    finally:
        for module, name, original in own:
            module._buffers[name] = original

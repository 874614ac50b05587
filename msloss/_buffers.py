"""Buffers that a forward pass writes to (running statistics above all), and how to run one that leaves no trace."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, TypeAlias

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.parameter import is_lazy

from msloss._modules import modules

Buffers: TypeAlias = dict[nn.Module, dict[str, Tensor | None]]


def buffers(model: Any) -> Buffers:
    """Return every buffer of the model, by module and name."""
    return {module: dict(module._buffers) for module in modules(model)}


def running_statistics(model: Any) -> Buffers:
    """Return the running statistics of the model's normalisation layers that a forward pass would update."""
    return {
        module: found
        for module, found in buffers(model).items()
        if isinstance(module, _NormBase) and module.training and module.track_running_stats
    }


def copies(found: Buffers) -> Buffers:
    """Return the same buffers with copies of their tensors; what modules share, their copies share.

    All are copied, however large: writing through ``.data``, as codebooks do, or inside a kernel, as batch
    normalisation does, is counted nowhere.
    """
    made: dict[int, Tensor] = {}

    def copied(buffer: Tensor | None) -> Tensor | None:
        if buffer is None or is_lazy(buffer):
            return buffer
        if id(buffer) not in made:
            made[id(buffer)] = buffer.clone()
        return made[id(buffer)]

    return {module: {name: copied(b) for name, b in own.items()} for module, own in found.items()}


@contextmanager
def scratch(found: Buffers) -> Iterator[None]:
    """Let the modules see, and write to, copies of these buffers; afterwards their own again, untouched.

    Buffers are exchanged rather than written back: writing in place to a tensor that autograd has saved would make the
    backward pass fail.
    """
    own = {module: dict(module._buffers) for module in found}
    for module, replacement in copies(found).items():
        module._buffers.update(replacement)
    try:
        yield
    finally:
        for module, original in own.items():
            module._buffers.clear()
            module._buffers.update(original)


class Rewound:
    """A context in which the model runs on copies of the buffers it had before, without those born since.

    It can be entered again and again; afterwards the model has its own.
    """

    def __init__(self, model: Any, before: Buffers) -> None:
        self._model = model
        self._before = before
        self._entered: list[ExitStack] = []

    def __enter__(self) -> None:
        now = buffers(self._model)
        before = self._before
        then = {
            module: {
                name: buffer if (old := before.get(module, {}).get(name)) is None or is_lazy(old) else old
                for name, buffer in own.items()
                if name in before.get(module, own)
            }
            for module, own in now.items()
        }
        stack = ExitStack()
        stack.enter_context(scratch(now))
        for module, replacement in copies(then).items():
            module._buffers.clear()
            module._buffers.update(replacement)
        self._entered.append(stack)

    def __exit__(self, *error: object) -> None:
        self._entered.pop().close()

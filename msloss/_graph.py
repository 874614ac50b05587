"""What autograd has recorded: the leaves that a scalar's graph reaches, and what stands against using it early."""

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import BackwardCFunction

_SPENT = "differentiated early by msloss"
_LINEAR = ("torch._functorch.", "torch.nn.parallel.")
"""Where functions written in Python come from that are known to hide nothing and to scale: compiled ones, and DDP's."""


class Reach(NamedTuple):
    """What lies between tensors and the ends of their graph."""

    leaves: list[Tensor]
    """Leaves reached otherwise than through the given ends."""
    nodes: list[Any]
    """Everything recorded in between."""
    custom: bool
    """Whether a function written in Python is among it, which may hide leaves, accumulate, or not be linear."""
    older: bool
    """Whether something recorded before the given moment is among it, other than a cast of a leaf."""
    spent: bool
    """Whether something is among it whose saved tensors are gone, because it was differentiated early."""
    scalable: bool
    """Whether gradients keep their precision when they are scaled afterwards: none is float16."""


def recorded() -> int:
    """Return a number that is greater for whatever is recorded later in this thread."""
    return int(torch._C._autograd._get_sequence_nr())


def leaves_of(*tensors: Tensor) -> list[Tensor]:
    """Return the leaves that tensors depend on, themselves included."""
    return reach(tensors, (), 0, type(None)).leaves


def only_accumulates(tensor: Tensor) -> bool:
    """Whether a reentrant checkpoint is in the graph, which cannot hand gradients out."""
    nodes = reach([tensor], (), 0, type(None)).nodes
    return any(type(node).__name__ == "CheckpointFunctionBackward" for node in nodes)


def reach(tensors: Sequence[Tensor], ends: Collection[Any], since: int, own: type) -> Reach:
    """Follow the graph of tensors down to its leaves, or to the nodes ``ends``, which are not entered.

    Args:
        tensors: tensors that require gradients.
        ends: nodes of the graph.
        since: the moment, as `recorded` gave it, before which nothing should have been recorded.
        own: the one Python function of the user's kind that hides nothing.
    """
    leaves = [tensor for tensor in tensors if tensor.grad_fn is None]
    nodes: list[Any] = []
    custom = older = spent = False
    scalable = True
    pending: list[Any] = [tensor.grad_fn for tensor in tensors]
    seen = {None, *ends}
    while pending:
        node = pending.pop()
        if node in seen:
            continue
        seen.add(node)
        kind = type(node).__name__
        if kind == "AccumulateGrad":
            leaves.append(node.variable)
            continue
        following = [function for function, _ in node.next_functions]
        pending += following
        for entry in node._input_metadata:
            scalable = scalable and entry.dtype != torch.float16
        if kind == "ToCopyBackward0" and type(following[0]).__name__ == "AccumulateGrad":
            continue  # a leaf in another type: nothing is saved, and autocast keeps it from step to step
        nodes.append(node)
        older = older or node._sequence_nr() < since
        spent = spent or _SPENT in node.metadata
        if isinstance(node, BackwardCFunction):
            function = getattr(node, "_forward_cls", type(node))
            custom = custom or not (function is own or function.__module__.startswith(_LINEAR))
    return Reach(leaves, nodes, custom, older, spent, scalable)


def mark_spent(found: Reach) -> None:
    """Note on every node that its saved tensors are gone."""
    for node in found.nodes:
        node.metadata[_SPENT] = True

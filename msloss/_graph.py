"""What autograd has recorded: the leaves that a scalar's graph reaches, and what stands against using it early."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor
from torch.autograd.function import BackwardCFunction

_LINEAR = ("torch._functorch._aot_autograd.", "torch.nn.parallel.", "msloss._deferred")
"""Where functions written in Python come from that hide nothing and scale: compiled ones, those of DDP, our own."""

Edge: TypeAlias = tuple[Any, int]
"""An output of a recorded operation, by its number; a leaf is the output 0 of what accumulates its gradient."""


class Reach(NamedTuple):
    """What lies between tensors and the ends of their graph."""

    leaves: list[Tensor]
    """Leaves reached otherwise than through the given ends."""
    ends: set[int]
    """Which of the given ends were reached."""
    nodes: list[Any]
    """Everything recorded in between."""
    older: list[Any]
    """What of it was recorded before the given moment, other than casts of leaves."""
    custom: bool
    """Whether a function written in Python is among it, which may hide leaves, accumulate, or not be linear."""
    scalable: bool
    """Whether gradients keep their precision when they are scaled afterwards: none is float16."""


def recorded() -> int:
    """Return a number that is greater for whatever is recorded later in this thread."""
    return int(torch._C._autograd._get_sequence_nr())


def leaves_of(*tensors: Tensor) -> list[Tensor]:
    """Return the leaves that tensors depend on, themselves included."""
    return reach(tensors, (), 0).leaves


def only_accumulates(tensor: Tensor) -> bool:
    """Whether a reentrant checkpoint is in the graph, which cannot hand gradients out."""
    nodes = reach([tensor], (), 0).nodes
    return any(type(node).__name__ == "CheckpointFunctionBackward" for node in nodes)


def reach(tensors: Sequence[Tensor], ends: Sequence[Tensor], since: int) -> Reach:
    """Follow the graph of tensors down to its leaves, or to the tensors ``ends``, behind which it is not followed.

    Args:
        tensors: tensors that require gradients.
        ends: others of those.
        since: the moment, as `recorded` gave it, before which nothing should have been recorded.
    """
    walk = _Walk(tensors, ends)
    nodes: list[Any] = []
    older: list[Any] = []
    custom, half = False, torch.float16
    scalable = True
    while walk.pending:
        node = walk.pending.pop()
        kind = type(node).__name__
        following = node.next_functions
        if not following and kind == "AccumulateGrad":
            walk.leaf(node.variable)
            continue
        walk.follow(following)
        if any([entry.dtype == half for entry in node._input_metadata]):  # noqa: C419  # a generator takes twice the time
            scalable = False
        if kind == "ToCopyBackward0" and type(following[0][0]).__name__ == "AccumulateGrad":
            continue  # a leaf in another type: nothing is saved, and autocast keeps it from step to step
        nodes.append(node)
        if node._sequence_nr() < since:
            older.append(node)
        if isinstance(node, BackwardCFunction):
            custom = custom or not _known(node)
    return Reach(walk.leaves, walk.reached, nodes, older, custom, scalable)


def _known(node: Any) -> bool:
    return bool(getattr(node, "_forward_cls", type(node)).__module__.startswith(_LINEAR))


class _Walk:
    """Where a walk along recorded operations stands."""

    def __init__(self, tensors: Sequence[Tensor], ends: Sequence[Tensor]) -> None:
        self.leaves: list[Tensor] = []
        self.reached: set[int] = set()
        self.pending: list[Any] = []
        self._end_leaves = {id(end): i for i, end in enumerate(ends) if end.grad_fn is None}
        self._met: dict[Any, dict[int, int] | None] = {None: None}
        """Operations met already; with the ends among their outputs, if there are some, until they are entered."""
        for i, end in enumerate(ends):
            if end.grad_fn is not None:
                outputs = self._met.setdefault(end.grad_fn, {})
                assert outputs is not None  # noqa: S101
                outputs[end.output_nr] = i
        self._behind_ends: set[Any] = set()
        for tensor in tensors:
            if tensor.grad_fn is None:
                self.leaf(tensor)
            else:
                self.follow(((tensor.grad_fn, tensor.output_nr),))

    def follow(self, edges: Iterable[Edge]) -> None:
        """Note what to visit next."""
        met = self._met
        for node, output in edges:
            if node not in met:
                met[node] = None
                self.pending.append(node)
            elif (ends := met[node]) is not None:
                if output in ends:
                    self.reached.add(ends[output])
                elif node not in self._behind_ends:  # another output of an operation that an end comes from
                    self._behind_ends.add(node)
                    self.pending.append(node)

    def leaf(self, tensor: Tensor) -> None:
        """Note a leaf, or an end that is one."""
        if id(tensor) in self._end_leaves:
            self.reached.add(self._end_leaves[id(tensor)])
        else:
            self.leaves.append(tensor)


def interdependent(tensors: Sequence[Tensor]) -> bool:
    """Whether one of several tensors, none of them a leaf, depends on another."""
    edges = {(tensor.grad_fn, tensor.output_nr) for tensor in tensors}
    if len(edges) < 2:
        return False
    first = min(node._sequence_nr() for node, _ in edges if node is not None)  # what is older depends on none of them
    pending: list[Any] = [node for node, _ in edges]
    seen = set(pending)
    while pending:
        for edge in pending.pop().next_functions:
            if edge in edges:
                return True
            node = edge[0]
            if node is not None and node not in seen and node._sequence_nr() >= first:
                seen.add(node)
                pending.append(node)
    return False

"""The loop: a model applied to its own output, step after step, in segments between which the graph is cut."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, NamedTuple, TypeAlias

import torch
from torch import Tensor

from msloss import _buffers
from msloss._trees import detach, select, tensors, versions

Feedback: TypeAlias = str | int | Callable[[Any], Any] | None
NormStats: TypeAlias = Literal["all", "first"]


class Step(NamedTuple):
    """One step of an unrolled model."""

    index: int  # type: ignore[assignment]  # tuple.index is of no use here
    """t, counted from 1."""
    input: Any
    """x_{t-1}: what the model was given."""
    output: Any
    """o_t: what it returned."""


class Inputs(NamedTuple):
    """What the model is given at a step."""

    x: Any
    cond: tuple[Any, ...]
    named_cond: Mapping[str, Any] | None
    """``None`` if there is none."""


@dataclass(frozen=True)
class Loop:
    """A model, and how it is applied to its own output."""

    model: Callable[..., Any]
    first: Any
    """x_0, which every later input has to be like."""
    feedback: Feedback
    checkpoint: bool
    norm_stats: NormStats

    def segments(self, inputs: Inputs, steps: int, truncate: int | None) -> Iterator["Segment"]:
        """Yield the steps in segments of ``truncate``; each must have been run before the next is asked for."""
        length = min(truncate or steps, steps)
        for begin in range(1, steps + 1, length):
            segment = Segment(self, inputs, range(begin, min(begin + length, steps + 1)))
            yield segment
            if segment.indices.stop <= steps:
                inputs = inputs._replace(x=detach(segment.next_input()))

    def output(self, inputs: Inputs, index: int) -> Any:
        """Return o_t of x_{t-1} and the conditioning.

        Raises:
            RuntimeError: if the model modifies its input in place.
            TypeError: if the model fails on an input whose precision is not that of x_0.
        """
        x = inputs.x
        given = versions(tensors(x))
        discard = self.norm_stats == "first" and index > 1
        with _buffers.scratch(_buffers.running_statistics(self.model) if discard else {}):
            try:
                output = self._checkpointed(inputs) if self.checkpoint else self._call(inputs)
            except RuntimeError as error:
                if self._stumbles_over_type(x, error):
                    raise TypeError(_dtype_message(index - 1, x, self.first)) from error
                raise
        if any(tensor._version != version for tensor, version in given):
            raise RuntimeError(
                f"the model modified its input in place at step {index}; it is needed afterwards, as the output that "
                "the criterion sees or as the caller's own: let the first operation of the model make a new tensor"
            )
        return output

    def fed_back(self, output: Any) -> Any:
        """Return the part of an output that is the next input."""
        if self.feedback is None:
            return output
        if isinstance(self.feedback, (str, int)):
            return select(output, self.feedback)
        return self.feedback(output)

    def next_input(self, output: Any, index: int) -> Any:
        """Return x_t of o_t.

        Raises:
            ValueError: if it has another shape than x_0, or is on another device.
            TypeError: if it is not a tensor although x_0 is, or one of another kind of number.
        """
        x, first = self.fed_back(output), self.first
        if not isinstance(first, Tensor):
            return x
        if not isinstance(x, Tensor):
            raise TypeError(
                f"what step {index} feeds back is a {type(x).__name__}, not a tensor; "
                "name the part of the output that is the next input: feedback='transmission', say"
            )
        if x.shape != first.shape:
            raise ValueError(
                f"step {index} feeds back shape {tuple(x.shape)} but its input had {tuple(first.shape)}; "
                "a model that is fed its own output must keep the shape"
            )
        if x.device != first.device:
            raise ValueError(
                f"step {index} feeds back a tensor on {x.device} but its input was on {first.device}; "
                "a model that is fed its own output must keep the device"
            )
        if not mixable(x.dtype, first.dtype):
            raise TypeError(_dtype_message(index, x, first))
        return x

    def _stumbles_over_type(self, x: Any, error: RuntimeError) -> bool:
        """Whether a model's error is that its input has not the type of x_0, which autocast or the model may allow."""
        if not (isinstance(x, Tensor) and isinstance(self.first, Tensor)) or x.dtype == self.first.dtype:
            return False
        return not torch.is_autocast_enabled(x.device.type) and "type" in str(error)

    def _call(self, inputs: Inputs) -> Any:
        return self.model(inputs.x, *inputs.cond, **(inputs.named_cond or {}))

    def _checkpointed(self, inputs: Inputs) -> Any:
        if not torch.is_grad_enabled():
            return self._call(inputs)
        from torch.utils.checkpoint import checkpoint as recompute_in_backward  # before torch 2.7 it imports SymPy

        before = _buffers.copies(_buffers.buffers(self.model))

        def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
            return nullcontext(), _buffers.Rewound(self.model, before)

        call = partial(self.model, **(inputs.named_cond or {}))
        return recompute_in_backward(call, inputs.x, *inputs.cond, use_reentrant=False, context_fn=contexts)


class Segment:
    """Consecutive steps that one graph runs through; iterating over it takes them.

    What it was given may be exchanged before it is run.
    """

    def __init__(self, loop: Loop, inputs: Inputs, indices: range) -> None:
        self.loop = loop
        self.inputs = inputs
        self.indices = indices
        self._last: tuple[int, Any] = 0, None

    def __iter__(self) -> Iterator[Step]:
        """Take the steps one by one."""
        inputs = self.inputs
        for index in self.indices:
            if index > self.indices.start:
                inputs = inputs._replace(x=self.next_input())
            self._last = index, self.loop.output(inputs, index)
            yield Step(index, inputs.x, self._last[1])

    def next_input(self) -> Any:
        """Return what the last step taken feeds back."""
        index, output = self._last
        return self.loop.next_input(output, index)


def mixable(one: torch.dtype, other: torch.dtype) -> bool:
    """Whether tensors of two types may meet in a loop: the same, or the two sides of mixed precision."""
    return one == other or {one, other} <= {torch.float32, torch.bfloat16, torch.float16}


def change(new: Any, old: Any, index: int) -> Tensor:
    """Return the largest root mean square, over the images of the batch, of what step ``index`` changed."""
    if not (isinstance(new, Tensor) and isinstance(old, Tensor)):
        raise TypeError(f"only tensors can be compared, but step {index} feeds back a {type(new).__name__}")
    difference = (new - old).abs()
    exact = difference.to(torch.promote_types(difference.dtype, torch.float32))  # squares of half precision vanish
    if exact.numel() == 0:
        return exact.new_zeros(())
    images = exact.flatten(1) if exact.dim() > 1 else exact.reshape(1, -1)
    return images.square().mean(dim=1).sqrt().max()


def _dtype_message(index: int, x: Tensor, first: Tensor) -> str:
    return (
        f"step {index} feeds back {x.dtype} but its input had {first.dtype}; "
        f"a model that is fed its own output must keep the type: feedback=lambda output: output.to({first.dtype}), say"
    )

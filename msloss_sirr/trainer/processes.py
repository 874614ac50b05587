"""The processes of one training: they agree on what is next, and end together if one of them fails."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import torch
from accelerate import Accelerator, PartialState
from accelerate.utils import DistributedType, gather_object
from torch import Tensor

from msloss_sirr.errors import ElsewhereError, InputError
from msloss_sirr.trainer.config import RunConfig

_T = TypeVar("_T")
_R = TypeVar("_R")
_SHARDED = (DistributedType.FSDP, DistributedType.DEEPSPEED, DistributedType.MEGATRON_LM)


class Processes:
    """All processes of a training; every method is to be called by each of them, at the same point.

    Args:
        accelerator: what connects them.
    """

    def __init__(self, accelerator: Accelerator) -> None:
        self.number = int(accelerator.process_index)
        """Which of them this one is, from 0."""
        self.count = int(accelerator.num_processes)
        self._accelerator = accelerator

    def gather(self, value: _T) -> list[_T]:
        """Return what each of them has, by number."""
        return [value] if self.count == 1 else list(gather_object([value]))

    def share_out(self, work: Callable[[Sequence[_T]], list[_R]], items: Sequence[_T]) -> list[_R]:
        """Return what comes of items, the same in all of them, of which each does its share.

        Args:
            work: returns what comes of some of the items, one by one.
            items: to be done.

        Raises:
            InputError: if they do not have equally many.
        """
        lengths = self.gather(len(items))
        if len(set(lengths)) > 1:
            self.settle(InputError(f"the processes find {lengths} files; give all of them the same data"))
        with self.failing_together():
            share = work(items[self.number :: self.count])
        done = self.gather(share)
        return [done[number % self.count][number // self.count] for number in range(len(items))]

    def most(self, *values: float) -> list[float]:
        """Return of each of several values the greatest that one of them has."""
        if self.count == 1:
            return list(values)
        device = self._accelerator.device
        exact = torch.float32 if device.type == "mps" else torch.float64
        everyone: Tensor = self._accelerator.gather(torch.tensor([values], dtype=exact, device=device))
        return [float(value) for value in everyone.amax(dim=0)]

    @contextmanager
    def failing_together(self) -> Iterator[None]:
        """Have a block that fails in one of them fail in all, so that none waits for another that has ended."""
        failure = None
        try:
            yield
        except Exception as error:
            failure = error
        self.settle(failure)

    def settle(self, failure: Exception | None) -> None:
        """Go on if none of them has failed.

        Raises:
            Exception: the failure, in the first that has one.
            ElsewhereError: in all others.
        """
        told = self.gather(None if failure is None else str(failure))
        failed = [number for number, what in enumerate(told) if what is not None]
        if failure is not None and failed[0] == self.number:
            raise failure
        if failed:
            raise ElsewhereError(f"process {failed[0]} of the training: {told[failed[0]]}") from failure


def connect(config: RunConfig, accumulate: int) -> Accelerator:
    """Return what connects the processes of a training, on the devices that it asks for.

    Raises:
        InputError: if there is no training of that kind on them.
    """
    precision = "bf16" if config.precision == "bfloat16" else "no"
    try:
        accelerator = Accelerator(
            cpu=config.device == "cpu", mixed_precision=precision, gradient_accumulation_steps=accumulate
        )
    except ValueError as error:  # accelerate keeps device and precision for the life of a process
        raise InputError(f"another training in this process chose otherwise: {error}") from error
    if accelerator.distributed_type in _SHARDED:
        raise InputError(
            f"{accelerator.distributed_type.value} shares out the weights; launch with --multi_gpu instead"
        )
    return accelerator


def leave() -> bool:
    """End this process's part in a training of several, and return whether it is the one that writes."""
    state = PartialState()
    main = bool(state.is_main_process)
    state.wait_for_everyone()
    state.destroy_process_group()  # left to the end of the process, its threads may outlive what they need
    return main

"""Work on many items at once."""

from collections.abc import Callable, Iterator, Sequence
from typing import Generic, TypeVar

from torch.utils.data import DataLoader, Dataset

from msloss_sirr.errors import InputError

_Task = TypeVar("_Task")
_Result = TypeVar("_Result")


def spread(work: Callable[[_Task], _Result], tasks: Sequence[_Task], workers: int) -> Iterator[_Result]:
    """Yield the results of tasks, in their order, as they are ready.

    Args:
        work: what to do; a function of a module, since it may be done in other processes. It must not raise.
        tasks: all that is to be done; two for each process are under way at any time.
        workers: processes; 1 does the work in this one.

    Raises:
        InputError: if there are to be no workers, or one of them dies, as for want of memory.
    """
    if workers < 1:
        raise InputError(f"workers is {workers}; give 1 or more")
    processes = min(workers, len(tasks))
    loader: DataLoader[_Result] = DataLoader(
        _Work(work, tasks), batch_size=None, num_workers=processes if processes > 1 else 0, collate_fn=_as_it_is
    )
    try:
        yield from loader
    except RuntimeError as error:
        if "exited unexpectedly" not in str(error):
            raise
        raise InputError("a worker process died, perhaps for want of memory; give fewer workers") from error


class _Work(Dataset[_Result], Generic[_Task, _Result]):
    def __init__(self, work: Callable[[_Task], _Result], tasks: Sequence[_Task]) -> None:
        self._work = work
        self._tasks = tasks

    def __len__(self) -> int:
        return len(self._tasks)

    def __getitem__(self, index: int) -> _Result:
        return self._work(self._tasks[index])


def _as_it_is(result: _Result) -> _Result:
    return result

"""Reflections taken off many photographs, file by file."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from typing import Any, NamedTuple, TypeVar

from torch import Tensor, nn

from msloss_sirr.data.folders import by_stem, depth_images
from msloss_sirr.depth.source import stored_depth
from msloss_sirr.devices import find_device
from msloss_sirr.errors import InputError
from msloss_sirr.files import check_writable
from msloss_sirr.images.reading import read_pixels, to_float
from msloss_sirr.photo.config import RemoveConfig
from msloss_sirr.photo.jobs import Job, Plan, plan
from msloss_sirr.photo.loading import load_on
from msloss_sirr.photo.removal import Removal, remove
from msloss_sirr.photo.results import colours_of, is_of_a_photograph, line_of, write_removal
from msloss_sirr.photo_files.photo import Photo
from msloss_sirr.photo_files.reading import read_photo

_Result = TypeVar("_Result")


class Done(NamedTuple):
    """A photograph whose files have been written, or were there already."""

    job: Job
    visible: float | None
    """Root mean square of what was found, on the scale of [0, 1]; ``None`` if nothing was done."""
    changed: bool


class Report(NamedTuple):
    """What became of all photographs."""

    done: int
    skipped: int
    """Those whose results were there already."""
    failures: list[str]
    """A line for each that could not be done."""


def remove_files(
    config: RemoveConfig,
    done: Callable[[Done], None] | None = None,
    failed: Callable[[str], None] | None = None,
    todo: Plan | None = None,
) -> Report:
    """Take the reflections off photographs; each result is written whole or not at all, and one that fails is left out.

    Args:
        config: what to do.
        done: called after each photograph.
        failed: called with a line for each that cannot be done.
        todo: which photographs; the default is all that `plan` finds.

    Raises:
        InputError: if nothing can be done: there are no photographs, the checkpoint or the device cannot be used, the
            folder cannot be written to.
    """
    todo = plan(config) if todo is None else todo
    report = Report(0, len(todo.done), [])

    def left_out(line: str) -> None:
        report.failures.append(line)
        if failed is not None:
            failed(line)

    for line in todo.failures:
        left_out(line)
    if todo.jobs:
        if config.out is not None:
            check_writable(config.out if todo.jobs[0].transmission != config.out else config.out.parent)
        for written in _Work(config).results(todo.jobs, left_out):
            report = report._replace(done=report.done + 1)
            if done is not None:
                done(written)
    return report


class _Ready(NamedTuple):
    """A photograph, read, with what is to be known of it."""

    photo: Photo
    mask: Tensor | None
    depth: Tensor | None


class _Work:
    """A remover, and what is done with it."""

    def __init__(self, config: RemoveConfig) -> None:
        self._config = config
        self._device = find_device(config.device)
        self._remover, self._source = load_on(
            self._device, config.checkpoint, config.depth, flip=config.flip, onnx=config.runtime == "onnx"
        )
        if config.runtime == "compile" and isinstance(self._remover, nn.Module):
            self._remover.compile(dynamic=False)
        self._masks = by_stem(config.mask) if config.mask is not None and config.mask.is_dir() else None

    def results(self, jobs: list[Job], left_out: Callable[[str], None]) -> Iterator[Done]:
        """Yield photographs that are done, in their order, and tell of the others."""
        ahead = self._config.ahead
        with _executor(ahead) as reading, _executor(ahead) as writing:
            read: deque[Future[_Ready]] = deque()
            written: deque[tuple[Job, Future[Done]]] = deque()
            later = iter(jobs)
            for job in jobs:
                read.extend(reading.submit(self._read, each) for each in islice(later, ahead + 1 - len(read)))
                with _telling(job, left_out):
                    made = self._made(read.popleft().result())
                    written.append((job, writing.submit(_written, job, *made)))
                    del made
                while len(written) > ahead:
                    yield from _ended(*written.popleft(), left_out)
            for each in written:
                yield from _ended(*each, left_out)

    def _read(self, job: Job) -> _Ready:
        photo = read_photo(job.source)
        mask = self._config.mask
        if self._masks is not None:
            if job.source.stem not in self._masks:
                raise InputError(f"{job.source} has no mask; give it one, {mask}/{job.source.stem}.png say")
            mask = self._masks[job.source.stem]
        white = None if mask is None else to_float(read_pixels(mask)).mean(dim=0, keepdim=True)
        beside = job.source.parent / "depth"
        depth = depth_images(beside, [job.source])[0] if self._source is stored_depth else None
        return _Ready(photo, white, depth)

    def _made(self, ready: _Ready) -> tuple[Photo, Removal]:
        removal = remove(
            self._remover,
            ready.photo.pixels,
            self._config.options,
            colours=colours_of(ready.photo),
            source=self._source,
            stored=ready.depth,
            mask=ready.mask,
            reflection=self._config.reflection,
            device=self._device,
        )
        return ready.photo, removal


def _written(job: Job, photo: Photo, removal: Removal) -> Done:
    write_removal(job, photo, removal)
    return Done(job, removal.visible, removal.changed)


class _AtOnce(Executor):
    """Does what it is given before it returns."""

    def submit(self, fn: Callable[..., _Result], /, *args: Any, **kwargs: Any) -> Future[_Result]:
        """Return what has been done."""
        future: Future[_Result] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # whoever asks for the result is told
            future.set_exception(error)
        return future


def _executor(ahead: int) -> Executor:
    """Return what works one after the other, in a thread of its own if some are to be ahead."""
    return ThreadPoolExecutor(1) if ahead else _AtOnce()


def _ended(job: Job, written: Future[Done], left_out: Callable[[str], None]) -> Iterator[Done]:
    with _telling(job, left_out):
        yield written.result()


@contextmanager
def _telling(job: Job, left_out: Callable[[str], None]) -> Iterator[None]:
    """Tell of a photograph that cannot be done, and go on."""
    try:
        yield
    except Exception as error:
        if not is_of_a_photograph(error):
            raise
        left_out(line_of(error, job))

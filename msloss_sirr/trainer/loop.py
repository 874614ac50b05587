"""The loop of any training: through its epochs, stopped after any update, and taken up again where it was."""

import math
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from accelerate.utils import set_seed
from torch import Tensor

from msloss_sirr.data.damage import Damage
from msloss_sirr.data.draws import Draws
from msloss_sirr.data.loader import DrawBatch, Rest, load
from msloss_sirr.errors import InputError
from msloss_sirr.files import check_writable
from msloss_sirr.locks import held
from msloss_sirr.trainer.config import RunConfig
from msloss_sirr.trainer.durations import seconds_of
from msloss_sirr.trainer.pace import Pace
from msloss_sirr.trainer.processes import Processes, connect
from msloss_sirr.trainer.progress import Place, TrainingProgress
from msloss_sirr.trainer.provenance import Content, Source, fingerprint, read_contents, surroundings
from msloss_sirr.trainer.random_state import random_state, set_random_state
from msloss_sirr.trainer.run_folder import RunFolder
from msloss_sirr.trainer.stopping import Requests, Stopped
from msloss_sirr.trainer.tally import Tally
from msloss_sirr.trainer.trainable import Ended, Trainable

_OWN = frozenset({"epoch", "batch", "pace", "each"})


class _Agreed(NamedTuple):
    """What the processes of a training agree on before an update."""

    fraction: float
    """How much of the training is done."""
    asked: int
    """The signal that asks to stop, or 0."""
    due: bool
    """Whether it is time to save the state."""


class Trainer:
    """Takes what is trained through its epochs.

    The state that is saved after an update is all that the rest of the training depends on: on a processor, one that
    was killed and resumed ends with the same weights, bit for bit, unless a budget of time ends it.

    Args:
        config: the training.
        parts: names of the parts of what is trained.
        shape: what is left of the learning rate at a fraction of the training.
        warmup: updates over which it rises at first.
        accumulate: batches to an update.
        cost: what all updates together may cost, if that ends the training.

    Raises:
        InputError: if the run can neither begin nor be resumed.
    """

    def __init__(
        self,
        config: RunConfig,
        parts: Iterable[str],
        shape: Callable[[float], float],
        *,
        warmup: int = 0,
        accumulate: int = 1,
        cost: int | None = None,
    ) -> None:
        self.config = config
        self.accelerator = connect(config, accumulate)
        self.processes = Processes(self.accelerator)
        self.folder = RunFolder(config.out, _OWN.union(parts), say if self.main else _say_nothing)
        with self.processes.failing_together():
            check_writable(config.out)
            self.folder.check(config)
        self.damage = Damage(config.data.damaged, say)
        self.progress = TrainingProgress(enabled=self.main)
        self._shape, self._warmup, self._accumulate, self._cost = shape, warmup, accumulate, cost
        self.contents: Mapping[str, Source] = {}
        """What the files hold that the training is made from, by name, once it has begun."""
        self.each: Mapping[str, Sequence[Content]] = {}
        """The same, file by file."""
        self._epoch = self._batch = 0
        self._tally = Tally()
        lost = "ended at once: what was done since the state was last saved is lost"
        self._requests = Requests(lost if self.main else "")
        self._updates = 0
        set_seed(config.seed)

    @property
    def main(self) -> bool:
        """Whether this process is the one that writes."""
        return bool(self.accelerator.is_main_process)

    @property
    def epoch_images(self) -> int:
        """Images in an epoch over all processes: enough for whole updates."""
        together = self.config.batch * self._accumulate * self.processes.count
        return math.ceil(self.config.epoch_images / together) * together

    def run(self, trainable: Trainable, draws: Draws, sources: Mapping[str, Iterable[Path]]) -> None:
        """Train from the beginning, or from where the run was left, to the end.

        Args:
            trainable: what is trained, on the device.
            draws: what it is trained on, as many as `epoch_images`.
            sources: the files that the training is made from, by name.

        Raises:
            InputError: if data changed since the run was begun, its state is damaged, or too many files are; in all
                processes, whichever of them it is that cannot go on.
            Stopped: if Ctrl-C or SIGTERM came; the state has been saved.
        """
        with ExitStack() as stack:
            with self.processes.failing_together():
                if self.main:
                    stack.enter_context(held(self.folder.path))
                    self.folder.check(self.config)
            self.each = self._contents(sources)
            self.contents = {name: fingerprint(found) for name, found in self.each.items()}
            with self.processes.failing_together():
                if self.main:
                    here = surroundings(self.accelerator.device, self.processes.count)
                    self.folder.begin(self.config, here, self.contents)
                trainable.begin()
            self._run(trainable, draws)

    def _run(self, trainable: Trainable, draws: Draws) -> None:
        rest = Rest(draws)
        loaded = load(draws, self.config.batch, self.config.workers, rest)
        loader = self.accelerator.prepare(loaded, device_placement=[False])
        self._updates = updates = len(loader) // self._accumulate
        by_epochs = self.config.iterations is None and self._cost is None
        total = self.config.epochs * updates if by_epochs else self._cost or self.config.iterations or 0
        self._pace = Pace(total, self.config.seconds, updates if by_epochs else None)
        if self.config.resume:
            with self.processes.failing_together():
                self._resume(trainable)
        self._saved = time.perf_counter()
        with self._requests.listening(), self.progress:
            # one epoch at least, and one that was left at its last batch is ended
            while self._agreed().fraction < 1 or self._batch or not self._epoch:
                loader.set_epoch(self._epoch)
                rest.first = self._tally.images
                self._run_epoch(trainable, loader)

    def _contents(self, sources: Mapping[str, Iterable[Path]]) -> dict[str, list[Content]]:
        """Return what the files hold; each process reads its share, so that none waits long for another."""
        named = [(name, path) for name, files in sources.items() for path in files]
        contents = self.processes.share_out(read_contents, [path for _, path in named])
        found: dict[str, list[Content]] = {name: [] for name in sources}
        for (name, _), content in zip(named, contents, strict=True):
            found[name].append(content)
        return found

    def _run_epoch(self, trainable: Trainable, loader: Iterable[DrawBatch]) -> None:
        before, start = self._tally.seconds, time.perf_counter()
        update: list[Mapping[str, Tensor] | None] = []
        batches = iter(loader)
        while draws := self._next(batches, trainable, between=not update):
            fraction = self._go_on(trainable) if not update else self._agreed().fraction
            if fraction >= 1 and self._batch and not update:  # time has come to its end
                break
            self._tally.lr = self._set_lr(trainable, fraction)
            update.append(trainable.learn(draws))
            self._tally.images += len(draws.kind) * self.processes.count
            self._tally.seconds = before + time.perf_counter() - start
            self._batch += 1
            if len(update) < self._accumulate:
                continue
            self._tally.add(update)
            update = []
            self._advance(trainable)
            self.progress.batch(self._place, self._pace, self._tally.rate, trainable.status)
            if self._pace.seconds is None and self._pace.fraction >= 1:
                break
        if update:  # the end of an epoch that was resumed with other batches
            self._tally.add(update)
            self._advance(trainable)
        self._end_epoch(trainable)

    def _advance(self, trainable: Trainable) -> None:
        """Count an update."""
        self._pace.advance(1 if self._cost is None else trainable.cost)

    @property
    def _place(self) -> Place:
        return Place(self._epoch, self._batch // self._accumulate, self._updates)

    def _next(self, batches: Iterator[DrawBatch], trainable: Trainable, *, between: bool) -> DrawBatch | None:
        """Return the next batch, ``None`` at the end of the epoch.

        If there can be none, what was learned so far is saved first, where that is between two updates.
        """
        failure, draws = None, None
        try:
            draws = next(batches, None)
            for what in draws.damaged if draws else ():
                self.damage.meet(what)
        except Exception as error:  # of a file that only this process has met
            failure = error
        if self.processes.most(failure is not None)[0]:
            if between and self._batch:
                self._save(trainable)
            self.processes.settle(failure)
        return None if draws is None else draws.on(self.accelerator.device)

    def _go_on(self, trainable: Trainable, *, ended: bool = False) -> float:
        """Save the state if it is time to, or an epoch has ended, and return how much of the training is done.

        Raises:
            Stopped: if it was asked to stop.
        """
        fraction, asked, due = self._agreed()
        if asked or due or ended:
            self._save(trainable)
        if asked:
            told = f"stopped in epoch {self._epoch}; continue with --resume"
            raise Stopped(told if self.main else "", asked)
        return fraction

    def _end_epoch(self, trainable: Trainable) -> None:
        means = self._tally.means(self.accelerator)
        if not means:
            told = f"the loss is not finite in epoch {self._epoch}; begin a new run with a lower --lr"
            self.processes.settle(InputError(told))
        self._go_on(trainable, ended=True)  # what comes now may take long, and is done again if it is interrupted
        tally, self._tally = self._tally, Tally()
        result, line = trainable.conclude(
            Ended(self._epoch, means, tally.left_out, tally.lr, tally.seconds, tally.rate)
        )
        self._epoch, self._batch = self._epoch + 1, 0
        with self.processes.failing_together():
            if self.main:
                self.folder.record(result)
        self._save(trainable)
        self.progress.note(line)

    def _agreed(self) -> _Agreed:
        """Return where all processes are."""
        due = time.perf_counter() - self._saved > seconds_of(self.config.save_every)
        fraction, asked, due_anywhere = self.processes.most(self._pace.fraction, self._requests.number, due)
        return _Agreed(fraction, int(asked), bool(due_anywhere))

    def _set_lr(self, trainable: Trainable, fraction: float) -> float:
        """Set the learning rate, and return it."""
        rising = min(1.0, (self._pace.done + 1) / (self._warmup + 1))
        lr = self.config.lr * rising * self._shape(fraction)
        for group in _groups(trainable):
            group["lr"] = lr * group.get("share", 1.0)
        return lr

    def _save(self, trainable: Trainable) -> None:
        self._saved = time.perf_counter()
        mine = {
            "tally": self._tally.state_dict(),
            "random": random_state(self.accelerator.device),
            "damaged": self.damage.met,
        }
        each = self.processes.gather(mine)
        own = {"epoch": self._epoch, "batch": self._batch, "pace": self._pace.state_dict(), "each": each}
        with self.processes.failing_together():
            if self.main:
                self.folder.save({**own, **{name: part.state_dict() for name, part in trainable.parts.items()}})

    def _resume(self, trainable: Trainable) -> None:
        """Take up the state that was saved last, if any was."""
        state = self.folder.load()
        if state is None:
            self.progress.note(f"nothing has been saved in {self.folder.path} yet; beginning anew")
            return
        shares = [group.get("share", 1.0) for group in _groups(trainable)]  # of the configuration, not of the state
        try:
            for name, part in trainable.parts.items():
                part.load_state_dict(state[name])
            for group, share in zip(_groups(trainable), shares, strict=True):
                group["share"] = share
            self._epoch, self._batch = int(state["epoch"]), int(state["batch"])
            self._pace.load_state_dict(state["pace"])
            each = state["each"]
            mine = each[min(self.processes.number, len(each) - 1)]  # there may be more processes now
            self._tally.load_state_dict(mine["tally"], self.accelerator.device)
            self.damage.recall(mine["damaged"])
            set_random_state(mine["random"], self.accelerator.device)
            if self._pace.fraction >= 1 and self._epoch and not self._batch:
                self.progress.note(f"the training in {self.folder.path} has ended already")
            else:
                self.progress.resume(self._place, self._pace)
        except (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
            first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise InputError(f"the state in {self.folder.path} does not fit this training: {first}") from error


def say(line: str) -> None:
    """Write a line to standard error."""
    print(line, file=sys.stderr)  # noqa: T201


def _groups(trainable: Trainable) -> list[dict[str, Any]]:
    """Return the groups of weights of all optimisers."""
    return [group for optimizer in trainable.optimizers for group in optimizer.param_groups]


def _say_nothing(_: str) -> None:
    pass

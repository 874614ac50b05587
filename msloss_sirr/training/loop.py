"""The training loop."""

import json
import math
import sys
import time
from contextlib import nullcontext
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed

from msloss import MultiStepLoss, OnPlateau, Rehearsal, Schedule, StepLosses
from msloss_sirr.data.batches import Batch, compose
from msloss_sirr.data.damage import Damage
from msloss_sirr.data.draws import load
from msloss_sirr.data.folders import Pairs
from msloss_sirr.data.sources import build_draws, open_pairs
from msloss_sirr.depth.source import DepthSource, build_source, guidance
from msloss_sirr.errors import InputError
from msloss_sirr.evaluation.scores import SMALLEST_SIDE, Evaluation, evaluate
from msloss_sirr.losses.criterion import LayersCriterion, build_criterion, term_weights
from msloss_sirr.models.checkpoint import save_remover
from msloss_sirr.models.remover import Remover, Telling
from msloss_sirr.synthesis.making import Synthesis, build_synthesis
from msloss_sirr.training.config import TrainConfig
from msloss_sirr.training.progress import TrainingProgress
from msloss_sirr.training.run import Epoch, RunFolder


def train(
    config: TrainConfig,
    *,
    remover: Remover | None = None,
    criterion: LayersCriterion | None = None,
    schedule: Schedule | None = None,
    synthesis: Synthesis | None = None,
    depth: DepthSource | None = None,
) -> Evaluation:
    """Train a remover, and return the validation scores of its best checkpoint.

    Runs on the device that accelerate finds, or on all that ``accelerate launch`` sets up. Parts that are not given
    are made as the configuration says.

    Args:
        config: the training.
        remover: the network, a `Remover` or a module like it.
        criterion: compares layers.
        schedule: how many steps run at which epoch; its ``step`` is called with the validation PSNR.
        synthesis: makes reflections on photos.
        depth: where the depth comes from that guides the remover; a module is frozen, and put into evaluation mode.
            It is given the depth images beside the photographs with ``DepthConfig(source="stored")``.

    Raises:
        InputError: if a folder, a file or the configuration cannot be used.
    """
    return _Training(config, remover, criterion, schedule, synthesis, depth).run()


class _Training:
    """A training under way."""

    def __init__(
        self,
        config: TrainConfig,
        remover: Remover | None,
        criterion: LayersCriterion | None,
        schedule: Schedule | None,
        synthesis: Synthesis | None,
        depth: DepthSource | None,
    ) -> None:
        self.config = config
        self.folder = RunFolder(config.out)
        self.folder.check(config)
        stored = config.model.depth != "none" and config.depth.source == "stored"
        self.val = open_pairs(config.val, depth=stored)
        _check_scorable(self.val)
        self.damage = Damage(config.data.damaged, lambda line: print(line, file=sys.stderr))  # noqa: T201
        draws = build_draws(config.data, length=config.epoch_images, seed=config.seed, depth=stored, damage=self.damage)
        precision = "bf16" if config.precision == "bfloat16" else "no"
        try:
            self.accelerator = Accelerator(cpu=config.device == "cpu", mixed_precision=precision)
        except ValueError as error:  # accelerate keeps device and precision for the life of a process
            raise InputError(f"another training in this process chose otherwise: {error}") from error
        set_seed(config.seed)
        self.synthesis = build_synthesis(config.data.synthesis) if synthesis is None else synthesis
        self.remover = Remover(config.model) if remover is None else remover
        self.remover.to(memory_format=torch.channels_last)
        self.schedule = OnPlateau(config.first_steps, config.patience, mode="max") if schedule is None else schedule
        try:
            loss = MultiStepLoss(
                Telling(self.remover) if config.loss.reflection_target == "residual" else self.remover,
                build_criterion(config.loss) if criterion is None else criterion,
                config.steps,
                self.schedule,
                weights=term_weights(config.loss, networks=config.model.networks),
                feedback="transmission",
                checkpoint=config.checkpointing,
            )
        except ValueError as error:
            raise InputError(str(error)) from error
        self.loss, self.optimizer, self.loader = self.accelerator.prepare(
            loss,
            torch.optim.Adam(self.remover.parameters(), lr=config.lr),
            load(draws, config.batch, config.workers),
        )
        self.depth = build_source(config.model.depth, config.depth) if depth is None else depth
        if isinstance(self.depth, torch.nn.Module):
            self.depth.to(self.accelerator.device).eval().requires_grad_(False)
        self.best: Evaluation | None = None

    def run(self) -> Evaluation:
        """Train from the beginning, or from where the run was left, to the end, alone in the folder."""
        with self.folder.held(self.config) if self.accelerator.is_main_process else nullcontext():
            return self._run()

    def _run(self) -> Evaluation:
        first = self._resume() if self.config.resume else 0
        self.accelerator.wait_for_everyone()
        main = self.accelerator.is_main_process
        if main and not self.config.resume:
            self.folder.begin(self.config)
        batches = len(self.loader)
        with TrainingProgress(self.config.epochs * batches, first * batches, enabled=main) as progress:
            if self.schedule.steps < self.config.steps:
                progress.note(str(self._rehearse()))
            for epoch in range(first, self.config.epochs):
                result = self._epoch(epoch, progress)
                best = self.best is None or result.psnr > self.best.after.psnr
                self._keep(result, best=best)
                progress.epoch(result, best=best)
        assert self.best is not None  # noqa: S101  # there is at least one epoch, and the first is the best so far
        return self.best

    def _rehearse(self) -> Rehearsal:
        """Run one batch with all the steps that the schedule may come to, so that memory runs out now if it will."""
        with torch.random.fork_rng([]):  # the loader draws a seed for its processes
            batch = compose(next(iter(self.loader)), self.synthesis)
        loss = self.accelerator.unwrap_model(self.loss)
        self.loss.train()
        rehearsal: Rehearsal = loss.rehearse(*self._given(batch))
        return rehearsal

    def _given(self, batch: Batch) -> tuple[Any, ...]:
        """Return what the loss is called with: ambient image, target, and the depth of the ambient image if any."""
        ambient = batch.ambient.contiguous(memory_format=torch.channels_last)
        return ambient, batch.target, *guidance(self.remover, self.depth, ambient, batch.depth)

    def _epoch(self, epoch: int, progress: TrainingProgress) -> Epoch:
        start, steps = time.perf_counter(), self.schedule.steps
        total, per_step, images = torch.zeros((), dtype=torch.float64), torch.zeros(steps, dtype=torch.float64), 0
        self.loader.set_epoch(epoch)
        self.loss.train()
        for index, draws in enumerate(self.loader):
            for what in draws.damaged:
                self.damage.meet(what)
            batch = compose(draws, self.synthesis)
            lr = self._set_lr(epoch + index / len(self.loader))
            losses: StepLosses = self.loss(*self._given(batch), details=True)
            self.accelerator.backward(losses.total)
            self.optimizer.step()
            self.optimizer.zero_grad()
            total += losses.total.detach().double().cpu()
            per_step += losses.per_step.double().cpu()
            images += batch.ambient.shape[0] * self.accelerator.num_processes
            progress.batch(epoch)
        seconds = time.perf_counter() - start
        mean, *each = self._over_processes(torch.cat([total[None], per_step]) / len(self.loader), "mean")
        if not math.isfinite(mean):
            raise InputError(f"the loss is {mean} in epoch {epoch}; begin a new run with a lower --lr")
        scores = self._validate()
        self.schedule.step(scores.after.psnr)
        return Epoch(epoch, steps, mean, each, lr, seconds, images / seconds, *scores.before, *scores.after)

    def _validate(self) -> Evaluation:
        """Score the remover on the validation pairs, each process its share of them."""
        accelerator = self.accelerator
        share = range(accelerator.process_index, len(self.val), accelerator.num_processes)
        scores = evaluate(self.remover, self.val, indices=share, device=accelerator.device, source=self.depth)
        sums = torch.tensor([[*s.before, *s.after] for s in scores], dtype=torch.float64).reshape(-1, 4).sum(dim=0)
        return Evaluation.of([value / len(self.val) for value in self._over_processes(sums, "sum")])

    def _keep(self, result: Epoch, *, best: bool) -> None:
        scores = Evaluation.of([result.input_psnr, result.input_ssim, result.psnr, result.ssim])
        if best:
            self.best = scores
        if not self.accelerator.is_main_process:
            return
        notes = {name: json.dumps(value) for name, value in result._asdict().items()}
        save_remover(self.remover, self.folder.last, notes)
        if best:
            save_remover(self.remover, self.folder.best, notes)
        self.folder.record(result, self._state(result.epoch))

    def _state(self, epoch: int) -> dict[str, Any]:
        return {
            "epoch": epoch,
            "remover": self.remover.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "best": None if self.best is None else [*self.best.before, *self.best.after],
            "random": torch.get_rng_state(),
            "damaged": self.damage.met,
        }

    def _resume(self) -> int:
        """Take up the state after the last epoch that ended, and return the number of the next."""
        state = self.folder.load()
        if state is None:
            return 0
        self.remover.load_state_dict(state["remover"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.best = None if state["best"] is None else Evaluation.of(state["best"])
        torch.set_rng_state(state["random"])
        self.damage.recall(state["damaged"])
        return int(state["epoch"]) + 1

    def _set_lr(self, epoch: float) -> float:
        """Set the learning rate at a moment of the training, in epochs, and return it: half a cosine down to zero."""
        lr = self.config.lr * 0.5 * (1 + math.cos(math.pi * epoch / self.config.epochs))
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        return lr

    def _over_processes(self, values: torch.Tensor, reduction: str) -> list[float]:
        """Return numbers reduced over all processes, the same on each."""
        if self.accelerator.num_processes > 1:  # else there is nothing to reduce, and not every device has float64
            values = self.accelerator.reduce(values.to(self.accelerator.device), reduction=reduction)
        return [float(value) for value in values]


def _check_scorable(pairs: Pairs) -> None:
    """Decode every pair once, so that one which cannot be scored ends the run before it begins."""
    for index in range(len(pairs)):
        height, width = pairs[index].ambient.shape[1:]
        if min(height, width) < SMALLEST_SIDE:
            raise InputError(f"validation pair {index} is {width}x{height}; {SMALLEST_SIDE} pixels a side is the least")

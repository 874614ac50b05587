"""The training of removers."""

import dataclasses
import json
import math
from collections.abc import Mapping

import torch
from torch import Tensor

from msloss import MultiStepLoss, OnPlateau, Schedule, StepLosses
from msloss_sirr.data.draws import Draws
from msloss_sirr.data.loader import DrawBatch
from msloss_sirr.data.sources import build_draws, open_pairs, training_files, validation
from msloss_sirr.depth.source import DepthSource
from msloss_sirr.errors import InputError
from msloss_sirr.evaluation.scores import Evaluation
from msloss_sirr.losses.criterion import LayersCriterion, build_criterion, term_weights
from msloss_sirr.models.checkpoint import save_remover
from msloss_sirr.models.remover import Remover, Telling
from msloss_sirr.synthesis.making import Synthesis, build_synthesis
from msloss_sirr.trainer.loop import Trainer, say
from msloss_sirr.trainer.pace import half_cosine
from msloss_sirr.trainer.provenance import known
from msloss_sirr.trainer.skipped import SkippedUpdates
from msloss_sirr.trainer.tensorboard import Tracker
from msloss_sirr.trainer.trainable import Ended, Stateful
from msloss_sirr.training.average import RunningMean
from msloss_sirr.training.config import TrainConfig
from msloss_sirr.training.distillation import teacher_files
from msloss_sirr.training.epoch import Best, Epoch
from msloss_sirr.training.initial_weights import begin_remover, beginnings, grouped
from msloss_sirr.training.loss_inputs import LossInputs
from msloss_sirr.training.probes import IMAGES, SEED, Looks, Probe, in_halves
from msloss_sirr.training.samples import Samples, write_samples
from msloss_sirr.training.validation import Validation


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
        remover: the network, a `Remover` or a module like it; `begin_remover` makes what the configuration says.
        criterion: compares layers.
        schedule: how many steps run at which epoch; its ``step`` is called with the validation PSNR.
        synthesis: makes reflections on photos, or degrades them otherwise if that is the task.
        depth: where the depth comes from that guides the remover; a module is frozen, and put into evaluation mode.
            It is given the depth images beside the photographs with ``DepthConfig(source="stored")``.

    Raises:
        InputError: if a folder, a file or the configuration cannot be used.
        Stopped: if Ctrl-C or SIGTERM came; what was trained so far is saved, for a resume.
    """
    training = _Training(config, remover, criterion, schedule, synthesis, depth)
    return training.run()


class _Training:
    """A training under way: the `Trainable` of a `Trainer`."""

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
        names = ("remover", "average", "optimizer", "schedule", "best", "borne")
        self.trainer = Trainer(
            config, names, half_cosine, warmup=config.warmup, accumulate=config.accumulate, cost=config.applications
        )
        self.accelerator = self.trainer.accelerator
        self.stored = config.model.depth != "none" and config.depth.source == "stored"
        with self.trainer.processes.failing_together():
            self.tracker = Tracker(self.trainer.folder.events if config.tensorboard and self.trainer.main else None)
            self.validation = Validation(open_pairs(config.val, depth=self.stored), self.trainer)
            self.draws = build_draws(
                config.data,
                length=self.trainer.epoch_images,
                seed=config.seed,
                depth=self.stored,
                degraded=config.task != "reflections",
                damage=self.trainer.damage,
                device=self.accelerator.device,
            )
            _check_tolerance(config.loss.tolerance, self.draws)
            self.remover = begin_remover(config) if remover is None else remover
            self.remover.to(self.accelerator.device).to(memory_format=torch.channels_last)
            self.average = RunningMean(self.remover, config.average)
            plateau = OnPlateau(config.first_steps, config.patience, config.threshold, mode="max")
            self.schedule = plateau if schedule is None else schedule
            loss = self._loss(build_criterion(config.loss) if criterion is None else criterion)
            synthesis = synthesis or build_synthesis(config.data.synthesis, config.task)
            self.inputs = LossInputs(config, self.remover, synthesis, depth, self.accelerator)
        adam = torch.optim.Adam(grouped(self.remover, config.encoder_lr), lr=config.lr)
        self.loss, self.optimizer = self.accelerator.prepare(loss, adam)
        self.best = Best()
        advice = "begin a new run with a lower --lr, or with --clip"
        self.skipped = SkippedUpdates(config.bear, self.trainer.processes, advice)
        self.scores: Evaluation | None = None
        self._last: StepLosses | None = None
        self._looks: Looks | None = None

    @property
    def parts(self) -> Mapping[str, Stateful]:
        """What the state is made of."""
        return {
            "remover": self.remover,
            "average": self.average,
            "optimizer": self.optimizer,
            "schedule": self.schedule,
            "best": self.best,
            "borne": self.skipped,
        }

    @property
    def optimizers(self) -> tuple[torch.optim.Optimizer]:
        """What moves the remover."""
        return (self.optimizer,)

    @property
    def cost(self) -> int:
        """Applications of the remover to a batch in an update."""
        return self.schedule.steps * self.config.accumulate

    def run(self) -> Evaluation:
        """Train to the end, and return the best scores."""
        with self.trainer.processes.failing_together():
            files = training_files(self.config.data, self.config.val, depth=self.stored)
            if weights := beginnings(self.config):
                files["weights"] = weights
            if teachers := teacher_files(self.config.distill):
                files["teachers"] = teachers
        self.trainer.run(self, self.draws, files)
        self._look(ended=True)
        assert self.best.scores is not None  # noqa: S101  # there is at least one epoch, and the first is the best so far
        return self.best.scores

    def begin(self) -> None:
        """Warn of validation images that are trained on, and see whether there is memory for all steps."""
        if self.trainer.main and (told := known(self.trainer.each, validation(self.config.val))):
            say(told)
        if self.config.probe_every and self.trainer.main:
            self._looks = self._begin_looks()
        self._rehearse()

    def learn(self, draws: DrawBatch) -> Mapping[str, Tensor] | None:
        """Learn from a batch, unless the gradient of its update is not finite."""
        given = self.inputs.of(draws)
        self.loss.train()
        self._look()
        with self.accelerator.accumulate(self.loss):
            losses: StepLosses = self.loss(*given, details=True)
            self.accelerator.backward(losses.total)
            self._last = losses._replace(total=losses.total.detach(), outputs=())
            gradient = torch.zeros((), device=self.accelerator.device)
            if self.accelerator.sync_gradients:
                limit = math.inf if self.config.clip is None else self.config.clip
                gradient = self.accelerator.clip_grad_norm_(self.remover.parameters(), limit)
                if not self.skipped.counts(gradient):
                    self.optimizer.zero_grad()
                    return None
            self.optimizer.step()
            self.optimizer.zero_grad()
        if self.accelerator.sync_gradients:
            self.average.update()
        terms = {f"term {name}": values for name, values in losses.terms.items()}
        return {"loss": self._last.total, "steps": losses.per_step, "gradient": gradient, **terms}

    def status(self) -> str:
        """Return the last batch's loss, and the PSNR of the last validation and of the best."""
        if self._last is None:
            return ""
        means = (values.mean().view(1) for values in self._last.terms.values())
        losses = [f"{loss:.4f}" for loss in torch.cat([self._last.per_step, *means]).tolist()]  # one look at the device
        per_step, told = " ".join(losses[: len(self._last.per_step)]), losses[len(self._last.per_step) :]
        terms = " ".join(f"{name} {loss}" for name, loss in zip(self._last.terms, told, strict=True))
        rate = self.optimizer.param_groups[0]["lr"]
        known = {"PSNR": self.scores, "best": self.best.scores}
        psnr = [f"{name} {scores.after.psnr:.2f} dB" for name, scores in known.items() if scores is not None]
        return "; ".join([f"steps {per_step}", terms, f"lr {rate:.1e}", *psnr])

    def conclude(self, ended: Ended) -> tuple[Epoch, str]:
        """Validate, keep checkpoints, and tell the schedule."""
        self._forget_other_pairs()
        steps = self.schedule.steps
        samples = Samples(self.validation.pairs, self.config.samples)
        self.scores = scores = self.validation.score(self.average.network, self.inputs.depth, samples.see)
        self.schedule.step(scores.after.psnr)
        result = Epoch.of(ended, steps, scores, self.config.accumulate)
        better = self.best.scores is None or scores.after.psnr > self.best.scores.after.psnr
        if better:
            self.best.scores = scores
        rows = {index: row for seen in self.trainer.processes.gather(samples.rows) for index, row in seen.items()}
        with self.trainer.processes.failing_together():
            if self.trainer.main:
                self._keep(result, better=better)
                write_samples(self.trainer.folder.samples / f"{ended.epoch:04}.jpg", rows)
        return result, f"{result}{', best' if better else ''}"

    def _loss(self, criterion: LayersCriterion) -> MultiStepLoss:
        """Return the loss of the remover.

        Raises:
            InputError: if the configuration asks for none that there is.
        """
        config = self.config
        try:
            return MultiStepLoss(
                Telling(self.remover) if config.loss.reflection_target == "residual" else self.remover,
                criterion,
                config.steps,
                self.schedule,
                weights=term_weights(config.loss, networks=config.model.networks),
                feedback="transmission",
                truncate=config.truncate,
                checkpoint=config.checkpointing,
            )
        except ValueError as error:
            raise InputError(str(error)) from error

    def _forget_other_pairs(self) -> None:
        """Forget the best scores if they are of other validation pairs than those of now."""
        now = self.trainer.contents[validation(self.config.val)].sha256
        if self.best.of not in (None, now):
            self.best.scores = None
            if isinstance(self.schedule, OnPlateau):
                self.schedule.forget()
            if self.trainer.main:
                say("the validation pairs are others now: the best scores so far are forgotten")
        self.best.of = now

    def _rehearse(self) -> None:
        """Run one batch with all the steps that the schedule may come to, so that memory runs out now if it will."""
        if self.schedule.steps >= self.config.steps:
            return
        given = self.inputs.of_several(
            [self.draws[number] for number in range(min(self.config.batch, len(self.draws)))]
        )
        loss = self.accelerator.unwrap_model(self.loss)
        self.loss.train()
        self.trainer.progress.note(f"memory of an update: {loss.rehearse(*given)}")

    def _begin_looks(self) -> Looks:
        """Return what looks at the training, with images like those that it draws."""
        config = self.config
        plain = dataclasses.replace(config.data, cache="none")
        draws = build_draws(plain, length=IMAGES, seed=SEED, depth=self.stored)
        images = in_halves([draws[number] for number in range(IMAGES)], config.batch)
        halves = [[self.inputs.of_several(part) for part in half] for half in images]
        probe = Probe(self.accelerator.unwrap_model(self.loss), config.loss, config.model.networks, halves)
        return Looks(probe, config.probe_every, config.out)

    def _look(self, *, ended: bool = False) -> None:
        """Look at the training, if that is asked for and it is time to."""
        if self._looks is not None:
            updates = max((int(state["step"]) for state in self.optimizer.state.values()), default=0)
            self._looks.at(updates, ended=ended)

    def _keep(self, result: Epoch, *, better: bool) -> None:
        notes = {name: json.dumps(value) for name, value in result._asdict().items()}
        for path in (self.trainer.folder.last, *([self.trainer.folder.best] if better else [])):
            save_remover(self.average.network, path, notes)
        self.tracker.numbers(result.numbers(), result.epoch)


def _check_tolerance(pixels: int, draws: Draws) -> None:
    """Raise ``InputError`` if a tolerance is given, and nothing is drawn that it is for."""
    if pixels and not draws.real_share:
        raise InputError(f"tolerance is {pixels}, but no real pairs are trained on; give --pairs, or leave it out")

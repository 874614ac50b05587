"""The training of RefGAN: a generator against a discriminator, as pix2pix."""

import sys
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from accelerate import Accelerator
from accelerate.utils import set_seed
from torch import Tensor, nn

from msloss_sirr.data.damage import Damage
from msloss_sirr.data.draws import DrawBatch, collate, load
from msloss_sirr.data.sources import build_draws
from msloss_sirr.errors import InputError
from msloss_sirr.images.writing import write_pixels
from msloss_sirr.refgan.checkpoint import save_generator
from msloss_sirr.refgan.config import RefganTrainConfig
from msloss_sirr.refgan.discriminator import PatchDiscriminator
from msloss_sirr.refgan.generator import Generator
from msloss_sirr.refgan.pairs import Example, examples
from msloss_sirr.refgan.sheet import contact_sheet
from msloss_sirr.synthesis.making import Synthesis, build_synthesis
from msloss_sirr.training.progress import TrainingProgress
from msloss_sirr.training.run import RunFolder

_STATE = frozenset({"epoch", "generator", "discriminator", "optimizers", "random", "damaged"})
_SAMPLES = "samples"
_SHEET_EPOCH = -1
"""The epoch whose draws are shown on contact sheets: none that is trained on."""


class RefganEpoch(NamedTuple):
    """What an epoch came to, in the mean over its images."""

    epoch: int
    discriminator: float
    """Cross-entropy of the discriminator, halved; 0.693 where it knows nothing."""
    adversarial: float
    """Cross-entropy of the generated pictures taken for real."""
    difference: float
    """Absolute difference from the true pictures, on a scale of 0 to 1."""
    lr: float
    seconds: float
    images_per_second: float


def train_refgan(config: RefganTrainConfig, *, synthesis: Synthesis | None = None) -> Path:
    """Train RefGAN, and return the checkpoint of its generator.

    Runs on the device that accelerate finds, or on all that ``accelerate launch`` sets up. A run that was interrupted
    is resumed to the weights that it would have had.

    Args:
        config: the training.
        synthesis: makes reflections on photos; ``None`` makes them as the configuration says.

    Raises:
        InputError: if a folder, a file or the configuration cannot be used.

    Source: Isola et al., "Image-to-Image Translation with Conditional Adversarial Networks", CVPR 2017.
    """
    return _Training(config, synthesis).run()


class _Training:
    """A training under way."""

    def __init__(self, config: RefganTrainConfig, synthesis: Synthesis | None = None) -> None:
        self.config = config
        self.synthesis = build_synthesis(config.data.synthesis) if synthesis is None else synthesis
        self.folder = RunFolder(config.out, _STATE, (_SAMPLES,))
        self.folder.check(config)
        self.damage = Damage(config.data.damaged, lambda line: print(line, file=sys.stderr))  # noqa: T201
        draws = build_draws(config.data, length=config.epoch_images, seed=config.seed, damage=self.damage)
        draws.set_epoch(_SHEET_EPOCH)
        self.shown = self._examples(collate([draws[i] for i in range(config.samples)]))
        precision = "bf16" if config.precision == "bfloat16" else "no"
        try:
            self.accelerator = Accelerator(cpu=config.device == "cpu", mixed_precision=precision)
        except ValueError as error:  # accelerate keeps device and precision for the life of a process
            raise InputError(f"another training in this process chose otherwise: {error}") from error
        set_seed(config.seed)
        self.generator = Generator(config.network)
        self.discriminator = PatchDiscriminator(config.network.width)
        optimizers = (_adam(self.generator, config.lr), _adam(self.discriminator, config.lr))
        loader = load(draws, config.batch, config.workers)
        self.paints, self.judges, *self.optimizers, self.loader = self.accelerator.prepare(
            self.generator, self.discriminator, *optimizers, loader
        )

    def run(self) -> Path:
        """Train from the beginning, or from where the run was left, to the end, alone in the folder."""
        with self.folder.held(self.config) if self.accelerator.is_main_process else nullcontext():
            return self._run()

    def _run(self) -> Path:
        first = self._resume() if self.config.resume else 0
        self.accelerator.wait_for_everyone()
        main = self.accelerator.is_main_process
        if main and not self.config.resume:
            self.folder.begin(self.config)
        batches = len(self.loader)
        with TrainingProgress(self.config.epochs * batches, first * batches, enabled=main) as progress:
            for epoch in range(first, self.config.epochs):
                result = self._epoch(epoch, progress)
                if main:
                    self._keep(result)
                progress.note(
                    f"epoch {epoch}: discriminator {result.discriminator:.3f}, adversarial {result.adversarial:.3f}, "
                    f"difference {result.difference:.4f}, {result.images_per_second:.1f} images/s"
                )
        return self.folder.last

    def _epoch(self, epoch: int, progress: TrainingProgress) -> RefganEpoch:
        start, images = time.perf_counter(), 0
        sums = torch.zeros(3, device=self.accelerator.device)
        self.loader.set_epoch(epoch)
        for index, draws in enumerate(self.loader):
            lr = self._set_lr(epoch + index / len(self.loader))
            sums += self._step(self._examples(draws))
            images += len(draws.kind) * self.accelerator.num_processes
            progress.batch(epoch)
        seconds = time.perf_counter() - start
        means = self.accelerator.reduce(sums / len(self.loader), reduction="mean")
        if not means.isfinite().all():
            raise InputError(f"the loss is {float(means.sum())} in epoch {epoch}; begin a new run with a lower --lr")
        discriminator, adversarial, difference = means.tolist()
        return RefganEpoch(epoch, discriminator, adversarial, difference, lr, seconds, images / seconds)

    def _examples(self, draws: DrawBatch) -> Example:
        for what in draws.damaged:
            self.damage.meet(what)
        return examples(draws, self.synthesis, self.config.network.style)

    def _step(self, example: Example) -> Tensor:
        """Move both networks once, and return the losses: discriminator, adversarial, difference."""
        transmission, style, ambient = example
        made = self.paints(transmission, style)
        real, fake = self.judges(transmission.repeat(2, 1, 1, 1), torch.cat([ambient, made.detach()])).chunk(2)
        discriminator = 0.5 * (_taken_for(real, real=True) + _taken_for(fake, real=False))
        self._move(discriminator, 1)
        self.discriminator.requires_grad_(False)
        adversarial = _taken_for(self.discriminator(transmission, made), real=True)
        difference = F.l1_loss(made, ambient)
        self._move(adversarial + self.config.l1 * 2 * difference, 0)  # twice: pictures are in [0, 1], not [-1, 1]
        self.discriminator.requires_grad_(True)
        return torch.stack([discriminator, adversarial, difference]).detach()

    def _move(self, loss: Tensor, which: int) -> None:
        self.accelerator.backward(loss)
        self.optimizers[which].step()
        self.optimizers[which].zero_grad()

    def _keep(self, result: RefganEpoch) -> None:
        samples = self.folder.path / _SAMPLES
        samples.mkdir(exist_ok=True)
        device = self.accelerator.device
        transmission, style, ambient = self.shown
        shown = Example(transmission.to(device), None if style is None else style.to(device), ambient.to(device))
        write_pixels(samples / f"{result.epoch:04}.png", contact_sheet(self.generator, shown))
        save_generator(self.generator, self.folder.last, {"epoch": str(result.epoch)})
        self.folder.record(result, self._state(result.epoch))

    def _state(self, epoch: int) -> dict[str, Any]:
        return {
            "epoch": epoch,
            "generator": self.generator.state_dict(),
            "discriminator": self.discriminator.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "random": torch.get_rng_state(),
            "damaged": self.damage.met,
        }

    def _resume(self) -> int:
        """Take up the state after the last epoch that ended, and return the number of the next."""
        state = self.folder.load()
        if state is None:
            return 0
        self.generator.load_state_dict(state["generator"])
        self.discriminator.load_state_dict(state["discriminator"])
        for optimizer, then in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(then)
        torch.set_rng_state(state["random"])
        self.damage.recall(state["damaged"])
        return int(state["epoch"]) + 1

    def _set_lr(self, epoch: float) -> float:
        """Set the learning rate at a moment of the training, in epochs, and return it."""
        half = self.config.epochs / 2
        lr = self.config.lr * min(1.0, (self.config.epochs - epoch) / half)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = lr
        return lr


def _adam(network: nn.Module, lr: float) -> torch.optim.Adam:
    return torch.optim.Adam(network.parameters(), lr=lr, betas=(0.5, 0.999))


def _taken_for(logits: Tensor, *, real: bool) -> Tensor:
    """Return the cross-entropy of patches being taken for real ones, or for generated ones."""
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, float(real)))

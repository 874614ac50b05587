"""The training of RefGAN: a generator against a discriminator, as pix2pix."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from accelerate.utils import set_seed
from torch import Tensor, nn

from msloss_sirr.data.loader import DrawBatch, collate
from msloss_sirr.data.sources import build_draws, training_files
from msloss_sirr.errors import InputError
from msloss_sirr.images.writing import write_pixels
from msloss_sirr.refgan.checkpoint import save_generator
from msloss_sirr.refgan.config import RefganTrainConfig
from msloss_sirr.refgan.discriminator import PatchDiscriminator
from msloss_sirr.refgan.generator import Generator
from msloss_sirr.refgan.pairs import Example, examples
from msloss_sirr.refgan.sheet import contact_sheet
from msloss_sirr.synthesis.making import Synthesis, build_synthesis
from msloss_sirr.trainer.loop import Trainer
from msloss_sirr.trainer.pace import half_line
from msloss_sirr.trainer.skipped import SkippedUpdates
from msloss_sirr.trainer.tensorboard import Tracker
from msloss_sirr.trainer.trainable import Ended, Stateful

_LOSSES = ("discriminator", "adversarial", "difference")
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
    left_out: int
    """Batches that did not count, as a gradient was not finite."""
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
        Stopped: if Ctrl-C or SIGTERM came; what was trained so far is saved, for a resume.

    Source: Isola et al., "Image-to-Image Translation with Conditional Adversarial Networks", CVPR 2017.
    """
    return _Training(config, synthesis).run()


class _Training:
    """A training under way: the `Trainable` of a `Trainer`."""

    def __init__(self, config: RefganTrainConfig, synthesis: Synthesis | None = None) -> None:
        self.config = config
        self.synthesis = build_synthesis(config.data.synthesis) if synthesis is None else synthesis
        self.trainer = Trainer(config, ("generator", "discriminator", "paints", "judges", "borne"), half_line)
        self.accelerator, self.folder = self.trainer.accelerator, self.trainer.folder
        with self.trainer.processes.failing_together():
            self.tracker = Tracker(self.folder.events if config.tensorboard and self.trainer.main else None)
            self.draws = build_draws(
                config.data,
                length=self.trainer.epoch_images,
                seed=config.seed,
                damage=self.trainer.damage,
                device=self.accelerator.device,
            )
            self.draws.set_epoch(_SHEET_EPOCH)
            shown = collate([self.draws[i] for i in range(config.samples)])
            for what in shown.damaged:
                self.trainer.damage.meet(what)
            self.shown = self._examples(shown)
        set_seed(config.seed)
        self.generator = Generator(config.network)
        self.discriminator = PatchDiscriminator(config.network.width)
        optimizers = (_adam(self.generator, config.lr), _adam(self.discriminator, config.lr))
        self.paints, self.judges, *self.optimizers = self.accelerator.prepare(
            self.generator, self.discriminator, *optimizers
        )
        self.skipped = SkippedUpdates(config.bear, self.trainer.processes)
        self._last = torch.zeros(3)

    @property
    def parts(self) -> Mapping[str, Stateful]:
        """What the state is made of."""
        paints, judges = self.optimizers
        networks = {"generator": self.generator, "discriminator": self.discriminator}
        return {**networks, "paints": paints, "judges": judges, "borne": self.skipped}

    @property
    def cost(self) -> int:
        """Every update costs the same."""
        return 1

    def run(self) -> Path:
        """Train to the end, and return the checkpoint of the generator."""
        self.trainer.run(self, self.draws, training_files(self.config.data))
        return self.folder.last

    def begin(self) -> None:
        """Do nothing."""

    def learn(self, draws: DrawBatch) -> Mapping[str, Tensor] | None:
        """Move both networks once, unless a gradient is not finite."""
        losses = self._step(self._examples(draws))
        if losses is None:
            return None
        self._last = losses
        return dict(zip(_LOSSES, self._last, strict=True))

    def status(self) -> str:
        """Return the last batch's losses."""
        return ", ".join(f"{name} {value:.3f}" for name, value in zip(_LOSSES, self._last.tolist(), strict=True))

    def conclude(self, ended: Ended) -> tuple[RefganEpoch, str]:
        """Keep the generator, and a contact sheet of what it makes."""
        discriminator, adversarial, difference = losses = [ended.means[name][0] for name in _LOSSES]
        if not all(map(math.isfinite, losses)):
            raise InputError(f"the loss is {sum(losses)} in epoch {ended.epoch}; begin a new run with a lower --lr")
        result = RefganEpoch(
            ended.epoch,
            discriminator,
            adversarial,
            difference,
            ended.left_out,
            ended.lr,
            ended.seconds,
            ended.images_per_second,
        )
        with self.trainer.processes.failing_together():
            if self.trainer.main:
                self._keep(result)
        told = ", ".join(f"{name} {value:.4f}" for name, value in zip(_LOSSES, losses, strict=True))
        return result, f"epoch {result.epoch}: {told}, {result.images_per_second:.1f} images/s"

    def _examples(self, draws: DrawBatch) -> Example:
        return examples(draws, self.synthesis, self.config.network.style)

    def _step(self, example: Example) -> Tensor | None:
        """Move both networks once, and return the losses: discriminator, adversarial, difference.

        A network whose gradient is not finite stays, and the generator does if the discriminator has; ``None`` then.
        """
        transmission, style, ambient = example
        made = self.paints(transmission, style)
        real, fake = self.judges(transmission.repeat(2, 1, 1, 1), torch.cat([ambient, made.detach()])).chunk(2)
        discriminator = 0.5 * (_taken_for(real, real=True) + _taken_for(fake, real=False))
        norm = self._move(discriminator, 1)
        if not norm.isfinite():
            self.skipped.counts(norm)
            return None
        self.discriminator.requires_grad_(False)
        adversarial = _taken_for(self.discriminator(transmission, made), real=True)
        difference = F.l1_loss(made, ambient)
        whole = adversarial + self.config.l1 * 2 * difference  # twice: pictures are in [0, 1], not [-1, 1]
        norm = self._move(whole, 0)
        self.discriminator.requires_grad_(True)
        losses = torch.stack([discriminator, adversarial, difference]).detach()
        return losses if self.skipped.counts(norm) else None

    def _move(self, loss: Tensor, which: int) -> Tensor:
        """Move the generator or the discriminator if its gradient is finite, and return the norm of that."""
        self.accelerator.backward(loss)
        weights = (self.generator, self.discriminator)[which].parameters()
        norm: Tensor = self.accelerator.clip_grad_norm_(weights, math.inf).cpu()  # the one wait for the device
        if norm.isfinite():
            self.optimizers[which].step()
        self.optimizers[which].zero_grad()
        return norm

    def _keep(self, result: RefganEpoch) -> None:
        self.folder.samples.mkdir(exist_ok=True)
        device = self.accelerator.device
        transmission, style, ambient = self.shown
        shown = Example(transmission.to(device), None if style is None else style.to(device), ambient.to(device))
        write_pixels(self.folder.samples / f"{result.epoch:04}.png", contact_sheet(self.generator, shown))
        save_generator(self.generator, self.folder.last, {"epoch": str(result.epoch)})
        self.tracker.numbers(dict(zip(_LOSSES, result[1:4], strict=True)), result.epoch)


def _adam(network: nn.Module, lr: float) -> torch.optim.Adam:
    return torch.optim.Adam(network.parameters(), lr=lr, betas=(0.5, 0.999))


def _taken_for(logits: Tensor, *, real: bool) -> Tensor:
    """Return the cross-entropy of patches being taken for real ones, or for generated ones."""
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, float(real)))

"""What an epoch came to, and the best that any has."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from msloss_sirr.evaluation.scores import Evaluation
from msloss_sirr.trainer.trainable import Ended


class Epoch(NamedTuple):
    """What an epoch came to, in the mean over its batches, and on the validation pairs."""

    epoch: int
    steps: int
    loss: float
    per_step: list[float]
    terms: dict[str, list[float]]
    """Every term of the loss at every step, before weighting."""
    gradient: float
    """Norm of the gradients, before they are scaled down."""
    left_out: int
    """Batches that did not count, as the gradient of their update was not finite."""
    lr: float
    seconds: float
    images_per_second: float
    input_psnr: float
    input_ssim: float
    psnr: float
    ssim: float

    @classmethod
    def of(cls, ended: Ended, steps: int, scores: Evaluation, accumulate: int) -> "Epoch":
        """Return what an epoch came to.

        Args:
            ended: what its batches came to, means of ``loss``, ``steps``, ``gradient``, and ``term NAME`` of each.
            steps: how many steps there were.
            scores: on the validation pairs.
            accumulate: batches to an update; the gradient is known once an update.
        """
        means = ended.means
        (loss,), (gradient,) = means["loss"], means["gradient"]
        return cls(
            epoch=ended.epoch,
            steps=steps,
            loss=loss,
            per_step=means["steps"],
            terms={name.removeprefix("term "): told for name, told in means.items() if name.startswith("term ")},
            gradient=gradient * accumulate,
            left_out=ended.left_out,
            lr=ended.lr,
            seconds=ended.seconds,
            images_per_second=ended.images_per_second,
            input_psnr=scores.before.psnr,
            input_ssim=scores.before.ssim,
            psnr=scores.after.psnr,
            ssim=scores.after.ssim,
        )

    def __str__(self) -> str:
        """Return it in a line."""
        per_step = " ".join(f"{loss:.4f}" for loss in self.per_step)
        terms = ", ".join(f"{name} {values[0]:.4f}" for name, values in self.terms.items())
        return (
            f"epoch {self.epoch}: loss {self.loss:.4f} (steps {per_step}; first step {terms}), validation PSNR "
            f"{self.psnr:.2f} dB (input {self.input_psnr:.2f}), SSIM {self.ssim:.4f} (input {self.input_ssim:.4f}), "
            f"{self.images_per_second:.1f} images/s"
        )

    def numbers(self) -> dict[str, float]:
        """Return what can be drawn over epochs, by name."""
        told = {"loss": self.loss, "lr": self.lr, "PSNR": self.psnr, "SSIM": self.ssim, "steps": self.steps}
        per_step = {f"loss/step {number}": value for number, value in enumerate(self.per_step, start=1)}
        terms = {
            f"{name}/step {number}": value
            for name, values in self.terms.items()
            for number, value in enumerate(values, start=1)
        }
        rate = {"gradient": self.gradient, "images per second": self.images_per_second}
        return {**told, **rate, **per_step, **terms}


class Best:
    """The best scores so far, and what they are of."""

    def __init__(self) -> None:
        self.scores: Evaluation | None = None
        self.of: str | None = None
        """SHA-256 of the validation pairs."""

    def state_dict(self) -> dict[str, Any]:
        """Return them, for a checkpoint."""
        scores = None if self.scores is None else [*self.scores.before, *self.scores.after]
        return {"scores": scores, "of": self.of}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take those of a checkpoint."""
        self.scores = None if state["scores"] is None else Evaluation.of(state["scores"])
        self.of = state["of"]

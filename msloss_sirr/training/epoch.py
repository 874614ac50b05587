"""What an epoch came to, and the best that any has."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from msloss_sirr.evaluation.scores import Evaluation


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

    def __str__(self) -> str:
        """Return it in a line."""
        per_step = " ".join(f"{loss:.4f}" for loss in self.per_step)
        terms = ", ".join(f"{name} {values[0]:.4f}" for name, values in self.terms.items())
        return (
            f"epoch {self.epoch}: loss {self.loss:.4f} (steps {per_step}; first step {terms}), validation PSNR "
            f"{self.psnr:.2f} dB (input {self.input_psnr:.2f}), SSIM {self.ssim:.4f} (input {self.input_ssim:.4f}), "
            f"{self.images_per_second:.1f} images/s"
        )


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

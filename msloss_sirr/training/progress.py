"""What a training shows while it runs."""

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from msloss_sirr.training.run import Epoch


class TrainingProgress:
    """A progress bar over all epochs, and a line for each that has ended.

    Args:
        batches: in the whole training.
        done: batches done before, in a run that is resumed.
        enabled: show anything at all.
    """

    def __init__(self, batches: int, done: int, *, enabled: bool) -> None:
        self._console = Console(quiet=not enabled, soft_wrap=True)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self._console,
            disable=not (enabled and self._console.is_terminal),
        )
        self._task = self._progress.add_task("training", total=batches, completed=done)

    def __enter__(self) -> "TrainingProgress":
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def note(self, line: str) -> None:
        """Print a line."""
        self._console.print(line, highlight=False)

    def batch(self, epoch: int) -> None:
        """Count a batch of an epoch."""
        self._progress.update(self._task, advance=1, description=f"epoch {epoch}")

    def epoch(self, result: Epoch, *, best: bool) -> None:
        """Print the line of an epoch that has ended."""
        per_step = " ".join(f"{loss:.4f}" for loss in result.per_step)
        self._console.print(
            f"epoch {result.epoch}: loss {result.loss:.4f} (steps {per_step}), validation PSNR {result.psnr:.2f} dB "
            f"(input {result.input_psnr:.2f}), SSIM {result.ssim:.4f} (input {result.input_ssim:.4f}), "
            f"{result.images_per_second:.1f} images/s{', best' if best else ''}",
            highlight=False,
        )

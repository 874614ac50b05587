"""What TensorBoard shows of a training."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msloss_sirr.errors import InputError


class Tracker:
    """Writes numbers and pictures for TensorBoard.

    Args:
        folder: where they go; ``None`` writes nothing.

    Raises:
        InputError: if TensorBoard is not installed.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._writer: Any = None
        if folder is not None:
            try:
                from torch.utils.tensorboard import SummaryWriter  # noqa: F401
            except ImportError as error:
                raise InputError('--tensorboard needs TensorBoard: pip install "msloss[tensorboard]"') from error

    def numbers(self, values: Mapping[str, float], step: int) -> None:
        """Write numbers by name; those of later steps, from before an interruption, are hidden."""
        if self._folder is None:
            return
        for name, value in values.items():
            self._open(step).add_scalar(name, value, step)
        self._open(step).flush()

    def _open(self, step: int) -> Any:
        if self._writer is None:
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(str(self._folder), purge_step=step)
        return self._writer

"""What can be trained: what a trainer asks of it."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Protocol

from torch import Tensor
from torch.optim import Optimizer

from msloss_sirr.data.loader import DrawBatch
from msloss_sirr.trainer.run_folder import Numbered


class Stateful(Protocol):
    """Something whose state outlives the process."""

    def state_dict(self) -> Any:
        """Return the state."""

    def load_state_dict(self, state: Any, /) -> Any:
        """Take a state up again."""


class Ended(NamedTuple):
    """An epoch that has ended."""

    epoch: int
    means: dict[str, list[float]]
    """The means of what its batches came to, over all processes."""
    left_out: int
    """How many of its batches did not count."""
    lr: float
    seconds: float
    images_per_second: float


class Trainable(Protocol):
    """What is trained."""

    @property
    def parts(self) -> Mapping[str, Stateful]:
        """What its state is made of."""

    @property
    def optimizers(self) -> Iterable[Optimizer]:
        """What moves it; their learning rates are set before every batch, of a group with a ``share`` to that share."""

    @property
    def cost(self) -> int:
        """What an update costs now; asked before every one."""

    def begin(self) -> None:
        """Prepare, once it is known that the training may begin, or go on."""

    def learn(self, draws: DrawBatch) -> Mapping[str, Tensor] | None:
        """Learn from a batch on the device, and return what is to be known of it, or ``None`` if it does not count."""

    def status(self) -> str:
        """Return what to show of the last batch, in a few words."""

    def conclude(self, ended: Ended) -> tuple[Numbered, str]:
        """End an epoch: judge, keep checkpoints. Return what it came to, and that in a line."""

"""What a remover is made of; travels inside its checkpoint."""

from dataclasses import dataclass

from msloss_sirr.errors import InputError


@dataclass(frozen=True)
class RemoverConfig:
    """The two U-Nets of a remover."""

    channels: tuple[int, ...] = (16, 32, 64, 96)
    """Channels at each level of a U-Net, from full resolution down."""
    patch: int = 1
    """Side of the pixel blocks that are folded into channels at the door; 1 folds nothing."""
    residual: bool = True
    """Estimate what changes from the ambient image to the transmission, instead of the transmission itself."""

    def __post_init__(self) -> None:
        """Refuse what makes no network."""
        if not self.channels or min(self.channels) < 1 or self.patch < 1:
            raise InputError(f"channels={self.channels}, patch={self.patch}: give one or more levels, all at least 1")

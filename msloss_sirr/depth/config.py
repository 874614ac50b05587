"""Where depth comes from."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from msloss_sirr.errors import InputError
from msloss_sirr.fields import check_fields


@dataclass(frozen=True)
class DepthConfig:
    """Where the depth comes from that guides a remover, if its configuration asks for some."""

    source: Literal["midas", "stored"] = "midas"
    """midas estimates it from the ambient image; stored reads depth/NAME beside the photographs, one channel each,
    large where things are near."""
    weights: Path | None = None
    """File with the weights of MiDaS v2.1 small, instead of the one in PyTorch's cache, or its download to there."""

    def __post_init__(self) -> None:
        """Refuse weights for nothing."""
        check_fields(self)
        if self.source != "midas" and self.weights is not None:
            raise InputError(
                f"depth weights are given ({self.weights}) but the source is {self.source!r}; leave them out"
            )

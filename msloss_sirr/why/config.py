"""What is looked at to tell why."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tyro.conf import Positional

from msloss_sirr.errors import InputError
from msloss_sirr.fields import check_fields


@dataclass(frozen=True)
class WhyConfig:
    """Test what the paper says of why a multi-step loss helps, on the trainings of a comparison.

    Of trainings with --probe-every: how near the loss is to that of a network that returns its input, and gradients of
    the steps. Of all: what every step leaves of the reflection, and where a remover goes when it is applied again and
    again. What has been measured of a training is not measured again.
    """

    table: Positional[Literal["why"]]
    """why."""
    runs: Positional[Path | None] = None
    """Folder of a comparison that msloss-sirr ablate has made: its --out."""
    out: Path | None = None
    """Folder for results, their page and plots; by default the folder why in that of the comparison."""
    sets: tuple[str, ...] = ()
    """Folders of pairs, or sets of the catalogue, SET=FOLDER, to look at; if nothing is said, those that the
    trainings were validated on."""
    composites: Path | None = None
    """Folder of photographs, of which composites are looked at, too: always the same, by the recipes linear, clip and
    screen."""
    steps: int = 10
    """How many times each remover is applied to its own output."""
    device: str = "auto"
    """auto, cpu, cuda, mps, ...; auto takes an accelerator if there is one."""
    report: Path | None = None
    """Folder of results: write their page and plots again, and look at nothing."""

    def __post_init__(self) -> None:
        """Refuse what cannot be looked at."""
        check_fields(self)
        if (self.runs is None) == (self.report is None):
            raise InputError("name the folder of a comparison, or give --report FOLDER, and not both")
        if self.steps < 3:
            raise InputError(f"steps is {self.steps}; give 3 or more, as the paper trains with three")

"""Which methods are set side by side, and on what."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, UseAppendAction

from msloss_sirr.errors import InputError
from msloss_sirr.evaluation.config import LpipsConfig, ProtocolName
from msloss_sirr.fields import check_fields


@dataclass(frozen=True)
class PeersConfig:
    """Set methods side by side in one table: the input, a classical one, removers, and what others have saved.

    Each is scored on the same pairs, with the interval of its difference to the input over the images; what runs here
    runs in a process of its own, which tells seconds and memory. Pictures are kept, and scored as files of 8 bits.
    """

    sets: Positional[tuple[str, ...]] = ()
    """Folders that hold ambient/NAME and transmission/NAME, or sets of the catalogue, SET/SUBSET/SPLIT=FOLDER."""
    composites: Path | None = None
    """Folder of photographs, of which composites are taken, too: always the same, by the recipes linear, clip and
    screen."""
    out: Path | None = None
    """Folder for the results, peers.csv, their page, and the pictures of every method."""
    steps: tuple[int, ...] = (1,)
    """How many times removers are applied to their own output; each number is a method."""
    checkpoints: tuple[str, ...] = ()
    """Removers beside the one that comes with the package, NAME=FILE."""
    thresholds: tuple[float, ...] = (0.033,)
    """Of the classical method, Yang et al. 2019: gradients that are weaker are taken for those of reflections; each
    is a method. The option with nothing after it leaves it out."""
    outputs: Annotated[tuple[str, ...], UseAppendAction] = ()
    """What another method has saved, NAME=FOLDER, as msloss-sirr eval --outputs takes it; once for each method."""
    protocol: ProtocolName = "whole"
    """How images are scored; see msloss-sirr eval --help."""
    device: str = "cpu"
    """Where removers run: cpu, cuda, mps, ...; memory is that of the process, without an accelerator's own."""
    report: Path | None = None
    """Folder of results: write their page again, and measure nothing."""
    lpips: LpipsConfig = field(default_factory=lambda: LpipsConfig(("alex",)))

    def __post_init__(self) -> None:
        """Refuse what cannot be compared."""
        check_fields(self)
        if self.report is not None:
            return
        if self.out is None or not (self.sets or self.composites):
            raise InputError("name folders of pairs, or --composites PHOTOS, and --out FOLDER")
        if not self.steps or min(self.steps) < 1 or len({*self.steps}) < len(self.steps):
            raise InputError(f"steps are {self.steps}; give one or more, each once, 1 or more")
        if any(not 0 <= each <= 1 for each in self.thresholds):
            raise InputError(f"thresholds are {self.thresholds}; give numbers from 0 to 1, 0.033 say")
        for name in ("checkpoints", "outputs"):
            named(name, getattr(self, name))


def named(option: str, given: Sequence[str]) -> dict[str, str]:
    """Return what stands behind the names of an option, as ``NAME=PATH``.

    Raises:
        InputError: if a name or a path is missing, or a name is given twice.

    >>> named("outputs", ["a=RESULTS/a", "b=x=y"])
    {'a': 'RESULTS/a', 'b': 'x=y'}
    """
    found: dict[str, str] = {}
    for text in given:
        name, _, path = text.partition("=")
        if not name or not path:
            raise InputError(f"{option} is {text}; give NAME=PATH")
        if name in found:
            raise InputError(f"{option} names {name} twice; give each a name of its own")
        found[name] = path
    return found

"""What is compared, at which scale, and what is told of it."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, Suppress

from msloss_sirr.ablation.arms import Equal
from msloss_sirr.ablation.studies import OF_ANY_TASK, StudyName
from msloss_sirr.errors import InputError
from msloss_sirr.evaluation.config import LpipsConfig, ProtocolName
from msloss_sirr.fields import check_fields
from msloss_sirr.training.presets import TrainOptions

_SMALLEST_SIDE = 16


@dataclass(frozen=True, kw_only=True)
class AblateOptions(TrainOptions):
    """Repeat a table of the paper, or a comparison that it leaves out: the same training with a few options changed.

    All options of a training hold for every arm, but those in which the arms differ. The same command goes on where it
    was: what is done is not done again. msloss-sirr ablate why --help tells how its trainings are looked into.
    """

    table: Positional[StudyName]
    """1: sets and metrics; 2: no depth, depth and ranged depth; 3: with and without pairs of RefGAN; 4: numbers of
    ranges; 5: multi-step losses; gradients: where they flow; weights: what the steps weigh."""
    val: Path
    """Real pairs that trainings are validated on, as of msloss-sirr train; with a --task, a folder of photographs that
    are degraded, always in the same way, to validate and to evaluate on."""
    val_side: int | None = None
    """With a --task, pixels a side of the square in the middle that is taken of each of these photographs; they are
    whole if nothing is said."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Seeds; every arm is trained with each of them. An interval needs two, and is to be relied on from three."""
    equal: Equal = "updates"
    """What is the same for all arms: updates, or compute, so that one step has three times the updates of three."""
    sets: tuple[str, ...] = ()
    """Folders of pairs, or sets of the catalogue, SET=FOLDER, to evaluate on; if nothing is said, --val."""
    composites: Path | None = None
    """Folder of photographs, of which composites are evaluated on, too: always the same, by the recipes linear, clip
    and screen."""
    refgan: str | None = None
    """Folder of pairs that msloss-sirr refgan generate made; all arms are trained on it, but the one without."""
    eval_steps: tuple[int, ...] = (1, 2, 3)
    """How many times a remover is applied to its own output when it is evaluated; each number is scored."""
    judged: Literal["last", "best"] = "last"
    """Weights that are evaluated: the last, or the best on --val, which flatters where that is evaluated on."""
    protocol: ProtocolName = "whole"
    """How images are scored; see msloss-sirr eval --help."""
    report: tuple[Path, ...] = ()
    """File or folder of results: write its page and plot again, and train nothing."""
    lpips: LpipsConfig = field(default_factory=lambda: LpipsConfig(("alex",)))

    out: Path
    """Folder of the comparison: its trainings, the results, their page and plot."""
    seed: Annotated[int, Suppress] = 0
    resume: Annotated[bool, Suppress] = False
    allow_changes: Annotated[bool, Suppress] = False

    def __post_init__(self) -> None:
        """Refuse what cannot be compared."""
        self._check_task_of_table()
        super().__post_init__()
        if self.report:
            raise InputError("report is for the command line, where nothing is trained with it; leave it out")
        for name in ("seeds", "eval_steps"):
            given = getattr(self, name)
            if not given or len(set(given)) < len(given):
                raise InputError(f"{name} are {given}; give one or more, each once")
        if min(self.eval_steps) < 1:
            raise InputError(f"eval_steps are {self.eval_steps}; give 1 or more")
        if not all(0 <= seed < 2**32 for seed in self.seeds):
            raise InputError(f"seeds are {self.seeds}; give numbers from 0 to {2**32 - 1}")

    def _check_task_of_table(self) -> None:
        """Raise ``InputError`` if a task is to be compared that the table, or what is evaluated on, is not of."""
        if self.val_side is not None and self.val_side < _SMALLEST_SIDE:
            raise InputError(f"val_side is {self.val_side}; give {_SMALLEST_SIDE} pixels or more")
        if self.task == "reflections":
            if self.val_side is not None:
                raise InputError(f"val_side is {self.val_side}, but pairs are evaluated on whole; leave it out")
            return
        if self.table not in OF_ANY_TASK:
            raise InputError(f"{self.table} is of reflections; give --task to one of {', '.join(OF_ANY_TASK)}")
        if self.sets or self.composites is not None or self.refgan is not None:
            raise InputError(
                f"task is {self.task}, which is evaluated on the photographs of --val, degraded; leave out --sets, "
                "--composites and --refgan"
            )


@dataclass(frozen=True)
class ReportConfig:
    """Write the page and the plot of results again, from their file alone."""

    report: tuple[Path, ...]
    """Files of results, or folders that hold one; the page and the plot are written beside each."""
    out: Path | None = None
    """Folder for the page and the plot instead."""
    joined: bool = False
    """Take them as one: results of the same comparison with other seeds, of several machines say. They are written to
    --out, with their page and plot."""
    table: Positional[str] = ""
    """The table need not be said."""

    def __post_init__(self) -> None:
        """Refuse to report on nothing."""
        check_fields(self)
        if not self.report:
            raise InputError("report names no results; give files or folders")
        if self.joined and self.out is None:
            raise InputError("joined results need a folder of their own; give --out")

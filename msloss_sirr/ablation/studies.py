"""What is compared: the tables of the paper, and what it leaves open."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from msloss_sirr.ablation.arms import INPUT, Arm
from msloss_sirr.ablation.paper import TABLES, PaperTable
from msloss_sirr.synthesis.config import TaskName

StudyName = Literal["1", "2", "3", "4", "5", "gradients", "weights"]


@dataclass(frozen=True)
class Study:
    """Arms that are compared."""

    name: str
    title: str
    question: str
    arms: tuple[Arm, ...]
    baseline: str
    """What all others are held against: an arm, or the input itself."""
    table: PaperTable | None = None
    """What the paper has printed of it."""
    base: Mapping[str, Any] = field(default_factory=dict)
    """What of a preset's options is another here."""

    @property
    def number(self) -> str:
        """What the study is called in a line."""
        return f"Table {self.name}" if self.table else self.title


_SIMPLE = {"model.networks": "transmission", "model.depth": "none"}
"""The simple U-Net of table 5, from I to T."""
_THREE = {"steps": 3, "start_steps": 3}

STUDIES: Mapping[str, Study] = {
    each.name: each
    for each in (
        Study(
            "1",
            "Sets and metrics",
            "What does the whole method come to?",
            (Arm("ours"),),
            INPUT,
            TABLES["1"],
        ),
        Study(
            "2",
            "Depth",
            "Does depth help, and do ranges help more?",
            (
                Arm("no depth", {"model.depth": "none"}),
                Arm("depth", {"model.depth": "pure"}),
                Arm("ranged depth", {"model.depth": "ranged"}),
            ),
            "no depth",
            TABLES["2"],
        ),
        Study(
            "3",
            "RefGAN",
            "Do pairs help that RefGAN has made?",
            (Arm("without RefGAN", refgan=False), Arm("with RefGAN", needs_refgan=True)),
            "without RefGAN",
            TABLES["3"],
        ),
        Study(
            "4",
            "Ranges of depth",
            "How many ranges should depth have?",
            tuple(Arm(f"k={k}", {"model.depth": "ranged", "model.ranges": k}) for k in range(2, 8)),
            "k=4",
            TABLES["4"],
            {"epochs": 20},
        ),
        Study(
            "5",
            "Multi-step loss",
            "Does it help to sum the losses of several steps?",
            (
                Arm("1-step", {"steps": 1, "start_steps": 1}),
                Arm("2-step", {"steps": 2, "start_steps": 2}),
                Arm("3x1-step", {"steps": 1, "start_steps": 1, "loss.scale": 3.0}),
                Arm("3-step", _THREE),
                Arm("2->3", {"steps": 3, "start_steps": 2}),
            ),
            "1-step",
            TABLES["5"],
            _SIMPLE,
        ),
        Study(
            "gradients",
            "Where gradients flow",
            "Is it the gradient through the steps that helps, or that the network sees its own output?",
            (
                Arm("1-step", {"steps": 1, "start_steps": 1}),
                Arm("full", _THREE),
                Arm("truncated", {**_THREE, "truncate": 1}),
                Arm("last step only", {**_THREE, "truncate": 1, "loss.over_steps": "last"}),
            ),
            "full",
            base=_SIMPLE,
        ),
        Study(
            "weights",
            "What the steps weigh",
            "Does it matter how the losses of the steps are weighed?",
            (
                Arm("1-step", {"steps": 1, "start_steps": 1}),
                Arm("sum", _THREE),
                Arm("mean", {**_THREE, "loss.over_steps": "mean"}),
                Arm("gamma 0.8", {**_THREE, "loss.over_steps": "gamma", "loss.gamma": 0.8}),
                Arm("last", {**_THREE, "loss.over_steps": "last"}),
            ),
            "sum",
            base=_SIMPLE,
        ),
    )
}
"""Everything that ``msloss-sirr ablate`` compares, by name."""
OF_ANY_TASK = ("5", "gradients", "weights")
"""Those whose arms can learn another task than to take off reflections."""


def study_of(name: str, task: TaskName) -> Study:
    """Return a study by its name, with the arms of a task, of which the paper has no table."""
    study = STUDIES[name]
    if task == "reflections":
        return study
    return dataclasses.replace(study, name=f"{name}-{task}", title=f"{study.number}, {task}", table=None)

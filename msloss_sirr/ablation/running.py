"""An ablation under way: trainings and evaluations one after another, each done once."""

import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from msloss_sirr.ablation.arms import INPUT
from msloss_sirr.ablation.jobs import TRAINED, Job, undamaged
from msloss_sirr.ablation.results import Run, Score
from msloss_sirr.files import whole_file
from msloss_sirr.trainer.stopping import Stopped
from msloss_sirr.training.config import TrainConfig

_SCORED = "scores.json"
_STATES = ("state.pt", "state.previous.pt")


class Scored(NamedTuple):
    """What an evaluation came to."""

    images: Sequence[tuple[str, str, int, Mapping[str, float]]]
    """Set, image, steps (0 for the input itself), and values by metric."""
    wanting: Mapping[str, str]
    """Metrics that could not be measured, and why."""


class Work(Protocol):
    """How the trainings of an ablation are done and judged; what their folders hold is all that they leave."""

    @property
    def scored_by(self) -> Mapping[str, Any]:
        """All that scores depend on but the training, as JSON has it; if it is another, they are taken anew."""

    def train(self, config: TrainConfig) -> None:
        """Train, or go on with a training in its folder, to its end."""

    def parameters(self, config: TrainConfig) -> int:
        """Return how many weights the networks have that a training has left."""

    def score(self, config: TrainConfig) -> Scored:
        """Score what a training has left in its folder."""


def work_through(jobs: Sequence[Job], work: Work, say: Callable[[str], None]) -> Iterator[Job]:
    """Train and score what is not yet, and yield each job once it is done.

    Raises:
        Stopped: if Ctrl-C or SIGTERM came in a training; what was trained so far is saved.
    """
    for number, job in enumerate(jobs, start=1):
        if not job.trained:
            say(f"{job.arm}, seed {job.seed}: training {number} of {len(jobs)}")
            try:
                work.train(dataclasses.replace(job.config, resume=(job.folder / "config.json").exists()))
            except Stopped as stop:
                told = f"stopped in {job.arm}, seed {job.seed}; the same command goes on from there"
                raise Stopped(told, stop.number) from None
            _keep(job.folder / TRAINED, _run(job, work.parameters(job.config))._asdict())
            for name in _STATES:  # several times as large as the networks, and of no more use
                (job.folder / name).unlink(missing_ok=True)
        if not _is_scored(job, work):
            found = work.score(job.config)
            _keep(job.folder / _SCORED, {"scored_by": work.scored_by, **found._asdict()})
        yield job


def runs_of(jobs: Sequence[Job]) -> list[Run]:
    """Return what the trainings took that have ended."""
    runs = []
    for job in jobs:
        if job.trained:
            with undamaged(job.folder / TRAINED) as told:
                # a folder may come from another comparison, in which the same arm has another name
                own = {"arm": job.arm, "seed": job.seed}
                runs.append(Run(**{**told, **own, "steps": tuple(told["steps"])}))
    return runs


def scores_of(jobs: Sequence[Job], work: Work) -> tuple[list[Score], dict[str, str]]:
    """Return the scores of all images, those of the input first, and the metrics that could not be measured."""
    of_input: dict[tuple[str, str], Score] = {}
    scores: list[Score] = []
    wanting: dict[str, str] = {}
    for job in jobs:
        if not _is_scored(job, work):
            continue
        with undamaged(job.folder / _SCORED) as told:
            wanting.update(told["wanting"])
            for set_name, image, steps, values in told["images"]:
                score = Score(job.arm if steps else INPUT, job.seed if steps else None, set_name, image, steps, values)
                if steps:
                    scores.append(score)
                else:
                    of_input.setdefault((set_name, image), score)
    return [*of_input.values(), *scores], wanting


def _run(job: Job, parameters: int) -> Run:
    """Return what a training took, from the lines of its epochs."""
    lines = [json.loads(line) for line in (job.folder / "metrics.jsonl").read_text().splitlines()]
    provenance = json.loads((job.folder / "provenance.json").read_text())
    images = [round(line["images_per_second"] * line["seconds"]) for line in lines]
    config = job.config
    together = config.batch * config.accumulate * int(provenance[-1]["processes"])
    updates = [round(number / together) for number in images]
    steps = [int(line["steps"]) for line in lines]
    applications = sum(n * m * config.accumulate for n, m in zip(updates, steps, strict=True))
    seconds = round(sum(line["seconds"] for line in lines), 1)
    device = provenance[-1]["device"]
    return Run(
        arm=job.arm,
        seed=job.seed,
        updates=sum(updates),
        applications=applications,
        images=sum(images),
        seconds=seconds,
        steps=tuple(steps),
        most_steps=config.steps,
        parameters=parameters,
        device=device,
        provenance=", then ".join(dict.fromkeys(_provenance(begun, config) for begun in provenance)),
    )


def _provenance(begun: Mapping[str, Any], config: TrainConfig) -> str:
    revision = begun["revision"] or "unknown"
    short = revision[:12] + "+" * revision.endswith("+")  # a + where files were changed since
    torch, threads = begun["packages"]["torch"], begun["threads"]
    return f"revision {short}, {begun['device']}, torch {torch}, {threads} threads, {config.precision}"


def _is_scored(job: Job, work: Work) -> bool:
    path = job.folder / _SCORED
    if not path.exists():
        return False
    with undamaged(path) as told:
        return bool(told["scored_by"] == work.scored_by)


def _keep(path: Path, told: Mapping[str, Any]) -> None:
    with whole_file(path) as partial:
        partial.write_text(json.dumps(told, indent=1) + "\n")

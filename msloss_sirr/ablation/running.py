"""An ablation under way: trainings and evaluations one after another, each done once."""

import dataclasses
import json
import re
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from msloss_sirr.ablation.arms import INPUT, Arm
from msloss_sirr.ablation.results import Run, Score
from msloss_sirr.data.sources import training_files
from msloss_sirr.errors import InputError
from msloss_sirr.files import whole_file
from msloss_sirr.training.config import TrainConfig
from msloss_sirr.training.provenance import Source, changed, fingerprint, read_contents
from msloss_sirr.training.run_folder import differences
from msloss_sirr.training.stopping import Stopped

_TRAINED, _SCORED = "trained.json", "scores.json"
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


@dataclass(frozen=True)
class Job:
    """A training of an ablation."""

    arm: str
    seed: int
    config: TrainConfig

    @property
    def folder(self) -> Path:
        """Where it is."""
        return self.config.out

    @property
    def trained(self) -> bool:
        """Whether it has ended."""
        return (self.folder / _TRAINED).exists()


def jobs_of(arms: Mapping[Arm, TrainConfig], seeds: Sequence[int], out: Path) -> list[Job]:
    """Return the trainings of arms, seed by seed, so that what is done first tells of all arms.

    Args:
        arms: with their configurations.
        seeds: of each.
        out: folder of the ablation; that of a training is ``runs/ARM/seed-N`` in it.

    Raises:
        ValueError: if two arms would have the same folder, or one is called as the photographs as they are.
    """
    names = [arm.name for arm in arms]
    folders = [slug(name).casefold() for name in names]
    if not all(folders) or len(set(folders)) < len(folders) or INPUT in folders:
        raise ValueError(f"arms are {names}; give names that differ in letters or digits, and none is {INPUT!r}")
    return [
        Job(arm.name, seed, dataclasses.replace(config, seed=seed, out=out / "runs" / slug(arm.name) / f"seed-{seed}"))
        for seed in seeds
        for arm, config in arms.items()
    ]


def slug(name: str) -> str:
    """Return a name as part of a path.

    >>> slug("2->3"), slug("gamma 0.8")
    ('2-3', 'gamma-0.8')
    """
    return re.sub(r"[^A-Za-z0-9._=]+", "-", name).strip("-")


def check_unchanged(jobs: Sequence[Job]) -> None:
    """Raise ``InputError`` if a training that was begun has another configuration than it is to have now."""
    for job in jobs:
        if not (job.folder / "config.json").exists():
            continue
        differ = differences(job.folder, job.config)
        if differ:
            raise InputError(
                f"{job.folder} was begun with other options ({', '.join(differ)}); give those again, or another --out"
            )


def check_same_data(jobs: Sequence[Job]) -> None:
    """Raise ``InputError`` if some are still to be trained, on files that hold something else than for those that were.

    A training that was interrupted asks this for itself as it goes on.
    """
    if all(job.trained for job in jobs):
        return
    now: dict[str, Source] = {}
    for job in jobs:
        if not job.trained:
            continue
        config = job.config
        stored = config.model.depth != "none" and config.depth.source == "stored"
        files = training_files(config.data, config.val, depth=stored)
        now |= {name: fingerprint(read_contents(found)) for name, found in files.items() if name not in now}
        with _undamaged(job.folder / "provenance.json") as told:
            then = {name: told[-1]["data"].get(name) for name in files}
        differ = changed(then, {name: now[name] for name in files})
        if differ:
            raise InputError(
                f"{job.folder} was trained on other data ({', '.join(differ)}); give that again, or another --out"
            )


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
            _keep(job.folder / _TRAINED, _run(job, work.parameters(job.config))._asdict())
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
            with _undamaged(job.folder / _TRAINED) as told:
                runs.append(Run(**{**told, "steps": tuple(told["steps"])}))
    return runs


def scores_of(jobs: Sequence[Job], work: Work) -> tuple[list[Score], dict[str, str]]:
    """Return the scores of all images, those of the input first, and the metrics that could not be measured."""
    of_input: dict[tuple[str, str], Score] = {}
    scores: list[Score] = []
    wanting: dict[str, str] = {}
    for job in jobs:
        if not _is_scored(job, work):
            continue
        with _undamaged(job.folder / _SCORED) as told:
            wanting.update(told["wanting"])
            for set_name, image, steps, values in told["images"]:
                score = Score(job.arm if steps else INPUT, job.seed if steps else None, set_name, image, steps, values)
                if steps:
                    scores.append(score)
                else:
                    of_input.setdefault((set_name, image), score)
    return [*of_input.values(), *scores], wanting


def command() -> str:
    """Return the command that this process runs."""
    program = Path(sys.argv[0]).name
    return shlex.join(["msloss-sirr" if program in ("__main__.py", "msloss-sirr") else program, *sys.argv[1:]])


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
    )


def _is_scored(job: Job, work: Work) -> bool:
    path = job.folder / _SCORED
    if not path.exists():
        return False
    with _undamaged(path) as told:
        return bool(told["scored_by"] == work.scored_by)


@contextmanager
def _undamaged(path: Path) -> Iterator[Any]:
    """Yield what a file holds; what it lacks, or holds of another kind, is its damage."""
    try:
        yield json.loads(path.read_bytes())
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} is damaged; delete it to have it made again") from error


def _keep(path: Path, told: Mapping[str, Any]) -> None:
    with whole_file(path) as partial:
        partial.write_text(json.dumps(told, indent=1) + "\n")

"""The trainings of an ablation: where each is, and whether what is there is of the same options and data."""

import dataclasses
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msloss_sirr.ablation.arms import INPUT, Arm
from msloss_sirr.data.sources import training_files
from msloss_sirr.errors import InputError
from msloss_sirr.trainer.provenance import Source, changed, fingerprint, read_contents
from msloss_sirr.trainer.run_folder import differences
from msloss_sirr.training.config import TrainConfig

TRAINED = "trained.json"
"""The file in the folder of a training that has ended, with what it took."""


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
        return (self.folder / TRAINED).exists()


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
        with undamaged(job.folder / "provenance.json") as told:
            then = {name: told[-1]["data"].get(name) for name in files}
        differ = changed(then, {name: now[name] for name in files})
        if differ:
            raise InputError(
                f"{job.folder} was trained on other data ({', '.join(differ)}); give that again, or another --out"
            )


@contextmanager
def undamaged(path: Path) -> Iterator[Any]:
    """Yield what a file holds; what it lacks, or holds of another kind, is its damage."""
    try:
        yield json.loads(path.read_bytes())
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} is damaged; delete it to have it made again") from error

"""Methods compared: run one after another, scored alike, in one set of results."""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from msloss_sirr.ablation.arms import INPUT
from msloss_sirr.ablation.jobs import slug
from msloss_sirr.ablation.results import Head, Results, Score, SetFound
from msloss_sirr.devices import find_device
from msloss_sirr.errors import InputError
from msloss_sirr.evaluation.composites import write_composites
from msloss_sirr.evaluation.evaluating import evaluate_sets
from msloss_sirr.evaluation.protocols import PROTOCOLS
from msloss_sirr.evaluation.results import EvaluationReport, Numbers
from msloss_sirr.evaluation.sets import Entry, open_entries
from msloss_sirr.files import check_writable
from msloss_sirr.peers.config import PeersConfig, named
from msloss_sirr.peers.measuring import Taken, Task, run
from msloss_sirr.trainer.provenance import command, surroundings

STUDY = "peers"
CLASSICAL = "gradient suppression"
SHIPPED = "shipped remover"
SECONDS, CPU_SECONDS, PEAK = "seconds", "cpu_seconds", "peak_mib"
COSTS = (SECONDS, CPU_SECONDS, PEAK)
"""What is told of a method beside its scores: for each image, and of the process over all images of all sets."""


class Method(NamedTuple):
    """One of those compared."""

    name: str
    does: str
    """What it is, for a reader."""
    task: Task | None
    """What it is in a process of its own; ``None`` for what is not run here."""
    outputs: str | None = None
    """Where its pictures are, if it is not run here."""


def compare(config: PeersConfig, say: Callable[[str], None] = print) -> Results:
    """Return the results of all methods; their pictures are left in ``out/pictures/METHOD/SET/NAME.png``.

    Args:
        config: which methods, and on what.
        say: told in a line what is done next.

    Raises:
        InputError: if sets, removers or outputs cannot be used.
    """
    assert config.out is not None  # noqa: S101
    check_writable(config.out)
    config.out.mkdir(parents=True, exist_ok=True)
    methods = list(methods_of(config))
    sets = [*config.sets]
    if config.composites is not None:
        sets += map(str, write_composites(config.composites, config.out / "composites"))
    entries = open_entries(sets).entries
    reports: dict[str, EvaluationReport] = {}
    taken: dict[str, Taken] = {}
    with tempfile.TemporaryDirectory(dir=config.out) as folder:
        for method in methods:
            say(method.name)
            outputs = method.outputs
            if method.task is not None:
                place = config.out / "pictures" / slug(method.name)
                taken[method.name] = run(method.task._replace(pictures=_pictures(entries, place)), Path(folder))
                outputs = str(place)
            if method.name != INPUT:
                assert outputs is not None  # noqa: S101
                reports[method.name] = evaluate_sets(
                    sets, outputs=outputs, protocols=(config.protocol,), lpips=config.lpips
                )
    shutil.rmtree(config.out / "pictures" / slug(INPUT), ignore_errors=True)  # the photographs themselves
    scores = list(_scores(reports, taken, entries))
    return Results(_head(config, methods, entries, reports), scores)


def methods_of(config: PeersConfig) -> Iterator[Method]:
    """Yield the methods that a configuration asks for, the input first.

    Raises:
        InputError: if two have one name, or a remover cannot be read.
    """
    nothing = Method(
        INPUT, "the photograph as it is; its time and memory are those of doing nothing", Task("nothing", ())
    )
    found = [nothing, *_classical(config), *_removers(config)]
    found += [
        Method(name, "saved pictures; not run here", None, where)
        for name, where in named("outputs", config.outputs).items()
    ]
    folders = [slug(method.name) for method in found]
    for method, folder in zip(found, folders, strict=True):
        if folders.count(folder) > 1 or not folder:
            raise InputError(f"two methods are called {method.name}; give each a name of its own")
    return iter(found)


def _classical(config: PeersConfig) -> Iterator[Method]:
    for threshold in config.thresholds:
        does = f"Yang et al. 2019, gradients below {threshold:g} of 1 set to zero"
        yield Method(f"{CLASSICAL} {threshold:g}", does, Task("suppression", (), threshold=threshold))


def _removers(config: PeersConfig) -> Iterator[Method]:
    for name, file in {SHIPPED: None, **named("checkpoints", config.checkpoints)}.items():
        path = None if file is None else Path(file)
        if path is not None and not path.is_file():
            raise InputError(f"there is no file {path}")
        what = "the remover in the package" if path is None else f"SHA-256 {sha256(path.read_bytes()).hexdigest()[:12]}"
        for steps in config.steps:
            times = f", applied {steps} times" if steps > 1 else ""
            suffix = f", {steps} steps" if len(config.steps) > 1 or steps > 1 else ""
            task = Task("remover", (), checkpoint=file, steps=steps, device=config.device)
            yield Method(name + suffix, what + times, task)


def _pictures(entries: Sequence[Entry], place: Path) -> list[tuple[str, str]]:
    """Return the photographs, and where the pictures of a method are to be, whose folders are made."""
    shutil.rmtree(place, ignore_errors=True)
    found = []
    for entry in entries:
        (place / entry.set_name).mkdir(parents=True, exist_ok=True)
        found.append((str(entry.paths.ambient), str(place / entry.set_name / f"{entry.name}.png")))
    return found


def _scores(
    reports: Mapping[str, EvaluationReport], taken: Mapping[str, Taken], entries: Sequence[Entry]
) -> Iterator[Score]:
    """Yield the scores of the input and of all methods, with what they took where they were run."""
    of_input: dict[tuple[str, str], Numbers] = {}
    for report in reports.values():
        for each in report.images:
            of_input.setdefault((each.set_name, each.image), each.before)
    found = {INPUT: of_input}
    for name, report in reports.items():
        found[name] = {(each.set_name, each.image): each.after for each in report.images}
    for name, numbers in found.items():
        costs = _costs(taken[name], entries) if name in taken else {}
        for (set_name, image), of_image in numbers.items():
            measured = {metric: value for metric, value in of_image._asdict().items() if value is not None}
            yield Score(name, None, set_name, image, 0, {**measured, **costs.get((set_name, image), {})})


def _costs(taken: Taken, entries: Sequence[Entry]) -> dict[tuple[str, str], dict[str, float]]:
    each = zip(entries, taken.seconds, taken.cpu_seconds, strict=True)
    return {
        (entry.set_name, entry.name): {SECONDS: wall, CPU_SECONDS: cpu, PEAK: taken.peak_mib}
        for entry, wall, cpu in each
    }


def _head(
    config: PeersConfig, methods: Sequence[Method], entries: Sequence[Entry], reports: Mapping[str, EvaluationReport]
) -> Head:
    here = surroundings(find_device(config.device), 1)
    names = {name for report in reports.values() for name in report.wanting}
    wanting = {name: f"the weights of its network (--{name.replace('_', '.')} FILE)" for name in sorted(names)}
    counts: dict[str, int] = {}
    for entry in entries:
        counts[entry.set_name] = counts.get(entry.set_name, 0) + 1
    return Head(
        study=STUDY,
        title="Methods side by side",
        question="What do others come to on the same photographs, and what do they take?",
        arms={method.name: method.does for method in methods},
        baseline=INPUT,
        seeds=(),
        eval_steps=(0,),
        command=command(),
        facts={
            "scored": f"protocol {config.protocol}: {PROTOCOLS[config.protocol].does}",
            "machine": f"{here['device']}, torch {here['packages']['torch']}, {here['threads']} threads",
            "revision": str(here["revision"]),
        },
        unlike=(),
        sets={name: SetFound(count) for name, count in counts.items()},
        wanting=wanting,
    )

"""From the trainings of a comparison to what tells why: their looks, and their removers applied again and again."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from msloss_sirr.ablation.jobs import slug
from msloss_sirr.ablation.page import trained_by
from msloss_sirr.ablation.results import Head, find_results, read_results
from msloss_sirr.depth.config import DepthConfig
from msloss_sirr.depth.source import guidance
from msloss_sirr.devices import find_device
from msloss_sirr.errors import InputError
from msloss_sirr.evaluation.composites import write_composites
from msloss_sirr.evaluation.sets import Entry, open_entries
from msloss_sirr.files import check_writable, whole_file
from msloss_sirr.images.reading import read_pixels, to_float
from msloss_sirr.photo.loading import load_on
from msloss_sirr.trainer.provenance import command
from msloss_sirr.training.probes import FILE, read_looks
from msloss_sirr.why.config import WhyConfig
from msloss_sirr.why.iterating import Iterate, iterate
from msloss_sirr.why.tables import About, Found, Iterated, Probed

_ITERATES = "iterates.json"


class Trained(NamedTuple):
    """A training that has ended."""

    arm: str
    seed: int
    folder: Path


def measure(config: WhyConfig, out: Path, say: Callable[[str], None] = print) -> Found:
    """Return what the trainings of a comparison tell.

    Args:
        config: which, and what is looked at.
        out: folder for composites.
        say: told in a line what is done next.

    Raises:
        InputError: if there is no comparison, no training of it has ended, or images cannot be used.
    """
    assert config.runs is not None  # noqa: S101
    head = read_results(find_results(config.runs)).head
    trained = _trained(config.runs, head)
    check_writable(out)
    sets = list(config.sets) or _validated_on(trained)
    if config.composites is not None:
        sets += map(str, write_composites(config.composites, out / "composites"))
    entries = open_entries(sets).entries
    iterates: list[Iterated] = []
    for number, each in enumerate(trained, start=1):
        say(f"{each.arm}, seed {each.seed}: remover {number} of {len(trained)}")
        found = _iterates(each, entries, {"sets": sets, "steps": config.steps}, config)
        iterates += [Iterated(each.arm, each.seed, *row) for row in found]
    probes = [Probed(each.arm, each.seed, look) for each in trained for look in read_looks(each.folder / FILE)]
    counts = {name: sum(entry.set_name == name for entry in entries) for name in dict.fromkeys(e[0] for e in entries)}
    about = About(
        title=head.title,
        arms={name: told for name, told in head.arms.items() if any(each.arm == name for each in trained)},
        baseline=head.baseline,
        seeds=sorted({each.seed for each in trained}),
        trained_by=head.command,
        command=command(),
        facts={**head.facts, "trained by": trained_by(head)},
        unlike=list(head.unlike),
        sets=counts,
    )
    return Found(about, probes, iterates)


def _trained(runs: Path, head: Head) -> list[Trained]:
    """Return the trainings that have ended, arm by arm in the order of the comparison."""
    # a folder may come from another comparison, in which the same arm has another name: its place says whose it is here
    found = [
        Trained(arm, json.loads(path.read_bytes())["seed"], path.parent)
        for arm in head.arms
        for path in runs.glob(f"runs/{slug(arm)}/seed-*/trained.json")
    ]
    if not found:
        raise InputError(f"{runs} holds no training that has ended; wait for one, or give the --out of a comparison")
    order = list(head.arms)
    return sorted(found, key=lambda each: (order.index(each.arm), each.seed))


def _validated_on(trained: Sequence[Trained]) -> list[str]:
    return list(dict.fromkeys(str(_config(each)["val"]) for each in trained))


def _config(trained: Trained) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((trained.folder / "config.json").read_bytes())
    return told


def _iterates(
    trained: Trained, entries: Sequence[Entry], of: dict[str, Any], config: WhyConfig
) -> list[tuple[str, str, Iterate]]:
    """Return what a remover leaves of all images after all steps, measured now unless it has been."""
    path = trained.folder / _ITERATES
    told = json.loads(path.read_bytes()) if path.exists() else {}
    if told.get("of") != of:
        device = find_device(config.device)
        weights = _config(trained)["depth"]["weights"]
        depth = DepthConfig(weights=None if weights is None else Path(weights))
        remover, source = load_on(device, trained.folder / "last.safetensors", depth, flip=False)
        rows = []
        for entry in entries:
            ambient, truth = (
                to_float(read_pixels(each).to(device))[None] for each in (entry.paths.ambient, entry.paths.transmission)
            )
            guide = guidance(remover, source, ambient)
            rows += [
                [entry.set_name, entry.name, *each]
                for each in iterate(remover, ambient, truth, *guide, steps=config.steps)
            ]
        told = {"of": of, "rows": rows}
        with whole_file(path) as partial:
            partial.write_text(json.dumps(told) + "\n")
    return [(set_name, image, Iterate(*numbers)) for set_name, image, *numbers in told["rows"]]

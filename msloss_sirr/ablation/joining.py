"""Results of the same comparison with different seeds, of several machines say, as one."""

import dataclasses
from collections.abc import Mapping, Sequence

from msloss_sirr.ablation.results import Results, Score
from msloss_sirr.errors import InputError

_OF_A_MACHINE = ("trained on", "machine")
"""Facts that may differ: names of folders, and what cannot be the same."""


def join(many: Sequence[Results]) -> Results:
    """Return as one what was found with different seeds, on several machines say.

    Raises:
        InputError: if they are not of the same comparison and the same images, or a seed is in two of them.
    """
    first = many[0].head
    for other in (each.head for each in many[1:]):
        for name in ("study", "arms", "baseline", "eval_steps", "unlike", "waiting", "wanting", "sets"):
            if getattr(other, name) != getattr(first, name):
                raise InputError(
                    f"results to be joined differ in {name}: {getattr(first, name)}, {getattr(other, name)}"
                )
        for name in sorted({*first.facts, *other.facts} - {*_OF_A_MACHINE}):
            if other.facts.get(name) != first.facts.get(name):
                raise InputError(
                    f"results to be joined differ in {name}: {first.facts.get(name)}, {other.facts.get(name)}"
                )
    if any(_images(each) != _images(many[0]) for each in many):
        raise InputError("results to be joined are of different images; evaluate all on the same sets")
    seeds = [seed for each in many for seed in each.head.seeds]
    if len(set(seeds)) < len(seeds):
        raise InputError(f"results to be joined have a seed in common: {seeds}")
    names = dict.fromkeys(name for each in many for name in each.head.facts)
    facts = {
        name: "; ".join(dict.fromkeys(each.head.facts[name] for each in many if name in each.head.facts))
        for name in names
    }
    head = dataclasses.replace(
        first,
        seeds=tuple(sorted(seeds)),
        command="\n".join(dict.fromkeys(each.head.command for each in many)),
        facts=facts,
        runs=tuple(run for each in many for run in each.head.runs),
    )
    seedless = dict.fromkeys(_key(score) for score in many[0].scores if score.seed is None)
    known = [score for score in many[0].scores if score.seed is None]
    known += [s for each in many[1:] for s in each.scores if s.seed is None and _key(s) not in seedless]
    return Results(head, [*known, *(score for each in many for score in each.scores if score.seed is not None)])


def _images(results: Results) -> Mapping[str, set[str]]:
    """Return the images of every set."""
    found: dict[str, set[str]] = {}
    for score in results.scores:
        found.setdefault(score.set_name, set()).add(score.image)
    return found


def _key(score: Score) -> tuple[str, str, str, int]:
    return score.arm, score.set_name, score.image, score.steps

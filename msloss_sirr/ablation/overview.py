"""Results of several comparisons of the same arms, side by side: a row for every set, a column for every arm."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from msloss_sirr.ablation.arms import INPUT
from msloss_sirr.ablation.figures import NO_DIFFERENCE, Comparison
from msloss_sirr.ablation.page import UNITS, number, short_of_steps, title_of, told_difference
from msloss_sirr.ablation.results import Head, Results
from msloss_sirr.markdown import header, row
from msloss_sirr.trainer.durations import duration


def overview(known: Mapping[str, Results], metric: str = "psnr") -> Iterator[str]:
    """Yield tables in Markdown: each arm applied once, as often as in its training, and as often as is evaluated.

    Args:
        known: results by the name of their comparison; all of the same arms and numbers of steps at evaluation.
        metric: what is compared.
    """
    title = title_of(metric) + UNITS.get(metric, "")
    seeds = len(next(iter(known.values())).head.seeds)
    title += f", {seeds} seed{'s' * (seeds > 1)}"
    for place, reading in enumerate(readings(known)):
        yield from ((f"{title}; each network " if place == 0 else "Each ") + f"{reading.title}:", "")
        yield from _table(known, metric, reading)


class Reading(NamedTuple):
    """How often networks are applied where they are compared."""

    title: str
    short: str
    steps: Callable[[str], int]
    """How often an arm is."""
    base_steps: int | None
    """How often the baseline is; ``None`` for as often as the arm."""


def readings(known: Mapping[str, Results]) -> list[Reading]:
    """Return the three ways: once, as often as in the training, and as often as is evaluated.

    Args:
        known: results by the name of their comparison; all of the same arms and numbers of steps at evaluation.
    """
    head = next(iter(known.values())).head
    first, last = head.eval_steps[0], head.eval_steps[-1]
    runs = [run for results in known.values() for run in results.head.runs]
    reached: dict[str, set[int]] = {}
    for run in runs:
        reached.setdefault(run.arm, set()).add(max(run.steps))
    most = {arm: max(steps) for arm, steps in reached.items()}
    own = {arm: min(steps, last) for arm, steps in most.items()}
    base = head.baseline
    unlike = [arm for arm, steps in reached.items() if len(steps) > 1]
    apart = f"; all seeds of {', '.join(unlike)} as the one of most steps" if unlike else ""
    at_most = f", {_times(last)} at most" if any(steps > last for steps in most.values()) else ""
    return [
        Reading(
            f"applied {_times(first)}; differences to {base}", f"each applied {_times(first)}", lambda _: first, None
        ),
        Reading(
            f"applied as often as in its training{at_most}; differences to {base}, as often as in its own{apart}",
            "each as often as in its training",
            lambda arm: own.get(arm, first),
            own.get(base, first),
        ),
        Reading(
            f"applied {_times(last)}; differences to {base}, applied as often",
            f"each applied {_times(last)}",
            lambda _: last,
            None,
        ),
    ]


def _times(number: int) -> str:
    return {1: "once", 2: "twice"}.get(number, f"{number} times")


def trainings(known: Mapping[str, Results], what: str) -> Iterator[str]:
    """Yield a table in Markdown of what the trainings took, and by which command.

    Args:
        known: results by the name of their comparison.
        what: what the comparisons differ in.
    """
    yield from header([what, "trainings", "training in all, on", "command"])
    for name, results in known.items():
        head = results.head
        wanted = len(head.seeds) * (len(head.arms) - len(head.waiting))
        devices = ", ".join(dict.fromkeys(run.device for run in head.runs))
        took = f"{duration(sum(run.seconds for run in head.runs))}, {devices}"
        commands = "`; `".join(head.command.splitlines())
        yield row([name, f"{len(head.runs)} of {wanted}", took, f"`{commands}`"])
    yield ""
    for name, results in known.items():
        for line in short_of_steps(results.head):
            yield from (f"{name[:1].upper()}{name[1:]}: {line}", "")


def _table(known: Mapping[str, Results], metric: str, reading: Reading) -> Iterator[str]:
    steps, base_steps = reading.steps, reading.base_steps
    head = next(iter(known.values())).head
    others = [arm for arm in head.arms if arm != head.baseline]
    seeds = len(head.seeds)
    yield from header(["set", "input", head.baseline, *others])
    verdicts: dict[str, Counter[str]] = {arm: Counter() for arm in others}
    for results in known.values():
        comparison = Comparison(results)
        for name in results.head.sets:
            base = base_steps or steps(head.baseline)
            cells = [_mean(comparison, arm, name, base, metric) for arm in (INPUT, head.baseline)]
            for arm in others:
                figure = comparison.figure(arm, name, steps(arm), metric, base_steps)
                few = f" ({figure.seeds} of {seeds} seeds)" if figure is not None and figure.seeds < seeds else ""
                cells.append(_absent(head, steps(arm)) if figure is None else told_difference(figure, metric) + few)
                verdicts[arm].update([figure.verdict] if figure is not None and figure.between is not None else [])
            yield row([name, *cells])
    yield ""
    sets = sum(len(results.head.sets) for results in known.values())
    for arm, count in verdicts.items():
        if not count.total():
            yield f"- {arm}: no verdict, for want of seeds."
            continue
        told = [f"{verdict} on {count[verdict]}" for verdict in ("better", "worse", NO_DIFFERENCE)]
        if count.total() < sets:
            told.append(f"no verdict on {sets - count.total()}")
        yield f"- {arm}: {', '.join(told)}, of {sets} sets."
    yield ""


def _absent(head: Head, steps: int) -> str:
    """Return why there is no figure of an arm that is applied so often."""
    return "not done yet" if steps in head.eval_steps else f"not evaluated applied {_times(steps)}"


def _mean(comparison: Comparison, arm: str, name: str, steps: int, metric: str) -> str:
    figure = comparison.figure(arm, name, steps, metric)
    return "" if figure is None else number(figure.mean, metric)

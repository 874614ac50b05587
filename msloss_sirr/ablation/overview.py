"""Results of several comparisons of the same arms, side by side: a row for every set, a column for every arm."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from msloss_sirr.ablation.arms import INPUT
from msloss_sirr.ablation.figures import NO_DIFFERENCE, Comparison, Figure, is_better_lower
from msloss_sirr.ablation.page import UNITS, number, short_of_steps, title_of, told_difference
from msloss_sirr.ablation.results import Head, Results
from msloss_sirr.markdown import header, row
from msloss_sirr.trainer.durations import duration


def overview(known: Mapping[str, Results], metric: str = "psnr") -> Iterator[str]:
    """Yield tables in Markdown, one for each of the `readings`.

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
    steps: Callable[[Comparison, str, str, str], int]
    """How often an arm is, on a set, by a metric."""
    varies: bool = False
    """Whether it is another number from set to set."""

    def figure(self, comparison: Comparison, arm: str, set_name: str, metric: str) -> Figure | None:
        """Return what an arm comes to on a set by a metric, beside the baseline."""
        steps, base_steps = (self.steps(comparison, each, set_name, metric) for each in (arm, comparison.head.baseline))
        return comparison.figure(arm, set_name, steps, metric, base_steps)


def readings(known: Mapping[str, Results]) -> list[Reading]:
    """Return four ways: once, as often as in the training, as often as is evaluated, and as often as suits each best.

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
        Reading(f"applied {_times(first)}; differences to {base}", f"each applied {_times(first)}", lambda *_: first),
        Reading(
            f"applied as often as in its training{at_most}; differences to {base}, as often as in its own{apart}",
            "each as often as in its training",
            lambda _, arm, *__: own.get(arm, first),
        ),
        Reading(
            f"applied {_times(last)}; differences to {base}, applied as often",
            f"each applied {_times(last)}",
            lambda *_: last,
        ),
        Reading(
            f"applied as often as suits it best, up to {_times(last)}; differences to {base}, as often as suits that "
            "best; chosen on the same images, which flatters all, and intervals know nothing of it",
            "each as often as suits it best",
            _best,
            varies=True,
        ),
    ]


def _best(comparison: Comparison, arm: str, set_name: str, metric: str) -> int:
    """Return after how many applications the mean over all seeds and images is best."""
    steps = comparison.head.eval_steps
    figures = {number: comparison.figure(arm, set_name, number, metric) for number in steps}
    measured = {number: figure.mean for number, figure in figures.items() if figure is not None}
    choose = min if is_better_lower(metric) else max
    return choose(measured, key=measured.__getitem__, default=steps[0])


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
    head = next(iter(known.values())).head
    others = [arm for arm in head.arms if arm != head.baseline]
    yield from header(["set", "input", head.baseline, *others])
    verdicts: dict[str, Counter[str]] = {arm: Counter() for arm in others}
    for results in known.values():
        comparison = Comparison(results)
        for name in results.head.sets:
            cells = [_mean(comparison, arm, name, metric, reading) for arm in (INPUT, head.baseline)]
            for arm in others:
                figure = reading.figure(comparison, arm, name, metric)
                steps = reading.steps(comparison, arm, name, metric)
                cells.append(_difference(comparison.head, figure, steps, metric, reading))
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


def _difference(head: Head, figure: Figure | None, steps: int, metric: str, reading: Reading) -> str:
    """Return what an arm comes to beside the baseline, or why there is nothing to be told of it."""
    if figure is None:
        return "not done yet" if steps in head.eval_steps else f"not evaluated applied {_times(steps)}"
    seeds = len(head.seeds)
    few = f" ({figure.seeds} of {seeds} seeds)" if figure.seeds < seeds else ""
    return told_difference(figure, metric) + (f", {_times(steps)}" if reading.varies else "") + few


def _mean(comparison: Comparison, arm: str, name: str, metric: str, reading: Reading) -> str:
    steps = reading.steps(comparison, comparison.head.baseline, name, metric)
    figure = comparison.figure(arm, name, steps, metric)
    if figure is None:
        return ""
    return number(figure.mean, metric) + (f", {_times(steps)}" if reading.varies and arm != INPUT else "")

"""Write the tables of the page on other degradations from the results in the repository.

python docs/tables_of_tasks.py docs/evidence/beyond.md
"""

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from msloss_sirr.ablation.arms import INPUT
from msloss_sirr.ablation.comparing import NO_DIFFERENCE, Comparison
from msloss_sirr.ablation.page import told_difference
from msloss_sirr.ablation.results import Results, read_results
from msloss_sirr.synthesis.tasks import TASKS
from msloss_sirr.training.progress import duration

RESULTS = Path(__file__).parent / "results" / "beyond"
NETWORKS = {"unet": "The U-Net", "compact": "The network of gated blocks"}
METRIC = "psnr"


def found(network: str, results: Path = RESULTS) -> dict[str, Results]:
    """Return the results of a network that there are, by task."""
    files = {task: results / network / f"table-5-{task}.csv" for task in TASKS}
    return {task: read_results(path) for task, path in files.items() if path.exists()}


def tables(results: Path = RESULTS) -> Iterator[str]:
    """Yield the tables of both networks, what they come to, and what has not been run."""
    absent = {title: list(TASKS) for title in NETWORKS.values()}
    for network, title in NETWORKS.items():
        known = found(network, results)
        absent[title] = [task for task in TASKS if task not in known]
        if known:
            yield from (f"## {title}", "")
            yield from _of_network(known)
    yield from ("## What has not been run", "")
    told = [f"- {title}: {', '.join(tasks)}." for title, tasks in absent.items() if tasks]
    yield from told or ["Nothing is left."]


def _of_network(known: Mapping[str, Results]) -> Iterator[str]:
    first, *_, last = next(iter(known.values())).head.eval_steps
    yield from ("PSNR in dB, each network applied once; differences to 1-step:", "")
    yield from _table(known, lambda _: first)
    own = {run.arm: min(run.most_steps, last) for results in known.values() for run in results.head.runs}
    yield from ("Each applied as often as in its training; differences to 1-step, applied once:", "")
    yield from _table(known, lambda arm: own.get(arm, first), base=first)
    yield from (f"Each applied {last} times; differences to 1-step, applied as often:", "")
    yield from _table(known, lambda _: last)
    yield from ("| task | trainings | training in all, on | command |", "| --- | --- | --- | --- |")
    for task, results in known.items():
        head = results.head
        wanted = len(head.seeds) * len(head.arms)
        devices = ", ".join(dict.fromkeys(run.device for run in head.runs))
        took = f"{duration(sum(run.seconds for run in head.runs))}, {devices}"
        yield f"| {task} | {len(head.runs)} of {wanted} | {took} | `{'`; `'.join(head.command.splitlines())}` |"
    yield ""


def _table(known: Mapping[str, Results], steps: Callable[[str], int], base: int | None = None) -> Iterator[str]:
    arms = list(next(iter(known.values())).head.arms)
    baseline, *others = arms
    yield f"| set | input | {' | '.join(arms)} |"
    yield "| --- " * (2 + len(arms)) + "|"
    verdicts: dict[str, Counter[str]] = {arm: Counter() for arm in others}
    for results in known.values():
        comparison = Comparison(results)
        for name in results.head.sets:
            cells = [_mean(comparison, arm, name, base or steps(arm)) for arm in (INPUT, baseline)]
            for arm in others:
                figure = comparison.figure(arm, name, steps(arm), METRIC, base)
                cells.append("not done yet" if figure is None else told_difference(figure, METRIC))
                verdicts[arm].update([figure.verdict] if figure is not None else [])
            yield f"| {name} | {' | '.join(cells)} |"
    yield ""
    sets = sum(len(results.head.sets) for results in known.values())
    for arm, count in verdicts.items():
        told = ", ".join(f"{verdict} on {count[verdict]}" for verdict in ("better", "worse", NO_DIFFERENCE))
        yield f"- {arm}: {told}, of {sets} sets."
    yield ""


def _mean(comparison: Comparison, arm: str, name: str, steps: int) -> str:
    figure = comparison.figure(arm, name, steps, METRIC)
    return "" if figure is None else f"{figure.mean:.2f}"


def with_tables(page: str, results: Path = RESULTS) -> str:
    """Return a page whose marked place has been filled."""
    begin, end = (f"<!-- tables: {edge} -->\n" for edge in ("begin", "end"))
    before, _, rest = page.partition(begin)
    _, _, after = rest.partition(end)
    return before + begin + "\n" + "".join(f"{line}\n" for line in tables(results)) + "\n" + end + after


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(with_tables(path.read_text(encoding="utf-8")), encoding="utf-8")

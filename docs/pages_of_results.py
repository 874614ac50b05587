"""Write what pages say of measurements, as the files of results have it, and draw their plots.

python docs/pages_of_results.py README.md docs/evidence/*.md

Results are looked for in ``docs/results``: those of ``msloss-sirr ablate`` in ``multi-step`` and, by network, in
``beyond``; ``why-probes.csv`` and ``why-iterates.csv`` of ``msloss-sirr ablate why``; ``peers.csv`` of ``msloss-sirr
peers``. Where there are none, the page says so.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from msloss_sirr.ablation.arms import INPUT
from msloss_sirr.ablation.figures import NO_DIFFERENCE, Comparison, Figure
from msloss_sirr.ablation.overview import overview, readings, trainings
from msloss_sirr.ablation.overview_plot import draw_overview
from msloss_sirr.ablation.page import number, told_difference, trained_by
from msloss_sirr.ablation.results import Head, Results, read_results
from msloss_sirr.markdown import header, row
from msloss_sirr.peers.page import sections as sections_of_peers
from msloss_sirr.synthesis.tasks import TASKS
from msloss_sirr.why.page import sections as sections_of_why
from msloss_sirr.why.plot import draw, files_of
from msloss_sirr.why.tables import ITERATES, PROBES, read

DOCS = Path(__file__).parent
RESULTS, IMAGES = DOCS / "results", DOCS / "images"
NETWORKS = {"unet": "The U-Net", "compact": "The network of gated blocks"}
COMPARISONS = {
    "updates": "As many updates",
    "compute": "As many applications of the network",
    "gradients": "Where gradients flow",
    "weights": "What the steps weigh",
    "two-networks": "Two networks, as many updates",
    "two-networks-compute": "Two networks, as many applications of them",
}
KINDS = {"val": "real pairs", "composites-linear": "linear composites"}
KINDS |= {f"composites-{name}": f"composites by {name}" for name in ("clip", "screen")}
"""What the sets of the study are, in a few words."""
NOTHING = "Nothing has been measured yet: there are no results, and nothing is said."


def multi_step(results: Path = RESULTS) -> Iterator[str]:
    """Yield the lines of what the arms of table 5, and others, come to on reflections."""
    files = {name: results / "multi-step" / f"{name}.csv" for name in COMPARISONS}
    known = {name: read_results(path) for name, path in files.items() if path.exists()}
    for name, found in known.items():
        yield from (f"## {COMPARISONS[name]}", "", found.head.question, "")
        yield f"![Differences in PSNR to {found.head.baseline}, with intervals](../images/multi-step-{name}.svg)"
        yield ""
        for metric in found.metrics:
            yield from overview({name: found}, metric)
    if known:
        yield from ("## What was run", "")
        titled = {COMPARISONS[name].lower(): found for name, found in known.items()}
        yield from trainings(titled, "comparison")
        yield from _arms({title: found.head for title, found in titled.items()})
    yield from ("## What has not been run", "")
    yield from [f"- {title}." for name, title in COMPARISONS.items() if name not in known] or ["Nothing is left."]


def brings(results: Path = RESULTS) -> Iterator[str]:
    """Yield the table of the README: three steps beside one, however often they are applied."""
    found = read_results(results / "multi-step" / "updates.csv")
    comparison, steps = Comparison(found), found.head.eval_steps[-1]
    columns = ["input", "1-step", "3-step", f"3-step, applied {steps} times", f"both applied {steps} times"]
    yield from header(["PSNR in dB, of", *columns])
    for name, about in found.head.sets.items():
        cells = [comparison.figure(arm, name, 1, "psnr") for arm in (INPUT, found.head.baseline)]
        told = ["" if figure is None else number(figure.mean, "psnr") for figure in cells]
        for times, base in ((1, 1), (steps, 1), (steps, steps)):
            figure = comparison.figure("3-step", name, times, "psnr", base)
            told.append("" if figure is None else told_difference(figure, "psnr"))
        yield row([f"{about.images} {KINDS.get(name, name)}", *told])
    three, one = ({run.seed for run in found.head.runs if run.arm == arm} for arm in ("3-step", found.head.baseline))
    yield ""
    yield f"The last three columns are differences to 1-step, applied once but in the last, of {len(one & three)}"
    yield "trainings of each with as many updates; in brackets, the interval that contains the true difference in some"
    yield "95 of 100 such experiments ([how, and how surely](docs/evidence/ablation.md))."


def beyond(results: Path = RESULTS) -> Iterator[str]:
    """Yield the tables of both networks on other tasks, and what has not been run."""
    absent = {title: list(TASKS) for title in NETWORKS.values()}
    for network, title in NETWORKS.items():
        known = _tasks_of(network, results)
        absent[title] = [task for task in TASKS if task not in known]
        if known:
            yield from (f"## {title}", "")
            yield from _where(known, "3-step")
            yield from (f"![Differences in PSNR to 1-step, with intervals](../images/beyond-{network}.svg)", "")
            for metric in next(iter(known.values())).metrics:
                yield from overview(known, metric)
            yield from trainings(known, "task")
            yield from _arms({task: found.head for task, found in known.items()})
    yield from ("## What has not been run", "")
    yield from [f"- {title}: {', '.join(tasks)}." for title, tasks in absent.items() if tasks] or ["Nothing is left."]


def why(results: Path = RESULTS) -> Iterator[str]:
    """Yield the lines of what was measured to tell why."""
    if not all((results / name).exists() for name in (PROBES, ITERATES)):
        yield NOTHING
        return
    found = read(results)
    yield from sections_of_why(found, {name: f"../images/{file}" for name, file in files_of(found).items()})


def peers(results: Path = RESULTS) -> Iterator[str]:
    """Yield the lines of methods side by side."""
    if not (results / "peers.csv").exists():
        yield NOTHING
        return
    yield from sections_of_peers(read_results(results / "peers.csv"))


WRITERS: Mapping[str, Callable[[Path], Iterator[str]]] = {
    "brings": brings,
    "multi-step": multi_step,
    "beyond": beyond,
    "why": why,
    "peers": peers,
}
"""What fills a page, by its name."""


def with_results(page: str, results: Path = RESULTS) -> str:
    """Return a page whose marked places have been filled."""
    for name, write in WRITERS.items():
        begin, end = (f"<!-- {name}: {edge} -->\n" for edge in ("begin", "end"))
        if begin in page:
            before, _, rest = page.partition(begin)
            _, _, after = rest.partition(end)
            page = before + begin + "\n" + "".join(f"{line}\n" for line in write(results)) + "\n" + end + after
    return page


def draw_plots() -> None:
    """Draw the plots of the pages."""
    for name in COMPARISONS:
        if (path := RESULTS / "multi-step" / f"{name}.csv").exists():
            draw_overview({name: read_results(path)}, IMAGES / f"multi-step-{name}.svg")
    for network in NETWORKS:
        if known := _tasks_of(network):
            draw_overview(known, IMAGES / f"beyond-{network}.svg")
    if (RESULTS / PROBES).exists():
        draw(read(RESULTS), IMAGES)


def _where(known: Mapping[str, Results], arm: str) -> Iterator[str]:
    """Yield on which sets an arm is better, on which worse, in PSNR."""
    base = next(iter(known.values())).head.baseline
    sets = [(Comparison(results), name) for results in known.values() for name in results.head.sets]
    yield from (f"{arm} beside {base}, in PSNR:", "")
    for reading in readings(known):
        found = {name: reading.figure(each, arm, name, "psnr") for each, name in sets}
        yield f"- {reading.short}: {_verdicts(found)}."
    yield ""


def _verdicts(found: Mapping[str, Figure | None]) -> str:
    """Return on which sets an arm is better, on which worse, and on which neither is seen."""
    named: dict[str, list[str]] = {"better": [], "worse": [], NO_DIFFERENCE: []}
    for name, figure in found.items():
        if figure is not None:
            named.setdefault(figure.verdict, []).append(name)
    return "; ".join(f"{verdict} on {', '.join(names)}" for verdict, names in named.items() if names)


def _tasks_of(network: str, results: Path = RESULTS) -> dict[str, Results]:
    """Return what has been measured of a network, by task."""
    files = {task: results / "beyond" / network / f"table-5-{task}.csv" for task in TASKS}
    return {task: read_results(path) for task, path in files.items() if path.exists()}


def _arms(heads: Mapping[str, Head]) -> Iterator[str]:
    """Yield what was the same for all, and in what they and the arms differ."""
    yield from ("| | |", "| --- | --- |")
    yield from _told("", {name: {**head.facts, "trained by": trained_by(head)} for name, head in heads.items()})
    arms = {name: {arm: _code(options) for arm, options in head.arms.items()} for name, head in heads.items()}
    yield from _told("arm ", arms)
    yield ""
    alike = [each for each in next(iter(heads.values())).unlike if all(each in head.unlike for head in heads.values())]
    if alike:
        yield from (f"What is otherwise than in the paper: {'; '.join(alike)}.", "")
    for name, head in heads.items():
        if own := [each for each in head.unlike if each not in alike]:
            yield from (f"{name.capitalize()}, besides: {'; '.join(own)}.", "")


def _told(kind: str, values: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    """Yield a row for each value of each fact, and of which comparisons it is, unless of all that have the fact."""
    for fact in dict.fromkeys(fact for facts in values.values() for fact in facts):
        names: dict[str, list[str]] = {}
        for name, facts in values.items():
            if fact in facts:
                names.setdefault(facts[fact], []).append(name)
        for value, having in names.items():
            of = f" ({'; '.join(having)})" if len(having) < len(values) else ""
            yield f"| {kind}{fact}{of} | {value} |"


def _code(options: str) -> str:
    return f"`{options}`" if options else "nothing is changed"


if __name__ == "__main__":
    for path in map(Path, sys.argv[1:]):
        path.write_text(with_results(path.read_text(encoding="utf-8")), encoding="utf-8")
    draw_plots()

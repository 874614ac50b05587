"""Results as a page in Markdown: what the paper has, what is found here, and what may be said of the difference."""

from collections import Counter
from collections.abc import Iterator, Sequence

from msloss_sirr.ablation.arms import INPUT
from msloss_sirr.ablation.figures import Comparison, Figure, is_better_lower
from msloss_sirr.ablation.intervals import signed
from msloss_sirr.ablation.paper import TABLES, PaperTable
from msloss_sirr.ablation.results import Head, Results, Run
from msloss_sirr.evaluation.table import TITLES
from msloss_sirr.markdown import header, row, safe
from msloss_sirr.trainer.durations import duration

_DIGITS = {"psnr": 2}
UNITS = {"psnr": ", dB"}
"""What stands behind the name of a metric that has a unit."""
_PRINTED = {"lpips_alex": "lpips"}
"""What the paper calls a metric; it does not say through which network LPIPS looks."""
_MOST_EPOCHS = 6


def page(results: Results, plot: str = "") -> str:
    """Return the page of results.

    Args:
        results: of an ablation.
        plot: the file of its plot, beside the page; empty if there is none.
    """
    return "\n".join(_lines(results, plot)) + "\n"


def told_difference(figure: Figure, metric: str) -> str:
    """Return the difference of a figure to the baseline in words, with its interval and what that says.

    Args:
        figure: of an arm.
        metric: what it is of.
    """
    if figure.difference is None:
        return figure.verdict
    return f"{signed(figure.difference, figure.between, _DIGITS.get(metric, 4))} {figure.verdict}"


def number(value: float, metric: str) -> str:
    """Return a value of a metric with the digits that are shown of it."""
    digits = _DIGITS.get(metric, 4)
    return f"{round(value, digits) or 0.0:.{digits}f}"


def title_of(metric: str) -> str:
    """Return what a metric is called."""
    return TITLES.get(metric, metric)


def short_of_steps(head: Head) -> Iterator[str]:
    """Yield a sentence for each arm some of whose trainings did not come to the steps that they might have."""
    for arm in head.arms:
        few = [run for run in head.runs if run.arm == arm and max(run.steps) < run.most_steps]
        if few:
            of = sum(run.arm == arm for run in head.runs)
            yield f"In {len(few)} of {of} trainings of {safe(arm)}, the steps did not come to {few[0].most_steps}."


def trained_by(head: Head) -> str:
    """Return by which revisions of the program, and on what, the trainings were done; with their number, if several."""
    count = Counter(run.provenance or "unknown" for run in head.runs)
    if len(count) < 2:
        return "".join(count)
    return "; ".join(f"{provenance} ({number} of {count.total()} trainings)" for provenance, number in count.items())


def _lines(results: Results, plot: str) -> Iterator[str]:
    head = results.head
    yield from (f"# {head.title}", "", head.question, "")
    yield from _scale(head)
    yield from ("```console", *(f"$ {line}" for line in head.command.splitlines()), "```", "")
    yield from _facts(head)
    if plot:
        metric = results.metrics[0] if results.metrics else "psnr"
        yield from (f"![Differences in {title_of(metric)} to {head.baseline}, with intervals]({plot})", "")
    yield from _how_to_read(head)
    comparison = Comparison(results)
    table = TABLES.get(head.study)
    for name, found in head.sets.items():
        yield from _of_set(comparison, table, name, found.paper)
    for title, wanted in head.absent.items():
        yield from (f"## {title}", "", f"Waits for the set: `{wanted}`.", "")
        for metric in ("psnr", "ssim", "lpips"):
            yield from _printed_alone(head, table, title, metric)
    yield from _waiting(head)
    yield from _compute(head)
    if table is not None and table.remarks:
        yield from ("## What is odd about the paper's table", "", *(f"- {remark}" for remark in table.remarks), "")


def _scale(head: Head) -> Iterator[str]:
    if head.unlike:
        yield "**A small-scale version, not the experiment of the paper.**"
        yield f"What is otherwise: {'; '.join(head.unlike)}."
        yield "Only differences between arms can be set beside the paper's, not the numbers themselves."
    else:
        yield "The training, the data and the sets are those of the paper."
    yield ""


def _facts(head: Head) -> Iterator[str]:
    yield from ("| | |", "| --- | --- |")
    done = len(head.runs)
    wanted = len(head.seeds) * (len(head.arms) - len(head.waiting))
    yield f"| seeds | {' '.join(map(str, head.seeds))}; {done} of {wanted} trainings have ended |"
    for name, fact in head.facts.items():
        yield f"| {safe(name)} | {safe(fact)} |"
    if head.runs:
        yield f"| trained by | {safe(trained_by(head))} |"
    for name, options in head.arms.items():
        yield f"| arm {safe(name)} | {f'`{safe(options)}`' if options else 'nothing is changed'} |"
    yield ""


def _how_to_read(head: Head) -> Iterator[str]:
    yield "Ours is the mean over seeds and images, ± the standard deviation over seeds of the mean over images."
    yield f"Differences are to {head.baseline}, of the same seed, image and number of steps at evaluation; in brackets,"
    yield "the interval that contains the true one in 95 of 100 such experiments, over seeds and images alike. Where it"
    yield "contains zero, no difference was seen; one of twenty comparisons of equals looks like one by chance."
    if head.study in TABLES:
        yield "What the paper has printed stands in a column of its own, with its difference to the same arm."
    yield ""


def _of_set(comparison: Comparison, table: PaperTable | None, name: str, paper: str) -> Iterator[str]:
    head = comparison.head
    images = head.sets[name].images
    yield from (f"## {paper or safe(name)}", "")
    told = f"`{safe(name)}`, {images} images" if images else f"`{safe(name)}`, not evaluated yet"
    yield from (f"{told}{'' if paper else '; the paper does not evaluate on it'}.", "")
    metrics = comparison.metrics or ["psnr"]
    for metric in [*metrics, *(wanted for wanted in head.wanting if wanted not in metrics)]:
        better = "less" if is_better_lower(metric) else "more"
        yield from (f"**{title_of(metric)}{UNITS.get(metric, '')}** ({better} is better)", "")
        if metric in head.wanting and metric not in metrics:
            yield from (f"Waits for {head.wanting[metric]}.", "")
        else:
            yield from _table(comparison, table, name, paper, metric)


def _table(comparison: Comparison, table: PaperTable | None, name: str, paper: str, metric: str) -> Iterator[str]:
    head = comparison.head
    columns: list[tuple[str, ...]] = [("", "paper") if table and paper else ("",)]
    columns += [(f"ours, {n} step{'s' * (n > 1)}", f"difference to {safe(head.baseline)}") for n in head.eval_steps]
    titles = [title for pair in columns for title in pair]
    yield from header(titles)
    for arm in _rows(comparison, table if paper else None):
        cells = [safe(arm)]
        if table and paper:
            cells.append(_paper_cell(table, arm, paper, metric, head.baseline))
        for place, steps in enumerate(head.eval_steps):
            figure = comparison.figure(arm, name, steps, metric)
            cells += _cells(head, arm, figure, metric, first=place == 0)
        yield row(cells)
    yield ""


def _rows(comparison: Comparison, table: PaperTable | None) -> list[str]:
    """Return the input, what the paper alone has, the arms, and what else was scored."""
    head = comparison.head
    others = [arm for arm in table.arms if arm not in head.arms] if table else []
    return list(dict.fromkeys([INPUT, *others, *head.arms, *comparison.arms]))


def _cells(head: Head, arm: str, figure: Figure | None, metric: str, *, first: bool) -> tuple[str, str]:
    if figure is None:
        if not first:
            return "", ""
        if arm in head.waiting:
            return f"waits for {head.waiting[arm]}", ""
        return ("not done yet", "") if arm in head.arms else ("", "")
    spread = "" if figure.spread is None else f" ± {number(figure.spread, metric)}"
    if arm in head.arms and figure.seeds < len(head.seeds):
        spread += f" ({figure.seeds} of {len(head.seeds)} seeds)"
    if arm == INPUT and not first:
        return "", ""
    return f"{number(figure.mean, metric)}{spread}", told_difference(figure, metric)


def _paper_cell(table: PaperTable, arm: str, paper: str, metric: str, baseline: str) -> str:
    """Return what the paper has printed of an arm, and its difference to the baseline there."""
    name = _PRINTED.get(metric, metric)
    value = table.printed.get((arm, paper, name))
    if value is None:
        return ""
    base = table.printed.get((baseline, paper, name))
    digits = 2 if name == "psnr" else 3
    apart = "" if base is None or arm == baseline else f" ({value - base:+.{digits}f})"
    return f"{value:.{digits}f}{apart}"


def _printed_alone(head: Head, table: PaperTable | None, title: str, metric: str) -> Iterator[str]:
    """Yield what the paper has of a set that is not here."""
    arms = [arm for arm in (table.arms if table else []) if table and (arm, title, metric) in table.printed]
    if table is None or not arms:
        return
    yield from header([f"{metric.upper()}{UNITS.get(metric, '')}", "paper", "ours"])
    for arm in arms:
        ours = "waits for the set" if arm in head.arms else ""
        yield row([safe(arm), _paper_cell(table, arm, title, metric, head.baseline), ours])
    yield ""


def _waiting(head: Head) -> Iterator[str]:
    told = [f"- {safe(name)}: {what}" for name, what in head.waiting.items()]
    told += [f"- {title_of(name)}: {what}" for name, what in head.wanting.items()]
    told += [f"- {name}: `{what}`" for name, what in head.absent.items()]
    if told:
        yield from ("## What is waited for", "", *told, "")


def _compute(head: Head) -> Iterator[str]:
    yield from ("## Compute", "")
    titles = ("arm", "trainings", "updates", "applications of the network", "images", "minutes each", "steps")
    yield from header([*titles, "parameters"])
    for arm in head.arms:
        runs = [run for run in head.runs if run.arm == arm]
        if runs:
            yield row([safe(arm), str(len(runs)), *_taken(runs)])
    for line in short_of_steps(head):
        yield from ("", line)
    devices = ", ".join(dict.fromkeys(run.device for run in head.runs))
    total = duration(sum(run.seconds for run in head.runs))
    yield from ("", f"{total} of training in all, on {devices}." if devices else "Nothing has been trained yet.", "")


def _taken(runs: Sequence[Run]) -> Iterator[str]:
    for name in ("updates", "applications", "images"):
        values = [getattr(run, name) for run in runs]
        yield _between(min(values), max(values))
    minutes = [run.seconds / 60 for run in runs]
    yield f"{min(minutes):.1f}" if len(runs) == 1 else f"{min(minutes):.1f} to {max(minutes):.1f}"
    yield "; ".join(dict.fromkeys(_steps(run.steps) for run in runs))
    yield ", ".join(dict.fromkeys(f"{run.parameters:,}" for run in runs))


def _steps(steps: Sequence[int]) -> str:
    """Return how many steps ran, and from which epoch on others.

    >>> _steps((2, 2, 3, 3))
    '2, 3 from epoch 2 of 4'
    """
    changes = [(epoch, now) for epoch, now in enumerate(steps) if epoch == 0 or now != steps[epoch - 1]]
    first, *later = changes
    if len(later) > _MOST_EPOCHS:
        return f"{min(steps)} to {max(steps)}"
    return ", ".join([str(first[1]), *(f"{now} from epoch {epoch} of {len(steps)}" for epoch, now in later)])


def _between(least: int, most: int) -> str:
    return f"{least}" if least == most else f"{least} to {most}"

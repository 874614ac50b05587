"""``msloss-sirr ablate``; everything heavy is imported only when it runs."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any

from tyro.conf import subcommand

from msloss_sirr.ablation.config import AblateOptions, ReportConfig
from msloss_sirr.ablation.studies import STUDIES, study_of
from msloss_sirr.cli.terminal import say
from msloss_sirr.errors import InputError
from msloss_sirr.training.presets import defaults
from msloss_sirr.why.config import WhyConfig


def command(words: Sequence[str]) -> Any:
    """Return ``msloss-sirr ablate``, as the parser of the command line takes it.

    Args:
        words: of the command line: the table, the preset and files of options decide on defaults.

    Raises:
        InputError: if a file of options cannot be used.
    """
    if [*words[:2]] == ["ablate", "why"]:
        return Annotated[WhyConfig, subcommand("ablate")]
    if "ablate" in words[:1] and any(word.partition("=")[0] == "--report" for word in words):
        return Annotated[ReportConfig, subcommand("ablate")]
    named = words[1] if "ablate" in words[:1] and words[1:] and words[1] in STUDIES else None
    if named is None and "ablate" in words[:1] and not {"-h", "--help"} & {*words}:
        raise InputError(f"name what is compared first: msloss-sirr ablate {{{','.join([*STUDIES, 'why'])}}} ...")
    changes = STUDIES[named].base if named else {}
    given = defaults(words if "ablate" in words[:1] else (), usual="paper", changes=changes)
    return Annotated[AblateOptions, subcommand("ablate", default=given)]


def run_ablate(options: AblateOptions) -> None:
    """Train and evaluate what is still to be, and say where the results are."""
    from msloss_sirr.ablation.ablating import ablate, results_path
    from msloss_sirr.ablation.reporting import keep
    from msloss_sirr.ablation.results import Results

    path = results_path(study_of(options.table, options.task).name, options.out)
    why = ""

    def kept(results: Results) -> None:
        nonlocal why
        why = keep(results, path)

    ablate(options, kept, say)
    _told(path.with_suffix(".md"), why)


def run_report(config: ReportConfig) -> None:
    """Write pages and plots again, and say where they are."""
    from msloss_sirr.ablation.joining import join
    from msloss_sirr.ablation.reporting import keep, report
    from msloss_sirr.ablation.results import find_results, read_results
    from msloss_sirr.peers.comparing import STUDY

    paths = [find_results(path) for path in config.report]
    known = [read_results(path) for path in paths]
    for path, results in zip(paths, known, strict=True):
        if results.head.study == STUDY:
            raise InputError(f"{path} holds methods side by side; msloss-sirr peers --report takes its folder")
    if config.joined and config.out is not None:
        path = config.out / paths[0].name
        if any(path.exists() and path.samefile(each) for each in paths):
            raise InputError(f"{path} is one of those to be joined; give another --out")
        _told(path.with_suffix(".md"), keep(join(known), path))
        return
    for path, results in zip(paths, known, strict=True):
        why = report(path, config.out, results)
        _told((config.out or path.parent) / f"{path.stem}.md", why)


def run_why(config: WhyConfig) -> None:
    """Look at the trainings of a comparison, or write the page of what was seen again."""
    from msloss_sirr.why.measuring import measure
    from msloss_sirr.why.reporting import PAGE, report
    from msloss_sirr.why.tables import write

    if config.runs is None:
        assert config.report is not None  # noqa: S101  # one of them is given
        why = report(config.report, config.out)
        _told((config.out or config.report) / PAGE, why)
        return
    out = config.out or config.runs / "why"
    write(measure(config, out, say), out)
    _told(out / PAGE, report(out))


def _told(page: object, why: str) -> None:
    say(f"{page}{f' (no plot: {why})' if why else ''}")


RUN: dict[type, Callable[[Any], None]] = {AblateOptions: run_ablate, ReportConfig: run_report, WhyConfig: run_why}
"""What each of them does."""

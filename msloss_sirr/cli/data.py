"""What the commands on data sets do; everything heavy is imported only when one runs."""

import sys
from collections.abc import Callable, Iterable
from typing import Annotated, Any

from tyro.conf import subcommand

from msloss_sirr.catalogue.config import ListConfig, PrepareConfig
from msloss_sirr.cli.printable import printable
from msloss_sirr.doctor.config import CheckConfig
from msloss_sirr.errors import InputError

COMMANDS: Any = Annotated[
    Annotated[ListConfig, subcommand("list")]
    | Annotated[CheckConfig, subcommand("check")]
    | Annotated[PrepareConfig, subcommand("prepare")],
    subcommand("data", description="Data sets: which there are, what is wrong with a copy, copies made ready."),
]
"""``msloss-sirr data``, as the parser of the command line takes it."""


def _list(config: ListConfig) -> None:
    from msloss_sirr.catalogue.sets import describe
    from msloss_sirr.catalogue.telling import tell, tell_all

    _say(tell(describe(config.name)) if config.name else tell_all())


def _check(config: CheckConfig) -> None:
    from msloss_sirr.catalogue.layout import list_set, open_source
    from msloss_sirr.cli.progress import progress_bar
    from msloss_sirr.doctor.diagnosis import examine
    from msloss_sirr.doctor.report import report, write_json
    from msloss_sirr.files import check_free

    if config.lines < 0:
        raise InputError(f"lines is {config.lines}; give 1 or more, or 0 for all")
    if config.json:
        check_free(config.json, overwrite=config.overwrite)
    listing = list_set(config.name, config.folder, subset=config.subset, split=config.split)
    against = [item for text in config.against for item in open_source(text)]
    total = len(listing.items) + len(listing.partial) + len(against)
    with progress_bar("looking", total) as step:
        diagnosis = examine(listing, against=against, workers=config.workers, seen=lambda _: step(None))
    if config.json:
        write_json(diagnosis, config.json, overwrite=config.overwrite)
    _say(report(diagnosis, lines=config.lines))
    if not diagnosis.sound:
        sys.exit(1)


def _prepare(config: PrepareConfig) -> None:
    from msloss_sirr.catalogue.prepare import prepare
    from msloss_sirr.cli.progress import progress_bar

    with progress_bar("preparing") as step:
        prepared = prepare(config, lambda _, total: step(total))
    _say(f"left out: {line}" for line in prepared.left_out)
    if prepared.stale:
        _say([f"no longer in the set, and left as they are: {', '.join(prepared.stale)}"])
    _say([f"{prepared.made} items made, {prepared.kept} kept, {len(prepared.left_out)} left out: {config.out}"])
    if prepared.left_out:
        sys.exit(1)


def _say(lines: Iterable[str]) -> None:
    """Print lines; what names of files hold that cannot be printed, in escapes."""
    for line in lines:
        print(printable(line))  # noqa: T201


RUN: dict[type, Callable[[Any], None]] = {ListConfig: _list, CheckConfig: _check, PrepareConfig: _prepare}
"""What each of them does."""

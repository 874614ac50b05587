"""What the commands on data sets do; everything heavy is imported only when one runs."""

import sys
from collections.abc import Callable
from typing import Annotated, Any

from tyro.conf import subcommand

from msloss_sirr.catalogue.config import ListConfig, PrepareConfig
from msloss_sirr.cli.terminal import progress_bar, say
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
    from msloss_sirr.catalogue.report import tell, tell_all
    from msloss_sirr.catalogue.sets import describe

    for line in tell(describe(config.name)) if config.name else tell_all():
        say(line)


def _check(config: CheckConfig) -> None:
    from msloss_sirr.catalogue.layout import list_set, open_source
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
    for line in report(diagnosis, lines=config.lines):
        say(line)
    if not diagnosis.sound:
        sys.exit(1)


def _prepare(config: PrepareConfig) -> None:
    from msloss_sirr.catalogue.prepare import prepare

    with progress_bar("preparing") as step:
        prepared = prepare(config, lambda _, total: step(total))
    for line in prepared.left_out:
        say(f"left out: {line}")
    if prepared.stale:
        say(f"no longer in the set, and left as they are: {', '.join(prepared.stale)}")
    say(f"{prepared.made} items made, {prepared.kept} kept, {len(prepared.left_out)} left out: {config.out}")
    if prepared.left_out:
        sys.exit(1)


RUN: dict[type, Callable[[Any], None]] = {ListConfig: _list, CheckConfig: _check, PrepareConfig: _prepare}
"""What each of them does."""

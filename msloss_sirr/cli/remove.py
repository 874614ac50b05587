"""``msloss-sirr remove``; everything heavy is imported only when it runs."""

import os
import sys

from msloss_sirr.cli.printable import printable
from msloss_sirr.errors import InputError
from msloss_sirr.photo.config import RemoveConfig


def run_remove(config: RemoveConfig) -> None:
    """Take reflections off photographs, and say what became of each.

    Raises:
        InputError: if some could not be done, or nothing could.
    """
    from msloss_sirr.cli.progress import progress_bar
    from msloss_sirr.photo.batch import Done, remove_files
    from msloss_sirr.photo.jobs import plan

    number, count = (int(os.environ.get(name, default)) for name, default in (("RANK", "0"), ("WORLD_SIZE", "1")))
    share = plan(config, number, count)
    several = len(share.jobs) + len(share.failures) > 1
    with progress_bar("photographs", len(share.jobs) or None) as step:

        def say(done: Done) -> None:
            job = done.job
            kept = "" if done.changed or config.options.strength == 0 else " (no reflection is visible: as it was)"
            print(printable(f"{job.source} -> {job.transmission}{kept}"))  # noqa: T201
            step(None)

        def complain(line: str) -> None:
            if several:
                print(printable(f"msloss-sirr: {line}"), file=sys.stderr)  # noqa: T201

        report = remove_files(config, say, complain, share)
    if report.skipped:
        print(f"{report.skipped} left out: their results are there already")  # noqa: T201
    if report.failures:
        left = len(report.failures)
        raise InputError(f"{left} of {left + report.done} left out, as said" if several else report.failures[0])

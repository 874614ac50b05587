"""``msloss-sirr remove``; everything heavy is imported only when it runs."""

import os

from msloss_sirr.cli.terminal import progress_bar, say
from msloss_sirr.errors import InputError
from msloss_sirr.photo.config import RemoveConfig


def run_remove(config: RemoveConfig) -> None:
    """Take reflections off photographs, and say what became of each.

    Raises:
        InputError: if some could not be done, or nothing could.
    """
    from msloss_sirr.photo.batch import Done, remove_files
    from msloss_sirr.photo.jobs import plan

    share = plan(config, *_place())
    several = len(share.jobs) + len(share.failures) > 1
    with progress_bar("photographs", len(share.jobs) or None) as step:

        def tell(done: Done) -> None:
            job = done.job
            kept = "" if done.changed or config.options.strength == 0 else " (no reflection was found: as it was)"
            say(f"{job.source} -> {job.transmission}{kept}")
            step(None)

        def complain(line: str) -> None:
            if several:
                say(f"msloss-sirr: {line}", error=True)

        report = remove_files(config, tell, complain, share)
    if report.skipped:
        say(f"{report.skipped} left out: their results are there already")
    if report.failures:
        left = len(report.failures)
        raise InputError(f"{left} of {left + report.done} left out, as said" if several else report.failures[0])


def _place() -> tuple[int, int]:
    """Return which of how many processes this is, as launchers tell it.

    Raises:
        InputError: if they do not.
    """
    number, count = os.environ.get("RANK", "0"), os.environ.get("WORLD_SIZE", "1")
    if not (number.isdecimal() and count.isdecimal() and int(number) < int(count)):
        raise InputError(
            f"RANK {number!r} and WORLD_SIZE {count!r} in the environment are no share of the photographs; unset both, "
            "or start by accelerate launch"
        )
    return int(number), int(count)

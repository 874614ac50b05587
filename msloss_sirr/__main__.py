"""``python -m msloss_sirr`` and ``msloss-sirr``: the command line, if what it needs is installed."""

import signal
import sys

from msloss_sirr.errors import wanting


def run() -> None:
    """Run the command line; without the packages that it needs, say in one line which extra brings them."""
    try:
        from msloss_sirr.cli import main

        main()
    except ModuleNotFoundError as error:
        if (told := wanting(error)) is None:
            raise
        print(f"msloss-sirr: {told}", file=sys.stderr)  # noqa: T201
        sys.exit(2)
    except KeyboardInterrupt:  # while the command line is imported, which tells itself of what comes after
        sys.exit(128 + signal.SIGINT)


if __name__ == "__main__":
    run()

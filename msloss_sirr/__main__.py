"""``python -m msloss_sirr``: the command line."""

from msloss_sirr.cli import main

if __name__ == "__main__":
    main()

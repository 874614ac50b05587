"""The command line: ``msloss-sirr train`` and ``msloss-sirr remove``."""

from msloss_sirr.cli.main import main

__all__ = ["main"]

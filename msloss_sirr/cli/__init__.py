"""The command line: ``msloss-sirr train``, ``remove``, ``app``, ``eval``, ``data`` and ``refgan``."""

from msloss_sirr.cli.main import main

__all__ = ["main"]

"""The command line: ``msloss-sirr train``, ``remove`` and ``data``."""

from msloss_sirr.cli.main import main

__all__ = ["main"]

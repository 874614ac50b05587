"""The command line, ``msloss-sirr COMMAND``: a module for each command."""

from msloss_sirr.cli.main import main

__all__ = ["main"]

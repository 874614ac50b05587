"""The state of a training as a file, and the one before it."""

import os
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from msloss_sirr.errors import InputError
from msloss_sirr.files import whole_file

_NAMES = "state.pt", "state.previous.pt"


def saved(folder: Path) -> bool:
    """Return whether a folder holds a state, sound or not."""
    return any((folder / name).exists() for name in _NAMES)


class StateFiles:
    """The last two states of a training: if one is damaged, the one before it serves.

    Args:
        folder: where they lie, as ``state.pt`` and ``state.previous.pt``.
        holds: what a state must hold, by name.
    """

    def __init__(self, folder: Path, holds: frozenset[str]) -> None:
        self._last, self._previous = (folder / name for name in _NAMES)
        self._holds = holds
        self._sound = True  # as far as is known, the last state is

    @property
    def paths(self) -> tuple[Path, Path]:
        """The files, the last first."""
        return self._last, self._previous

    def save(self, state: Mapping[str, Any]) -> None:
        """Write a state, whole or not at all; the last becomes the one before it.

        Raises:
            OSError: if the system refuses, as where the disk is full.
        """
        with whole_file(self._last) as partial:
            _write(dict(state), partial)
            if self._sound:
                self._set_aside()
        self._sound = True

    def load(self, say: Callable[[str], None]) -> dict[str, Any] | None:
        """Return the last state that is sound, or ``None`` if none was ever saved.

        Args:
            say: told in a line which files are damaged.

        Raises:
            InputError: if none is sound.
        """
        damaged = []
        for path in self.paths:
            if not path.exists():
                continue
            try:
                state = self._read(path)
            except InputError as error:
                damaged.append(str(error))
                self._sound = False
                continue
            for line in damaged:
                say(f"{line}; going on from the state before it")
            return state
        if damaged:
            raise InputError(f"{'; '.join(damaged)}; begin a new run with another --out")
        return None

    def _set_aside(self) -> None:
        """Make the last state the one before it as well, so that there is one at every moment."""
        if not self._last.exists():
            return
        self._previous.unlink(missing_ok=True)
        try:
            os.link(self._last, self._previous)
        except OSError:  # not every file system has hard links
            self._last.replace(self._previous)

    def _read(self, path: Path) -> dict[str, Any]:
        try:
            with zipfile.ZipFile(path) as file:
                broken = file.testzip()  # torch itself does not look at checksums
            if broken is not None:
                raise InputError(f"{path} is damaged")  # noqa: TRY301
            state: Any = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # anything at all is raised for a damaged file
            raise InputError(f"{path} is damaged") from error
        if not isinstance(state, dict) or not state.keys() >= self._holds:
            raise InputError(f"{path} is no state of a training")
        return state


def _write(state: Mapping[str, Any], path: Path) -> None:
    try:
        with path.open("wb") as file:
            torch.save(state, file)
    except RuntimeError as error:  # PyTorch's own words, about positions in the file, for what the system refused
        if isinstance(error.__context__, OSError):
            raise error.__context__ from None
        raise

"""The photographs that are on pages now, and nothing of those that were."""

import shutil
import tempfile
import time
from pathlib import Path
from threading import Lock
from typing import NamedTuple

from msloss_sirr.app.session import Session, Tool
from msloss_sirr.errors import InputError

_STALE = 600
"""Seconds after which a file that belongs to no page is deleted: an upload that was broken off, say."""


class _Page(NamedTuple):
    session: Session
    given: Path


class Sessions:
    """Pages, by the key that each has, with one photograph each.

    Args:
        tool: to compute with.
        folder: where all files are; everything in it is deleted sooner or later.
        most: pages at a time; beyond, those that have waited longest are forgotten.
    """

    def __init__(self, tool: Tool, folder: Path, most: int = 32) -> None:
        self.tool = tool
        self._folder = folder
        self._most = most
        self._pages: dict[str, _Page] = {}
        self._lock = Lock()

    def begin(self, key: str, given: Path) -> Session:
        """Return the session of a file that was given to a page, in the place of the one before.

        Raises:
            InputError: if it is not named as an image.
        """
        self.end(key)
        home = Path(tempfile.mkdtemp(prefix="page-", dir=self._folder))
        try:
            session = Session.begin(self.tool, given, home)
        except BaseException:
            shutil.rmtree(home, ignore_errors=True)
            _delete(given)
            raise
        with self._lock:
            self._pages[key] = _Page(session, given)
            beyond = list(self._pages)[: -self._most]
        for other in beyond:
            self.end(other)
        self._sweep()
        return session

    def has(self, key: str) -> bool:
        """Return whether a page has a photograph."""
        with self._lock:
            return key in self._pages

    def of(self, key: str) -> Session:
        """Return the session of a page.

        Raises:
            InputError: if it has none.
        """
        with self._lock:
            if key not in self._pages:
                raise InputError("the photograph is no longer here; give it once more")
            page = self._pages[key] = self._pages.pop(key)
        return page.session

    def end(self, key: str) -> None:
        """Forget a page, and delete all of its files."""
        with self._lock:
            page = self._pages.pop(key, None)
        if page is not None:
            shutil.rmtree(page.session.source.parent, ignore_errors=True)
            _delete(page.given)

    def _sweep(self) -> None:
        with self._lock:
            kept = {page.session.source.parent for page in self._pages.values()}
        for path in self._folder.iterdir():
            if path not in kept and path.stat().st_mtime < time.time() - _STALE:
                shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)


def _delete(given: Path) -> None:
    """Delete a file that was given, with the folder that was made for it."""
    given.unlink(missing_ok=True)
    try:
        given.parent.rmdir()
    except OSError:  # it holds another
        return

"""Folders that one run at a time writes to."""

import errno
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from msloss_sirr.errors import InputError

if sys.platform != "win32":
    import fcntl

LOCK = ".msloss-lock"
"""The file in a folder that is locked while a run writes to it."""
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
_NO_FILES = (errno.ELOOP, errno.EISDIR, errno.ENXIO)
"""What opening a link, a folder or a socket is refused with."""


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Make a folder, and hold it so that no other run can until the block ends, or this process and its workers do.

    The operating system holds the lock, so that a run that was killed leaves none, only an empty file. Where it, or the
    file system, knows no such locks (Windows, some network drives), nothing is held.

    Raises:
        InputError: if another run holds the folder, or something else has the name of the lock.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if sys.platform == "win32":
        yield
        return
    path = folder / LOCK
    lock = _locked(path)
    try:
        yield
    finally:
        if _is_called(lock, path):  # not so if the folder was moved, and another run is in its place
            path.unlink(missing_ok=True)  # before it is let go, so that nobody else's is taken away
        os.close(lock)


def _locked(path: Path) -> int:
    """Return an open file that is locked, and still called ``path``."""
    while True:
        file = _opened(path)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                os.close(file)
                if not isinstance(error, BlockingIOError):
                    raise
                advice = "wait until it ends, or give another --out"
                raise InputError(f"another run is writing to {path.parent}; {advice}") from None
        if _is_called(file, path):
            return file
        os.close(file)  # a run that ended meanwhile has taken it away


def _is_called(file: int, path: Path) -> bool:
    """Return whether an open file has a name."""
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(file), path.stat())
    return False


def _opened(path: Path) -> int:
    """Return an empty file, opened; it is made if there is none. What anybody has put there is left alone."""
    other = InputError(f"{path} is there already, and no lock that a run has left; move it away")
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
    except OSError as error:
        if error.errno in _NO_FILES:
            raise other from None
        raise
    found = os.fstat(file)
    if not stat.S_ISREG(found.st_mode) or found.st_size:
        os.close(file)
        raise other
    return file

"""Files of any kind: told from what is no file, looked at before they are written, written whole or not at all."""

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile

from msloss_sirr.errors import InputError, in_words

_KINDS = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a named pipe", stat.S_IFSOCK: "a socket"}


def other_kind(path: Path) -> str:
    """Return what a path is, or its link leads to, if that is no file; empty if it is one, or nothing is there.

    >>> other_kind(Path("/dev/null")), other_kind(Path("/"))
    ('a device', 'a folder')
    """
    try:
        mode = path.stat().st_mode
    except OSError:
        return ""
    return "" if stat.S_ISREG(mode) else _KINDS.get(stat.S_IFMT(mode), "a device")


def check_file(path: Path) -> None:
    """Raise ``InputError`` if a path is a folder, pipe, socket or device; to open one may never end.

    To be asked before any file of the user's is opened.
    """
    if kind := other_kind(path):
        raise InputError(f"cannot read {path}: it is {kind}, not a file")


def check_free(path: Path, *, overwrite: bool) -> None:
    """Raise ``InputError`` if a file cannot be written to without replacing what nobody asked to replace.

    Its folder need not be there yet; whoever writes the file makes it.
    Of what is no file, nothing is replaced at all: a device, or a link, which would itself give way to the file.
    """
    if path.is_dir():
        raise InputError(f"{path} is a folder; name a file in it")
    if path.is_symlink() or other_kind(path):
        raise InputError(f"{path} is {'a link' if path.is_symlink() else other_kind(path)}, not a file; name another")
    if path.exists() and not overwrite:
        raise InputError(f"{path} exists already; give --overwrite to replace it")
    check_writable(path.parent)


def check_writable(folder: Path) -> None:
    """Raise ``InputError`` if nothing can be put into a folder, or, where there is none yet, a folder made for it."""
    there = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    if not there.is_dir():
        raise InputError(f"{there} is a file, so that there is no folder {folder}; name another")
    try:
        with TemporaryFile(dir=there):  # what is permitted may still not be possible
            pass
    except OSError as error:
        told = in_words(error).lower()
        raise InputError(f"{there} cannot be written to ({told}); name another folder") from error


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a path to write to; the file takes the name ``path`` when the block ends, and vanishes if it fails.

    Until then it has a short name of random digits and ``.partial``: its own may be as long as file systems allow. If
    it replaces a file, whoever might read or write that may read or write it. An error of the system names ``path``.
    """
    partial = path.with_name(f".{secrets.token_hex(4)}.partial")
    try:
        partial.touch(exist_ok=False)
        mode = (path if path.is_file() else partial).stat().st_mode
        partial.chmod(mode | stat.S_IRUSR | stat.S_IWUSR)  # what few may read, nobody else reads meanwhile
        yield partial
        partial.chmod(mode)  # some writers make files that only their owner may read
        with partial.open("rb") as written:
            os.fsync(written.fileno())
        partial.replace(path)
    except OSError as error:
        if error.errno is None or error.filename not in (None, str(partial)):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        partial.unlink(missing_ok=True)

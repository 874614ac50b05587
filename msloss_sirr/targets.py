"""Files and folders that are yet to be written, looked at before there is work to lose."""

from pathlib import Path
from tempfile import TemporaryFile

from msloss_sirr.errors import InputError, in_words
from msloss_sirr.files import other_kind


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

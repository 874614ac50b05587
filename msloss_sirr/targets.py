"""Files that are yet to be written, looked at before there is work to lose."""

from pathlib import Path

from msloss_sirr.errors import InputError


def check_free(path: Path, *, overwrite: bool) -> None:
    """Raise ``InputError`` if a file cannot be written to without replacing what nobody asked to replace."""
    if path.is_dir() or not path.parent.is_dir():
        raise InputError(f"{path} is {'a folder' if path.is_dir() else 'in a folder that does not exist'}; name a file")
    if path.exists() and not overwrite:
        raise InputError(f"{path} exists already; give --overwrite to replace it")

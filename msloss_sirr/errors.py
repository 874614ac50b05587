"""The errors that users of the command line can cause; they are shown a single line."""

import sys


class InputError(Exception):
    """Something the user gave cannot be used; the message names it, and says what to do.

    Not a ``ValueError``: those, the parser of the command line would frame and explain in several lines.
    """


class ElsewhereError(InputError):
    """Another process of the same work cannot go on, and tells the user why; this one ends with it."""


def in_words(error: BaseException, *, named: bool = False) -> str:
    """Return in one line why something failed; of what the system refuses, without its number.

    Args:
        error: what was raised.
        named: whether to begin with the file that the system refuses, if it is one.

    >>> in_words(PermissionError(13, "Permission denied", "photo.jpg"))
    'Permission denied'
    """
    cause = getattr(error, "reason", None)  # urllib wraps what it was refused
    if isinstance(cause, BaseException):
        return in_words(cause)
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if named and error.filename else error.strerror
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def wanting(error: ModuleNotFoundError) -> str | None:
    """Return in one line which package is not installed, and the extra that brings what this one is built on.

    Args:
        error: what an import raised.

    Returns:
        ``None`` if what is missing is a module of Python or of the project, which no extra brings.

    >>> wanting(ModuleNotFoundError(name="timm.models"))
    'timm is not installed; pip install "msloss[sirr]"'
    """
    package = (error.name or "").partition(".")[0]
    if not package or package in {*sys.stdlib_module_names, "msloss", "msloss_sirr"}:
        return None
    return f'{package} is not installed; pip install "msloss[sirr]"'

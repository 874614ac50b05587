"""The packages that an export needs, which the extra ``export`` brings."""

from importlib import import_module
from typing import Any

from msloss_sirr.errors import InputError


def needed(name: str) -> Any:
    """Return a module of the extra ``export``, imported now.

    Raises:
        InputError: if it is not installed; the message says how to install it.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise InputError(f'{name} cannot be imported ({error}); pip install "msloss[export]"') from error

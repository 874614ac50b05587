"""Which remover is meant: the one in the package, a file, a folder, or one that others share."""

import os
import re
from pathlib import Path

from msloss_sirr.errors import InputError
from msloss_sirr.models.files import WEIGHTS

SHIPPED = "shipped"
"""The name of the remover that comes with the package."""
_SHARED = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9_][\w.-]{0,95}", re.ASCII)


def find_weights(
    name: Path | str | None,
    *,
    revision: str | None = None,
    cache_dir: Path | str | None = None,
    token: str | bool | None = None,
    local_files_only: bool = False,
) -> Path | None:
    """Return the file of a remover; ``None`` stands for the one in the package.

    What there is on this machine comes first: a name is one of a repository only if no file or folder has it.

    Args:
        name: ``None`` or ``"shipped"``; a ``.safetensors`` file, or a folder with ``model.safetensors``; or
            ``"user/name"``, a repository of the Hugging Face hub, of which that file alone is fetched. A ``Path`` is
            never a repository.
        revision: branch, tag or commit of the repository.
        cache_dir: where fetched files are kept.
        token: for repositories that are not public.
        local_files_only: fetch nothing, and take what is in the cache.

    Raises:
        InputError: if there is no such thing; the message says what was looked for.
    """
    if name is None or name == SHIPPED:
        return None
    if not isinstance(name, str | os.PathLike) or not os.fspath(name):
        raise InputError(f"{name!r} names no remover; give {SHIPPED!r}, a file, a folder, or user/name")
    path = Path(name)
    if path.is_dir():
        if not (path / WEIGHTS).is_file():
            raise InputError(f"{path} has no {WEIGHTS}; give a folder that save_pretrained wrote, or a file")
        return path / WEIGHTS
    if isinstance(name, str) and not path.exists() and path.suffix != ".safetensors":
        if _SHARED.fullmatch(name):
            from msloss_sirr.models.hub import fetch_weights  # takes a second to import

            return fetch_weights(name, revision, cache_dir, token, local_files_only=local_files_only)
        raise InputError(
            f"{name!r} is no file or folder here, nor user/name of the hub; {SHIPPED!r} is the remover in the package"
        )
    return path

"""Weights that others have trained: from a file, or downloaded once to the cache that all of PyTorch shares."""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from http.client import HTTPException
from pathlib import Path
from urllib.parse import urlparse

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from msloss_sirr.errors import InputError, in_words
from msloss_sirr.files import other_kind


def read_state(path: Path) -> dict[str, Tensor]:
    """Return the tensors in a ``.safetensors`` file, or one that ``torch.save`` wrote, on the CPU.

    Raises:
        InputError: if there is no such file, or it holds anything but tensors by name.
    """
    if not path.is_file():
        kind = other_kind(path)
        raise InputError(f"{path} {f'is {kind}' if kind else 'does not exist'}; give a file of weights")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises anything at all for a file that is not its own
        reason = "torch.save did not write it, or it is damaged, or holds more than tensors"
        if path.suffix == ".safetensors" or isinstance(error, OSError):  # PyTorch's text advises to run what it holds
            reason = in_words(error)
        raise InputError(f"{path} holds no weights that can be read: {reason}") from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise InputError(f"{path} holds no weights that can be read: they are not tensors by name")
    return state


def fetch_weights(url: str, what: str, remedy: str, *, also: Sequence[str] = ()) -> Path:
    """Return the file of published weights: the one in the cache, or a download to there.

    The cache is ``$TORCH_HOME/hub/checkpoints`` (``~/.cache/torch`` if that is not set). A download shows its
    progress, and appears under its name only when it is whole. It, and what the cache holds already, must have the
    SHA-256 whose first digits are the end of that name, as PyTorch's own weights have.

    Args:
        url: of the file, named ``NAME-DIGITS.SUFFIX``.
        what: the weights, in messages.
        remedy: what else the user can do, in messages.
        also: other names under which the cache may hold the same file.

    Raises:
        InputError: if the file is not there and cannot be downloaded, or is another.
    """
    name = Path(urlparse(url).path).name
    digits = Path(name).stem.rpartition("-")[2]
    cache = Path(torch.hub.get_dir()) / "checkpoints"
    for known in (name, *also):
        if (cache / known).is_file():
            _check_digits(cache / known, digits, what)
            return cache / known
    try:
        cache.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(cache / name), hash_prefix=digits, progress=True)
    except (OSError, RuntimeError, ValueError, HTTPException) as error:
        told = f"the weights of {what} could not be downloaded ({in_words(error)})"
        raise InputError(f"{told}; fetch {url} to {cache / name}, {remedy}") from error
    return cache / name


def _check_digits(path: Path, digits: str, what: str) -> None:
    digest = sha256()
    with path.open("rb") as file:
        while piece := file.read(2**20):
            digest.update(piece)
    found = digest.hexdigest()
    if not found.startswith(digits):
        raise InputError(
            f"{path} is not {what} as published (its SHA-256 begins with {found[: len(digits)]}, not {digits}); "
            "delete it to have it downloaded again"
        )


def load_state(module: nn.Module, state: dict[str, Tensor], source: Path, what: str, *, assign: bool = False) -> None:
    """Load weights that must fit a network key by key.

    Args:
        module: the network.
        state: its weights.
        source: the file they are from, in messages.
        what: what the file should hold, in messages.
        assign: take the tensors themselves, instead of their values.

    Raises:
        InputError: if a key is missing, is one too many, or is of another shape or kind; the message names the first.
    """
    check_shapes(module, {key: tuple(tensor.shape) for key, tensor in state.items()}, source, what)
    for key, own in module.state_dict().items():
        if state[key].layout != torch.strided or state[key].is_complex():
            problem = "is no dense tensor of real numbers"
        elif state[key].is_floating_point() != own.is_floating_point():
            problem = "is of another type"
        elif not state[key].isfinite().all():
            problem = "holds NaN or infinity"
        else:
            continue
        raise InputError(f"{source} holds no {what}: {key} {problem}")
    module.load_state_dict(state, assign=assign)


def check_shapes(module: nn.Module, shapes: Mapping[str, tuple[int, ...]], source: Path, what: str) -> None:
    """Raise ``InputError`` unless weights of such shapes, key by key, fit a network; the message names the first.

    Args:
        module: the network.
        shapes: of the weights.
        source: the file they are from, in messages.
        what: what the file should hold, in messages.
    """
    own = {key: tuple(tensor.shape) for key, tensor in module.state_dict().items()}
    for key in [*own, *shapes]:
        if own.get(key) == shapes.get(key):
            continue
        if key not in shapes:
            problem = "is missing"
        elif key not in own:
            problem = "is not one of its"
        else:
            problem = "has another shape"
        raise InputError(f"{source} holds no {what}: {key if key.isprintable() else ascii(key)} {problem}")

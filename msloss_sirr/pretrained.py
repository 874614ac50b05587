"""Weights that others have trained: from a file, or downloaded once to the cache that all of PyTorch shares."""

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlparse

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from msloss_sirr.errors import InputError


def read_state(path: Path) -> dict[str, Tensor]:
    """Return the tensors in a ``.safetensors`` file, or one that ``torch.save`` wrote, on the CPU.

    Raises:
        InputError: if there is no such file, or it holds anything but tensors by name.
    """
    if not path.is_file():
        raise InputError(f"{path} does not exist; give a file of weights")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises anything at all for a file that is not its own
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(f"{path} holds no weights that can be read: {reason}") from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise InputError(f"{path} holds no weights that can be read: they are not tensors by name")
    return state


def fetch_weights(url: str, what: str, remedy: str, *, also: Sequence[str] = ()) -> Path:
    """Return the file of published weights: the one in the cache, or a download to there.

    The cache is ``$TORCH_HOME/hub/checkpoints`` (``~/.cache/torch`` if that is not set). A download shows its
    progress, appears under its name only when it is whole, and must have the SHA-256 whose first digits are the end of
    that name, as PyTorch's own weights have.

    Args:
        url: of the file, named ``NAME-DIGITS.SUFFIX``.
        what: the weights, in messages.
        remedy: what else the user can do, in messages.
        also: other names under which the cache may hold the same file.

    Raises:
        InputError: if the file is not there and cannot be downloaded.
    """
    name = Path(urlparse(url).path).name
    cache = Path(torch.hub.get_dir()) / "checkpoints"
    for known in (name, *also):
        if (cache / known).is_file():
            return cache / known
    try:
        cache.mkdir(parents=True, exist_ok=True)
        digits = Path(name).stem.rpartition("-")[2]
        torch.hub.download_url_to_file(url, str(cache / name), hash_prefix=digits, progress=True)
    except (OSError, RuntimeError, ValueError) as error:
        raise InputError(
            f"the weights of {what} could not be downloaded ({error}); fetch {url} to {cache / name}, {remedy}"
        ) from error
    return cache / name


def load_state(module: nn.Module, state: dict[str, Tensor], source: Path, what: str) -> None:
    """Load weights that must fit a network key by key.

    Raises:
        InputError: if a key is missing, is one too many, or is of another shape; the message names the first.
    """
    own = module.state_dict()
    for key in [*own, *state]:
        if key not in state:
            problem = "is missing"
        elif key not in own:
            problem = "is not one of its"
        elif state[key].shape != own[key].shape:
            problem = "has another shape"
        else:
            continue
        raise InputError(f"{source} holds no {what}: {key} {problem}")
    module.load_state_dict(state)

"""Removers on the Hugging Face hub."""

from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, ModelHubMixin, hf_hub_download
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from msloss_sirr.errors import InputError
from msloss_sirr.models.checkpoint import save_remover
from msloss_sirr.models.config import RemoverConfig
from msloss_sirr.models.files import WEIGHTS

_CARD = """---
{{ card_data }}
---

# A remover of reflections

It estimates the scene behind the glass, and the reflection, of a photograph taken through a window. For `msloss_sirr`:

```python
from PIL import Image
from msloss_sirr import Remover

remover = Remover.from_pretrained("{{ repo_id | default("FOLDER", true) }}")
remover(Image.open("photo.jpg")).transmission.save("photo-without.jpg")
```

`model.safetensors` holds weights and configuration, and no code; `config.json` repeats the configuration for readers.

To be told by whoever trained it: on what, how it was measured, where it fails, and under which licence it is shared.
"""


class Shared(
    ModelHubMixin,
    library_name="msloss",
    pipeline_tag="image-to-image",
    tags=["reflection-removal", "image-restoration"],
    model_card_template=_CARD,
):
    """A remover as the mixin of huggingface_hub saves and uploads it.

    Beside the remover and not its base, so that whoever only computes need not wait for huggingface_hub.

    Args:
        remover: what to share.
        config: its configuration.
    """

    def __init__(self, remover: Any, config: RemoverConfig) -> None:
        self.remover = remover
        self.config = config

    def _save_pretrained(self, save_directory: Path) -> None:
        save_remover(self.remover, save_directory / WEIGHTS)


def save_folder(remover: Any, folder: Path) -> None:
    """Write a remover to a folder: ``model.safetensors``, its configuration, and a model card if there is none.

    Raises:
        InputError: if ``folder`` is a file.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file; give a folder")
    Shared(remover, remover.config).save_pretrained(folder, config=remover.config)


def push(remover: Any, repo_id: str, *, token: str | None, branch: str | None, **options: Any) -> str:
    """Upload what `save_folder` writes, and return the address of the commit; a model card that is there is kept.

    Raises:
        InputError: if the hub cannot be reached, or refuses.
    """
    try:
        has_card = HfApi(token=token).file_exists(repo_id, "README.md", revision=branch, token=token)
        return str(
            Shared(remover, remover.config).push_to_hub(
                repo_id,
                config=remover.config,
                token=token,
                branch=branch,
                ignore_patterns=["README.md"] if has_card else None,
                model_card_kwargs={"repo_id": repo_id},
                **{name: value for name, value in options.items() if value is not None},
            )
        )
    except Exception as error:  # what carries the requests differs between versions of huggingface_hub
        raise InputError(f"the remover could not be uploaded to {repo_id!r}: {_first_line(error)}") from error


def fetch_weights(
    repo_id: str,
    revision: str | None,
    cache_dir: Path | str | None,
    token: str | bool | None,
    *,
    local_files_only: bool,
) -> Path:
    """Return ``model.safetensors`` of a repository, fetched to the cache, or from there.

    Raises:
        InputError: if it cannot be had; the message says what was looked for and why.
    """
    at = f"{WEIGHTS} of {repo_id!r}" + (f" at revision {revision!r}" if revision else "")
    try:
        return Path(
            hf_hub_download(
                repo_id,
                WEIGHTS,
                revision=revision,
                cache_dir=cache_dir,
                token=token,
                local_files_only=local_files_only,
            )
        )
    except GatedRepoError:
        reason = "access to it must be asked for on its page, and a token given"
    except RepositoryNotFoundError:
        reason = (
            "there is no such file or folder here, and no such repository on the hub, or only for whoever has a token"
        )
    except RevisionNotFoundError:
        reason = "the repository has no such revision"
    except LocalEntryNotFoundError:
        only = "and local_files_only forbids to fetch it" if local_files_only else "and the hub cannot be reached"
        reason = f"there is no such file or folder here, it is not in the cache, {only}"
    except EntryNotFoundError:
        reason = "the repository has no such file; ask its owner for one that Remover.push_to_hub wrote"
    except HFValidationError:
        reason = "that is no name of a repository"
    except Exception as error:  # as above; and a full disk
        reason = _first_line(error)
    raise InputError(f"cannot get {at}: {reason}")


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]

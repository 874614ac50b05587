"""Where a run comes from: versions, code, machine, and the data file by file."""

import hashlib
import platform
import shlex
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

import torch

_PACKAGES = ("msloss", "torch", "torchvision", "accelerate", "kornia", "timm", "pillow", "safetensors")
_UNREAD = "unread"


class Source(NamedTuple):
    """Files that a training is made from, and what is in them."""

    files: int
    bytes: int
    sha256: str
    """Of the SHA-256 digits of every file, in the order of the training."""


class Content(NamedTuple):
    """What is in a file."""

    bytes: int
    sha256: str


def fingerprint(contents: Iterable[Content]) -> Source:
    """Return what files hold together, in their order."""
    contents = list(contents)
    whole = hashlib.sha256("\n".join(content.sha256 for content in contents).encode()).hexdigest()
    return Source(len(contents), sum(content.bytes for content in contents), whole)


def known(contents: Mapping[str, Sequence[Content]], val: str) -> str:
    """Return in a line how many files are validated on and trained on at once, or copies of each other; or nothing.

    Args:
        contents: of all files, by the name of the source.
        val: the source that is validated on.
    """
    judged = [content.sha256 for content in contents[val]]
    trained = {content.sha256 for name, found in contents.items() if name != val for content in found}
    shared = sum(digest in trained - {_UNREAD} for digest in judged)
    if not shared:
        return ""
    return (
        f"{shared} of the {len(judged)} validation images are trained on too, so that the best checkpoint is chosen by "
        "what it knows already; give other pairs by --val"
    )


def read_contents(files: Iterable[Path]) -> list[Content]:
    """Return what is in each of several files; one that cannot be read holds nothing."""
    with ThreadPoolExecutor() as pool:
        return list(pool.map(_content, files))


def command() -> str:
    """Return the command that this process runs."""
    program = Path(sys.argv[0]).name
    return shlex.join(["msloss-sirr" if program in ("__main__.py", "msloss-sirr") else program, *sys.argv[1:]])


def surroundings(device: torch.device, processes: int) -> dict[str, Any]:
    """Return when, with what and on what a training runs now."""
    processor = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor()
    return {
        "begun": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "command": sys.argv,
        "python": platform.python_version(),
        "packages": {name: found for name in _PACKAGES if (found := _version(name))},
        "revision": _revision(Path(__file__).parent),
        "platform": platform.platform(),
        "device": f"{device.type} {processor}".strip(),
        "processes": processes,
        "threads": torch.get_num_threads(),
    }


def changed(then: Mapping[str, Any], now: Mapping[str, Source]) -> list[str]:
    """Return a line for each source that holds something else than it did."""
    lines = []
    for name in sorted(then.keys() | now.keys()):
        before, after = then.get(name), now.get(name)
        if before is None or after is None or before["sha256"] != after.sha256:
            lines.append(f"{name}: {_told(before)} then, {_told(None if after is None else after._asdict())} now")
    return lines


def _told(source: Mapping[str, Any] | None) -> str:
    return "nothing" if source is None else f"{source['files']} files ({source['sha256'][:8]})"


def _content(path: Path) -> Content:
    digest, size = hashlib.sha256(), 0
    if not path.is_file():  # a pipe would be waited for
        return Content(0, _UNREAD)
    try:
        with path.open("rb") as file:
            while block := file.read(2**20):
                digest.update(block)
                size += len(block)
    except OSError:
        return Content(0, _UNREAD)
    return Content(size, digest.hexdigest())


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _revision(folder: Path) -> str | None:
    """Return the commit that the code is of, with a + if files were changed since, where it lies in a repository."""
    try:
        asked = ["git", "-C", str(folder), "describe", "--always", "--abbrev=40", "--dirty=+", "--exclude=*"]
        answer = subprocess.run(asked, capture_output=True, text=True, timeout=10, check=True)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()

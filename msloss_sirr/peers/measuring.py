"""A method run over pictures in a process of its own, which tells what it takes.

``python -m msloss_sirr.peers.measuring FILE``: the file is a `Task` as JSON; a line of JSON is printed, a `Taken`.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from msloss_sirr.errors import InputError

_WATCH = """
import os, subprocess, sys
process = subprocess.Popen(sys.argv[1:])
_, status, usage = os.wait4(process.pid, 0)
print(usage.ru_maxrss)
sys.exit(1 if status else 0)
"""
"""What starts the process: small itself, since the system counts what was resident where a process was started from as
its own, too."""


class Task(NamedTuple):
    """What a process is to do."""

    kind: str
    """``suppression``, ``remover``, or ``nothing``, which reads and writes the pictures and tells what that takes."""
    pictures: Sequence[tuple[str, str]]
    """Files of photographs, and the files to write their transmissions to."""
    threshold: float = 0.0
    checkpoint: str | None = None
    """File of the remover; ``None`` for the one that comes with the package."""
    steps: int = 1
    device: str = "cpu"


class Taken(NamedTuple):
    """What a method has taken."""

    seconds: list[float]
    """For each picture, from its pixels to its transmission's; reading and writing do not count. The first picture is
    done once before."""
    cpu_seconds: list[float]
    """Likewise, of all cores together: what other work on the machine changes less."""
    peak_mib: float
    """The greatest resident set of the process, Python and libraries included."""


def run(task: Task, folder: Path) -> Taken:
    """Run a method in a process of its own.

    Args:
        task: what it does.
        folder: where a file may be written for it.

    Raises:
        InputError: if the process fails; with its last line.
    """
    path = folder / "task.json"
    path.write_text(json.dumps(task._asdict()))
    words = [sys.executable, "-I", "-c", _WATCH, sys.executable, "-m", "msloss_sirr.peers.measuring", str(path)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["it said nothing"]
        raise InputError(f"the process of a {task.kind} failed: {lines[-1]}")
    *_, told, peak = done.stdout.splitlines()
    found = json.loads(told)
    per_mib = 2**20 if sys.platform == "darwin" else 2**10
    return Taken(found["seconds"], found["cpu_seconds"], int(peak) / per_mib)


def perform(task: Task) -> dict[str, list[float]]:
    """Run a method in this process, write the pictures, and return the seconds that each took."""
    from msloss_sirr.images.reading import read_pixels, to_float
    from msloss_sirr.images.writing import write_pixels

    method = _method(task)
    seconds, cpu = [], []
    for number, (source, target) in enumerate(task.pictures):
        pixels = read_pixels(Path(source))
        if not number:
            method(to_float(pixels)[None])
        begin, cpu_begin = time.perf_counter(), time.process_time()
        found = method(to_float(pixels)[None])
        seconds.append(time.perf_counter() - begin)
        cpu.append(time.process_time() - cpu_begin)
        write_pixels(Path(target), found)
    return {"seconds": seconds, "cpu_seconds": cpu}


def _method(task: Task) -> Callable[[Any], Any]:
    """Return what turns a photograph ``(1, 3, H, W)`` into the transmission in 8 bits, ``(3, H, W)``."""
    from msloss_sirr.images.reading import to_bytes

    if task.kind == "nothing":
        return lambda image: to_bytes(image[0])
    if task.kind == "suppression":
        from msloss_sirr.peers.suppression import suppress

        return lambda image: to_bytes(suppress(image, task.threshold).transmission[0])
    from msloss import refine
    from msloss_sirr.depth.config import DepthConfig
    from msloss_sirr.depth.source import guidance
    from msloss_sirr.devices import find_device
    from msloss_sirr.photo.loading import load_on

    device = find_device(task.device)
    checkpoint = None if task.checkpoint is None else Path(task.checkpoint)
    remover, source = load_on(device, checkpoint, DepthConfig(), flip=False)

    def removed(image: Any) -> Any:
        image = image.to(device)
        guide = guidance(remover, source, image)
        layers = refine(remover, image, *guide, steps=task.steps, feedback="transmission")
        return to_bytes(layers.transmission[0]).cpu()

    return removed


def main() -> None:
    """Do what the file says that the command line names."""
    task = Task(**json.loads(Path(sys.argv[1]).read_bytes()))
    try:
        told = perform(task)
    except InputError as error:
        raise SystemExit(str(error)) from None
    print(json.dumps(told))  # noqa: T201


if __name__ == "__main__":
    main()

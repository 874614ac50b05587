"""What the photo tool takes: seconds and peak memory of whole commands, from the start of Python to the written file.

    python tests/benchmarks/bench_photo.py [--json FILE] [--megapixels 1 12 50] [--runtimes eager compile onnx]

Photographs are JPEG files made of scikit-image's astronaut behind a veil, so that there is something to take off.
Memory is the greatest resident set of the process. The start-up is measured beside that of Python with torch alone.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from skimage import data

_ASPECT = 4 / 3
_SMALL = 100
_REPEATS = 3


def main() -> None:
    """Measure, print a line for each, and write them as JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    parser.add_argument("--megapixels", type=float, nargs="+", default=[1, 12, 50])
    parser.add_argument("--runtimes", nargs="+", default=["eager", "compile", "onnx"])
    parser.add_argument("--methods", nargs="+", default=["auto", "tiles"])
    options = parser.parse_args()
    found: dict[str, Any] = {}

    def note(name: str, figures: dict[str, float]) -> None:
        found[name] = figures
        print(f"{name}: {', '.join(f'{what} {value:.3g}' for what, value in figures.items())}", flush=True)

    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        note("python with torch", least([sys.executable, "-c", "import torch"]))
        note("--help", least([sys.executable, "-m", "msloss_sirr", "--help"]))
        photo(work / "small.jpg", 0.1)
        note("first photograph of 0.1 megapixels", least(tool(work / "small.jpg", work)))
        if "onnx" in options.runtimes:
            export = [sys.executable, "-m", "msloss_sirr", "export", "--onnx", str(work / "remover.onnx")]
            subprocess.run(export, check=True, stdout=subprocess.DEVNULL)
        for size in options.megapixels:
            photo(work / f"{size:g}.jpg", size)
            for runtime in options.runtimes:
                more = ["--checkpoint", str(work / "remover.onnx")] if runtime == "onnx" else []
                command = tool(work / f"{size:g}.jpg", work, "--runtime", runtime, *more)
                note(f"{size:g} megapixels, {runtime}", taken(command))
            for method in options.methods[1:]:
                note(f"{size:g} megapixels, {method}", taken(tool(work / f"{size:g}.jpg", work, "--method", method)))
        many = work / "many"
        many.mkdir()
        for number in range(_SMALL):
            photo(many / f"{number}.jpg", 0.2)
        figures = taken(tool(many, work))
        note(f"{_SMALL} photographs of 0.2 megapixels", {**figures, "photographs/s": _SMALL / figures["seconds"]})
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(found, indent=2) + "\n")


def photo(path: Path, megapixels: float) -> None:
    """Write a photograph behind a veil."""
    height = round((megapixels * 1e6 / _ASPECT) ** 0.5)
    image = Image.fromarray(data.astronaut()).resize((round(height * _ASPECT), height), Image.Resampling.BICUBIC)
    across = np.linspace(0, 120, image.width, dtype=np.float32)[None, :, None]
    veiled = np.asarray(image, dtype=np.uint8) * np.float32(0.6) + across
    Image.fromarray(veiled.clip(0, 255).astype(np.uint8)).save(path, quality=92)


def tool(photos: Path, work: Path, *more: str) -> list[str]:
    """Return the command that takes reflections off."""
    out = ["-o", str(work / "out"), "--overwrite", "--threshold", "0", "--device", "cpu"]
    return [sys.executable, "-m", "msloss_sirr", "remove", str(photos), *out, *more]


def taken(command: Sequence[str]) -> dict[str, float]:
    """Return the seconds and the memory that a command takes."""
    begin = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begin
    if status:
        raise SystemExit(f"{' '.join(command)} failed")
    kilobytes = usage.ru_maxrss / (1024 if sys.platform == "darwin" else 1)
    return {"seconds": seconds, "peak MiB": kilobytes / 1024}


def least(command: Sequence[str]) -> dict[str, float]:
    """Return the least seconds of several runs."""
    runs = [taken(command) for _ in range(_REPEATS)]
    return min(runs, key=lambda run: run["seconds"])


if __name__ == "__main__":
    main()

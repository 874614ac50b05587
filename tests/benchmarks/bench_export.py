"""Seconds and memory of one step of a remover: in PyTorch, compiled, and exported, in one run with the same threads.

Processor time of the fastest of several rounds, the ways taken in turns, so that other work on the machine counts
little. Memory is the most that a process of its own holds beyond what it held before its first photograph; that of the
compiled remover includes the compiler's.

    python tests/benchmarks/bench_export.py --json out/bench_export.json
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from msloss_sirr import Remover
from msloss_sirr.export.making import export_onnx
from msloss_sirr.export.running import load_onnx

_SIZES = ((480, 640), (1000, 1000), (3000, 4000))
_WAYS = ("eager", "compiled", "onnx")


def way(name: str, checkpoint: Path | None, file: Path) -> Callable[[torch.Tensor], Any]:
    """Return a way of taking one step."""
    if name == "onnx":
        return load_onnx(file)
    remover = Remover.from_pretrained(checkpoint)
    return torch.compile(remover) if name == "compiled" else remover


def seconds(runs: dict[str, Callable[[torch.Tensor], Any]], image: torch.Tensor, rounds: int) -> dict[str, float]:
    """Return the processor time of each, the least of several rounds in turns."""
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds + 1):  # the first warms up, and is never the least
        for name, run in runs.items():
            start = time.process_time()
            with torch.inference_mode():
                run(image)
            taken[name].append(time.process_time() - start)
    return {name: min(times) for name, times in taken.items()}


def peak(run: Callable[[torch.Tensor], Any], height: int, width: int) -> float:
    """Return the MB that this process holds at most during a call, beyond what it has held before."""
    image = torch.rand(1, 3, height, width)
    Path("/proc/self/clear_refs").write_text("5")  # what the process held at most begins anew (Linux)
    before = held("VmRSS")
    with torch.inference_mode():
        run(image)
    return held("VmHWM") - before


def held(what: str) -> float:
    """Return a line of what the system says that this process holds, in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(what))


def main() -> None:
    """Measure, print the table, and write it as JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, help="remover; the default is the one in the package")
    parser.add_argument("--onnx", type=Path, help="the same exported; by default it is exported now")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--ways", nargs="+", default=list(_WAYS), choices=_WAYS, help="compiled needs a C++ compiler")
    parser.add_argument("--peak", nargs=3, metavar=("WAY", "HEIGHT", "WIDTH"), help=argparse.SUPPRESS)
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    options = parser.parse_args()
    if options.peak:
        name, height, width = options.peak
        print(peak(way(name, options.checkpoint, options.onnx), int(height), int(width)))
        return

    with tempfile.TemporaryDirectory() as folder:
        file = options.onnx or Path(folder) / "remover.onnx"
        if options.onnx is None:
            print(
                f"differs from PyTorch by at most {export_onnx(Remover.from_pretrained(options.checkpoint), file):.1g}"
            )
        runs = {name: way(name, options.checkpoint, file) for name in options.ways}
        print(f"torch {torch.__version__}, {torch.get_num_threads()} threads")
        print("| megapixels | | seconds | of eager | memory, MB |")
        print("| --- | --- | --- | --- | --- |")
        figures = []
        given = ["--checkpoint", str(options.checkpoint)] if options.checkpoint else []
        for height, width in _SIZES:
            taken = seconds(runs, torch.rand(1, 3, height, width), options.rounds)
            for name, spent in taken.items():
                alone = [sys.executable, __file__, "--onnx", str(file), *given, "--peak", name, str(height), str(width)]
                most = float(subprocess.run(alone, check=True, capture_output=True, text=True).stdout)
                row = {"megapixels": height * width / 1e6, "way": name, "seconds": spent, "memory": most}
                row["of eager"] = spent / taken["eager"] if "eager" in taken else float("nan")
                figures.append(row)
                shown = f"{spent:.3f} | {row['of eager']:.2f} | {most:.0f}"
                print(f"| {row['megapixels']:.1f} | {name} | {shown} |", flush=True)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()

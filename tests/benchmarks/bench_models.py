"""Size and speed of the removers: the paper's two U-Nets beside the compact ones, in one run.

Multiply-accumulates and parameters are counted; latency is the median over alternating rounds, of one image from
ambient to transmission, without the depth network, which is timed beside them. On a GPU also in bfloat16 and as a CUDA
graph.

    python tests/benchmarks/bench_models.py --json out/bench_models.json
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from msloss_sirr import Remover
from msloss_sirr.depth.midas import MidasDepth
from msloss_sirr.depth.network import MidasSmall
from msloss_sirr.training.presets import PRESETS

Run = Callable[[], Any]


def inputs_for(remover: Remover, height: int, width: int) -> tuple[Tensor, ...]:
    """Return an image, and a depth for a remover that is guided by one."""
    device = next(remover.parameters()).device
    image = torch.rand(1, 3, height, width, device=device).contiguous(memory_format=torch.channels_last)
    depth = torch.rand(1, 1, height, width, device=device)
    return (image,) if remover.config.depth == "none" else (image, remover.prepare_depth(depth))


def macs(model: nn.Module, *inputs: Tensor) -> int:
    """Return the multiply-accumulates of the convolutions and matrix products of one call."""
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        model(*inputs)
    return counter.get_total_flops() // 2


def seconds(runs: dict[str, Run], rounds: int, cuda: bool) -> dict[str, float]:
    """Return the median time of each, taken in turns."""
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for count in range(rounds + 2):
        for name, run in runs.items():
            start = time.perf_counter()
            with torch.inference_mode():
                run()
            if cuda:
                torch.cuda.synchronize()
            if count >= 2:  # the first two warm up
                taken[name].append(time.perf_counter() - start)
    return {name: statistics.median(times) for name, times in taken.items()}


def graphed(model: nn.Module, *inputs: Tensor) -> Run:
    """Return the replay of a CUDA graph of one call."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream), torch.no_grad():
        for _ in range(3):
            model(*inputs)
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph), torch.no_grad():
        model(*inputs)
    return graph.replay


def ways(remover: Remover, inputs: tuple[Tensor, ...], compiled: bool) -> dict[str, Run]:
    """Return the ways in which one image goes through a remover."""

    def half() -> Any:
        with torch.autocast("cuda", torch.bfloat16):
            return remover(*inputs)

    found: dict[str, Run] = {"eager": lambda: remover(*inputs)}
    if compiled:
        fast = torch.compile(remover)
        found["compiled"] = lambda: fast(*inputs)
    if inputs[0].is_cuda:
        found["bfloat16"] = half
        found["CUDA graph"] = graphed(remover, *inputs)
    return found


def main() -> None:
    """Measure, print the tables, and write them as JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--sizes", type=int, nargs="+", default=[336, 1000], help="sides of the images")
    parser.add_argument(
        "--no-compile", action="store_true", help="do not compile, which takes minutes and a C++ compiler"
    )
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    options = parser.parse_args()

    torch.manual_seed(0)
    device = torch.device(options.device)
    removers = {name: Remover(preset.model).eval().to(device) for name, preset in PRESETS.items()}
    for remover in removers.values():
        remover.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    midas = MidasDepth(MidasSmall()).to(device)
    where = torch.cuda.get_device_name() if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    figures: dict[str, Any] = {"settings": {"device": where, "torch": torch.__version__}, "sizes": {}}
    for side in options.sizes:
        runs: dict[str, Run] = {}
        counts: dict[str, int] = {}
        for name, remover in removers.items():
            inputs = inputs_for(remover, side, side)
            counts[name] = macs(remover, *inputs)
            runs |= {f"{name} {way}": run for way, run in ways(remover, inputs, not options.no_compile).items()}
        image = torch.rand(1, 3, side, side, device=device)
        runs["depth network"] = lambda image=image: midas(image)
        taken = seconds(runs, options.rounds, device.type == "cuda")
        figures["sizes"][side] = {"macs": counts, "seconds": taken}
    figures["parameters"] = {name: sum(p.numel() for p in r.parameters()) for name, r in removers.items()}

    print(", ".join(f"{name} {value}" for name, value in figures["settings"].items()))
    for name, count in figures["parameters"].items():
        print(f"{name}: {count / 1e6:.2f} M parameters")
    print("| | size | multiply-accumulates | time | of the paper's |")
    print("| --- | --- | --- | --- | --- |")
    for side, row in figures["sizes"].items():
        for name, spent in row["seconds"].items():
            preset, _, way = name.partition(" ")
            count = f"{row['macs'][preset] / 1e9:.1f} G" if preset in row["macs"] else ""
            share = f"{spent / row['seconds'][f'paper {way}']:.3f}" if f"paper {way}" in row["seconds"] else ""
            print(f"| {name} | {side}x{side} | {count} | {1000 * spent:.1f} ms | {share} |")
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()

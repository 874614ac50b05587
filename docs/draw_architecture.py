"""Draw the paper's networks as this project builds them: every number in the figure is a shape that the code has.

python docs/draw_architecture.py docs/images/architecture.svg
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from msloss_sirr import Remover, RemoverConfig
from msloss_sirr.training.presets import PRESETS

SIDE = 336
STEP, HEIGHT = 46, 26
STYLE = "font-family='sans-serif' font-size='11' fill='#1f2933'"


def shapes(remover: Remover) -> dict[str, list[Tensor]]:
    """Return what enters each network, and what each level of it makes on the way down and up, by network and part."""
    found: dict[str, list[Tensor]] = {}

    def keep(name: str) -> Any:
        return lambda *call: found.setdefault(name, []).append(call[-1])

    for name, net in remover.named_children():
        if not hasattr(net, "down"):
            continue
        net.register_forward_pre_hook(lambda *call, name=name: found.setdefault(f"{name} in", []).append(call[-1][0]))
        net.register_forward_hook(keep(f"{name} out"))
        for part in ("down", "up"):
            for block in getattr(net, part):
                block.register_forward_hook(keep(f"{name} {part}"))
    with torch.device("meta"):
        image = torch.empty(1, 3, SIDE, SIDE)
        remover(image, *([torch.empty(1, 1, SIDE, SIDE)] if remover.config.guides else []))
    return found


def text(x: float, y: float, words: str, anchor: str = "middle", weight: str = "normal") -> str:
    """Return a line of text."""
    return f"<text x='{x:g}' y='{y:g}' text-anchor='{anchor}' font-weight='{weight}' {STYLE}>{words}</text>"


def box(x: float, y: float, width: float, label: str, colour: str) -> list[str]:
    """Return a box with a label."""
    return [
        f"<rect x='{x:g}' y='{y:g}' width='{width:g}' height='{HEIGHT}' rx='4' fill='{colour}' stroke='#52606d'/>",
        text(x + width / 2, y + 17, label),
    ]


def arrow(*points: tuple[float, float]) -> str:
    """Return an arrow through points."""
    path = " ".join(f"{x:g},{y:g}" for x, y in points)
    return f"<polyline points='{path}' fill='none' stroke='#52606d' marker-end='url(#head)'/>"


def said(tensor: Tensor) -> str:
    """Return channels, height and width of a batch."""
    channels, height, width = tensor.shape[1:]
    return f"{channels} x {height} x {width}"


def unet(x: float, y: float, title: str, parts: dict[str, list[Tensor]], name: str) -> Iterator[str]:
    """Yield a network: its levels down on the left, up on the right."""
    down, up = parts[f"{name} down"], [*parts[f"{name} up"]][::-1]
    yield text(x + 160, y - 34, title, weight="bold")
    yield text(x + 60, y - 14, f"in: {said(parts[f'{name} in'][0])}")
    yield text(x + 260, y - 14, f"out: {said(parts[f'{name} out'][0])}")
    for level, made in enumerate(down):
        top = y + level * STEP
        lowest = level == len(down) - 1
        yield from box(x + (105 if lowest else 5), top, 110, said(made), "#cfe3f7")
        if not lowest:
            yield from box(x + 205, top, 110, said(up[level]), "#d8efd3")
            yield arrow((x + 115, top + 13), (x + 203, top + 13))
            into, out_of = (x + 120, x + 200) if level == len(down) - 2 else (x + 60, x + 260)
            yield arrow((x + 60, top + HEIGHT), (into, top + STEP - 2))
            yield arrow((out_of, top + STEP), (x + 260, top + HEIGHT + 2))


def draw(config: RemoverConfig) -> str:
    """Return the figure as SVG."""
    with torch.device("meta"):
        remover = Remover(config)
    parts = shapes(remover)
    levels = len(config.channels)
    bottom = 96 + levels * STEP
    tip = "<path d='M0,0 L8,4 L0,8 z' fill='#52606d'/>"
    head = f"<marker id='head' markerWidth='8' markerHeight='8' refX='7' refY='4' orient='auto'>{tip}</marker>"
    lines = [
        f"<svg xmlns='http://www.w3.org/2000/svg' width='980' height='{bottom + 50}' viewBox='0 0 980 {bottom + 50}'>",
        f"<defs>{head}</defs>",
        f"<rect width='980' height='{bottom + 50}' fill='white'/>",
        *box(28, 96, 156, f"I: 3 x {SIDE} x {SIDE}", "#fde8c8"),
        *box(28, 176, 156, "MiDaS v2.1 small, frozen", "#e4e7eb"),
        *box(28, 256, 156, f"{config.ranges} ranges: 1 x {SIDE} x {SIDE}", "#e4e7eb"),
        arrow((60, 122), (60, 174)),
        arrow((60, 202), (60, 254)),
        text(68, 152, "once, from the", "start"),
        text(68, 166, "photograph", "start"),
        *unet(210, 96, "reflection net (R-CNN)", parts, "reflection_net"),
        *unet(600, 96, "transmission net (T-CNN)", parts, "transmission_net"),
        arrow((184, 109), (213, 109)),
        arrow((184, 269), (198, 269), (198, 114), (213, 114)),
        arrow((525, 109), (603, 109)),
        text(566, 100, "R"),
        arrow((106, 96), (106, 40), (582, 40), (582, 114), (603, 114)),
        text(340, 34, "I and the ranged depth"),
        arrow((915, 109), (960, 109), (960, bottom + 10), (10, bottom + 10), (10, 109), (26, 109)),
        text(
            490, bottom + 30, "T is the next I: steps 2 to M, with the same depth; the losses of all steps are summed"
        ),
        text(940, 100, "T"),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(draw(PRESETS["paper"].model))

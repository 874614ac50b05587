"""Contact sheets: what a generator makes, beside what it should."""

import torch
from torch import Tensor

from msloss_sirr.images.reading import to_bytes
from msloss_sirr.images.sheet import sheet
from msloss_sirr.refgan.generator import Generator
from msloss_sirr.refgan.pairs import Example
from msloss_sirr.refgan.style import smooth_noise

_STYLES = 3
_GAIN = 2.0
"""How many times a difference is enlarged."""


@torch.no_grad()
def contact_sheet(generator: Generator, example: Example) -> Tensor:
    """Return a row for each example, ``(3, H', W')`` uint8.

    A row shows T, I, I as generated with the example's own style and with two others, then I - T of the true picture
    and of the generated ones, twice enlarged around grey. Nothing random is dropped, and no random number drawn.
    """
    training = generator.training
    generator.eval()
    transmission, _, ambient = example
    made = [generator(transmission, style) for style in _styles(generator, example)]
    generator.train(training)
    differences = [(0.5 + _GAIN * (image - transmission)).clamp(0, 1) for image in (ambient, *made)]
    columns = [to_bytes(column.cpu()) for column in (transmission, ambient, *made, *differences)]
    return sheet([list(row) for row in zip(*columns, strict=True)])


def _styles(generator: Generator, example: Example) -> list[Tensor | None]:
    """Return each example's own style, and two others: of other examples, mirrored, or other noise."""
    own = example.style
    if own is None:
        return [None]
    if generator.config.style == "noise":
        count = len(own)
        others = [smooth_noise(range(turn * count, (turn + 1) * count), own) for turn in range(1, _STYLES)]
        return [own, *others]
    return [own, *(own.roll(turn, 0).flip(-1) for turn in range(1, _STYLES))]

"""What a network is trained on."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

from torch import Tensor

from msloss_sirr.data.draws import DrawBatch
from msloss_sirr.images.reading import to_float
from msloss_sirr.layers import Layers


class Batch(NamedTuple):
    """Photographs taken through glass ``(N, 3, H, W)``, sRGB-encoded, [0, 1], and the layers they are made of."""

    ambient: Tensor
    target: Layers
    depth: Tensor | None = None
    """Depth images that lie beside the photographs, ``(N, 1, H, W)``, on any scale; of a made one, the scene's."""


Recipe: TypeAlias = Callable[[Tensor, Tensor, Sequence[int]], Batch]
"""From photos of scenes, photos to be reflected in front of them, and a seed for each, to a batch."""


def compose(draws: DrawBatch, recipe: Recipe) -> Batch:
    """Turn draws into a batch, on the device they are on: real pairs as they are, photos by the recipe.

    The reflection of a real pair is I - T where that is positive.
    """
    first, second = to_float(draws.first), to_float(draws.second)
    batch = Batch(first, Layers(second, (first - second).clamp(0, 1)), draws.depth)
    if bool(draws.real.all()):
        return batch
    made = recipe(first, second, draws.seed.tolist())
    real = draws.real.view(-1, 1, 1, 1)
    return Batch(
        batch.ambient.where(real, made.ambient),
        Layers(*(a.where(real, b) for a, b in zip(batch.target, made.target, strict=True))),
        draws.depth,
    )

"""What a network is trained on."""

from typing import NamedTuple

from torch import Tensor

from msloss_sirr.data.draws import DrawBatch
from msloss_sirr.images.reading import to_float
from msloss_sirr.layers import Layers
from msloss_sirr.synthesis.recipes import Recipe


class Batch(NamedTuple):
    """Photographs taken through glass ``(N, 3, H, W)``, sRGB-encoded, [0, 1], and the layers they are made of."""

    ambient: Tensor
    target: Layers
    depth: Tensor | None = None
    """Depth images that lie beside the photographs, ``(N, 1, H, W)``, on any scale; of a made one, the scene's."""


def compose(draws: DrawBatch, recipe: Recipe) -> Batch:
    """Turn draws into a batch, on the device they are on: real pairs as they are, photos by the recipe.

    The reflection of a real pair is I - T where that is positive. Where the recipe would rather reject what it made,
    the photo stays without a reflection.
    """
    first, second = to_float(draws.first), to_float(draws.second)
    batch = Batch(first, Layers(second, (first - second).clamp(0, 1)), draws.depth)
    if bool(draws.real.all()):
        return batch
    made = recipe(first, second, draws.seed.tolist())
    real, plain = (which.view(-1, 1, 1, 1) for which in (draws.real, ~made.kept))
    ambient = batch.ambient.where(real | plain, made.ambient)
    transmission = batch.target.transmission.where(real, first.where(plain, made.layers.transmission))
    reflection = batch.target.reflection.where(real, made.layers.reflection.masked_fill(plain, 0.0))
    return Batch(ambient, Layers(transmission, reflection), draws.depth)

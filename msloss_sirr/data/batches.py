"""What a network is trained on."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from msloss_sirr.data.draws import Kind
from msloss_sirr.data.loader import DrawBatch
from msloss_sirr.devices import send
from msloss_sirr.images.reading import to_float
from msloss_sirr.layers import Layers
from msloss_sirr.synthesis.chance import Chance
from msloss_sirr.synthesis.glass import exposed, sometimes, strengthened
from msloss_sirr.synthesis.making import Synthesis
from msloss_sirr.synthesis.recipes import Recipe


class Batch(NamedTuple):
    """Photographs taken through glass ``(N, 3, H, W)``, sRGB-encoded, [0, 1], and the layers they are made of."""

    ambient: Tensor
    target: Layers
    depth: Tensor | None = None
    """Depth images that lie beside the photographs, ``(N, 1, H, W)``, on any scale; of a made one, the scene's."""
    kind: Tensor | None = None
    """``(N,)`` int64, on the processor: what each was made of, a `Kind`."""


@torch.no_grad()
def compose(draws: DrawBatch, synthesis: Synthesis) -> Batch:
    """Turn draws into a batch, on the device they are on: real pairs as they are, the others by their recipes.

    Before that, as often as the synthesis says, what is behind the glass is exposed otherwise, in both images of a pair
    alike, and the reflection of a pair made weaker or stronger.

    The reflection of a real pair is I - T where that is positive. Where a recipe would rather reject what it made, the
    photo stays without a reflection. Of a photo that is degraded otherwise, T is the photo itself.

    Raises:
        ValueError: if a photo is to be degraded, and the synthesis has nothing for that.
    """
    kinds, seeds = draws.kind.tolist(), draws.seed.tolist()
    first, second = _exposed(to_float(draws.first), synthesis, seeds), to_float(draws.second)
    alike = [index for index, kind in enumerate(kinds) if kind in (Kind.REAL, Kind.CLEAN, Kind.DEGRADED)]
    if alike:
        theirs = [seeds[index] for index in alike]
        where = send(torch.tensor(alike), first.device)
        shown = _exposed(second.index_select(0, where), synthesis, theirs)
        pairs = torch.cat([first.index_select(0, where), shown], dim=1)
        chance = Chance.beside(theirs, "strength", pairs)
        second.index_copy_(0, where, shown)
        first.index_copy_(0, where, sometimes(pairs, synthesis.strength, strengthened, chance)[:, :3])
    degraded = [index for index, kind in enumerate(kinds) if kind == Kind.DEGRADED]
    if degraded:
        if synthesis.degrade is None:
            raise ValueError("photos are to be degraded, but the synthesis degrades none; give it a degrade")
        where = send(torch.tensor(degraded), first.device)
        whole = first.index_select(0, where)
        first.index_copy_(0, where, synthesis.degrade(whole, Chance([seeds[index] for index in degraded], whole)))
    batch = Batch(first, Layers(second, (first - second).clamp(0, 1)), draws.depth, draws.kind)
    for kind, recipe in ((Kind.REFLECTED, synthesis.reflect), (Kind.TRANSPLANTED, synthesis.transplant)):
        which = [index for index, other in enumerate(kinds) if other == kind]
        if which:
            where = send(torch.tensor(which), first.device)
            scene, reflected = first.index_select(0, where), second.index_select(0, where)
            made = _made(recipe, scene, reflected, [seeds[index] for index in which])
            for whole, part in zip((batch.ambient, *batch.target), (made.ambient, *made.target), strict=True):
                whole.index_copy_(0, where, part)
    return batch


def _exposed(images: Tensor, synthesis: Synthesis, seeds: Sequence[int]) -> Tensor:
    return sometimes(images, synthesis.exposure, exposed, Chance.beside(seeds, "exposure", images))


def _made(recipe: Recipe, scene: Tensor, reflected: Tensor, seeds: list[int]) -> Batch:
    """Return what a recipe makes, and the scene alone where it rejects that."""
    made = recipe(scene, reflected, seeds)
    kept = made.kept.view(-1, 1, 1, 1)
    transmission, reflection = made.layers
    return Batch(
        made.ambient.where(kept, scene),
        Layers(transmission.where(kept, scene), reflection.where(kept, torch.zeros_like(reflection))),
    )

"""Several recipes in one batch."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from msloss_sirr.devices import send
from msloss_sirr.layers import Layers
from msloss_sirr.synthesis.chance import Chance
from msloss_sirr.synthesis.recipes import Composite, Recipe


def mixture(recipes: Mapping[str, Recipe], odds: Mapping[str, float]) -> Recipe:
    """Return a recipe that makes each image by one of several, drawn by their odds.

    Args:
        recipes: by name.
        odds: how likely each is, relative to the others.

    Raises:
        ValueError: if a name has no recipe, odds are negative, or all are 0.
    """
    names = [name for name, share in odds.items() if share]
    if not names or not odds.keys() <= recipes.keys() or min(odds.values()) < 0:
        raise ValueError(f"odds are {dict(odds)}; give one or more of {sorted(recipes)} a positive number")
    if len(names) == 1:
        return recipes[names[0]]

    def made(scene: Tensor, mirrored: Tensor, seeds: Sequence[int]) -> Composite:
        choice = Chance.beside(seeds, "recipe", scene).choice([odds[name] for name in names])
        if not choice:
            return recipes[names[0]](scene, mirrored, seeds)
        order = torch.tensor(choice).argsort(stable=True)
        there, back = send(torch.stack([order, order.argsort()]), scene.device)
        scene, mirrored = scene.index_select(0, there), mirrored.index_select(0, there)
        seeds = [seeds[index] for index in order.tolist()]
        parts, first = [], 0
        for number, name in enumerate(names):
            part = slice(first, first := first + choice.count(number))
            if part.start < part.stop:
                parts.append(recipes[name](scene[part], mirrored[part], seeds[part]))
        ambient, layers, kept = zip(*parts, strict=True)
        together = (torch.cat(part).index_select(0, back) for part in (ambient, *zip(*layers, strict=True), kept))
        i, t, r, is_kept = together
        return Composite(i, Layers(t, r), is_kept)

    return made

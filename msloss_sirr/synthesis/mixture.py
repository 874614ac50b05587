"""Several recipes in one batch."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

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
        parts, order = [], []
        for number, name in enumerate(names):
            chosen = [index for index, chosen in enumerate(choice) if chosen == number]
            if chosen:
                order += chosen
                parts.append(recipes[name](scene[chosen], mirrored[chosen], [seeds[index] for index in chosen]))
        back = torch.tensor(order).argsort()
        ambient, layers, kept = zip(*parts, strict=True)
        together = (torch.cat(part)[back] for part in zip(*layers, strict=True))
        return Composite(torch.cat(ambient)[back], Layers(*together), torch.cat(kept)[back])

    return made

"""
Recipes for reflections
=======================

The same two photographs by every recipe, and what glass and cameras add.
"""

# %%
# Every recipe is a function of two batches of photographs and a seed for each; the composite depends on nothing else.
import matplotlib.pyplot as plt
import skimage
import torch
from torch import Tensor

from msloss_sirr.synthesis.config import GlassConfig
from msloss_sirr.synthesis.glass import through
from msloss_sirr.synthesis.recipes import RECIPES, Composite, linear
from msloss_sirr.synthesis.transplant import reflection_of, transplant


def photograph(name: str) -> Tensor:
    """Return a photograph, ``(1, 3, 200, 200)`` in [0, 1]."""
    image = torch.tensor(getattr(skimage.data, name)()).permute(2, 0, 1)[None] / 255
    side = min(image.shape[2:])
    return torch.nn.functional.interpolate(image[..., :side, :side], (200, 200), mode="bicubic", antialias=True).clamp(
        0, 1
    )


scene, mirrored = photograph("rocket"), photograph("astronaut").flip(3)


def show(rows: dict[str, list[Composite]], titles: list[str]) -> None:
    """Draw I and R of composites, a row for each name."""
    _, axes = plt.subplots(len(rows), 2 * len(titles), figsize=(12, 2.1 * len(rows)), layout="constrained")
    for row, (name, composites) in zip(axes, rows.items(), strict=True):
        for index, (title, made) in enumerate(zip(titles, composites, strict=True)):
            for axis, image, what in (
                (row[2 * index], made.ambient, "I"),
                (row[2 * index + 1], made.layers.reflection, "R"),
            ):
                axis.imshow(image[0].permute(1, 2, 0))
                axis.set_title(f"{name}, {what}, {title}", fontsize=8)
                axis.axis("off")


# %%
# Three recipes of the literature, by three seeds. R is what the reflection adds to the picture, I - T.
seeds = (1, 2, 3)
show(
    {name: [make(scene, mirrored, [seed]) for seed in seeds] for name, make in RECIPES.items()},
    [f"seed {s}" for s in seeds],
)

# %%
# They differ in how strong and how smooth their reflections are: here the mean of R over 40 seeds, and how much of
# that is in the picture's brighter half, where light hardly shows on what is bright already.
many = range(40)
bright = scene.mean(1, keepdim=True) > scene.mean(1).median()
print(f"{'recipe':8}{'mean of R':>11}{'bright half':>13}{'dark half':>11}")
for name, make in RECIPES.items():
    reflection = make(scene.expand(40, -1, -1, -1), mirrored.expand(40, -1, -1, -1), many).layers.reflection.mean(
        1, keepdim=True
    )
    where = bright.expand_as(reflection)
    print(f"{name:8}{reflection.mean():11.3f}{reflection[where].mean():13.3f}{reflection[~where].mean():11.3f}")

# %%
# A reflection can be taken out of a pair and laid on another photograph. This pair is made; with real ones, it is how
# few pairs go a long way.
pair = linear(photograph("chelsea"), mirrored, [1], sharp=1.0)
reflection = reflection_of(pair.ambient, pair.layers.transmission)
show(
    {"transplant": [transplant(scene, reflection, [seed]) for seed in seeds], "the pair": [pair] * 3},
    [f"seed {s}" for s in seeds],
)

# %%
# What glass and cameras add, each alone.
effects = ("ghosting", "local", "tint", "noise")
rows = {}
for effect in effects:
    recipe = through(GlassConfig(**{effect: 1.0}), linear)
    rows[effect] = [recipe(scene, mirrored, [seed]) for seed in seeds]
show(rows, [f"seed {s}" for s in seeds])

# %%
# In a training: ``--synthesis.linear 2 --synthesis.screen 1 --synthesis.glass.ghosting 0.2``, see
# :doc:`/removal/synthesis`; a recipe of your own: :doc:`/contributing/recipe`.

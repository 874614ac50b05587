"""The recipes that a configuration asks for."""

from functools import partial
from typing import NamedTuple

from msloss_sirr.synthesis.chance import Change
from msloss_sirr.synthesis.config import SynthesisConfig, TaskName
from msloss_sirr.synthesis.glass import through
from msloss_sirr.synthesis.mixture import mixture
from msloss_sirr.synthesis.recipes import RECIPES, Recipe, linear
from msloss_sirr.synthesis.tasks import TASKS
from msloss_sirr.synthesis.transplant import transplant


class Synthesis(NamedTuple):
    """How photographs taken through glass, or degraded otherwise, are made of others."""

    reflect: Recipe = linear
    """Of two photographs: one reflected in front of the other."""
    transplant: Recipe = transplant
    """Of a photograph and the reflection of a real pair."""
    exposure: float = 0.0
    """Probability that the scene is exposed otherwise; see `SynthesisConfig`."""
    strength: float = 0.0
    """Probability that the reflection of a real pair is made weaker or stronger; see `SynthesisConfig`."""
    degrade: Change | None = None
    """Of a photograph alone, one that is degraded otherwise than by a reflection."""


def build_synthesis(config: SynthesisConfig, task: TaskName = "reflections") -> Synthesis:
    """Return the recipes of a configuration, and what degrades photographs for another task than reflections."""
    sharp = {name: partial(recipe, sharp=config.sharp) for name, recipe in RECIPES.items()}
    reflect = mixture(sharp, config.odds) if any(config.odds.values()) else linear
    return Synthesis(
        through(config.glass, reflect),
        through(config.glass, transplant),
        config.exposure,
        config.strength,
        None if task == "reflections" else TASKS[task].trained,
    )

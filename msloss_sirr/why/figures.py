"""Results as arrays, and what may be said of their differences."""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from msloss_sirr.ablation.figures import NO_DIFFERENCE
from msloss_sirr.ablation.intervals import Interval, interval
from msloss_sirr.training.probes import Look
from msloss_sirr.why.tables import Found

Numbers = NDArray[np.float64]
STRENGTHS = np.linspace(0, 2, 41)
"""How much of a remover's change is made: 0 for none, 1 for all, 2 for twice as much."""


class Difference(NamedTuple):
    """A mean of paired differences, the interval it lies in, and what that says: ``less``, ``more`` or neither."""

    mean: float
    between: Interval | None
    verdict: str


class Course(NamedTuple):
    """A number over the trainings of an arm."""

    share: Numbers
    """How much of the training was done, from 0 to 1, ``(K,)``."""
    values: Numbers
    """Of every seed, ``(S, K)``."""


def difference(own: Numbers, base: Numbers) -> Difference:
    """Return what there is between numbers of the same seeds, or seeds and images: ``(S,)`` or ``(S, I)`` each.

    Where a number is NaN, it and those of its image are left out.
    """
    apart = own - base
    apart = apart[:, None] if apart.ndim == 1 else apart[:, ~np.isnan(apart).any(axis=0)]
    mean = float(apart.mean()) if apart.size else float("nan")
    if len(apart) < 2:
        return Difference(mean, None, "one seed: no interval")
    if not apart.size:
        return Difference(mean, None, "nothing to compare")
    between = interval(apart)
    assert between is not None  # noqa: S101  # there are two seeds
    verdict = NO_DIFFERENCE if not between.excludes_zero else "more" if mean > 0 else "less"
    return Difference(mean, between, verdict)


class Figures:
    """Numbers of results, by arm.

    Args:
        found: the results.
    """

    def __init__(self, found: Found) -> None:
        self.about = found.about
        self._looks: dict[str, dict[int, list[Look]]] = {}
        self.probed_seeds = _common((arm, seed) for arm, seed, _ in found.probes)
        """The seeds that all arms have been looked at with that were looked at; of others, no look counts."""
        for arm, seed, look in found.probes:
            if seed in self.probed_seeds:
                self._looks.setdefault(arm, {}).setdefault(seed, []).append(look)
        self._iterates: dict[tuple[str, str], dict[str, dict[tuple[int, str, int], float | None]]] = {}
        self.seeds = _common((each.arm, each.seed) for each in found.iterates)
        """The seeds that all arms have been applied with; of others, no iterate counts."""
        for arm, seed, set_name, image, iterate in found.iterates:
            if seed not in self.seeds:
                continue
            of_arm = self._iterates.setdefault((arm, set_name), {})
            for name, value in iterate._asdict().items():
                of_arm.setdefault(name, {})[seed, image, iterate.step] = value
        self.probed = [arm for arm in self.about.arms if arm in self._looks]
        """The arms whose trainings were looked at."""
        self.steps = max((each.iterate.step for each in found.iterates), default=0)
        """How many times removers were applied."""

    def course(self, arm: str, number: Callable[[Look], float]) -> Course:
        """Return a number of the looks at the trainings of an arm, as many as all of them have had."""
        looks = [self._looks[arm][seed] for seed in sorted(self._looks[arm])]
        count = min(map(len, looks))
        shares = [[look.update / max(of_seed[-1].update, 1) for look in of_seed[:count]] for of_seed in looks]
        values = [[number(look) for look in of_seed[:count]] for of_seed in looks]
        return Course(np.array(shares).mean(axis=0), np.array(values))

    def later(self, arm: str, number: Callable[[Look], float]) -> Numbers:
        """Return the mean of a number over the second half of a training, of every seed, ``(S,)``."""
        share, values = self.course(arm, number)
        return np.asarray(values[:, share >= 0.5].mean(axis=1), dtype=np.float64)

    def iterates(self, arm: str, set_name: str, name: str) -> Numbers:
        """Return a number of the iterates of common seeds and images, ``(S, I, steps + 1)``, NaN where there is none.

        Args:
            arm: its name.
            set_name: the set.
            name: a field of `Iterate`.
        """
        known: Mapping[tuple[int, str, int], float | None] = self._iterates.get((arm, set_name), {}).get(name, {})
        seeds, images, steps = (sorted({key[place] for key in known}) for place in range(3))
        table = np.full((len(seeds), len(images), len(steps)), np.nan)
        for (seed, image, step), value in known.items():
            if value is not None:
                table[seeds.index(seed), images.index(image), steps.index(step)] = value
        return table

    def strengths(self, arm: str, set_name: str) -> Numbers:
        """Return what is gained by so much of the first application's change, in dB, ``(S, I, K)`` of `STRENGTHS`.

        The estimate is ``I + s (T_1 - I)``, neither clipped nor rounded: of the reflection, ``s * along + 1 - s`` is
        left, and ``s * beside`` is wrong besides. NaN where there was no reflection.
        """
        along, beside = (self.iterates(arm, set_name, name)[:, :, 1, None] for name in ("along", "beside"))
        left = (STRENGTHS * along + 1 - STRENGTHS) ** 2 + (STRENGTHS * beside) ** 2
        return np.asarray(-10 * np.log10(np.maximum(left, 1e-10)), dtype=np.float64)


def _common(measured: Iterable[tuple[str, int]]) -> list[int]:
    """Return the seeds that are there for every arm that is."""
    of_arms: dict[str, set[int]] = {}
    for arm, seed in measured:
        of_arms.setdefault(arm, set()).add(seed)
    return sorted(set.intersection(*of_arms.values())) if of_arms else []


def ratio_of(t: int) -> Callable[[Look], float]:
    """Return what tells the loss of step t, counted from 0, over that of the input itself."""
    return lambda look: look.loss[t] / look.identity[t]


def norm_of(prefix: str, t: int = 0) -> Callable[[Look], float]:
    """Return what tells the norm of the first step's gradient, or the ratio of another's to it.

    Args:
        prefix: empty for gradients through all steps, ``own_`` for those through the step alone.
        t: the step, counted from 0.
    """

    def number(look: Look) -> float:
        norms = getattr(look, f"{prefix}norm")
        return float(norms[t] / norms[0]) if t else float(norms[0])

    return number


def cosine_of(prefix: str, one: int, other: int) -> Callable[[Look], float]:
    """Return what tells the cosine between the gradients of two steps; arguments as of `norm_of`."""
    return lambda look: float(getattr(look, f"{prefix}cosine")[one][other])


def agreement_of(prefix: str, t: int) -> Callable[[Look], float]:
    """Return what tells the agreement of a step's gradient between two halves; arguments as of `norm_of`."""
    return lambda look: float(getattr(look, f"{prefix}agreement")[t])


def quartiles(values: Numbers) -> tuple[float, float, float]:
    """Return the lower quartile, the median and the upper quartile of what is not NaN; NaN if nothing is."""
    there = values[~np.isnan(values)]
    if not there.size:
        return float("nan"), float("nan"), float("nan")
    low, middle, high = np.quantile(there, [0.25, 0.5, 0.75])
    return float(low), float(middle), float(high)


def rates(changes: Numbers) -> Numbers:
    """Return by how much each change is greater than the one before, ``(S, I, steps - 1)`` of ``(S, I, steps)``.

    NaN after a change of 0.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(changes[..., :-1] > 0, changes[..., 1:] / changes[..., :-1], np.nan)

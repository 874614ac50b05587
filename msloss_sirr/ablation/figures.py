"""From the scores of images to the figures of a table."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from msloss_sirr.ablation.intervals import Interval, interval
from msloss_sirr.ablation.results import Results, Score
from msloss_sirr.evaluation.scores import CEILING

NO_DIFFERENCE = "no difference seen"
_Seeds = Mapping[int | None, Mapping[str, float]]
"""The values of images, by seed and name."""


class Figure(NamedTuple):
    """What an arm comes to on a set, after some steps, by one metric."""

    mean: float
    """Over all seeds and images; a PSNR counts with 100 dB at most."""
    spread: float | None
    """The standard deviation over seeds of the mean over images; ``None`` with less than two."""
    seeds: int
    """How many trainings it is of."""
    images: int
    difference: float | None
    """To the baseline after as many steps, in the mean of the same seeds and images; ``None`` for itself, or if there
    is none."""
    between: Interval | None
    """Where that difference lies; ``None`` also with a single seed or image, which tells nothing of others."""
    verdict: str
    """``better`` or ``worse`` if the interval says so, ``no difference seen`` if it contains zero; or why there is
    none."""


def is_better_lower(metric: str) -> bool:
    """Return whether less of a metric is better."""
    return metric.startswith("lpips")


class Comparison:
    """The figures of results.

    Args:
        results: with all scores.
    """

    def __init__(self, results: Results) -> None:
        self.head = results.head
        self.metrics = results.metrics
        self.arms = list(dict.fromkeys(score.arm for score in results.scores))
        self._values: dict[tuple[str, str, int, str], dict[int | None, dict[str, float]]] = {}
        for score in results.scores:
            self._add(score)

    def figure(self, arm: str, set_name: str, steps: int, metric: str, base_steps: int | None = None) -> Figure | None:
        """Return what an arm comes to, ``None`` if nothing was measured, or no image under all of its seeds.

        Args:
            arm: its name.
            set_name: the set.
            steps: how many times it was applied; of what is no remover, whatever is asked for.
            metric: ``psnr``, say.
            base_steps: how many times the baseline was applied; ``None`` for as many times.
        """
        own = self._of(arm, set_name, steps, metric)
        if not own:
            return None
        images = sorted(set.intersection(*(set(by_image) for by_image in own.values())))
        if not images:
            return None
        means = [float(np.mean([by_image[image] for image in images])) for by_image in own.values()]
        spread = float(np.std(means, ddof=1)) if len(means) > 1 else None
        trained = sum(seed is not None for seed in own)
        base = self._of(self.head.baseline, set_name, base_steps or steps, metric)
        difference, between, verdict = _judged(own, base, metric) if arm != self.head.baseline else (None, None, "")
        return Figure(float(np.mean(means)), spread, trained, len(images), difference, between, verdict)

    def _add(self, score: Score) -> None:
        for metric, value in score.values.items():
            by_seed = self._values.setdefault((score.arm, score.set_name, score.steps, metric), {})
            counted = min(value, CEILING) if metric == "psnr" else value
            by_seed.setdefault(score.seed, {})[score.image] = counted

    def _of(self, arm: str, set_name: str, steps: int, metric: str) -> _Seeds:
        found = self._values.get((arm, set_name, steps, metric))
        return found or self._values.get((arm, set_name, 0, metric), {})


def _judged(own: _Seeds, base: _Seeds, metric: str) -> tuple[float | None, Interval | None, str]:
    """Return the mean difference to the baseline, where it lies, and what that says."""
    if not base:
        return None, None, "the baseline has not been measured"
    differences = _differences(own, base)
    if differences is None:
        return None, None, "no seed and image in common with the baseline"
    mean = float(differences.mean())
    trained = any(seed is not None for seeds in (own, base) for seed in seeds)
    seeds, images = differences.shape
    if images == 1:
        return mean, None, "one image: no interval"
    if trained and seeds == 1:
        return mean, None, "one seed: no interval"
    between = interval(differences)
    assert between is not None  # noqa: S101  # there is more than one number
    if not between.excludes_zero:
        return mean, between, NO_DIFFERENCE
    return mean, between, "better" if (between.mean > 0) != is_better_lower(metric) else "worse"


def _differences(own: _Seeds, base: _Seeds) -> NDArray[np.float64] | None:
    """Return the differences of the same seed and image, ``(S, I)``; what has no seeds is paired with every seed."""
    pairs = [(a, b) for a, b in _paired(own, base)]
    if not pairs:
        return None
    images = sorted(set.intersection(*(set(a) & set(b) for a, b in pairs)))
    if not images:
        return None
    return np.array([[a[image] - b[image] for image in images] for a, b in pairs])


def _paired(own: _Seeds, base: _Seeds) -> Iterable[tuple[Mapping[str, float], Mapping[str, float]]]:
    for seed in own if None in base else base:
        mine = own[None] if None in own else own.get(seed)
        theirs = base[None] if None in base else base.get(seed)
        if mine is not None and theirs is not None:
            yield mine, theirs

"""What an evaluation has found: numbers of every image, and their means."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Literal, NamedTuple

from msloss_sirr.evaluation.config import ProtocolName

WORSE = 0.5
"""An image has been made worse if its PSNR has fallen by more than so many dB."""


class Numbers(NamedTuple):
    """The scores of a picture, or their means; ``None`` where they could not be measured."""

    psnr: float
    """In dB; infinite if the picture is the truth."""
    ssim: float
    lpips_alex: float | None = None
    lpips_vgg: float | None = None

    @classmethod
    def mean(cls, many: Sequence["Numbers"]) -> "Numbers":
        """Return the means of one or more; a PSNR that is infinite makes the mean infinite."""
        psnr, ssim, *perceptual = zip(*many, strict=True)
        return cls(_mean(psnr), _mean(ssim), *(None if None in column else _mean(column) for column in perceptual))


class ImageScores(NamedTuple):
    """The scores of one image by one protocol after some steps."""

    set_name: str
    image: str
    steps: int | None
    """How many times the remover was applied; ``None`` for a saved output."""
    protocol: ProtocolName
    before: Numbers
    """Of the ambient image as it is."""
    after: Numbers
    """Of the estimated transmission."""

    @property
    def gain(self) -> float:
        """How much the PSNR has risen, in dB; 0 if it was and is infinite."""
        return gain(self.before.psnr, self.after.psnr)


class Summary(NamedTuple):
    """Means by one protocol after some steps: of a set, of all images, or of the sets."""

    kind: Literal["set", "all images", "mean of sets"]
    set_name: str
    """Empty unless it is of a set."""
    images: int
    steps: int | None
    protocol: ProtocolName
    before: Numbers
    after: Numbers
    gain: float
    """The mean gain in PSNR, in dB; NaN if some images gained and others lost infinitely much."""
    median_gain: float
    """Over images; of a mean of sets, over the sets' medians."""
    worse: int
    """Images made worse by more than 0.5 dB."""


@dataclass(frozen=True)
class EvaluationReport:
    """What an evaluation has found."""

    images: Sequence[ImageScores]
    """By set, image, steps and protocol."""
    wanting: Mapping[str, str] = field(default_factory=dict)
    """Scores that could not be measured, such as ``lpips_vgg``, and why."""
    left_out: Sequence[str] = ()
    """Images that were left out, and why."""
    unused: Sequence[str] = ()
    """Saved outputs that belong to no image."""

    @property
    def sets(self) -> list[str]:
        """The names of the sets, in their order."""
        return list(dict.fromkeys(scores.set_name for scores in self.images))

    @property
    def protocols(self) -> list[ProtocolName]:
        """The names of the protocols, in their order."""
        return list(dict.fromkeys(scores.protocol for scores in self.images))

    @property
    def steps(self) -> list[int | None]:
        """The numbers of steps, in their order."""
        return list(dict.fromkeys(scores.steps for scores in self.images))

    def summaries(self) -> list[Summary]:
        """Return the means of each set; of several, those over all images and over the sets besides."""
        return [
            each for steps in self.steps for protocol in self.protocols for each in self._summaries(steps, protocol)
        ]

    def _summaries(self, steps: int | None, protocol: ProtocolName) -> Iterator[Summary]:
        found = [scores for scores in self.images if (scores.steps, scores.protocol) == (steps, protocol)]
        of_sets = [_summary("set", name, [scores for scores in found if scores.set_name == name]) for name in self.sets]
        yield from of_sets
        if len(of_sets) > 1:
            yield _summary("all images", "", found)
            yield Summary(
                "mean of sets",
                "",
                len(found),
                steps,
                protocol,
                Numbers.mean([each.before for each in of_sets]),
                Numbers.mean([each.after for each in of_sets]),
                _mean([each.gain for each in of_sets]),
                median(each.median_gain for each in of_sets),
                sum(each.worse for each in of_sets),
            )


def gain(before: float, after: float) -> float:
    """Return how much greater ``after`` is; 0 if both are infinite."""
    return 0.0 if before == after else after - before


def _summary(kind: Literal["set", "all images"], name: str, found: Sequence[ImageScores]) -> Summary:
    gains = [scores.gain for scores in found]
    return Summary(
        kind,
        name,
        len(found),
        found[0].steps,
        found[0].protocol,
        Numbers.mean([scores.before for scores in found]),
        Numbers.mean([scores.after for scores in found]),
        _mean(gains),
        median(gains),
        sum(each < -WORSE for each in gains),
    )


def _mean(numbers: Iterable[float]) -> float:
    """Return a mean that bears infinities, of either sign, and NaN if there are both."""
    numbers = list(numbers)
    infinite = {number for number in numbers if math.isinf(number)}
    if infinite:
        return infinite.pop() if len(infinite) == 1 else math.nan
    return math.fsum(numbers) / len(numbers)

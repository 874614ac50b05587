"""Where estimated layers come from: a remover, or files."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from msloss import refine
from msloss_sirr.depth.source import DepthSource, guidance, stored_depth
from msloss_sirr.errors import InputError
from msloss_sirr.evaluation.protocols import resized
from msloss_sirr.evaluation.sets import Entry
from msloss_sirr.images.reading import read_depth, read_pixels, to_float
from msloss_sirr.layers import Layers


class Estimate(NamedTuple):
    """The estimated layers of one photograph, ``(3, H, W)`` each, not clipped."""

    steps: int | None
    """How many times the remover was applied; ``None`` for what was saved."""
    layers: Layers


class Estimator(Protocol):
    """Anything that estimates the layers of the photograph of a pair."""

    def __call__(self, entry: Entry, ambient: Tensor, /) -> Iterator[Estimate]:
        """Yield estimates.

        Args:
            entry: the pair.
            ambient: its photograph, ``(3, H, W)`` uint8, perhaps in another size than its file.
        """


class Removing:
    """Estimates by a remover, after each of some numbers of steps, in one go.

    Args:
        remover: from an ambient image ``(1, 3, H, W)``, and its prepared depth if it is guided by one, to `Layers`.
        steps: how many times the remover is applied; every number asked for.
        source: where the depth comes from that the remover is guided by.
        device: where the remover is.
    """

    def __init__(
        self,
        remover: Callable[..., Layers],
        steps: Sequence[int],
        source: DepthSource | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        self.remover = remover
        self.steps = steps
        self.source = source
        self.device = device

    def __call__(self, entry: Entry, ambient: Tensor, /) -> Iterator[Estimate]:
        """Yield an estimate for each number of steps.

        Raises:
            InputError: if the depth cannot be used, or an estimate holds NaN or infinity.
            ValueError: if the remover refuses what it left of the photograph.
        """
        image = to_float(ambient.to(self.device))[None]
        guide = guidance(self.remover, self.source, image, self._stored(entry, image))
        watching = _Watching(self.remover, self.steps)
        refine(watching, image, *guide, steps=max(self.steps), feedback="transmission")
        for steps in self.steps:
            seen = watching.seen[steps]
            transmission = seen.transmission[0]
            if not transmission.isfinite().all():
                raise InputError(f"{entry.paths.ambient}: the estimate of step {steps} holds NaN or infinity")
            yield Estimate(steps, Layers(transmission, seen.reflection[0] if steps == 1 else image[0] - transmission))

    def _stored(self, entry: Entry, image: Tensor) -> Tensor | None:
        """Return the depth image of a pair, in the size in which its photograph is."""
        if self.source is not stored_depth or entry.paths.depth is None:
            return None
        depth = read_depth(entry.paths.depth)[None].to(image.device)
        same = depth.shape[2:] == image.shape[2:]
        return depth if same else F.interpolate(depth, image.shape[2:], mode="bilinear", antialias=True)


def saved(entry: Entry, ambient: Tensor, /) -> Iterator[Estimate]:
    """Yield what was saved for a pair, in the size of the photograph; an `Estimator`."""
    if entry.output is None:
        raise InputError(f"{entry.paths.ambient} has no saved output")
    transmission = to_float(resized(read_pixels(entry.output), *ambient.shape[1:]))
    yield Estimate(None, Layers(transmission, to_float(ambient) - transmission))


class _Watching(nn.Module):
    """A remover whose outputs after some steps are kept."""

    def __init__(self, remover: Callable[..., Layers], steps: Sequence[int]) -> None:
        super().__init__()
        self.remover = remover
        self.steps = frozenset(steps)
        self.seen: dict[int, Layers] = {}
        self.done = 0

    def forward(self, image: Tensor, *depth: Tensor) -> Layers:
        self.done += 1
        layers = self.remover(image, *depth)
        if self.done in self.steps:
            self.seen[self.done] = layers
        return layers

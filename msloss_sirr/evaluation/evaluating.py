"""Sets of pairs scored by several protocols, after several steps, image by image."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from msloss_sirr.depth.source import DepthSource, stored_depth
from msloss_sirr.errors import InputError
from msloss_sirr.evaluation.config import DEFAULT_PROTOCOLS, LpipsConfig, PerceptualName, ProtocolName
from msloss_sirr.evaluation.estimates import Estimator, Removing, saved
from msloss_sirr.evaluation.lpips import SMALLEST_SIDE, Lpips, distances, load_perceptual
from msloss_sirr.evaluation.protocols import PROTOCOLS, Protocol, resized
from msloss_sirr.evaluation.results import EvaluationReport, ImageScores, Numbers
from msloss_sirr.evaluation.sets import Entry, find_outputs, leave_out, listed, open_entries
from msloss_sirr.images.reading import read_pixels, read_size, to_float
from msloss_sirr.layers import Layers


class Pictures(NamedTuple):
    """What was scored, ``(3, H, W)`` each in [0, 1], the layers not clipped, and its scores by each protocol."""

    entry: Entry
    steps: int | None
    ambient: Tensor
    layers: Layers
    truth: Tensor
    own_size: bool
    """Whether they are in the size of the files, or in another that some protocol measures at."""
    scores: Mapping[ProtocolName, ImageScores]


def evaluate_sets(
    sets: Sequence[str | Path],
    remover: Callable[..., Layers] | None = None,
    *,
    outputs: str | Path | None = None,
    protocols: Sequence[ProtocolName] = DEFAULT_PROTOCOLS,
    steps: Sequence[int] = (1,),
    lpips: LpipsConfig | None = None,
    source: DepthSource | None = None,
    device: torch.device | str = "cpu",
    missing: int = 0,
    targets: Sequence[Path] = (),
    viewers: Sequence[Callable[[Pictures], None]] = (),
    done: Callable[[int], None] | None = None,
) -> EvaluationReport:
    """Score a remover, or what was saved, on sets of pairs; one image is in memory at a time.

    The headers of all files are read before anything is scored.

    Args:
        sets: folders of pairs, or sets of the catalogue, ``SET/SUBSET/SPLIT=FOLDER``.
        remover: from an ambient image ``(1, 3, H, W)``, and its prepared depth if it is guided by one, to `Layers`.
        outputs: in its place, transmissions that were saved; see `find_outputs`.
        protocols: by which to score.
        steps: how many times the remover is applied to its own output; each number is scored.
        lpips: through which networks to measure LPIPS; none by default.
        source: where the depth comes from that the remover is guided by.
        device: where the remover is.
        missing: images that may be left out, because their output is missing or a file of theirs cannot be read.
        targets: files that are to be written with what is found; none may be an image that is read.
        viewers: given the pictures of each image, number of steps, and size at which protocols measure.
        done: called after each image, with the number of all.

    Raises:
        InputError: if a set, its outputs or weights cannot be used, an image is too small for a protocol, a target
            is an image that is read, or more have to be left out than may be.
        ValueError: if there is neither a remover nor outputs, or both, or an argument is out of range.
    """
    if (remover is None) == (outputs is None):
        raise ValueError("give a remover, or outputs, and not both")
    if not protocols or not steps or min(steps) < 1:
        raise ValueError(f"protocols are {protocols}, steps {steps}; give one or more, and steps of 1 or more")
    chosen = {name: PROTOCOLS[name] for name in protocols}
    opened = open_entries(sets, depth=source is stored_depth, missing=missing)
    entries, left_out = opened.entries, list(opened.left_out)
    _check_spared(entries, targets)
    _check_sizes(entries, chosen, least=0)
    unused: Sequence[str] = ()
    estimator: Estimator = saved
    if remover is not None:
        estimator = Removing(remover, steps, source, device)
    else:
        outs = find_outputs(str(outputs), opened, chosen.values(), missing=missing)
        entries, left_out, unused = outs.entries, list(outs.left_out), outs.unused
        _check_spared(entries, targets)
    perceptual = load_perceptual(lpips or LpipsConfig(()), device)
    if perceptual.networks:
        _check_sizes(entries, chosen, least=SMALLEST_SIDE)
    scoring = _Scoring(estimator, chosen, perceptual.networks)
    order = {case: place for place, case in enumerate(product(steps if remover is not None else [None], protocols))}
    images: list[ImageScores] = []
    for entry in entries:
        pictures = _attempt(entry, scoring, left_out, missing)
        for each in pictures:
            for view in viewers:
                view(each)
        found = [scores for each in pictures for scores in each.scores.values()]
        images += sorted(found, key=lambda scores: order[scores.steps, scores.protocol])
        if done is not None:
            done(len(entries))
    if not images:
        raise InputError(f"no image is left: {listed(left_out)}")
    wanting = {f"lpips_{name}": reason for name, reason in perceptual.wanting.items()}
    return EvaluationReport(images, wanting, left_out, unused)


class _Scoring(NamedTuple):
    """How a pair is scored."""

    estimator: Estimator
    protocols: Mapping[ProtocolName, Protocol]
    networks: Mapping[PerceptualName, Lpips]

    def __call__(self, entry: Entry) -> Iterator[Pictures]:
        """Yield the pictures of a pair, for each size at which it is measured and each number of steps."""
        ambient, truth = read_pixels(entry.paths.ambient), read_pixels(entry.paths.transmission)
        for multiple in dict.fromkeys(protocol.multiple for protocol in self.protocols.values()):
            here = {name: protocol for name, protocol in self.protocols.items() if protocol.multiple == multiple}
            size = next(iter(here.values())).size(*ambient.shape[1:])
            shown = resized(ambient, *size)
            image, goal = to_float(shown), to_float(resized(truth, *size))
            before = {name: self._numbers(protocol, image, goal) for name, protocol in here.items()}
            for steps, layers in self.estimator(entry, shown):
                scores = {}
                for name, protocol in here.items():
                    after = self._numbers(protocol, layers.transmission, goal)
                    scores[name] = ImageScores(entry.set_name, entry.name, steps, name, before[name], after)
                yield Pictures(entry, steps, image, layers, goal, multiple == 1, scores)

    def _numbers(self, protocol: Protocol, estimate: Tensor, truth: Tensor) -> Numbers:
        seen = protocol.view(estimate), protocol.view(truth)
        return Numbers(*protocol.measure(*seen), *distances(self.networks, *seen))


def _attempt(entry: Entry, score: _Scoring, left_out: list[str], missing: int) -> list[Pictures]:
    """Return all pictures of a pair; if it cannot be scored, none, and the reason is added to those left out."""
    try:
        return list(score(entry))
    except (InputError, ValueError, RuntimeError) as error:
        leave_out(_problem(entry, error), left_out, missing)
        return []


def _check_spared(entries: Sequence[Entry], targets: Sequence[Path]) -> None:
    """Raise ``InputError`` if an image that is read would be replaced."""
    there = [target for target in targets if target.exists()]
    for target, entry in product(there, entries):
        if any(path is not None and target.samefile(path) for path in (*entry.paths, entry.output)):
            raise InputError(f"{target} is an image that is evaluated; name another file")


def _check_sizes(entries: Sequence[Entry], protocols: Mapping[ProtocolName, Protocol], *, least: int) -> None:
    """Raise ``InputError`` if an image is too small for a protocol, or has less than ``least`` pixels by it."""
    sides = {name: max(each.smallest, least + 2 * each.border) for name, each in protocols.items()}
    name, side = max(sides.items(), key=lambda item: item[1])
    what = f"LPIPS by protocol {name}" if least else f"protocol {name}"
    for entry in entries:
        height, width = read_size(entry.paths.ambient)
        if min(height, width) < side:
            raise InputError(f"{entry.paths.ambient} is {width}x{height}, but {what} needs {side} pixels a side")


def _problem(entry: Entry, error: Exception) -> str:
    """Return in one sentence why a pair could not be scored; raise what is no fault of the pair."""
    message = str(error)
    if isinstance(error, RuntimeError) and not isinstance(error, InputError):
        if not isinstance(error, torch.OutOfMemoryError) and "allocate memory" not in message:
            raise error
        message = "it does not fit in memory; give another --device, or smaller images"
    named = any(path is not None and str(path) in message for path in (*entry.paths, entry.output))
    return message if named else f"{entry.paths.ambient}: {message}"

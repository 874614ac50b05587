"""The pictures of an evaluation: a contact sheet of the best and the worst, and the estimates as files."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

from torch import Tensor

from msloss_sirr.errors import InputError
from msloss_sirr.evaluation.config import ProtocolName
from msloss_sirr.evaluation.evaluating import Pictures
from msloss_sirr.evaluation.results import ImageScores
from msloss_sirr.images.reading import to_bytes
from msloss_sirr.images.sheet import fitted, sheet, titled
from msloss_sirr.images.writing import write_pixels

Viewer: TypeAlias = Callable[[Pictures], None]
"""Anything that is shown the pictures of an evaluation, one after the other."""

_SIDE = 300
"""The longer side of a panel, in pixels."""


class _Row(NamedTuple):
    gain: float
    panels: Sequence[Tensor]
    scores: ImageScores


class Extremes:
    """The images that gained most and least, of which no others are kept.

    Args:
        rows: how many of each.
        protocol: by which the gain is measured.
        steps: after how many steps; ``None`` for saved outputs.
    """

    def __init__(self, rows: int, protocol: ProtocolName, steps: int | None) -> None:
        self.rows = rows
        self.protocol = protocol
        self.steps = steps
        self._kept: list[_Row] = []

    def __call__(self, pictures: Pictures) -> None:
        """Keep the pictures, if they are among the best or the worst so far."""
        scores = pictures.scores.get(self.protocol)
        if scores is None or pictures.steps != self.steps:
            return
        shown = (pictures.ambient, pictures.layers.transmission, pictures.layers.reflection, pictures.truth)
        self._kept.append(_Row(scores.gain, [fitted(image, _SIDE) for image in shown], scores))
        self._kept.sort(key=lambda row: -row.gain)
        if len(self._kept) > 2 * self.rows:
            del self._kept[self.rows]

    def draw(self) -> Tensor:
        """Return the sheet, ``(3, H, W)`` uint8: a row for each image, the one that gained most first.

        A row shows the ambient image, the estimated transmission, the estimated reflection, and the true transmission,
        under their PSNR, and by which protocol and after how many steps it was measured.
        """
        return sheet([_titled(row) for row in self._kept], margin=6)


class Saver:
    """Writes estimated transmissions, as PNG files that can be scored again.

    Args:
        folder: where to.
        steps: the numbers of steps; of several, each has a folder of its own.
        own_size: whether there are estimates in the size of the photographs, which are then the ones to write.
    """

    def __init__(self, folder: Path, steps: Sequence[int], *, own_size: bool) -> None:
        self.folder = folder
        self.several = len(steps) > 1
        self.own_size = own_size

    def __call__(self, pictures: Pictures) -> None:
        """Write an estimate.

        Raises:
            InputError: if it would replace an image of the set.
        """
        if pictures.own_size != self.own_size:
            return
        entry = pictures.entry
        folder = self.folder / f"steps-{pictures.steps}" if self.several else self.folder
        path = folder / entry.set_name / f"{entry.name}.png"
        if path.exists() and any(source is not None and path.samefile(source) for source in entry.paths):
            raise InputError(f"{path} is an image of the set itself; give another --save")
        path.parent.mkdir(parents=True, exist_ok=True)
        write_pixels(path, to_bytes(pictures.layers.transmission))


def _titled(row: _Row) -> list[Tensor]:
    scores = row.scores
    titles = (
        (f"{scores.image}: ambient", f"{scores.before.psnr:.2f} dB"),
        ("transmission", f"{scores.after.psnr:.2f} dB ({scores.gain:+.2f})"),
        ("reflection", f"{scores.protocol}, {'saved' if scores.steps is None else f'step {scores.steps}'}"),
        ("truth", scores.set_name),
    )
    return [titled(panel, *lines) for panel, lines in zip(row.panels, titles, strict=True)]

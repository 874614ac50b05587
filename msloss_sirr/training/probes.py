"""Looks at a training from beside it: the same few images again and again, without a trace in what is trained."""

import copy
import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from msloss import MultiStepLoss
from msloss_sirr.errors import InputError
from msloss_sirr.files import whole_file
from msloss_sirr.losses.config import LossConfig
from msloss_sirr.losses.criterion import term_weights

FILE = "probes.jsonl"
"""Where looks are kept, in the folder of a run."""
STEPS = 3
"""Steps that are looked at, however many a training has: the paper's M."""
IMAGES = 8
"""Images that are looked at; a first and a second half, of as many each."""
SEED = 2**32
"""Of the draws they are: that of no training, so that all trainings on the same data are looked at with the same."""
Given = tuple[Any, ...]
"""What a loss is called with: input, target, and conditioning if any."""
_T = TypeVar("_T")


class Look(NamedTuple):
    """What was seen; of lists, an entry for each step t = 1, 2, 3.

    The loss of a step is equation 4 for that step alone, by its weights of terms and no scale, in float32.
    """

    update: int
    """How many updates the weights had."""
    loss: list[float]
    """L_t."""
    identity: list[float]
    """What L_t would be of a network that returns its input: that of the ambient image itself."""
    change: list[float]
    """The root mean square of ``x_t - x_{t-1}``, of the image where it is greatest."""
    norm: list[float]
    """Of the gradient of L_t with respect to all weights, through all steps up to t."""
    cosine: list[list[float]]
    """Of the angles between these gradients, ``(3, 3)``."""
    agreement: list[float]
    """The cosine between this gradient of one half of the images and of the other: 1 if both ask for the same."""
    own_norm: list[float]
    """As ``norm``, of the gradient through step t alone, whose input is held fast (``truncate=1``)."""
    own_cosine: list[list[float]]
    own_agreement: list[float]


class Probe:
    """Looks at a network with a few images.

    It works on a copy, and asks for no random number that the training would have got otherwise: a training that is
    looked at ends with the same weights, bit for bit, as one that is not.

    Args:
        loss: that of the training; its model, criterion and feedback are taken.
        config: of that loss; its scale and the weights of its steps are left out.
        networks: what the remover has.
        halves: the images, two lists of batches of one size.
    """

    def __init__(
        self, loss: MultiStepLoss, config: LossConfig, networks: Any, halves: Sequence[Sequence[Given]]
    ) -> None:
        self._loss = loss
        self._halves = halves
        plain = dataclasses.replace(config, scale=1.0, over_steps="sum")
        self._weights = term_weights(plain, networks=networks)

    def look(self, update: int) -> Look:
        """Return what is seen now.

        Args:
            update: how many updates the weights have had.
        """
        device = self._halves[0][0][0].device
        with torch.random.fork_rng([device] if device.type == "cuda" else []), _plainly(device):
            model = copy.deepcopy(self._loss.model)
            if isinstance(model, nn.Module):
                model.zero_grad(set_to_none=True)
            steps = [self._step(model, t) for t in range(1, STEPS + 1)]
            through = [self._gradients(loss) for loss in steps]
            own = [through[0]] + [self._gradients(self._step(model, t, truncate=1)) for t in range(2, STEPS + 1)]
            losses, identities, changes = zip(*(self._seen(loss) for loss in steps), strict=True)
        return Look(update, list(losses), list(identities), list(changes), *_told(through), *_told(own))

    def _step(self, model: Any, t: int, truncate: int | None = None) -> MultiStepLoss:
        """Return the loss of step t alone."""
        weights = {name: _only_last(weight, t) for name, weight in self._weights.items()}
        feedback, criterion = self._loss.feedback, self._loss.criterion
        return MultiStepLoss(
            model, criterion, t, weights=weights, feedback=feedback, truncate=truncate, eager=False
        ).train(self._loss.training)

    def _seen(self, loss: MultiStepLoss) -> tuple[float, float, float]:
        """Return what the last step of a loss comes to, of the input itself, and what it changes."""
        found = [loss.diagnose(*given) for half in self._halves for given in half]
        numbers = [(each.losses.total, each.identity, each.residual[-1]) for each in found]
        totals, identities, changes = (torch.stack(column) for column in zip(*numbers, strict=True))
        return float(totals.mean()), float(identities.mean()), float(changes.max())

    def _gradients(self, loss: MultiStepLoss) -> Tensor:
        """Return the gradients of a loss of both halves, ``(2, weights)``."""
        weights = [weight for weight in loss.parameters() if weight.requires_grad]
        return torch.stack([_mean([_flat(loss(*given), weights) for given in half]) for half in self._halves])


class Looks:
    """Looks at a training every so many updates, kept in the folder of its run, ``probes.jsonl``, a line each.

    Args:
        probe: takes them.
        every: updates between two of them.
        folder: of the run.
    """

    def __init__(self, probe: Probe, every: int, folder: Path) -> None:
        self._probe = probe
        self._every = every
        self._path = folder / FILE
        self._last: int | None = None

    def at(self, update: int, *, ended: bool = False) -> None:
        """Look if it is time to, and has not been done at this update.

        It takes the place of any look that is not earlier: of a training that was taken up again before it.

        Args:
            update: how many there were.
            ended: whether there will be no more, so that it is time in any case.
        """
        if update == self._last or not (ended or update % self._every == 0):
            return
        self._last = update
        look = self._probe.look(update)
        earlier = [each for each in read_looks(self._path) if each.update < update]
        with whole_file(self._path) as partial:
            partial.write_text("".join(f"{json.dumps(each._asdict())}\n" for each in (*earlier, look)))


def read_looks(path: Path) -> list[Look]:
    """Return the looks that a file holds; none if there is no file.

    Raises:
        InputError: if it holds something else.
    """
    if not path.exists():
        return []
    try:
        return [Look(**json.loads(line)) for line in path.read_text().splitlines()]
    except (TypeError, ValueError) as error:
        raise InputError(f"{path} holds no looks at a training, or is damaged: {error}") from error


def in_halves(many: Sequence[_T], batch: int) -> list[list[Sequence[_T]]]:
    """Return two halves of an even number of things, each in batches of one size, not more than asked for.

    >>> in_halves("abcdefgh", 3)
    [['ab', 'cd'], ['ef', 'gh']]
    """
    middle = len(many) // 2
    size = next(size for size in range(min(batch, middle), 0, -1) if middle % size == 0)
    return [[many[first : first + size] for first in range(begin, begin + middle, size)] for begin in (0, middle)]


def angles(gradients: Tensor) -> Tensor:
    """Return the cosines of the angles between gradients ``(M, weights)``, ``(M, M)``; 0 with one that is zero.

    >>> angles(torch.tensor([[1.0, 0.0], [3.0, 0.0], [0.0, 2.0]]))[0]
    tensor([1., 1., 0.])
    """
    units = nn.functional.normalize(gradients.double(), dim=1)
    return (units @ units.T).clamp(-1, 1).float()


def _told(gradients: Sequence[Tensor]) -> tuple[list[float], list[list[float]], list[float]]:
    """Return the norms of gradients, the cosines between them, and between the halves of each."""
    whole = torch.stack([each.mean(dim=0) for each in gradients])
    halves = [float(angles(each)[0, 1]) for each in gradients]
    return whole.double().norm(dim=1).tolist(), angles(whole).tolist(), halves


def _flat(value: Tensor, weights: Sequence[Tensor]) -> Tensor:
    found = torch.autograd.grad(value, weights, allow_unused=True)
    filled = [torch.zeros_like(w) if g is None else g for w, g in zip(weights, found, strict=True)]
    return torch.cat([each.flatten() for each in filled])


def _mean(many: Sequence[Tensor]) -> Tensor:
    return torch.stack(list(many)).mean(dim=0)


def _only_last(weight: float | Callable[[int], Sequence[float]], t: int) -> tuple[float, ...]:
    """Return the weights of a term over t steps of which the last alone counts."""
    each = [weight] * t if isinstance(weight, (int, float)) else list(weight(t))
    return (*([0.0] * (t - 1)), float(each[-1]))


def _plainly(device: torch.device) -> torch.autocast:
    return torch.autocast(device.type, enabled=False)

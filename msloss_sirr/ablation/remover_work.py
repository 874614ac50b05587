"""Removers as the work of an ablation: trained as ever, scored on sets of pairs."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeAlias

from msloss_sirr.ablation.running import Scored
from msloss_sirr.data.sources import list_pairs
from msloss_sirr.devices import find_device
from msloss_sirr.evaluation.config import LpipsConfig, ProtocolName
from msloss_sirr.evaluation.evaluating import evaluate_sets
from msloss_sirr.evaluation.lpips import load_perceptual
from msloss_sirr.evaluation.results import Numbers
from msloss_sirr.models.remover import load_remover
from msloss_sirr.photo.loading import load_on
from msloss_sirr.trainer.provenance import fingerprint, read_contents
from msloss_sirr.training.config import TrainConfig
from msloss_sirr.training.removers import train

Parts: TypeAlias = Callable[[TrainConfig], Mapping[str, Any]]


class RemoverWork:
    """Trains removers by ``train``, and scores them by `evaluate_sets`; a `Work`.

    Args:
        sets: what to evaluate on.
        steps: how many times a remover is applied.
        judged: which of its weights.
        protocol: how images are scored.
        lpips: through which networks.
        parts: from the configuration of a training to what ``train`` is handed beside it, a ``synthesis`` of another
            task say.
    """

    def __init__(
        self,
        sets: Sequence[str],
        steps: Sequence[int],
        judged: Literal["last", "best"] = "last",
        protocol: ProtocolName = "whole",
        lpips: LpipsConfig | None = None,
        parts: Parts | None = None,
    ) -> None:
        self.sets, self.steps, self.judged, self.protocol = list(sets), list(steps), judged, protocol
        self.lpips = lpips or LpipsConfig(())
        self._parts = parts

    @cached_property
    def scored_by(self) -> Mapping[str, Any]:
        """What scores depend on; so do those on what files hold, and on the weights for LPIPS that are to be had."""
        files = [path for text in self.sets for pair in list_pairs(text) for path in pair if path is not None]
        own = {name: getattr(self, name) for name in ("sets", "steps", "judged", "protocol")}
        networks = list(load_perceptual(self.lpips).networks)
        return {**own, "files": fingerprint(read_contents(files)).sha256, "lpips": networks}

    def train(self, config: TrainConfig) -> None:
        """Train a remover."""
        train(config, **(self._parts(config) if self._parts else {}))

    def parameters(self, config: TrainConfig) -> int:
        """Return how many weights its networks have."""
        return sum(weight.numel() for weight in load_remover(self._weights(config)).parameters())

    def score(self, config: TrainConfig) -> Scored:
        """Score it on all sets, and the photographs as they are."""
        device = find_device(config.device)
        remover, source = load_on(device, self._weights(config), config.depth, flip=False)
        report = evaluate_sets(
            self.sets,
            remover,
            protocols=(self.protocol,),
            steps=self.steps,
            lpips=self.lpips,
            source=source,
            device=device,
        )
        images: list[tuple[str, str, int, Mapping[str, float]]] = []
        for each in report.images:
            if each.steps == self.steps[0]:
                images.append((each.set_name, each.image, 0, _measured(each.before)))
            images.append((each.set_name, each.image, each.steps or 0, _measured(each.after)))
        return Scored(images, {name: _wanted(name, why) for name, why in report.wanting.items()})

    def _weights(self, config: TrainConfig) -> Path:
        return config.out / f"{self.judged}.safetensors"


def _wanted(name: str, why: str) -> str:
    """Return what a metric waits for, in words without paths.

    >>> _wanted("lpips_alex", "the package lpips is not installed; pip install 'msloss[sirr]'")
    'the package lpips'
    """
    package, missing, _ = why.partition(" is not installed")
    return package if missing else f"the weights of its network (--{name.replace('_', '.')} FILE)"


def _measured(numbers: Numbers) -> dict[str, float]:
    return {metric: value for metric, value in numbers._asdict().items() if value is not None}

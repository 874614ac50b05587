"""The folder of a run: configuration, checkpoints, metrics, and the state that a resume continues from."""

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch

from msloss_sirr.errors import InputError
from msloss_sirr.files import whole_file
from msloss_sirr.holding import held

STATE = frozenset({"epoch", "remover", "optimizer", "schedule", "best", "random", "damaged"})
"""What the state of a remover's training holds."""
_MAY_DIFFER = frozenset({"out", "resume", "workers", "device", "data.damaged"})


class Epoch(NamedTuple):
    """What an epoch came to."""

    epoch: int
    steps: int
    loss: float
    per_step: list[float]
    lr: float
    seconds: float
    images_per_second: float
    input_psnr: float
    input_ssim: float
    psnr: float
    ssim: float


class Configuration(Protocol):
    """A dataclass that says how a run is made, and whether it is to be resumed."""

    @property
    def resume(self) -> bool:
        """Whether to continue the run in the folder."""


class Numbered(Protocol):
    """What an epoch came to, a NamedTuple with its number."""

    @property
    def epoch(self) -> int:
        """The number of the epoch, from 0."""

    def _asdict(self) -> dict[str, Any]: ...


class RunFolder:
    """The files of one run, each written whole or not at all.

    - ``config.json``: the configuration,
    - ``best.safetensors``, ``last.safetensors``: networks,
    - ``metrics.jsonl``: what an epoch came to, a line each,
    - ``state.pt``: everything a resume needs.

    Args:
        path: the folder.
        state: what the state must hold.
        others: other files and folders that a run leaves, by name.
    """

    def __init__(self, path: Path, state: frozenset[str] = STATE, others: Sequence[str] = ()) -> None:
        self.path = path
        self.best = path / "best.safetensors"
        self.last = path / "last.safetensors"
        self._holds = state
        self._others = [path / name for name in others]
        self._state = path / "state.pt"
        self._metrics = path / "metrics.jsonl"
        self._config = path / "config.json"

    def check(self, config: Configuration) -> None:
        """Raise ``InputError`` unless the run can begin here, or is the one to resume."""
        if not config.resume:
            files = (self._config, self._state, self._metrics, self.best, self.last, *self._others)
            if any(file.exists() for file in files):
                raise InputError(f"{self.path} holds a run already; continue it with --resume, or give another --out")
            return
        if not self._config.exists():
            raise InputError(f"{self.path} holds no run to resume; leave out --resume to begin one")
        then, now = _flat(self._config_then()), _flat(_told(config))
        differ = sorted(name for name in now if now[name] != then.get(name) and name not in _MAY_DIFFER)
        if differ:
            changes = ", ".join(f"{name}: {then.get(name)} then, {now[name]} now" for name in differ)
            raise InputError(f"the run in {self.path} has another configuration ({changes}); resume it with its own")

    def _config_then(self) -> dict[str, Any]:
        try:
            told = json.loads(self._config.read_text())
        except ValueError as error:
            raise InputError(f"{self._config} is damaged; begin a new run with another --out") from error
        if not isinstance(told, dict):
            raise InputError(f"{self._config} is damaged; begin a new run with another --out")
        return told

    @contextmanager
    def held(self, config: Configuration) -> Iterator[None]:
        """Hold the folder, so that no other run writes to it until the block ends.

        Raises:
            InputError: if another run holds it, or has begun or changed what is in it since `check`.
        """
        with held(self.path):
            self.check(config)
            yield

    def begin(self, config: Configuration) -> None:
        """Make the folder, and write the configuration."""
        self.path.mkdir(parents=True, exist_ok=True)
        _write(self._config, json.dumps(_told(config), indent=2) + "\n")

    def load(self) -> dict[str, Any] | None:
        """Return the state after the last epoch that ended, or ``None`` before the first has."""
        if not self._state.exists():
            return None
        try:
            state: dict[str, Any] = torch.load(self._state, map_location="cpu", weights_only=True)
        except Exception as error:  # torch.load raises anything at all for a damaged file
            raise InputError(f"{self._state} is damaged; begin a new run with another --out") from error
        if not isinstance(state, dict) or not state.keys() >= self._holds:
            raise InputError(f"{self._state} is no state of a training; begin a new run with another --out")
        return state

    def record(self, epoch: Numbered, state: Mapping[str, Any]) -> None:
        """Add an epoch to the metrics, in place of any later than it, and save the state after it."""
        lines = self._metrics.read_text().splitlines() if self._metrics.exists() else []
        earlier = lines[: epoch.epoch]
        _write(self._metrics, "\n".join([*earlier, json.dumps(epoch._asdict())]) + "\n")
        with whole_file(self._state) as partial:
            torch.save(dict(state), partial)


def _told(config: Any) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(config), default=str))
    return told


def _flat(told: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Return the fields of a configuration by their dotted names."""
    flat: dict[str, Any] = {}
    for name, value in told.items():
        flat.update(_flat(value, f"{above}{name}.") if isinstance(value, dict) else {above + name: value})
    return flat


def _write(path: Path, text: str) -> None:
    with whole_file(path) as partial:
        partial.write_text(text)

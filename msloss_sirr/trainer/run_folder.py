"""The folder of a run: configuration, provenance, checkpoints, metrics, and the state that a resume continues from."""

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from msloss_sirr.errors import InputError
from msloss_sirr.files import whole_file
from msloss_sirr.trainer.config import OF_A_START, RunConfig
from msloss_sirr.trainer.provenance import Source, changed
from msloss_sirr.trainer.state import StateFiles, saved

_MAY_DIFFER = frozenset(
    {"out", "workers", "device", "save_every", "tensorboard", "data.damaged", "data.cache"}
    | {"data.cache_gib", "preset", "probe_every"}
)


class Numbered(Protocol):
    """What an epoch came to, a NamedTuple with its number."""

    @property
    def epoch(self) -> int:
        """The number of the epoch, from 0."""

    def _asdict(self) -> dict[str, Any]: ...


class RunFolder:
    """The files of one run, each written whole or not at all.

    - ``config.json``: the configuration,
    - ``provenance.json``: for every time it was begun or resumed, versions, code, machine and data,
    - ``best.safetensors``, ``last.safetensors``: networks,
    - ``samples``: pictures of every epoch,
    - ``metrics.jsonl``: what an epoch came to, a line each,
    - ``probes.jsonl``: looks at the training, a line each, if any are taken,
    - ``state.pt``, ``state.previous.pt``: everything a resume needs, and the same from before.

    Args:
        path: the folder.
        state: what the state must hold.
        say: told in a line what is not as it should be, and borne.
    """

    def __init__(self, path: Path, state: frozenset[str], say: Callable[[str], None]) -> None:
        self.path = path
        self.best = path / "best.safetensors"
        self.last = path / "last.safetensors"
        self.samples = path / "samples"
        self.events = path / "tensorboard"
        self._states = StateFiles(path, state)
        self._metrics = path / "metrics.jsonl"
        self._config = path / "config.json"
        self._provenance = path / "provenance.json"
        self._say = say
        self._said: set[str] = set()

    def check(self, config: RunConfig) -> None:
        """Raise ``InputError`` unless the run can begin here, or is the one to resume.

        One that ended before it had saved anything is in nobody's way; to resume it is to begin it. One whose state is
        gone, but not what it came to, can neither be resumed nor begun.
        """
        results = any(file.exists() for file in (self._metrics, self.best, self.last, self.samples))
        if not config.resume and saved(self.path):
            raise InputError(f"{self.path} holds a run already; continue it with --resume, or give another --out")
        if config.resume and not self._config.exists():
            raise InputError(f"{self.path} holds no run to resume; leave out --resume to begin one")
        if not saved(self.path):
            if results:  # to begin anew would replace them
                raise InputError(f"{self.path} holds a run already, but no state to resume it from; give another --out")
            if self._config.exists() and "epoch_images" not in _read(self._config, dict):
                raise InputError(f"{self._config} is of no training, and would be replaced; give another --out")
            return
        self._accept(differences(self.path, config), "another configuration", config)

    def begin(self, config: RunConfig, surroundings: Mapping[str, Any], sources: Mapping[str, Source]) -> None:
        """Begin the run, or resume it: make the folder, write the configuration, add to the provenance.

        Raises:
            InputError: if data that a run is resumed with have changed, or the number of processes, and the
                configuration does not allow it.
        """
        resumed = config.resume and saved(self.path)
        history = _read(self._provenance, list) if resumed and self._provenance.exists() else []
        if history:
            self._accept(changed(history[-1].get("data", {}), sources), "other data", config)
            then, now = history[-1].get("processes"), surroundings["processes"]
            if then != now:
                self._accept([f"{then} then, {now} now"], "another number of processes", config)
        self.path.mkdir(parents=True, exist_ok=True)
        for unfinished in self.path.rglob(".*.partial"):  # of a process that was killed as it wrote
            unfinished.unlink(missing_ok=True)
        _write(self._config, json.dumps(_told(config), indent=2) + "\n")
        entry = {**surroundings, "data": {name: source._asdict() for name, source in sources.items()}}
        _write(self._provenance, json.dumps([*history, entry], indent=2) + "\n")

    def load(self) -> dict[str, Any] | None:
        """Return the state that a resume continues from, or ``None`` if none was saved before the interruption.

        Raises:
            InputError: if all that was saved is damaged.
        """
        return self._states.load(self._say)

    def save(self, state: Mapping[str, Any]) -> None:
        """Save a state."""
        self._states.save(state)

    def record(self, epoch: Numbered) -> None:
        """Add an epoch to the metrics, in place of any later than it."""
        lines = self._metrics.read_bytes().splitlines() if self._metrics.exists() else []
        text = b"\n".join([*lines[: epoch.epoch], json.dumps(epoch._asdict()).encode()]) + b"\n"
        with whole_file(self._metrics) as partial:
            partial.write_bytes(text)

    def _accept(self, differences: Sequence[str], what: str, config: RunConfig) -> None:
        if not differences:
            return
        line = f"the run in {self.path} has {what} ({', '.join(differences)})"
        if not config.allow_changes:
            raise InputError(f"{line}; resume it with its own, or with --allow-changes")
        if line not in self._said:
            self._said.add(line)
            self._say(line)


def differences(path: Path, config: RunConfig) -> list[str]:
    """Return a line for each option that says of the training in a folder what a configuration does not.

    Raises:
        InputError: if the configuration of that run cannot be read.
    """
    then, now = {**_usual(config), **_flat(_read(path / "config.json", dict))}, flat_options(config)
    differ = sorted(name for name in now if now[name] != then.get(name) and name not in _MAY_DIFFER)
    return [f"{name}: {then.get(name)} then, {now[name]} now" for name in differ]


def flat_options(config: RunConfig) -> dict[str, Any]:
    """Return the options that say what a training is, by their dotted names, as JSON has them."""
    return _flat(_told(config))


def _read(path: Path, kind: type) -> Any:
    try:
        told = json.loads(path.read_bytes())
    except ValueError as error:
        raise InputError(f"{path} is damaged; begin a new run with another --out") from error
    if not isinstance(told, kind):
        raise InputError(f"{path} is damaged; begin a new run with another --out")
    return told


def _usual(config: RunConfig) -> dict[str, Any]:
    """Return the defaults of a configuration, which is what a run was that was begun before there was a field."""
    missing = dataclasses.MISSING
    needed = {each.name for each in dataclasses.fields(config) if each.default is each.default_factory is missing}
    usual = _told(type(config)(**{name: getattr(config, name) for name in needed}))
    return _flat({name: value for name, value in usual.items() if name not in needed})


def _told(config: Any) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(config), default=str))
    return {name: value for name, value in told.items() if name not in OF_A_START}


def _flat(told: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Return the fields of a configuration by their dotted names."""
    flat: dict[str, Any] = {}
    for name, value in told.items():
        flat.update(_flat(value, f"{above}{name}.") if isinstance(value, dict) else {above + name: value})
    return flat


def _write(path: Path, text: str) -> None:
    with whole_file(path) as partial:
        partial.write_text(text)

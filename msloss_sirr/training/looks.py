"""When a training is looked at, and where what was seen is kept."""

import json
from pathlib import Path

from msloss_sirr.errors import InputError
from msloss_sirr.files import whole_file
from msloss_sirr.training.probing import Look, Probe

FILE = "probes.jsonl"


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

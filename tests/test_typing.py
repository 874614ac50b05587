"""What a type checker says of code that users write: nothing of good code, and of bad code what is marked."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CODE = Path(__file__).parent / "typing"
MARK = re.compile(r"# error: (?P<code>[\w-]+)$")
TOLD = re.compile(r"(?P<file>[^:]+):(?P<line>\d+): error: .* \[(?P<code>[\w-]+)\]")


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[tuple[int, str]]]:
    """The errors of every file, by line and code, as one who has the package installed sees them."""
    elsewhere = tmp_path_factory.mktemp("typing")  # where neither the sources nor their settings are found
    names = [shutil.copy(file, elsewhere / file.name).name for file in files()]
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--hide-error-context", "--no-pretty"]
    done = subprocess.run([*command, *names], cwd=elsewhere, capture_output=True, text=True)
    assert not done.stderr, done.stderr
    errors = [TOLD.fullmatch(line) for line in done.stdout.splitlines() if ": error: " in line]
    assert all(errors), done.stdout
    found: dict[str, set[tuple[int, str]]] = {}
    for error in errors:
        assert error is not None
        found.setdefault(error["file"], set()).add((int(error["line"]), error["code"]))
    return found


def files() -> list[Path]:
    return sorted(CODE.glob("*.py"))


@pytest.mark.parametrize("file", files(), ids=lambda file: file.stem)
def test_errors_are_those_that_are_marked(file: Path, told: dict[str, set[tuple[int, str]]]) -> None:
    lines = enumerate(file.read_text(encoding="utf-8").splitlines(), start=1)
    marked = {(number, mark["code"]) for number, line in lines if (mark := MARK.search(line))}
    assert bool(marked) == file.stem.startswith("bad")
    assert told.get(file.name, set()) == marked

"""Install the wheel with each of its extras, alone, and run what the extra is for; ``make extras``.

Every extra has a fresh virtual environment, into which ``WHEEL[EXTRA]`` is installed and nothing else: no pip, no
setuptools. In it, the commands that the extra promises must succeed; where it is missing, the same commands must end
with one line that names it.

torch and what it requires, 5 GB, are installed once, into a folder of their own that a ``.pth`` file lends to every
environment. That hides nothing: the wheel without an extra requires torch alone, which the first environment shows, so
that torch comes with every extra, and the folder holds what ``pip install torch`` brings and no more. All else comes
from the extra; where that asks for another version of something lent, its own goes before.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tarfile
import time
import venv
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import distributions
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

from promises import BARE, HEIC, PICTURES, PLOT_COMPARISON, PROMISES, RESULTS, Command

PATIENCE = 1800
"""Seconds that a command may take."""


class Room:
    """A virtual environment with the wheel and some of its extras, and a folder to work in.

    Args:
        folder: where it is made, anew.
        wheel: what is installed.
        lent: folder of torch.
        extras: of the wheel, with commas between them.
    """

    def __init__(self, folder: Path, wheel: Path, lent: Path, extras: str = "") -> None:
        shutil.rmtree(folder, ignore_errors=True)
        self.folder = folder
        self.wheel = wheel
        self.extras = extras
        self.work = folder / "work"
        self.work.mkdir(parents=True)
        venv.create(folder / "venv", with_pip=False, symlinks=True)
        self.bin = folder / "venv" / "bin"
        (self._site,) = (folder / "venv").glob("lib/python*/site-packages")
        (self._site / "lent.pth").write_text(f"{lent}\n", encoding="utf-8")
        pip(f"--python={self.bin / 'python'}", "install", f"{wheel}[{extras}]" if extras else str(wheel))
        pip(f"--python={self.bin / 'python'}", "check")

    @property
    def own(self) -> set[str]:
        """Names of what has been installed beside what is lent."""
        return {found.name for found in distributions(path=[str(self._site)])}

    def run(self, command: Command) -> subprocess.CompletedProcess[str]:
        """Run a command."""
        words = [str(self.bin / "msloss-sirr"), *command.words]
        if command.program:
            words = [str(self.bin / "python"), "-c", command.program]
        return (self._served if command.served else self.finished)(words)

    def finished(self, words: Sequence[str], folder: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run something to its end."""
        return subprocess.run(
            words, cwd=folder or self.work, env=self._surroundings, capture_output=True, text=True, timeout=PATIENCE
        )

    def _served(self, words: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Run something until it has said where it is, look there, and interrupt it."""
        page = ""
        with subprocess.Popen(
            words, cwd=self.work, env=self._surroundings, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            if address := re.search(r"http://\S+", process.stdout.readline()):
                try:
                    with build_opener(ProxyHandler({})).open(address[0], timeout=PATIENCE) as answer:
                        page = answer.read().decode()
                finally:
                    process.terminate()
            out, err = process.communicate(timeout=PATIENCE)
        return subprocess.CompletedProcess(words, 0 if "gradio" in page else process.returncode or 1, out, err)

    @property
    def _surroundings(self) -> dict[str, str]:
        """The environment of a command: nothing of Python's from outside, and no cache of weights."""
        outside = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "VIRTUAL_ENV"))}
        cache = str(self.work / "cache")
        return {**outside, "TORCH_HOME": cache, "HF_HOME": cache, "HF_HUB_OFFLINE": "1"}


def pip(*words: str) -> None:
    """Run the pip of this Python; there is none in the environments."""
    subprocess.run([sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *words], check=True)


def must_succeed(room: Room, *commands: Command) -> None:
    """Run what must be possible."""
    for command in commands:
        done = room.run(command)
        wanting = command.makes and not (room.work / command.makes).exists()
        if done.returncode != 0 or wanting:
            sys.exit(f"with [{room.extras}], could not {command.does}:\n{done.stdout}\n{done.stderr}")
        print(f"  {command.does}", flush=True)


def must_name(room: Room, command: Command, extra: str) -> None:
    """Run something without the extra that it needs; it must be refused in one line that names the extra."""
    done = room.run(command)
    lines = done.stderr.strip().splitlines() or [""]
    told = done.returncode != 0 and f'pip install "msloss[{extra}]"' in lines[-1].replace("'", '"')
    if not told or (command.words and len(lines) != 1):  # of a program, the last line of the traceback counts
        sys.exit(f"with [{room.extras}], {command.does} must name [{extra}]:\n{done.stdout}\n{done.stderr}")
    print(f"  cannot {command.does}: {lines[-1]}", flush=True)
    if command.makes.endswith(".onnx"):
        (room.work / command.makes).touch()  # for the next to read


def check_bare(room: Room) -> None:
    """There is msloss alone, and every command names the extra that it needs."""
    if room.own != {"msloss"}:
        sys.exit(f"the wheel brings more than torch: {sorted(room.own)}")
    must_succeed(room, BARE)
    for extra, commands in PROMISES.items():
        for command in commands:
            must_name(room, command, "sirr" if command.words else extra)


def check_sirr(room: Room) -> None:
    """The application runs, and what needs another extra names that."""
    must_succeed(room, PICTURES, *PROMISES["sirr"])
    (room.work / "a.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")  # how such files begin
    for extra in [name for name in PROMISES if name != "sirr"]:
        for command in PROMISES[extra]:
            must_name(room, command, extra)
    must_succeed(room, RESULTS)
    told = room.run(PLOT_COMPARISON).stdout
    if 'pip install "msloss[plot]"' not in told or len(told.splitlines()) != 1:
        sys.exit(f"with [sirr], a comparison must name [plot] in one line:\n{told}")
    print(f"  cannot {PLOT_COMPARISON.does}: {told.strip()}", flush=True)


def check_extra(room: Room) -> None:
    """What the extra is for is possible."""
    must_succeed(room, PICTURES, *([HEIC] if room.extras == "heif" else ()), *PROMISES[room.extras])


def check_plot(room: Room) -> None:
    """The loss has its plot without the application."""
    must_succeed(room, *PROMISES["plot"])


def check_all(room: Room) -> None:
    """All that the extras are for is possible with all of them together."""
    must_succeed(room, PICTURES, HEIC, *(command for each in PROMISES.values() for command in each))
    must_succeed(room, RESULTS, PLOT_COMPARISON)


def check_docs(room: Room) -> None:
    """The documentation of the source archive is built, of the packages in the wheel."""
    source = unpacked(room)
    drop_packages(source)
    words = [str(room.bin / "python"), "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html"]
    must_end_well(room, "build the documentation", [*words, str(source / "docs"), str(room.work / "html")])


def check_dev(room: Room) -> None:
    """The tests of the source archive are found, and some of them pass, of the packages in the wheel."""
    source = unpacked(room)
    must_end_well(room, "check style", [str(room.bin / "ruff"), "check", "."], source)
    drop_packages(source)
    test = [str(room.bin / "python"), "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    must_end_well(room, "find the tests", [*test, "--collect-only", "tests"], source)
    few = ("tests/msloss/test_import.py", "tests/msloss/test_ranges.py", "tests/test_typing.py")
    must_end_well(room, "run some of them", [*test, *few], source)
    must_end_well(room, "check types", [str(room.bin / "mypy")], source)


def must_end_well(room: Room, does: str, words: Sequence[str], folder: Path | None = None) -> None:
    """Run something that is no command of the package."""
    done = room.finished(words, folder)
    if done.returncode != 0:
        sys.exit(f"with [{room.extras}], could not {does}:\n{done.stdout}\n{done.stderr}")
    print(f"  {does}", flush=True)


def unpacked(room: Room) -> Path:
    """Return the source that the wheel was built from."""
    archive = room.wheel.with_name(f"{'-'.join(room.wheel.name.split('-')[:2])}.tar.gz")
    with tarfile.open(archive) as source:
        source.extractall(room.folder, filter="data")
    return room.folder / archive.name.removesuffix(".tar.gz")


def drop_packages(source: Path) -> None:
    """Leave the packages of the wheel alone to be imported."""
    for package in ("msloss", "msloss_sirr"):
        shutil.rmtree(source / package)


CHECKS: Mapping[str, Callable[[Room], None]] = {
    "": check_bare,
    "sirr": check_sirr,
    "app": check_extra,
    "heif": check_extra,
    "export": check_extra,
    "tensorboard": check_extra,
    "plot": check_plot,
    "docs": check_docs,
    "dev": check_dev,
    "all": check_all,
}
"""What is looked at with each extra, and with none."""


def main() -> None:
    """Look at every extra, or at those that are named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("wheel", type=Path, help="the wheel; the source archive lies beside it")
    parser.add_argument("extras", nargs="*", default=list(CHECKS), help="'' is none; default: every one")
    parser.add_argument("--rooms", type=Path, default=Path("build/extras"), help="where the environments are made")
    parser.add_argument("--keep", action="store_true", help="leave them there")
    given = parser.parse_args()
    wheel, rooms = given.wheel.resolve(), given.rooms.resolve()
    lent = rooms / "torch"
    if not (lent / "torch").exists():
        pip("install", f"--target={lent}", "torch>=2.6")
    for extra in given.extras:
        start = time.monotonic()
        print(f"[{extra}]", flush=True)
        room = Room(rooms / (extra or "none"), wheel, lent, extra)
        installed = time.monotonic()
        print(f"  {len(room.own)} packages installed in {installed - start:.0f} s", flush=True)
        CHECKS[extra](room)
        print(f"  checked in {time.monotonic() - installed:.0f} s", flush=True)
        if not given.keep:
            shutil.rmtree(room.folder)


if __name__ == "__main__":
    main()

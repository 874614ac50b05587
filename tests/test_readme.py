"""What the README shows runs: its blocks, line by line, and the commands in its sentences."""

import re
import runpy
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from itertools import takewhile
from pathlib import Path
from typing import Any, NamedTuple
from urllib.request import urlopen

import pytest
import torch
import torch.nn.functional as F
from accelerate.state import AcceleratorState
from PIL import Image
from torch import Tensor, nn
from torchvision.transforms.functional import to_pil_image

import msloss_sirr
from msloss import StepLosses
from msloss_sirr.cli import main
from msloss_sirr.peers.measuring import Taken, Task, perform

from .msloss_sirr.app.served import served
from .msloss_sirr.conftest import save, smooth

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(.*)\n((?s:.*?))^```$", TEXT, re.MULTILINE)
PROSE = re.sub(r"^```.*\n(?s:.*?)^```$", "", TEXT, flags=re.MULTILINE)
INLINE = re.findall(r"`([^`]+)`", PROSE)
PROGRAMS = ("accelerate", "make", "msloss-sirr", "pip", "python")

PYTHON = [block for language, block in BLOCKS if language == "python"]
LINES = [line for language, block in BLOCKS if language == "console" for line in block.splitlines()]
COMMANDS = [line.removeprefix("$ ") for line in LINES]
SPOKEN = [code for code in INLINE if code.split()[0] in PROGRAMS]
"""Commands in sentences."""

TINY = "--crop 32 --epochs 1 --epoch-images 4 --device cpu"
OPTIONS = {
    "remove": "--device cpu",
    "app": "",  # those that served gives
    "train": f"{TINY} --batch 2 --model.channels 4 6",
    "train --weights shipped": f"{TINY} --batch 2",
    "eval": "--lpips.backbones --device cpu",
    "peers": "--lpips.backbones --device cpu",
    "data check": "",
    "refgan train": f"{TINY} --network.width 2 --network.levels 3",
    "refgan generate": "--count 2 --crop 32 --least 0 --device cpu",
    "ablate 5": "--preset small --photos PHOTOS --pairs PAIRS --val OTHER_PAIRS --out runs/table-5 --seeds 0 --batch 2"
    " --crop 32 --iterations 1 --epoch-images 4 --model.channels 4 --lpips.backbones --device cpu",
}
"""What makes a command small, by the words that it begins with."""
DATA = "--photos PHOTOS --pairs PAIRS --val OTHER_PAIRS"
"""What stands for the dots of a command that has any, but for --out."""


class Layers(NamedTuple):
    transmission: Tensor
    reflection: Tensor


class Guided(nn.Module):
    """A network of two layers' outputs that is guided by depth."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 3, 3, padding=1)

    def forward(self, image: Tensor, depth: Tensor) -> Layers:
        reflection = self.conv(torch.cat((image, depth), dim=1))
        return Layers(image - reflection, reflection)


def plain() -> dict[str, Any]:
    degraded, target = torch.rand(2, 1, 3, 8, 8)
    return {"model": nn.Conv2d(3, 3, 3, padding=1), "criterion": F.mse_loss, "degraded": degraded, "target": target}


def has_the_gradients_of_the_loop_by_hand(names: dict[str, Any]) -> None:
    model, image, total = names["model"], names["degraded"], torch.zeros(())
    for _ in range(3):
        image = model(image)
        total = total + F.mse_loss(image, names["target"])
    assert torch.allclose(model.weight.grad, torch.autograd.grad(total, model.weight)[0])


def guided() -> dict[str, Any]:
    x, y = torch.rand(2, 1, 3, 8, 8)
    model, depth = Guided(), torch.rand(1, 1, 8, 8)

    def criterion(layers: Layers, target: Tensor) -> Tensor:
        return F.mse_loss(layers.transmission, target)

    return {"model": model, "criterion": criterion, "x": x, "y": y, "depth": depth, "validation_loss": 1.0}


def has_parts(names: dict[str, Any]) -> None:
    parts = names["parts"]
    assert isinstance(parts, StepLosses)
    told = re.search(r"details=True\)  # (.+)", "".join(PYTHON))
    assert told
    assert set(told[1].split(", ")) == set(parts._fields)
    assert len(parts.outputs) == 2  # as the schedule begins
    assert names["model"].conv.weight.grad.any()


def photograph() -> dict[str, Any]:
    return {"image": to_pil_image(smooth(3))}


def returns_such_an_image(names: dict[str, Any]) -> None:
    assert isinstance(names["_"], Image.Image)
    assert names["_"].size == names["image"].size


PRELUDES: dict[str, tuple[Callable[[], dict[str, Any]], Callable[[dict[str, Any]], None]]] = {
    "loss(degraded, target).backward()": (plain, has_the_gradients_of_the_loop_by_hand),
    "loss(x, y, depth).backward()": (guided, has_parts),
    "Remover.from_pretrained()(image).transmission": (photograph, returns_such_an_image),
}
"""By what stands in one Python block alone: what it takes for given, and what must hold after it."""


def test_every_block_is_known() -> None:
    assert {language for language, _ in BLOCKS} == {"python", "console"}
    assert all(line.startswith("$ ") for line in LINES)
    assert [[key in block for key in PRELUDES].count(True) for block in PYTHON] == [1] * len(PRELUDES)
    assert {command.split()[0] for command in COMMANDS} <= set(PROGRAMS)


@pytest.mark.parametrize("key", PRELUDES)
def test_python_blocks_run(key: str) -> None:
    prelude, holds = PRELUDES[key]
    (block,) = (block for block in PYTHON if key in block)
    torch.manual_seed(0)
    names = prelude()
    *_, last = block.strip().splitlines()
    if last.startswith("Remover"):  # an expression
        block = block.replace(last, f"_ = {last}")
    exec(compile(block, "README.md", "exec"), names)
    holds(names)


def add_pairs(folder: Path, number: int, ambient: str, transmission: str, seed: int = 0) -> None:
    for i in range(number):
        scene, mirrored = smooth(seed + i), smooth(seed + 500 + i)
        save(folder / transmission / f"{i}.png", scene * 0.8)
        save(folder / ambient / f"{i}.png", scene * 0.8 + mirrored * 0.2)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that commands are given in, with all that they name."""
    for i in range(3):
        save(tmp_path / "PHOTOS" / f"{i}.png", smooth(i))
        save(tmp_path / "photos" / "more" / f"{i}.jpg", smooth(i))
    save(tmp_path / "photo.jpg", smooth(3))
    save(tmp_path / "window.png", torch.ones(3, 40, 56))
    add_pairs(tmp_path / "PAIRS", 2, "ambient", "transmission", 100)
    add_pairs(tmp_path / "OTHER_PAIRS", 2, "ambient", "transmission", 200)
    shutil.copytree(tmp_path / "OTHER_PAIRS" / "transmission", tmp_path / "RESULTS")
    add_pairs(tmp_path / "NATURE" / "train" / "nature", 2, "blended", "transmission_layer", 300)
    add_pairs(tmp_path / "SIR2" / "SIR2" / "WildSceneDataset", 55, "blended", "transmission_layer", 400)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(msloss_sirr.__file__).parents[1]))
    return tmp_path


@pytest.fixture
def in_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """The methods of ``peers`` run in this process, which is quicker."""

    def run(task: Task, folder: Path) -> Taken:
        return Taken(**perform(task), peak_mib=100.0)

    monkeypatch.setattr("msloss_sirr.peers.comparing.run", run)


def small(words: list[str]) -> list[str]:
    """Return a command of ``msloss-sirr`` with what makes it small."""
    begin = max((each for each in OPTIONS if words[: len(each.split())] == each.split()), key=len, default=None)
    assert begin is not None, "no options are known that make it small"
    return [*words, *OPTIONS[begin].split()]


def perform_command(command: str, place: Path) -> None:
    """Do what a command does, on small data."""
    program, *words = shlex.split(command, comments=True)
    if program == "msloss-sirr" and words[0] == "app":
        (place / "of the page").mkdir()
        with served(place / "of the page", *words[1:]) as page:
            assert urlopen(page.address).status == 200
    elif program == "msloss-sirr":
        if words[0] == "remove":  # which replaces nothing that is there
            shutil.rmtree("out", ignore_errors=True)
        main(small(words))
    elif program == "accelerate":
        assert words[-1] == "..."
        words[words.index("--num_processes") + 1] = "2"
        several = [*small(["train", *DATA.split()])[1:], "--out", "runs/several"]
        launch = [sys.executable, "-m", "accelerate.commands.accelerate_cli", words[0], "--cpu", *words[1:-1], *several]
        done = subprocess.run(launch, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert (place / "runs" / "several" / "best.safetensors").exists()
    else:
        assert (program, words) == ("python", ["examples/sirr_train.py"])
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("sys.argv", [*words, *small(["train", *DATA.split()])[1:], "--out", "runs/script"])
            runpy.run_path(str(ROOT / words[0]), run_name="__main__")


def to_run() -> list[str]:
    """Return the commands that are run: those of blocks, then those of sentences that are the beginning of none."""
    spoken = [code for code in SPOKEN if not any(command.startswith(f"{code} ") for command in COMMANDS)]
    return [command for command in [*COMMANDS, *spoken] if command.split()[0] not in ("make", "pip")]


@pytest.mark.usefixtures("in_here")
def test_commands_run_one_after_the_other(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in to_run():
        try:
            perform_command(command, place)
        except (Exception, SystemExit) as error:
            pytest.fail(f"{command}\n{type(error).__name__}: {error}\n{capsys.readouterr().err}", pytrace=False)
        finally:  # as each has a process of its own
            AcceleratorState._reset_state(reset_partial_state=True)
    left = {str(path.relative_to(place)) for path in place.rglob("*")}
    assert {"out/photo.jpg", "best-and-worst.jpg", "runs/peers/peers.md", "REFGAN/manifest.jsonl"} <= left
    assert {f"runs/{run}/best.safetensors" for run in ("first", "own", "second", "script")} <= left


def test_installations_name_extras_that_there_are() -> None:
    table = (ROOT / "pyproject.toml").read_text().partition("[project.optional-dependencies]\n")[2].splitlines()
    extras = {line.partition(" = ")[0] for line in takewhile(lambda line: not line.startswith("["), table)}
    given = re.findall(r'\bpip (\w+) ("[^"\n]*"|\S+)', TEXT)
    assert len(given) == TEXT.count("pip ")
    for word, what in given:
        asked = re.fullmatch(r'\.|"\.\[(\w+)\]"', what)
        assert (word, bool(asked)) == ("install", True), what
        assert asked is not None
        assert asked[1] is None or asked[1] in extras, what


def test_targets_are_there() -> None:
    targets = re.findall(r"^([a-z]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE)
    given = [shlex.split(command, comments=True) for command in [*COMMANDS, *SPOKEN] if command.startswith("make ")]
    assert ["make", "demo"] in given
    assert all(make == "make" and target in targets for make, target in given)


def test_options_in_sentences_are_there(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("train", "remove"):
        with pytest.raises(SystemExit):
            main([command, "--help"])
    told = set(re.findall(r"--[\w.-]+", capsys.readouterr().out))
    assert {code.split()[0] for code in INLINE if code.startswith("--")} <= told


def test_files_that_are_linked_are_there() -> None:
    links = [link for link in re.findall(r"\]\(([^)]+)\)", PROSE) if "://" not in link]
    assert len(links) > 20
    assert not [link for link in links if not (ROOT / link.partition("#")[0]).exists()]


def test_ratios_are_those_of_the_page() -> None:
    page = (ROOT / "docs" / "guide" / "memory.md").read_text(encoding="utf-8").partition("## Measured")[2]
    rows = {
        cells[0].strip(): [cell.strip() for cell in cells[1:]]
        for cells in (line.strip("| ").split("|") for line in page.splitlines() if line.startswith("| "))
    }
    default, kept, cut = (rows[name] for name in ("default", "checkpoint=True", "truncate=1"))

    def line(title: str, by_hand: str, column: int) -> str:
        of = [f"{float(row[column]):.2f}" for row in (default, kept, cut)]
        return f"\n| {title} | {by_hand} | {of[0]} | {of[1]} | {by_hand} | {of[2]} |\n"

    assert line("time", "1", 0) in TEXT
    assert line("time, if the loop by hand prepares the target once", "1", 1) in TEXT
    assert line("memory", "1", 2) in TEXT
    assert line("memory at six steps over that at two", "not measured", 4) in TEXT
    assert f"by {default[5]} (`truncate=1` {cut[5]}) of a training step" in TEXT


def test_what_others_do_is_what_the_page_says() -> None:
    page = (ROOT / "docs" / "evidence" / "others.md").read_text(encoding="utf-8")
    table = page.partition("<!-- summary: begin -->\n")[2].partition("<!-- summary: end -->")[0]
    assert table.count("\n| ") > 7
    assert table in TEXT
    questions, _, *rows = [
        [cell.strip() for cell in row.strip("| ").split(" | ")] for row in table.strip().splitlines()
    ]
    for row in rows:
        section = page.partition(f"\n## {row[0]}\n")[2].partition("\n## ")[0]
        answers = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| ")][2:]
        assert [answer[0] for answer in answers] == questions
        assert all(len(answer) == 3 and all(answer) for answer in answers)

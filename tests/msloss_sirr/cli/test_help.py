"""What the command line says of itself."""

import re
from importlib.metadata import version
from itertools import pairwise

import pytest

from msloss_sirr.cli import main

COMMANDS = (
    *(
        ["train"],
        ["remove"],
        ["eval"],
        ["peers"],
        ["ablate"],
        ["ablate", "why"],
        ["data", "check"],
        ["data", "prepare"],
    ),
    *(["refgan", "train"], ["refgan", "generate"], ["refgan", "compare"]),
)
WIDTH = 80


def help_of(words: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setenv("COLUMNS", str(WIDTH))
    with pytest.raises(SystemExit) as stopped:
        main([*words, "--help"])
    assert stopped.value.code == 0
    lines = capsys.readouterr().out.replace("│", " ").splitlines()
    return [line if not re.search("[─-]{5}", line) else "" for line in lines]  # without the frame


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_what_is_said_of_an_option_is_broken_where_a_line_is_full(
    words: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = help_of(words, capsys, monkeypatch)
    column = max(line.index("show this help") for line in lines if "show this help" in line)
    broken = 0
    for line, following in pairwise(lines):
        told, more = line[column : WIDTH - 2].rstrip(), following[column : WIDTH - 2].split()
        if line[column - 2 : column] == "  " and told and more and not following[:column].strip():
            broken += 1
            assert len(told) + 1 + len(more[0]) > WIDTH - 2 - column, (line, following)
    assert broken > 1


def test_what_a_training_needs_is_said_first(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for words, first in (
        (["train"], ["photos", "pairs", "val", "out", "preset", "budget"]),
        (["refgan", "train"], ["photos", "pairs", "out", "budget"]),
    ):
        options = re.findall(r"^ +--([a-z-]+)", "\n".join(help_of(words, capsys, monkeypatch)), re.MULTILINE)
        assert options[: len(first)] == first
        assert {"crop", "epochs", "cache-gib"} <= {*options}


def test_the_program_says_what_it_does_and_which_it_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told = help_of([], capsys, monkeypatch)
    assert any("reflections off photographs" in line for line in told)
    assert any("--version" in line for line in told)
    main(["--version"])
    assert capsys.readouterr().out == f"msloss-sirr {version('msloss')}\n"

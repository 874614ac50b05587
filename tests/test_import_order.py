"""The packages import one way: what a room stands on knows nothing of it."""

import ast
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent

FLOORS = (
    ("msloss", "errors", "layers", "markdown"),
    ("devices", "fields", "files", "locks", "parallel"),
    ("images", "plots", "pretrained"),
    ("catalogue", "imagenet", "photo_files", "synthesis"),
    ("data", "depth", "doctor", "losses"),
    ("evaluation", "models", "trainer"),
    ("export", "training"),
    ("photo", "refgan"),
    ("ablation", "app"),
    ("peers", "why"),
    ("cli",),
    ("__main__", "__init__"),
)
"""``msloss``, and what is in ``msloss_sirr``: folders and modules, each above all that it may import."""

LATE = {
    "msloss_sirr.__main__": "what is not installed is told in a line, and not by what it imports",
    "msloss_sirr.app.serving": "whether gradio is installed is asked before all that the page needs is imported",
    "msloss_sirr.cli": "--help answers before PyTorch is imported",
    "msloss_sirr.depth.source": "timm is imported only where depth is estimated",
    "msloss_sirr.models.finding": "huggingface_hub takes a second to import",
    "msloss_sirr.models.remover": "huggingface_hub takes a second to import",
    "msloss_sirr.peers.measuring": "a method's process has the memory taken measured: it imports what that needs",
    "msloss_sirr.training.presets": "options are told before PyTorch is imported, if no checkpoint is named",
}
"""The modules, or folders of modules, that import others of the house within functions, and why they do."""


class Import(NamedTuple):
    """A module that imports another."""

    by: str
    of: str
    late: bool
    """Whether it does so within a function."""


def modules() -> dict[str, Path]:
    """Return the files of both packages by the names of their modules."""
    found = {}
    for path in sorted([*ROOT.glob("msloss/**/*.py"), *ROOT.glob("msloss_sirr/**/*.py")]):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def imports() -> tuple[Import, ...]:
    """Return what the modules of both packages import of each other."""
    known, found = modules(), []
    for name, path in known.items():
        tree = ast.parse(path.read_text())
        functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
        late = {id(inner) for function in functions for inner in ast.walk(function)}
        for node in ast.walk(tree):
            found += [Import(name, each, id(node) in late) for each in named_by(node, known)]
    return tuple(found)


def named_by(node: ast.AST, known: dict[str, Path]) -> list[str]:
    """Return which of the known modules an import names."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names if alias.name in known]
    if not isinstance(node, ast.ImportFrom) or node.module is None:
        return []
    inner = [f"{node.module}.{alias.name}" for alias in node.names]
    return [each if each in known else node.module for each in inner if {each, node.module} & known.keys()]


def room_of(module: str) -> str:
    """Return the folder, or module outside all folders, that a module is of."""
    package, *inner = module.split(".")
    return package if package == "msloss" else inner[0] if inner else "__init__"


def test_every_room_has_a_floor() -> None:
    assert sorted(room for floor in FLOORS for room in floor) == sorted({room_of(module) for module in modules()})


def test_no_room_imports_one_that_is_not_below_it() -> None:
    floor_of = {room: number for number, floor in enumerate(FLOORS) for room in floor}
    between = [(each, room_of(each.by), room_of(each.of)) for each in imports()]
    assert len(between) > 1000
    assert [each for each, above, below in between if above != below and floor_of[above] <= floor_of[below]] == []


def test_no_module_leads_back_to_itself() -> None:
    """Imports within functions count, and those for types alone: no circle is any better for them."""
    onward: dict[str, set[str]] = {module: set() for module in modules()}
    for each in imports():
        onward[each.by].add(each.of)
    while free := {module for module, others in onward.items() if not others}:  # what imports nothing is in no circle
        onward = {module: others - free for module, others in onward.items() if module not in free}
    assert onward == {}


def test_imports_within_functions_have_a_reason() -> None:
    late = {each.by for each in imports() if each.late}
    covered = {module: [name for name in LATE if f"{module}.".startswith(f"{name}.")] for module in late}
    assert {module for module, names in covered.items() if not names} == set()
    assert LATE.keys() == {name for names in covered.values() for name in names}


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("import a.b", ["a.b"]),
        ("import a.b as c, re", ["a.b"]),
        ("from a import b", ["a.b"]),
        ("from a.b import f", ["a.b"]),
        ("from a import f, b", ["a", "a.b"]),
        ("from re import sub", []),
    ],
)
def test_an_import_is_read_as_python_reads_it(line: str, named: list[str]) -> None:
    known = {"a": Path(), "a.b": Path()}
    assert named_by(ast.parse(line).body[0], known) == named

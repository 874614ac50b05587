"""What is installed, and what the files about the project say of it."""

import ast
import re
import runpy
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import metadata, packages_distributions, requires, version
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import msloss
import msloss_sirr

ROOT = Path(__file__).parent.parent
LIBRARY, APPLICATION = (Path(str(package.__file__)).parent for package in (msloss, msloss_sirr))
OURS = {"msloss", "msloss_sirr"}
FOR_USERS = ("app", "export", "heif", "plot", "sirr", "tensorboard")
WITHOUT = """
import sys
sys.modules.update(dict.fromkeys({packages}))  # as if they were not installed
"""


def brought(extra: str = "") -> set[str]:
    """Return the names of what an extra requires, with the extras that it is made of, beyond what all have."""
    wanted = map(Requirement, requires("msloss") or [])
    every = {canonicalize_name(each.name) for each in wanted if each.marker is None}
    if not extra:
        return every
    wanted = map(Requirement, requires("msloss") or [])
    chosen = {canonicalize_name(each.name) for each in wanted if each.marker and each.marker.evaluate({"extra": extra})}
    return chosen - {"msloss"}


def imported(package: Path) -> set[str]:
    """Return the names of the packages that modules import, at their heads or when they need them."""
    return set(_imported(package)) - OURS - set(sys.stdlib_module_names)


def _imported(package: Path) -> Iterator[str]:
    for path in package.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                yield from (name.name.partition(".")[0] for name in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module == "torch.utils.tensorboard":
                yield "tensorboard"  # which is what that is a door to
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                yield node.module.partition(".")[0]
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "needed":
                yield from (str(word.value) for word in node.args if isinstance(word, ast.Constant))


def distributions(modules: set[str]) -> set[str]:
    """Return the names under which modules are installed."""
    known = packages_distributions()
    return {canonicalize_name(known[module][0]) for module in modules}


def run(code: str, *packages: str) -> subprocess.CompletedProcess[str]:
    """Run code as if packages were not installed."""
    words = [sys.executable, "-c", WITHOUT.format(packages=packages) + code]
    return subprocess.run(words, capture_output=True, text=True)


def test_the_library_requires_torch_alone() -> None:
    assert brought() == {"torch"}
    assert distributions(imported(LIBRARY)) == {"torch", *brought("plot")}


def test_extras_bring_what_the_application_imports_and_nothing_else() -> None:
    extras = {extra: brought(extra) for extra in FOR_USERS}
    assert distributions(imported(APPLICATION)) | {"torch"} == set().union({"torch"}, *extras.values())
    for extra in set(FOR_USERS) - {"sirr", "plot"}:
        assert extras[extra] > extras["sirr"]


def test_all_is_all_of_them() -> None:
    extras = set(metadata("msloss").get_all("Provides-Extra") or []) - {"all"}
    assert brought("all") == set().union(*map(brought, extras))
    assert brought("dev") >= set().union(*map(brought, FOR_USERS))


@pytest.mark.parametrize(("package", "when"), [("tyro", "at once"), ("safetensors", "once a remover is read")])
def test_without_its_extra_the_command_names_it(package: str, when: str, tmp_path: Path) -> None:
    words = ["msloss-sirr", "export", "--onnx", str(tmp_path / "remover.onnx")]
    done = run(f"sys.argv = {words}; from msloss_sirr.__main__ import run; run()", package)
    assert done.returncode == 2
    assert done.stderr == f'msloss-sirr: {package} is not installed; pip install "msloss[sirr]"\n'


def test_without_its_extra_a_public_name_names_it() -> None:
    done = run("from msloss_sirr import Layers, Remover", "PIL")
    told = 'msloss_sirr.Remover cannot be imported: PIL is not installed; pip install "msloss[sirr]"'
    assert done.stderr.splitlines()[-1] == f"ImportError: {told}"


def test_a_module_that_the_project_lacks_is_no_missing_extra() -> None:
    done = run("from msloss_sirr.__main__ import run; run()", "msloss_sirr.cli.main")
    assert done.stderr.splitlines()[-1].startswith("ModuleNotFoundError: import of msloss_sirr.cli.main halted")


def test_both_packages_are_typed() -> None:
    for package in (LIBRARY, APPLICATION):
        assert (package / "py.typed").exists()


ADDRESSES = runpy.run_path(str(ROOT / "tests" / "release" / "addresses.py"))


RELEASED = pytest.mark.skipif(
    "[project.urls]" in (ROOT / "pyproject.toml").read_text(encoding="utf-8"),
    reason="these files have been given addresses",
)


@RELEASED
def test_readme_of_a_release_leads_to_the_repository() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    told = ADDRESSES["absolute"](readme, "https://forge/us/it", "v1.2")
    targets = [target for target in re.findall(r"\]\(([^)]+)\)", told) if not target.startswith(("http", "#"))]
    assert targets == []
    assert "](https://forge/us/it/raw/v1.2/docs/images/demo.png)" in told
    files = re.findall(r"https://forge/us/it/(?:raw|blob)/v1\.2/([^)#]+)", told)
    assert len(files) > 20
    assert all((ROOT / file).exists() for file in files)
    assert re.sub(r"https://forge/us/it/(?:raw|blob)/v1\.2/", "", told) == readme


@RELEASED
def test_a_release_has_addresses() -> None:
    tomllib = pytest.importorskip("tomllib", reason="Python 3.10 cannot read it")
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    told = tomllib.loads(ADDRESSES["with_addresses"](project, "https://forge/us/it"))
    assert told["project"].pop("urls")["Source"] == "https://forge/us/it"
    assert told == tomllib.loads(project)


TAGGED = runpy.run_path(str(ROOT / "tests" / "release" / "tag.py"))["problems"]


@pytest.fixture
def released(tmp_path: Path) -> Path:
    """The files that say a version, as they are on the day when it is released."""
    for name in ("pyproject.toml", "CITATION.cff"):
        shutil.copy(ROOT / name, tmp_path)
    entry = f"# Changelog\n\n## {version('msloss')} - 2027-01-31\n\n### Added\n\n- All.\n\n## 0.0.1 - 2026-01-01\n"
    (tmp_path / "CHANGELOG.md").write_text(entry)
    return tmp_path


def test_a_tag_is_the_version_that_every_file_names(released: Path) -> None:
    tag = f"v{version('msloss')}"
    assert TAGGED(tag, released) == []
    assert [line.partition(";")[0] for line in TAGGED("v0", released)] == [
        f"the tag is v0, and pyproject.toml has version {version('msloss')}"
    ]
    changes, cited = released / "CHANGELOG.md", released / "CITATION.cff"
    cited.write_text(re.sub(r"(?m)^version: .+$", "version: 9", cited.read_text()))
    changes.write_text(changes.read_text().replace("- All.", ""))
    assert [line.partition(" ")[0] for line in TAGGED(tag, released)] == ["CITATION.cff", "CHANGELOG.md"]
    changes.write_text(changes.read_text().replace("2027-01-31", "not yet"))
    assert 'has no heading "## ' in TAGGED(tag, released)[-1]


def test_the_changelog_tells_of_this_version() -> None:
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"(?m)^## {re.escape(version('msloss'))} - (unreleased|\d{{4}}-\d\d-\d\d)$", changes)
    assert re.search(rf"(?m)^version: {re.escape(version('msloss'))}$", (ROOT / "CITATION.cff").read_text())


def test_workflows_run_targets_that_there_are() -> None:
    targets = set(re.findall(r"(?m)^([a-z]+):", (ROOT / "Makefile").read_text()))
    workflows = {path.stem: yaml.safe_load(path.read_text()) for path in (ROOT / ".github/workflows").glob("*.yml")}
    steps = [step for flow in workflows.values() for job in flow["jobs"].values() for step in job.get("steps", ())]
    made = " ".join(step["run"] for step in steps if step.get("run", "").startswith("make "))
    assert {word for word in made.split() if word.isalpha()} - {"make"} <= targets
    jobs = workflows["checks"]["jobs"]
    assert set(jobs["tests"]["strategy"]["matrix"]["torch"]) <= targets
    pythons = {line.rpartition(" ")[2] for line in metadata("msloss").get_all("Classifier") or [] if ":: 3." in line}
    assert set(jobs["tests"]["strategy"]["matrix"]["python"]) == pythons
    assert workflows["release"]["jobs"]["checks"]["uses"] == "./.github/workflows/checks.yml"
    assert {"checks", "tag"} <= set(workflows["release"]["jobs"]["publish"]["needs"])


def test_constraints_have_every_requirement_once() -> None:
    lines = (ROOT / ".ci" / "constraints.txt").read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[a-z0-9-]+==[0-9][A-Za-z0-9.!]*", line) for line in pins)
    found = {line.partition("==")[0]: line.partition("==")[2] for line in pins}
    assert len(found) == len(pins)
    for requirement in map(Requirement, requires("msloss") or []):
        assert requirement.specifier.contains(found[canonicalize_name(requirement.name)])

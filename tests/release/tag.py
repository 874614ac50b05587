"""Compare a tag with the version that it names: ``python tests/release/tag.py v0.1.0``."""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def problems(tag: str, root: Path = ROOT) -> list[str]:
    """Return why a tag cannot be released, a line each."""
    version = stated(root / "pyproject.toml", r'^version = "(.+)"$')
    cited = stated(root / "CITATION.cff", r"^version: (.+)$")
    changes = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    entry = re.search(rf"^## {re.escape(version)} - \d{{4}}-\d\d-\d\d\n(.*?)(?=^## |\Z)", changes, re.M | re.S)
    found = []
    if tag != f"v{version}":
        found.append(f"the tag is {tag}, and pyproject.toml has version {version}; tag v{version}")
    if cited != version:
        found.append(f"CITATION.cff has version {cited}, and pyproject.toml {version}; make them equal")
    if entry is None:
        found.append(
            f'CHANGELOG.md has no heading "## {version} - YEAR-MONTH-DAY"; say what is new, and when it is out'
        )
    elif not re.search(r"^- ", entry[1], re.M):
        found.append(f"CHANGELOG.md says nothing of {version}; say what is new")
    return found


def stated(path: Path, line: str) -> str:
    """Return what a line of a file says."""
    (found,) = re.findall(line, path.read_text(encoding="utf-8"), re.M)
    return str(found)


if __name__ == "__main__":
    sys.exit("\n".join(problems(sys.argv[1])))

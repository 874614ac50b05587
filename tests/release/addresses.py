"""Give a working copy that is to be released the address of its repository: ``addresses.py URL REVISION``.

A package index shows the README, and knows nothing of the files beside it: links to these become links to the
repository, at the revision, and so do pictures. The addresses of the project are added to ``pyproject.toml``.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\((?!https?:|#)([^)]+)\)")


def absolute(readme: str, url: str, revision: str) -> str:
    """Return a text in Markdown whose links to files lead to a repository.

    >>> absolute("[How](docs/how.md#here), ![seen](a.png), [there](https://x.org)", "https://forge/us/it", "v1")
    '[How](https://forge/us/it/blob/v1/docs/how.md#here), ![seen](https://forge/us/it/raw/v1/a.png), [there](https://x.org)'
    """

    def there(link: re.Match[str]) -> str:
        picture, text, file = link.groups()
        return f"{picture}[{text}]({url}/{'raw' if picture else 'blob'}/{revision}/{file})"

    return _LINK.sub(there, readme)


def with_addresses(project: str, url: str) -> str:
    """Return the text of ``pyproject.toml`` with the addresses of the project."""
    if "[project.urls]" in project:
        sys.exit("pyproject.toml has addresses already; leave them to what releases")
    links = {"Source": url, "Changelog": f"{url}/blob/main/CHANGELOG.md", "Issues": f"{url}/issues"}
    lines = "".join(f'{name} = "{link}"\n' for name, link in links.items())
    before, scripts, after = project.partition("[project.scripts]\n")
    if not scripts:
        sys.exit("pyproject.toml has no [project.scripts], before which the addresses go")
    return f"{before}[project.urls]\n{lines}\n{scripts}{after}"


if __name__ == "__main__":
    base, at = sys.argv[1].rstrip("/"), sys.argv[2]
    for name, change in (
        ("README.md", lambda text: absolute(text, base, at)),
        ("pyproject.toml", lambda text: with_addresses(text, base)),
    ):
        path = ROOT / name
        path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")

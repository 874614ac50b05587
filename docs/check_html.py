"""Check the documentation as it was built: every internal link, its anchor, every image, and every public name.

python docs/check_html.py docs/_build

Asks nobody: what leads elsewhere is not followed. Ends with status 1 and a line for each mistake if there are any.
"""

import sys
import zlib
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import msloss
import msloss_sirr

NOT_OURS = {"genindex.html", "search.html", "py-modindex.html"}
"""Pages of the theme, whose links are made as they are read."""


class Page(HTMLParser):
    """What a page refers to, and what of it can be referred to."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.undescribed: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note links, images and anchors."""
        found = dict(attrs)
        self.anchors.update(found[key] or "" for key in ("id", "name") if key in found)
        for key in ("href", "src", "data"):
            if found.get(key) and (tag, key) != ("link", "data"):
                self.links.append(found[key] or "")
        if tag == "img" and "alt" not in found:
            self.undescribed.append(found.get("src") or "")


def mistakes(root: Path) -> Iterator[str]:
    """Yield what is wrong with the pages below a folder."""
    paths = sorted(path for path in root.rglob("*.html") if "_static" not in path.parts)
    pages = {path.resolve(): Page(path) for path in paths}
    for path, page in pages.items():
        name = path.relative_to(root.resolve())
        if name.name in NOT_OURS:
            continue
        for link in dict.fromkeys(page.links):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.exists():
                yield f"{name}: {link} leads nowhere"
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].anchors:
                yield f"{name}: {link} has no such place on its page"
        yield from (f"{name}: {image} has no words in its place (alt)" for image in page.undescribed)


def undocumented(root: Path) -> Iterator[str]:
    """Yield the public names that the reference has no entry for."""
    _, _, _, _, packed = (root / "objects.inv").read_bytes().split(b"\n", 4)
    known = {line.split(" ", 1)[0] for line in zlib.decompress(packed).decode().splitlines()}
    for package in (msloss, msloss_sirr):
        for name in package.__all__:
            made = getattr(package, name)
            if not {f"{package.__name__}.{name}", f"{made.__module__}.{made.__qualname__}"} & known:
                yield f"{package.__name__}.{name} is not in the reference"


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    found = [*mistakes(folder), *undocumented(folder)]
    sys.exit("\n".join(found) if found else 0)

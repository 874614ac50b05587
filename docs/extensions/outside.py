"""References to what others document, without asking anybody at build time.

``outside.txt`` lists the names that these pages refer to and where each is documented; it is made into the inventories
that intersphinx reads. A name that is not listed is a broken reference. ``tests/test_docs.py`` imports all of them.
"""

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from sphinx.application import Sphinx
from sphinx.config import Config


class Name(NamedTuple):
    """A name, and where it is documented."""

    site: str
    """The address that pages are relative to."""
    role: str
    """What it is to Sphinx, as ``py:class``."""
    name: str
    page: str
    """Below the site, with the anchor."""


def read_names(path: Path) -> Iterator[Name]:
    """Yield the names of a file: a line with an address, then one for each name below it, indented."""
    site = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        words = line.split()
        if line.startswith("http"):
            site = words[0]
        elif words and not line.startswith("#"):
            yield Name(site, *words)


def setup(app: Sphinx) -> dict[str, Any]:
    """Write the inventories before intersphinx looks for them."""
    app.add_config_value("outside", "", "env", str)
    app.setup_extension("sphinx.ext.intersphinx")
    app.connect("config-inited", _write, priority=1)
    return {"parallel_read_safe": True}


def _write(app: Sphinx, config: Config) -> None:
    sites: dict[str, list[Name]] = {}
    for name in read_names(Path(app.srcdir) / config.outside):
        sites.setdefault(name.site, []).append(name)
    folder = Path(app.doctreedir) / "outside"
    folder.mkdir(parents=True, exist_ok=True)
    for index, (site, names) in enumerate(sites.items()):
        path = folder / f"{index}.inv"
        head = (
            f"# Sphinx inventory version 2\n# Project: {site}\n# Version: \n# The remainder is compressed using zlib.\n"
        )
        lines = "".join(f"{each.name} {each.role} 1 {each.page} -\n" for each in names)
        path.write_bytes(head.encode() + zlib.compress(lines.encode()))
        config.intersphinx_mapping[f"outside{index}"] = (site, str(path))

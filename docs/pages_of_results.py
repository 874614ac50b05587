"""Write what pages say of measurements, as the files of results have it, and draw their plots.

python docs/pages_of_results.py docs/evidence/why.md docs/evidence/peers.md

Results are looked for in ``docs/results``: ``why-probes.csv`` and ``why-iterates.csv`` of ``msloss-sirr ablate why``,
``peers.csv`` of ``msloss-sirr peers``. Where there are none, the page says so.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from msloss_sirr.ablation.results import read_results
from msloss_sirr.peers.page import sections as sections_of_peers
from msloss_sirr.why.page import sections as sections_of_why
from msloss_sirr.why.plot import draw, files_of
from msloss_sirr.why.tables import ITERATES, PROBES, read

DOCS = Path(__file__).parent
RESULTS, IMAGES = DOCS / "results", DOCS / "images"


def why() -> Iterator[str]:
    """Yield the lines of what was measured to tell why."""
    if not all((RESULTS / name).exists() for name in (PROBES, ITERATES)):
        yield "Nothing has been measured yet: there are no results, and nothing is said."
        return
    found = read(RESULTS)
    yield from sections_of_why(found, {name: f"../images/{file}" for name, file in files_of(found).items()})


def peers() -> Iterator[str]:
    """Yield the lines of methods side by side."""
    if not (RESULTS / "peers.csv").exists():
        yield "Nothing has been measured yet: there are no results, and nothing is said."
        return
    yield from sections_of_peers(read_results(RESULTS / "peers.csv"))


def with_results(page: str) -> str:
    """Return a page whose marked places have been filled."""
    for write in (why, peers):
        begin, end = (f"<!-- {write.__name__}: {edge} -->\n" for edge in ("begin", "end"))
        if begin in page:
            before, _, rest = page.partition(begin)
            _, _, after = rest.partition(end)
            page = before + begin + "\n" + "".join(f"{line}\n" for line in write()) + "\n" + end + after
    return page


if __name__ == "__main__":
    for path in map(Path, sys.argv[1:]):
        path.write_text(with_results(path.read_text(encoding="utf-8")), encoding="utf-8")
    if (RESULTS / PROBES).exists():
        draw(read(RESULTS), IMAGES)

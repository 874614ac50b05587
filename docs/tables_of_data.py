"""Write the tables of the page on data sets as the catalogue has them.

python docs/tables_of_data.py docs/removal/data.md
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from msloss_sirr.catalogue.report import numbers_of
from msloss_sirr.catalogue.sets import SETS
from msloss_sirr.doctor.findings import KINDS


def sets() -> Iterator[str]:
    """Yield the lines of the table of sets."""
    yield "| set | what | items | licence |"
    yield "| --- | --- | --- | --- |"
    for name, each in SETS.items():
        where = f"[{each.title}]({each.obtain})" if each.obtain.startswith("http") else each.title
        items = numbers_of(each) or ("any" if each.licence == "your own" else "unknown")
        yield f"| `{name}` | {where}. {each.what} | {items} | {each.licence} |"


def unverified() -> Iterator[str]:
    """Yield what of the sets could not be verified."""
    for name, each in SETS.items():
        if each.unverified:
            yield f"- `{name}`: {'; '.join(each.unverified)}."


def kinds() -> Iterator[str]:
    """Yield the lines of the table of findings."""
    yield "| kind | what it names |"
    yield "| --- | --- |"
    for kind, what in KINDS.items():
        yield f"| `{kind}` | {what} |"


def with_tables(page: str) -> str:
    """Return a page whose marked places have been filled."""
    for write in (sets, unverified, kinds):
        begin, end = (f"<!-- {write.__name__}: {edge} -->\n" for edge in ("begin", "end"))
        before, _, rest = page.partition(begin)
        _, _, after = rest.partition(end)
        page = before + begin + "\n" + "".join(f"{line}\n" for line in write()) + "\n" + end + after
    return page


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(with_tables(path.read_text(encoding="utf-8")), encoding="utf-8")

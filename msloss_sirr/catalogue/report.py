"""The catalogue, to read."""

import re
from collections.abc import Iterator

from msloss_sirr.catalogue.description import Arrangement, Description, Part
from msloss_sirr.catalogue.sets import SETS

_HOLE = re.compile(r"\{(\w+)\}")


def tell_all() -> Iterator[str]:
    """Yield the lines of a list of all sets: what each is, what it has, its licence, and where to obtain it."""
    for each in SETS.values():
        yield f"{each.name}: {each.title}"
        yield f"  what:     {each.what}"
        numbers = numbers_of(each)
        if numbers:
            yield f"  items:    {numbers}"
        yield f"  licence:  {each.licence}"
        yield f"  obtain:   {each.obtain}"
    yield "msloss-sirr data list SET tells how a set is laid out, and how to cite it."


def tell(description: Description) -> Iterator[str]:
    """Yield the lines of all that is known about a set."""
    yield f"{description.name}: {description.title}"
    yield description.what
    yield f"  licence:  {description.licence}"
    yield f"  obtain:   {description.obtain}"
    yield f"  cite:     {description.citation}"
    for part in description.parts:
        yield f"  {place_of(part)}: {count_of(part) or 'any number of'} items, laid out as one of"
        for arrangement in part.arrangements:
            yield f"    {_arrangement(arrangement)}"
    for each in description.unverified:
        yield f"  not verified: {each}"
    if not description.parts:
        return
    yield "  NAME, TAIL and DIR stand for a name, what follows in it after a hyphen, and folders; any suffix will do."


def numbers_of(description: Description) -> str:
    """Return how many items a set has in its parts."""
    return "; ".join(f"{place_of(part)} {count_of(part) or 'unknown'}" for part in description.parts if _official(part))


def place_of(part: Part) -> str:
    """Return what a part is called."""
    return " ".join(word for word in (part.subset, part.split) if word) or "all"


def count_of(part: Part) -> str:
    """Return how many items a part should have; of several versions, those of each."""
    if len(part.counts) > 1:
        return " or ".join(f"{count} ({version})" for version, count in part.counts.items())
    return "".join(map(str, part.counts.values()))


def _official(part: Part) -> bool:
    return bool(part.counts or part.subset)


def _arrangement(arrangement: Arrangement) -> str:
    templates = ", ".join(_HOLE.sub(lambda hole: hole[1].upper(), each) for each in arrangement.layers.values())
    bases = ", ".join(base or "the folder itself" for base in arrangement.bases)
    return f"{' / '.join(arrangement.layers)}: {templates}; in {bases}"

"""Templates of paths: which files they stand for, and by what they were filled."""

import re
from functools import lru_cache

_HOLES = {"name": r"[^/]+", "tail": r"(?:-[^/]*)?", "dir": r"[^/]+(?:/[^/]+)*"}
_HOLE = re.compile(r"\{(\w+)\}")

Filling = tuple[tuple[str, str], ...]
"""What the holes of a template were filled by, in the order of their names."""


def fill_of(template: str, path: str) -> Filling | None:
    """Return what fills a template so that it is a path (without suffix, parted by ``/``), or nothing.

    >>> fill_of("blended/{name}-m{tail}", "blended/ab-10-m-3")
    (('name', 'ab-10'), ('tail', '-3'))
    """
    found = _pattern(template).fullmatch(path)
    return None if found is None else tuple(sorted(found.groupdict().items()))


def folder_of(template: str) -> tuple[str, bool]:
    """Return the folder that a template's files are all below, and whether they may be deeper than directly in it.

    >>> folder_of("blended/{name}"), folder_of("{dir}/m")
    (('blended', False), ('', True))
    """
    fixed, hole, _ = template.partition("{")
    folder = fixed.rpartition("/")[0] if hole else template.rpartition("/")[0]
    return folder, "{dir}" in template


def name_of(filling: Filling) -> str:
    """Return what an item is called by what filled the templates of its files: letters that any file name may have.

    >>> name_of((("dir", "Focus/ab/3"), ("name", "ab-10"), ("tail", "-3")))
    'Focus-ab-3-ab-10-3'
    """
    filled = dict(filling)
    return "-".join(filled[hole] for hole in ("dir", "name") if hole in filled).replace("/", "-") + filled.get(
        "tail", ""
    )


@lru_cache(maxsize=256)
def _pattern(template: str) -> re.Pattern[str]:
    pieces = _HOLE.split(template)  # literal, hole, literal, hole, ...
    return re.compile(
        "".join(f"(?P<{piece}>{_HOLES[piece]})" if i % 2 else re.escape(piece) for i, piece in enumerate(pieces)),
        re.DOTALL,
    )

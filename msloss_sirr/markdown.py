"""Tables of pages in Markdown."""

from collections.abc import Sequence


def header(titles: Sequence[str]) -> tuple[str, str]:
    """Return the first two lines of a table."""
    return row(titles), "| --- " * len(titles) + "|"


def row(cells: Sequence[str]) -> str:
    """Return a line of a table."""
    return f"| {' | '.join(cells)} |"


def safe(text: str) -> str:
    r"""Return text that ends no cell of a table.

    >>> safe("a|b")
    'a\\|b'
    """
    return text.replace("|", "\\|").replace("\n", " ")

"""Names of files and other text of others, on a terminal."""


def printable(text: str) -> str:
    """Return text without what would move the cursor, or break the line."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)

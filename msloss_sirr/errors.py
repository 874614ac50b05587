"""The errors that users of the command line can cause; they are shown a single line."""


class InputError(Exception):
    """Something the user gave cannot be used; the message names it, and says what to do.

    Not a ``ValueError``: those, the parser of the command line would frame and explain in several lines.
    """


class ElsewhereError(InputError):
    """Another process of the same work cannot go on, and tells the user why; this one ends with it."""

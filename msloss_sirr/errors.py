"""The one error that users of the command line can cause, and are shown as a single line."""


class InputError(Exception):
    """Something the user gave cannot be used; the message names it, and says what to do.

    Not a ``ValueError``: those, the parser of the command line would frame and explain in several lines.
    """

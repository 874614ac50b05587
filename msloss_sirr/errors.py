"""The one error that users of the command line can cause, and are shown as a single line."""


class InputError(ValueError):
    """Something the user gave cannot be used; the message names it, and says what to do."""

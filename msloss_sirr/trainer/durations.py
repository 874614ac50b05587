"""Durations as people write and read them."""

import re

from msloss_sirr.errors import InputError

_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


def seconds_of(text: str, name: str = "budget") -> float:
    """Return a duration in seconds: ``90``, ``90s``, ``25m``, ``1.5h``, ``1h30m``, ``2d``.

    Args:
        text: the duration.
        name: what it is of, in messages.

    Raises:
        InputError: if it is none.

    >>> seconds_of("1h30m")
    5400.0
    """
    parts = re.findall(r"(\d+(?:\.\d+)?)([smhd]|$)", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise InputError(f"{name} is {text!r}; give a time, as 90s, 25m or 1h30m")
    return float(sum(float(number) * _SECONDS[unit] for number, unit in parts))


def duration(seconds: float) -> str:
    """Return a duration as hours, minutes and seconds.

    >>> duration(3725.4)
    '1:02:05'
    """
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"

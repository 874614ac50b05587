"""The channels of an image, arrays ``(H, W)`` of 8 or 16 bits."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Channel = NDArray[np.unsignedinteger[Any]]


def turned(channel: Channel, orientation: int) -> Channel:
    """Return a view of a channel as it is meant to be seen (EXIF 2.32, tag 274)."""
    if orientation >= 5:
        channel = channel.T
    down = -1 if orientation in (3, 4, 7, 8) else 1
    across = -1 if orientation in (2, 3, 6, 7) else 1
    return channel[::down, ::across]


def in_eight_bits(channel: Channel) -> Channel:
    """Return a channel of 8 bits as it is, one of 16 rounded."""
    if channel.dtype == np.uint8:
        return channel
    return ((channel.astype(np.uint32) + 128) // 257).astype(np.uint8)


def brightness(red: Channel, green: Channel, blue: Channel) -> Channel:
    """Return what is grey of colours, as Rec. 601 weighs them; three equal channels are what each is."""
    total = 299 * red.astype(np.uint32) + 587 * green.astype(np.uint32) + 114 * blue.astype(np.uint32)
    return ((total + 500) // 1000).astype(red.dtype)

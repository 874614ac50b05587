"""What can be wrong with a copy of a set."""

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")

KINDS = {
    "absent": "a part of the set that the folder does not have",
    "channels": "images of 16 bits, in grey, with a palette, in CMYK or with alpha, where their counterparts are not",
    "changed": "files that are no longer what the manifest beside them says",
    "count": "more or fewer items than the set has",
    "duplicate": "one image under two names of a split",
    "identical": "pairs whose ambient image is their transmission",
    "leak": "an image of one split that is in another, too, or looks like one of it",
    "link": "links that lead nowhere, or in a circle",
    "misaligned": "pairs whose images are shifted against each other, or do not show one scene",
    "name": "two files of one name",
    "near-duplicate": "images of a split that look alike",
    "rotation": "pairs of which one image is turned by its EXIF data and the other is not",
    "shared": "one transmission of several ambient images, as where a scene is shot through several glasses",
    "size": "images of an item that differ in size",
    "swapped": "pairs whose ambient image is darker than their transmission, as if they were exchanged",
    "unpaired": "images without their counterpart",
    "unreadable": "what is named as an image and cannot be read: empty, cut short, too large, no image, no file",
}
"""The kinds of findings, and what each is about."""


@dataclass(frozen=True)
class Finding:
    """Something that is wrong with a copy of a set, or worth knowing about it."""

    severity: Severity
    """``"error"``: what is trained or measured on it is wrong; ``"warning"``: it may be; ``"note"``: good to know."""
    kind: str
    """One of ``KINDS``."""
    files: tuple[str, ...]
    """The files that it is about, below the folder of the copy."""
    sentence: str
    """What was found, for a reader."""

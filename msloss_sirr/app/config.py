"""What the web page is asked to be."""

import re
from dataclasses import dataclass, field

from msloss_sirr.depth.config import DepthConfig
from msloss_sirr.errors import InputError
from msloss_sirr.fields import check_fields

_COUNT = re.compile(r"(\d+(?:\.\d+)?)\s*([kmg]?)", re.IGNORECASE)
_THOUSANDS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9}


@dataclass(frozen=True)
class AppConfig:
    """Show a web page that takes the reflections off photographs; nothing leaves this machine."""

    host: str = "127.0.0.1"
    """Address to be reached at; the default, from this machine alone; 0.0.0.0, from everywhere."""
    port: int = 7860
    """Port to be reached at; 0 takes one that is free."""
    max_upload: str = "200M"
    """Size of the largest file that is taken, as 500K or 1G; a K is 1024 bytes."""
    max_pixels: str = "100M"
    """Pixels of the largest photograph that is taken, as 50M; a K is 1000."""
    checkpoint: str | None = None
    """Remover to use: a file that training wrote, a folder that save_pretrained wrote, or user/name, a repository of
    the Hugging Face hub; the default is the one that comes with the package."""
    device: str = "auto"
    """auto, cpu, cuda, mps, ...; auto takes an accelerator if there is one."""
    max_memory: str | None = None
    """Memory that a photograph may take, as 500M or 2G; the default is half of what the machine has left."""
    depth: DepthConfig = field(default_factory=DepthConfig)

    def __post_init__(self) -> None:
        """Refuse what cannot be done."""
        check_fields(self)
        if not 0 <= self.port < 2**16:
            raise InputError(f"port is {self.port}; give 1 to 65535, or 0 for one that is free")
        if self.depth.source == "stored":
            raise InputError("the page is given no depth images; leave --depth.source out")
        parse_count(self.max_pixels)


def parse_count(text: str) -> int:
    """Return a number, as ``100M`` or ``250000``; a K is 1000.

    Raises:
        InputError: if it is none, or zero.

    >>> parse_count("1.5M")
    1500000
    """
    found = _COUNT.fullmatch(text.strip())
    count = int(float(found[1]) * _THOUSANDS[found[2].lower()]) if found else 0
    if count < 1:
        raise InputError(f"{text!r} is no number of pixels; give one as 50M")
    return count

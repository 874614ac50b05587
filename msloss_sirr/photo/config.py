"""What the photo tool is asked to do."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from msloss_sirr.depth.config import DepthConfig


@dataclass(frozen=True)
class RemoveConfig:
    """Take the reflections off photographs, at their own size."""

    inputs: Positional[tuple[Path, ...]]
    """Photographs, or folders of them."""
    out: Annotated[Path, arg(aliases=["-o"])]
    """Folder to write to; every file keeps its name."""
    checkpoint: Path | None = None
    """Remover to use, a file that training wrote; the default is the one that comes with the package."""
    steps: int = 1
    """How many times the remover is applied to its own output."""
    flip: bool = False
    """Average the estimates of the photograph and of its mirror image, turned back, in twice the time."""
    reflection: bool = False
    """Write the reflection too, beside each file, as NAME-reflection."""
    overwrite: bool = False
    """Replace files that are there already."""
    device: str = "auto"
    """auto, cpu, cuda, mps, ...; auto takes an accelerator if there is one."""
    depth: DepthConfig = field(default_factory=DepthConfig)

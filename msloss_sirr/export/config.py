"""What an export is asked to do."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ExportConfig:
    """Write one step of a remover as a file that runs without PyTorch, at any height and width."""

    onnx: Path
    """File to write, in ONNX's format."""
    checkpoint: Path | None = None
    """Remover to export, a file that training wrote; the default is the one that comes with the package."""
    overwrite: bool = False
    """Replace the file if it is there already."""

"""What the photo tool is asked to do."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import OmitArgPrefixes, Positional, arg

from msloss_sirr.depth.config import DepthConfig
from msloss_sirr.errors import InputError
from msloss_sirr.fields import check_fields
from msloss_sirr.photo.options import RemovalOptions


@dataclass(frozen=True)
class RemoveConfig:
    """Take the reflections off photographs, at their own size, with all that their files hold."""

    inputs: Positional[tuple[Path, ...]]
    """Photographs, folders of them, or patterns such as 'holiday/??.jpg'."""
    out: Annotated[Path | None, arg(aliases=["-o"])] = None
    """Folder to write to, where every file keeps its name; or, for one photograph, a file."""
    in_place: bool = False
    """Replace the photographs themselves."""
    recursive: Annotated[bool, arg(aliases=["-r"])] = False
    """Take folders with all that are in them; what is written lies in folders of the same names."""
    skip_existing: bool = False
    """Leave out photographs whose results are there already: to go on after a break."""
    overwrite: bool = False
    """Replace results that are there already."""
    reflection: bool = False
    """Write what was taken off too, as NAME-reflection."""
    compare: bool = False
    """Write the photograph and the result side by side too, as NAME-compare."""
    mask: Path | None = None
    """Image of the photograph's size, white where reflections may be taken off, black where not; or a folder of such,
    with the photographs' names."""
    options: OmitArgPrefixes[RemovalOptions] = field(default_factory=RemovalOptions)
    checkpoint: str | None = None
    """Remover to use: a file that training wrote, a folder that save_pretrained wrote, or user/name, a repository of
    the Hugging Face hub; the default is the one that comes with the package."""
    flip: bool = False
    """Average the estimates of the photograph and of its mirror image, turned back, in twice the time."""
    runtime: Literal["eager", "compile", "onnx"] = "eager"
    """eager: PyTorch as it is; compile: by torch.compile, which takes a minute for the first photograph of each shape;
    onnx: by onnxruntime, on the processor, with a file of msloss-sirr export as the checkpoint."""
    device: str = "auto"
    """auto, cpu, cuda, mps, ...; auto takes an accelerator if there is one."""
    ahead: int = 1
    """Photographs that are read while another is computed with, and results that are still being written; 0 for little
    memory."""
    depth: DepthConfig = field(default_factory=DepthConfig)

    def __post_init__(self) -> None:
        """Refuse what cannot be done."""
        check_fields(self)
        if (self.out is None) != self.in_place:
            given = "both --out and --in-place are" if self.in_place else "neither --out nor --in-place is"
            raise InputError(f"{given} given; say where the results are to be written")
        if self.skip_existing and (self.overwrite or self.in_place):
            raise InputError("--skip-existing is given with --overwrite or --in-place; give one of them")
        if self.ahead < 0:
            raise InputError(f"ahead is {self.ahead}; give 0 or more")

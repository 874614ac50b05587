"""What is evaluated, and how."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from tyro.conf import Positional

from msloss_sirr.depth.config import DepthConfig
from msloss_sirr.errors import InputError
from msloss_sirr.fields import check_fields

ProtocolName = Literal["whole", "errnet", "multiple32", "border4"]
PerceptualName = Literal["alex", "vgg"]

DEFAULT_PROTOCOLS: tuple[ProtocolName, ...] = ("whole", "errnet")


@dataclass(frozen=True)
class LpipsConfig:
    """LPIPS: how different two pictures look to a network trained on ImageNet; less is better."""

    backbones: tuple[PerceptualName, ...] = ("alex", "vgg")
    """Networks to look through: alex, vgg or both; their weights are downloaded once, 233 MB and 528 MB. The option
    with nothing after it leaves LPIPS out."""
    alex: Path | None = None
    """File with torchvision's weights of AlexNet, instead of those in PyTorch's cache, or their download to there."""
    vgg: Path | None = None
    """File with torchvision's weights of VGG16, likewise."""

    def __post_init__(self) -> None:
        """Refuse weights for nothing."""
        check_fields(self)
        for name in ("alex", "vgg"):
            if getattr(self, name) is not None and name not in self.backbones:
                raise InputError(f"weights of {name} are given ({getattr(self, name)}) but it is not a backbone")


@dataclass(frozen=True)
class EvalConfig:
    """Score a remover, or pictures that some other method saved, on pairs, by the protocols of the field."""

    sets: Positional[tuple[str, ...]]
    """Folders that hold ambient/NAME and transmission/NAME, or sets of the catalogue, SET/SUBSET/SPLIT=FOLDER."""
    checkpoint: Path | None = None
    """Remover to score, a file that training wrote; the default is the one that comes with the package."""
    outputs: str | None = None
    """Score saved transmissions instead: a folder of files named as the ambient images (of several sets, a folder for
    each in it), or a path with {name} in it, as in 'RESULTS/{name}/errnet.png', and {set} if there are several."""
    protocol: tuple[ProtocolName, ...] = DEFAULT_PROTOCOLS
    """whole: RGB in 8 bits, at the stored size. errnet: mean over channels, numbers not rounded (ERRNet, DSRNet).
    multiple32: the same, photograph and truth first reduced to multiples of 32 (DSRNet, RDNet). border4: RGB in 8 bits
    without the outermost 4 pixels (XReflection)."""
    steps: tuple[int, ...] = (1,)
    """How many times the remover is applied to its own output; each number is scored."""
    flip: bool = False
    """Average the estimates of the photograph and of its mirror image, turned back, in twice the time."""
    missing: int = 0
    """Images that may be left out, because their saved output is missing or of another size, one of their files cannot
    be read, or a pair is of two sizes; they are named. With one more, the evaluation ends."""
    csv: Path | None = None
    """File to write the scores of every image, and their means, to as a table."""
    json: Path | None = None
    """File to write the same to, with what was evaluated."""
    sheet: Path | None = None
    """Picture to draw of the images that gained most and least, a file ending in .jpg or .png."""
    sheet_rows: int = 3
    """How many of each."""
    save: Path | None = None
    """Folder to write the estimated transmissions to, as SET/NAME.png; with several steps, as steps-K/SET/NAME.png."""
    overwrite: bool = False
    """Replace files that are there already."""
    device: str = "auto"
    """auto, cpu, cuda, mps, ...; auto takes an accelerator if there is one."""
    lpips: LpipsConfig = field(default_factory=LpipsConfig)
    depth: DepthConfig = field(default_factory=DepthConfig)

    def __post_init__(self) -> None:
        """Refuse what cannot be evaluated."""
        check_fields(self)
        self._check_outputs()
        for name in ("protocol", "steps"):
            given = getattr(self, name)
            if not given or len(set(given)) < len(given):
                raise InputError(f"{name} is {given}; give one or more, each once")
        if min(self.steps) < 1:
            raise InputError(f"steps are {self.steps}; give 1 or more")
        for name, least in (("missing", 0), ("sheet_rows", 1)):
            if getattr(self, name) < least:
                raise InputError(f"{name} is {getattr(self, name)}; give {least} or more")

    def _check_outputs(self) -> None:
        if self.outputs is None:
            return
        for name in ("checkpoint", "save"):
            if getattr(self, name) is not None:
                raise InputError(f"outputs and {name} are both given; leave one out")
        for name, given in (("steps are", self.steps != (1,)), ("flip is", self.flip)):
            if given:
                raise InputError(f"{name} given, but saved outputs are scored as they are; leave one out")

"""What each extra of the package is for, as commands that need it."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple


class Command(NamedTuple):
    """Words for ``msloss-sirr``, or a program for Python."""

    does: str
    words: Sequence[str] = ()
    program: str = ""
    makes: str = ""
    """A file or folder that is there afterwards."""
    served: bool = False
    """Runs until it is interrupted, once it has said where it is."""


_TRAIN = (
    "train --preset small --device cpu --crop 24 --batch 2 --epochs 1 --epoch-images 4 --model.channels 4 "
    "--pairs pairs --photos photos --val pairs --out"
)
_REFGAN = (
    "refgan train --device cpu --crop 32 --epoch-images 1 --epochs 1 --network.width 2 --network.levels 3 "
    "--pairs pairs --photos photos --out refgan"
)
_LOSS = """
import warnings

import torch  # which warns that there is no numpy

warnings.simplefilter("error")
from msloss import MultiStepLoss

loss = MultiStepLoss(torch.nn.Conv2d(1, 1, 3, padding=1), torch.nn.MSELoss())
loss(torch.rand(2, 1, 8, 8), torch.rand(2, 1, 8, 8)).backward()
"""
_PICTURES = """
from pathlib import Path

import numpy as np
from PIL import Image

for folder in map(Path, ("photos", "pairs/ambient", "pairs/transmission")):
    folder.mkdir(parents=True)
    for name in "ab":
        draw = np.random.default_rng(ord(name))
        Image.fromarray(draw.integers(0, 255, (48, 64, 3), np.uint8)).save(folder / f"{name}.png")
"""
_RESULTS = """
from pathlib import Path

from msloss_sirr.ablation.results import Head, Results, Run, Score, SetFound, write_results

arms = {"one": "", "two": ""}
runs = tuple(Run(arm, 0, 1, 1, 1, 1.0, (1, 1), 1, 1, "cpu") for arm in arms)
head = Head("5", "", "", arms, "one", (0,), (1,), "", {}, (), {"set": SetFound(2)}, runs=runs)
scores = [Score(arm, 0, "set", image, 1, {"psnr": 20.0}) for arm in arms for image in "ab"]
write_results(Results(head, scores), Path("table-5.csv"))
"""
_HEIC = """
from PIL import Image
from pillow_heif import from_pillow

from_pillow(Image.open("photos/a.png")).save("a.heic")
"""
_RUN_ONNX = """
import torch
from msloss_sirr.export.running import load_onnx

load_onnx("remover.onnx")(torch.rand(1, 3, 40, 30))
"""
_PLOT = "from msloss import plot_losses; plot_losses([[0.5, 0.4], [0.3, 0.2]], 'losses.png')"

BARE = Command("import msloss without a warning, and take the gradients of a batch", program=_LOSS)
"""What torch alone is enough for."""
PICTURES = Command("make pictures", program=_PICTURES)
RESULTS = Command("make the results of a comparison", program=_RESULTS)
HEIC = Command("make a HEIC file", program=_HEIC)
PLOT_COMPARISON = Command("plot a comparison", ["ablate", "--report", "table-5.csv"], makes="table-5.svg")
"""Without the extra, the page is written all the same."""

PROMISES: Mapping[str, Sequence[Command]] = {
    "sirr": (
        Command("say what there is", ["--help"]),
        Command("remove a reflection", ["remove", "photos/a.png", "-o", "removed"], makes="removed/a.png"),
        Command("train", [*_TRAIN.split(), "run"], makes="run/best.safetensors"),
        Command("evaluate", ["eval", "pairs", "--csv", "scores.csv"], makes="scores.csv"),
        Command("set methods side by side", ["peers", "pairs", "--out", "peers"], makes="peers/peers.csv"),
        Command("list the data sets", ["data", "list"]),
        Command("train RefGAN", _REFGAN.split(), makes="refgan/last.safetensors"),
        Command("import every public name", program="from msloss_sirr import *"),
    ),
    "app": (Command("serve the page", ["app", "--port", "0", "--device", "cpu"], served=True),),
    "heif": (Command("remove a reflection from HEIC", ["remove", "a.heic", "-o", "heic"], makes="heic/a.heic"),),
    "export": (
        Command("write an ONNX file", ["export", "--onnx", "remover.onnx"], makes="remover.onnx"),
        Command("run an ONNX file", program=_RUN_ONNX),
    ),
    "tensorboard": (
        Command("train with events", [*_TRAIN.split(), "events", "--tensorboard"], makes="events/tensorboard"),
    ),
    "plot": (Command("plot losses", program=_PLOT, makes="losses.png"),),
}

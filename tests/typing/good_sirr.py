"""Code that users of the application write, in which a type checker finds nothing."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from typing_extensions import assert_type

from msloss import MultiStepLoss
from msloss_sirr import (
    DataConfig,
    Evaluation,
    InputError,
    Layers,
    LayersCriterion,
    RemovalOptions,
    Remover,
    RemoverConfig,
    TrainConfig,
    load_remover,
    preset,
    remove,
    save_remover,
    train,
)


class Counting(Remover):
    """A remover that counts what it has done."""

    done = 0

    def forward(self, ambient: Tensor, depth: Tensor | None = None) -> Layers[Tensor]:
        self.done += 1
        return super().forward(ambient, depth)


remover = Remover.from_pretrained()
assert_type(remover, Remover)
batch, photo = torch.rand(1, 3, 40, 56), Image.new("RGB", (56, 40))
assert_type(remover(batch), Layers[Tensor])
assert_type(remover(photo), Layers[Image.Image])
assert_type(remover(photo, strength=0.5, steps=2).transmission, Image.Image)
assert_type(remover([photo, photo]), Layers[list[Image.Image]])
pixels = np.zeros((40, 56, 3), np.uint8)
remover(pixels).transmission.mean()
Counting(RemoverConfig())(batch).reflection.mean()

options = RemovalOptions(strength=0.7, method="tiles")
assert_type(remove(remover, batch, options).transmission, Tensor)

config: TrainConfig = preset("small", val=Path("pairs"), out=Path("run"), data=DataConfig(pairs=("pairs",)))
try:
    assert_type(train(config), Evaluation)
except InputError as error:
    print(error)
save_remover(load_remover(Path("run") / "best.safetensors"), Path("mine.safetensors"), {"by": "me"})


def target(estimate: Any) -> Any:
    return estimate.transmission


assert_type(MultiStepLoss(remover, LayersCriterion(), feedback=target)(batch, Layers(batch, batch)), Tensor)

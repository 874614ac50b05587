"""Mistakes that a type checker finds: at the lines that say so, each with the code of its error, and no others."""

from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from msloss_sirr import Layers, RemovalOptions, Remover, RemoverConfig, TrainConfig, load_remover, remove, train

RemoverConfig(architecture="transformer")  # error: arg-type
RemovalOptions(strength="much")  # error: arg-type
TrainConfig(val=Path("pairs"))  # error: call-arg
RemovalOptions().strength = 2.0  # error: misc
train("run")  # error: arg-type
load_remover(3)  # error: arg-type

remover = Remover()
layers: Layers[Tensor] = remover(Image.new("RGB", (8, 8)))  # error: arg-type
remover("photo.jpg")  # error: type-var
print(remover(torch.rand(1, 3, 8, 8)).background)  # error: attr-defined
remove(remover, Image.new("RGB", (8, 8)))  # error: arg-type

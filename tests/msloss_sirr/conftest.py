"""Small photographs and pairs, made up."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor


def smooth(seed: int, height: int = 40, width: int = 56) -> Tensor:
    """Return a made-up photograph, ``(3, height, width)`` in [0, 1]."""
    coarse = torch.rand(1, 3, 5, 7, generator=torch.Generator().manual_seed(seed))
    return F.interpolate(coarse, (height, width), mode="bicubic").clamp(0, 1)[0]


def save(path: Path, image: Tensor) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray((image * 255).round().byte().permute(1, 2, 0).numpy()).save(path)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of six photos, of two sizes."""
    for i in range(6):
        save(tmp_path / "photos" / f"photo {i}.png", smooth(i, 40 + i % 2, 56))
    return tmp_path / "photos"


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """A folder of four pairs, whose ambient image is the transmission, dimmed and with another photo added."""
    for i in range(4):
        scene, mirrored = smooth(10 + i), smooth(20 + i)
        save(tmp_path / "pairs" / "transmission" / f"{i}.png", scene * 0.8)
        save(tmp_path / "pairs" / "ambient" / f"{i}.png", scene * 0.8 + mirrored * 0.2)
    return tmp_path / "pairs"


def pixels_of(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.array(image.convert("RGB"))

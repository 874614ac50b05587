"""Small photographs and pairs, made up."""

import dataclasses
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torchvision
from accelerate.state import AcceleratorState
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

from msloss_sirr import DataConfig, Remover, RemoverConfig, TrainConfig, save_remover
from msloss_sirr.cli import main
from msloss_sirr.trainer.run_folder import RunFolder


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


@pytest.fixture
def squeezenet(tmp_path: Path) -> Path:
    """A file of SqueezeNet's features, drawn at random."""
    torch.manual_seed(0)
    state = torchvision.models.squeezenet1_1(weights=None).state_dict()
    save_file({k: v for k, v in state.items() if k.startswith("features.")}, tmp_path / "squeezenet.safetensors")
    return tmp_path / "squeezenet.safetensors"


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A remover that halves its input and calls the rest the reflection."""
    remover = Remover(RemoverConfig(architecture="unet", channels=(4,), patch=1, residual=False))
    for net, factor in ((remover.reflection_net, 0.0), (remover.transmission_net, 0.5)):
        for block in net.down:
            for layer in block:
                if isinstance(layer, torch.nn.Conv2d):
                    torch.nn.init.zeros_(layer.weight)
                    torch.nn.init.zeros_(layer.bias)
                    torch.nn.init.dirac_(layer.weight)
        torch.nn.init.dirac_(net.out.weight)
        net.out.weight.data *= factor
    save_remover(remover, tmp_path / "half.safetensors")
    return tmp_path / "half.safetensors"


def fails(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    """Run a command that must fail, and return its one line."""
    with pytest.raises(SystemExit) as stopped:
        main([str(word) for word in words])
    assert stopped.value.code not in (0, None)
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1, lines
    return lines[0].removeprefix("msloss-sirr: ")


def pixels_of(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.array(image.convert("RGB"))


def drawing(config: TrainConfig, **changes: Any) -> TrainConfig:
    """Return a training that draws from other data."""
    return dataclasses.replace(config, data=dataclasses.replace(config.data, **changes))


@contextmanager
def room(size: int) -> Iterator[None]:
    """Have the system refuse files of more than so many bytes, as it does where the disk is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def interrupt_at(patch: pytest.MonkeyPatch, epoch: int) -> None:
    """Have a training interrupted when it is about to save the state that begins an epoch."""
    save = RunFolder.save

    def interrupted(self: RunFolder, state: Any) -> None:
        if state["epoch"] == epoch:
            raise KeyboardInterrupt
        save(self, state)

    patch.setattr(RunFolder, "save", interrupted)


@pytest.fixture(autouse=True)
def fresh_accelerator() -> Iterator[None]:
    """Let every training choose its precision, as one in its own process does."""
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.fixture
def config(pairs: Path, photos: Path, tmp_path: Path) -> TrainConfig:
    """A training of a few seconds."""
    return TrainConfig(
        val=pairs,
        out=tmp_path / "run",
        data=DataConfig(pairs=(pairs,), photos=(photos,), crop=24),
        epochs=4,
        epoch_images=12,
        batch=4,
        lr=3e-3,
        patience=0,
        device="cpu",
        model=RemoverConfig(architecture="unet", channels=(6, 8), patch=1),
    )


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is in the cache, and nothing can be downloaded."""

    def refused(*_: object, **__: object) -> None:
        raise OSError("no network")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("torch.hub.download_url_to_file", refused)

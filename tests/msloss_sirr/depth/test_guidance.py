"""Depth on its way: from MiDaS or from images beside the photographs, through draws, training and the photo tool."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState
from PIL import Image
from torch import Tensor

from msloss import RangedQuantizer, refine
from msloss_sirr import InputError, LossConfig, Remover, RemoverConfig, TrainConfig, load_remover, save_remover, train
from msloss_sirr.cli import main
from msloss_sirr.data.batches import compose
from msloss_sirr.data.draws import Draws
from msloss_sirr.data.folders import Pairs, depth_images, photo_folder
from msloss_sirr.data.loader import collate
from msloss_sirr.data.sources import open_pairs
from msloss_sirr.depth.config import DepthConfig
from msloss_sirr.depth.midas import load_midas
from msloss_sirr.depth.network import MidasSmall
from msloss_sirr.depth.source import guidance, stored_depth
from msloss_sirr.images.reading import read_depth, read_pixels, to_float
from msloss_sirr.synthesis.making import Synthesis

from ..conftest import pixels_of, smooth
from ..models.test_models import awake
from .test_depth import made

GUIDED = RemoverConfig(architecture="unet", channels=(6, 8), patch=1, depth="ranged")


def with_depth(folder: Path, names: list[str], bits: int = 16) -> None:
    """Give photographs depth images: the green channel of the photograph, in 8 or 16 bits."""
    (folder / "depth").mkdir()
    for name in names:
        source = folder / "ambient" / name if (folder / "ambient").is_dir() else folder / name
        green = pixels_of(source)[..., 1]
        image = Image.fromarray(green.astype(np.uint16) * 200) if bits == 16 else Image.fromarray(green)
        image.save(folder / "depth" / f"{Path(name).stem}.png")


@pytest.fixture
def guided(config: TrainConfig) -> TrainConfig:
    return dataclasses.replace(config, epochs=1, epoch_images=8, model=GUIDED)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("midas") / "weights.pt"
    torch.save(made(MidasSmall().state_dict()), path)
    return path


def test_depth_images_of_8_and_16_bits(photos: Path, tmp_path: Path) -> None:
    name = "photo 0.png"
    for bits, factor in ((8, 1), (16, 200)):
        with_depth(photos, [name], bits)
        depth = read_depth(photos / "depth" / name)
        assert depth.dtype == torch.float32
        assert torch.equal(depth[0], factor * torch.from_numpy(pixels_of(photos / name)[..., 1]).float())
        for file in (photos / "depth").iterdir():
            file.unlink()
        (photos / "depth").rmdir()
    with pytest.raises(InputError, match="is a RGB image; a depth image has one channel"):
        read_depth(photos / name)


def test_depth_images_that_do_not_fit_are_named(photos: Path, pairs: Path) -> None:
    paths = photo_folder(photos).paths
    with pytest.raises(InputError, match="depth does not exist"):
        depth_images(photos / "depth", paths)
    with_depth(photos, [path.name for path in paths][1:])
    with pytest.raises(InputError, match=r"photo 0\.png has no depth image; give it one, .*photo 0\.png say"):
        depth_images(photos / "depth", paths)
    Image.new("L", (5, 7)).save(photos / "depth" / "photo 0.png")
    with pytest.raises(InputError, match=r"photo 0\.png is 56x40 but its depth image is 5x7"):
        depth_images(photos / "depth", paths)
    with pytest.raises(InputError, match=r"0\.png has no depth image; give it one, in a folder depth beside"):
        open_pairs(pairs, depth=True)
    with_depth(pairs, [f"{i}.png" for i in range(4)])
    Image.new("L", (5, 7)).save(pairs / "depth" / "2.png")
    with pytest.raises(InputError, match=r"2\.png is 56x40 but its depth image is 5x7"):
        open_pairs(pairs, depth=True)


def test_depth_is_cut_and_mirrored_as_its_photograph_is(photos: Path, pairs: Path) -> None:
    with_depth(photos, [f"photo {i}.png" for i in range(6)], bits=8)
    with_depth(pairs, [f"{i}.png" for i in range(4)], bits=8)
    images = photo_folder(photos)
    depths = depth_images(photos / "depth", images.paths)
    draws = Draws(
        length=40, crop=16, pairs=open_pairs(pairs, depth=True), photos=images, photo_depths=depths, real_share=0.5
    )
    for i in range(40):
        draw = draws[i]
        torch.testing.assert_close(draw.depth[0], draw.first[1].float(), atol=1.5, rtol=0)
    batch = compose(collate([draws[i] for i in range(4)]), Synthesis())
    assert batch.depth.shape == (4, 1, 16, 16)
    mixed = collate([draws[0], draws[1]._replace(depth=None)])
    assert mixed.depth is None


def test_guidance_is_the_prepared_depth_of_the_ambient_image() -> None:
    remover, ambient = Remover(GUIDED), smooth(1)[None]
    raw = ambient.mean(1, keepdim=True)
    (guide,) = guidance(remover, lambda images, stored: images.mean(1, keepdim=True), ambient)
    assert torch.equal(guide, RangedQuantizer(4)(raw))
    assert torch.equal(guidance(remover, stored_depth, ambient, 7 * raw)[0], guide)
    assert guidance(Remover(RemoverConfig(channels=(4,))), None, ambient) == ()
    with pytest.raises(InputError, match="there are no depth images; give every photograph one"):
        guidance(remover, stored_depth, ambient)
    with pytest.raises(InputError, match="a depth image is 5x5 but its photograph 56x40"):
        guidance(remover, stored_depth, ambient, raw[..., :5, :5])


def test_depth_is_estimated_once_however_many_steps() -> None:
    calls: list[Tensor] = []

    def source(ambient: Tensor, stored: Tensor | None) -> Tensor:
        calls.append(ambient)
        return ambient.mean(1, keepdim=True)

    remover, ambient = awake(Remover(GUIDED)), smooth(1)[None]
    guide = guidance(remover, source, ambient)
    seen: list[Tensor] = []
    remover.transmission_net.register_forward_pre_hook(lambda net, given: seen.append(given[0][:, -1:]))
    refine(remover, ambient, *guide, steps=3, feedback="transmission")
    assert len(calls) == 1
    assert len(seen) == 3
    assert all(torch.equal(depth, guide[0]) for depth in seen)


def test_nothing_frozen_moves_in_training(guided: TrainConfig, weights: Path) -> None:
    midas = load_midas(weights)
    before = {name: value.clone() for name, value in midas.state_dict().items()}
    train(guided, depth=midas)
    assert all(torch.equal(value, before[name]) for name, value in midas.state_dict().items())
    assert all(parameter.grad is None for parameter in midas.parameters())
    state = torch.load(guided.out / "state.pt", weights_only=True)
    trained = sum(len(group["params"]) for group in state["optimizer"]["param_groups"])
    assert trained == len(list(load_remover(guided.out / "best.safetensors").parameters()))
    assert load_remover(guided.out / "best.safetensors").config == GUIDED


def test_training_finds_the_depth_that_its_configuration_names(
    guided: TrainConfig, weights: Path, tmp_path: Path
) -> None:
    by_name = dataclasses.replace(guided, depth=DepthConfig(weights=weights))
    train(by_name)
    train(dataclasses.replace(guided, out=tmp_path / "other"), depth=load_midas(weights))
    one, other = (load_remover(run / "last.safetensors").state_dict() for run in (by_name.out, tmp_path / "other"))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_training_with_depth_images(guided: TrainConfig, pairs: Path, photos: Path) -> None:
    stored = dataclasses.replace(guided, depth=DepthConfig(source="stored"))
    with pytest.raises(InputError, match="has no depth image"):
        train(stored)
    with_depth(pairs, [f"{i}.png" for i in range(4)])
    with pytest.raises(InputError, match="depth does not exist"):
        train(stored)
    with_depth(photos, [f"photo {i}.png" for i in range(6)])
    assert train(stored).after.psnr > 0
    with pytest.raises(InputError, match="depth weights are given"):
        DepthConfig(source="stored", weights=photos)


def test_training_without_weights_says_what_to_do(
    guided: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(*args: object, **kwargs: object) -> None:
        raise OSError("no network")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torch.hub.download_url_to_file", offline)
    with pytest.raises(InputError, match=r"could not be downloaded .*--depth\.weights, .*or a remover without depth"):
        train(guided)
    assert not guided.out.exists()


def test_training_holds_the_reflection_to_its_target_at_every_step_if_asked(
    guided: TrainConfig, tmp_path: Path
) -> None:
    model = dataclasses.replace(GUIDED, depth="none")  # which returns its input, so that both steps are alike
    losses = []
    for target in ("first", "residual"):
        loss = LossConfig(transmission=0.0, gradient=0.0, reflection_target=target)
        train(dataclasses.replace(guided, out=tmp_path / target, model=model, loss=loss, lr=1e-12))
        AcceleratorState._reset_state()
        losses.append(json.loads((tmp_path / target / "metrics.jsonl").read_text())["loss"])
    assert losses[1] == pytest.approx(2 * losses[0], rel=1e-4)


def test_photo_tool_guides_by_depth(
    photos: Path, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    remover = awake(Remover(GUIDED)).eval()
    save_remover(remover, tmp_path / "guided.safetensors")
    photo = photos / "photo 0.png"
    pixels = to_float(read_pixels(photo))[None]

    def removed(out: str, *words: object) -> np.ndarray:
        given = ["remove", photo, "-o", tmp_path / out, "--checkpoint", tmp_path / "guided.safetensors", *words]
        given += ["--threshold", 0]
        main([str(word) for word in given])
        return pixels_of(tmp_path / out / photo.name)

    def expected(depth: Tensor) -> np.ndarray:
        with torch.no_grad():
            found = remover(pixels, remover.prepare_depth(depth)).transmission[0]
        return (found.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()

    np.testing.assert_array_equal(removed("midas", "--depth.weights", weights), expected(load_midas(weights)(pixels)))
    with_depth(photos, [photo.name])
    stored = read_depth(photos / "depth" / photo.name)[None]
    np.testing.assert_array_equal(removed("stored", "--depth.source", "stored"), expected(stored))
    (photos / "depth" / photo.name).unlink()
    with pytest.raises(SystemExit):
        removed("none", "--depth.source", "stored")
    assert "depth holds no images" in capsys.readouterr().err


def test_pairs_with_as_many_depth_images() -> None:
    image = torch.zeros(3, 8, 8, dtype=torch.uint8)
    with pytest.raises(ValueError, match="1 pairs but 2 depth images"):
        Pairs([image], [image], [image, image])


class Brightness(torch.nn.Module):
    """Depth by a network of one's own, with statistics of batches."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = torch.nn.BatchNorm2d(3)
        self.seen: list[tuple[Tensor, Tensor | None]] = []

    def forward(self, ambient: Tensor, stored: Tensor | None) -> Tensor:
        """Return the mean over channels."""
        self.seen.append((ambient.clone(), stored))
        return self.norm(ambient).mean(1, keepdim=True)


def test_a_network_of_ones_own_is_frozen_too(guided: TrainConfig) -> None:
    source = Brightness()
    before = {name: value.clone() for name, value in source.state_dict().items()}
    train(guided, depth=source)
    assert all(torch.equal(value, before[name]) for name, value in source.state_dict().items())
    assert not source.norm.training
    assert not any(parameter.requires_grad for parameter in source.parameters())
    source.requires_grad_(True).train()
    (guide,) = guidance(Remover(GUIDED), source, smooth(1)[None])
    assert not guide.requires_grad
    assert torch.equal(source.norm.running_mean, before["norm.running_mean"])


def test_depth_is_that_of_the_ambient_image_in_training_and_validation(guided: TrainConfig) -> None:
    """Never that of the transmission, which nobody has who takes a photograph."""
    source, given = Brightness(), []

    class Watched(Remover):
        def forward(self, ambient: Tensor, depth: Tensor | None = None) -> Any:
            given.append(ambient.detach().clone())
            return super().forward(ambient, depth)

    train(dataclasses.replace(guided, steps=1, epochs=1), remover=Watched(GUIDED), depth=source)
    assert len(source.seen) == len(given)
    for (ambient, _), image in zip(source.seen, given, strict=True):
        assert torch.equal(ambient, image)


def test_a_source_of_ones_own_is_given_the_stored_images(guided: TrainConfig, pairs: Path, photos: Path) -> None:
    with_depth(photos, [f"photo {i}.png" for i in range(6)])
    with_depth(pairs, [f"{i}.png" for i in range(4)])
    source = Brightness()
    train(dataclasses.replace(guided, epochs=1, depth=DepthConfig(source="stored")), depth=source)
    assert all(stored is not None for _, stored in source.seen)


def test_depth_without_a_finite_number_is_refused() -> None:
    nothing = torch.full((2, 1, 40, 56), torch.nan)
    nothing[0] = 1.0
    with pytest.raises(InputError, match="the depth of a photograph has no finite number"):
        guidance(Remover(GUIDED), lambda images, stored: nothing, smooth(1)[None])


def test_depth_image_of_several_channels_is_refused_at_the_door(photos: Path) -> None:
    with_depth(photos, [f"photo {i}.png" for i in range(6)])
    Image.new("RGB", (56, 40)).save(photos / "depth" / "photo 2.png")
    with pytest.raises(InputError, match=r"photo 2\.png is a RGB image; a depth image has one channel"):
        depth_images(photos / "depth", photo_folder(photos).paths)

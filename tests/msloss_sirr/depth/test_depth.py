"""The depth network is the published one, key by key and number by number; its weights are found, checked, frozen."""

import hashlib
import http.client
import os
import pickle
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from msloss_sirr import InputError
from msloss_sirr.depth import midas as midas_module
from msloss_sirr.depth.midas import WEIGHTS_URL, MidasDepth, load_midas, working_size
from msloss_sirr.depth.network import MidasSmall
from msloss_sirr.pretrained import fetch_weights, load_state

from ..conftest import smooth

PUBLISHED = "47c50674c79674cb8de919de9ae45d26ea9233738595b6c0b4e929b98a79e58e"
"""SHA-256 of the published checkpoint's 482 keys, each with shape and type, sorted."""


def made(state: Mapping[str, Tensor], gain: float = 1.2) -> dict[str, Tensor]:
    """Return weights, perturbed statistics included, that are the same with every version of everything."""
    rng, found = np.random.RandomState(0), {}
    for key in sorted(state):
        shape = tuple(state[key].shape)
        if key.endswith("num_batches_tracked"):
            found[key] = torch.zeros((), dtype=torch.int64)
            continue
        normal = rng.standard_normal(shape)
        if len(shape) > 1:
            value = normal * (gain / np.prod(shape[1:])) ** 0.5
        elif key.endswith("running_var"):
            value = 0.5 + np.abs(normal) / 2
        else:
            value = 1 + 0.2 * normal if key.endswith("weight") else 0.1 * normal
        found[key] = torch.tensor(value, dtype=torch.float32)
    return found


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("midas") / "weights.pt"
    torch.save(made(MidasSmall().state_dict()), path)
    return path


@pytest.fixture
def midas(weights: Path) -> MidasDepth:
    return load_midas(weights)


def test_keys_shapes_and_types_are_those_of_the_published_checkpoint() -> None:
    state = MidasSmall().state_dict()
    lines = sorted(f"{k}\t{tuple(v.shape)}\t{str(v.dtype).removeprefix('torch.')}" for k, v in state.items())
    assert len(lines) == 482
    assert hashlib.sha256("\n".join(lines).encode()).hexdigest() == PUBLISHED


def test_output_is_that_of_the_published_network(midas: MidasDepth) -> None:
    """Against numbers that the published code gave for these weights and this image."""
    y, x = np.mgrid[0:96, 0:128] / 32.0
    image = np.stack([0.5 + 0.5 * np.sin(2 * x + y), 0.5 + 0.5 * np.cos(x - 3 * y), 0.5 + 0.5 * np.sin(x * y)])
    mean, deviation = (np.array(v)[:, None, None] for v in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    depth = midas.network(torch.tensor((image - mean) / deviation, dtype=torch.float32)[None])
    published = [
        [7.05876, 5.9579, 6.07957, 5.22766, 4.59508, 5.06272],
        [5.18223, 9.71501, 7.51631, 6.37986, 13.99851, 6.52314],
        [9.19237, 10.93576, 12.55899, 5.8767, 1.0855, 10.74901],
        [8.64197, 10.8973, 19.04271, 9.18917, 6.27125, 9.05843],
    ]
    assert depth.shape == (1, 1, 96, 128)
    torch.testing.assert_close(depth[0, 0, 4::24, 5::24], torch.tensor(published), rtol=1e-4, atol=1e-4)


def written_out(w: Mapping[str, Tensor], x: Tensor) -> Tensor:
    """Return what the published network is stated to compute, operation by operation."""

    def norm(h: Tensor, name: str) -> Tensor:
        a, b, mean, var = (w[f"{name}.{part}"] for part in ("weight", "bias", "running_mean", "running_var"))
        return F.batch_norm(h, mean, var, a, b, eps=1e-3)

    def conv(h: Tensor, name: str, stride: int = 1) -> Tensor:
        kernel = w[f"{name}.weight"]
        groups, side = h.shape[1] // kernel.shape[1], kernel.shape[-1]
        if stride == 1:
            h = F.pad(h, (side // 2,) * 4)
        else:
            before, after = {3: (0, 1), 5: (1, 2)}[side]
            h = F.pad(h, (before, after, before, after))
        return F.conv2d(h, kernel, w.get(f"{name}.bias"), stride=stride, groups=groups)

    def blocks(h: Tensor, name: str, stride: int) -> Tensor:
        count = len({key.split(".")[3] for key in w if key.startswith(f"{name}.")})
        for i in range(count):
            before, at = h, f"{name}.{i}"
            if f"{at}.conv_pwl.weight" in w:
                h = F.relu6(norm(conv(h, f"{at}.conv_pw"), f"{at}.bn1"))
                h = F.relu6(norm(conv(h, f"{at}.conv_dw", stride if i == 0 else 1), f"{at}.bn2"))
                h = norm(conv(h, f"{at}.conv_pwl"), f"{at}.bn3")
            else:
                h = F.relu6(norm(conv(h, f"{at}.conv_dw"), f"{at}.bn1"))
                h = norm(conv(h, f"{at}.conv_pw"), f"{at}.bn2")
            h = h + before if h.shape == before.shape else h
        return h

    def residual(h: Tensor, name: str) -> Tensor:
        return h + conv(F.relu(conv(F.relu(h), f"{name}.conv1")), f"{name}.conv2")

    h = F.relu6(norm(conv(x, "pretrained.layer1.0", 2), "pretrained.layer1.1"))
    first = blocks(blocks(h, "pretrained.layer1.3", 1), "pretrained.layer1.4", 2)
    second = blocks(first, "pretrained.layer2.0", 2)
    third = blocks(blocks(second, "pretrained.layer3.0", 2), "pretrained.layer3.1", 1)
    fourth = blocks(blocks(third, "pretrained.layer4.0", 2), "pretrained.layer4.1", 1)
    path: Tensor | None = None
    for level, stage in ((4, fourth), (3, third), (2, second), (1, first)):
        at, h = f"scratch.refinenet{level}", conv(stage, f"scratch.layer{level}_rn")
        h = residual(h if path is None else path + residual(h, f"{at}.resConfUnit1"), f"{at}.resConfUnit2")
        h = F.interpolate(h, scale_factor=2, mode="bilinear", align_corners=True)
        path = conv(h, f"{at}.out_conv")
    assert path is not None
    h = F.interpolate(conv(path, "scratch.output_conv.0"), scale_factor=2, mode="bilinear", align_corners=False)
    return F.relu(conv(F.relu(conv(h, "scratch.output_conv.2")), "scratch.output_conv.4"))


@pytest.mark.parametrize("size", [(32, 256), (192, 64)])
def test_output_is_what_the_published_description_computes(midas: MidasDepth, size: tuple[int, int]) -> None:
    x = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    network = midas.network.double()
    torch.testing.assert_close(network(x), written_out(network.state_dict(), x), rtol=1e-9, atol=1e-9)


def test_photograph_is_prepared_as_published(midas: MidasDepth) -> None:
    photo = smooth(3, 45, 150)[None]
    mean, deviation = (torch.tensor(v).view(1, 3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    resized = F.interpolate(photo, (64, 256), mode="bicubic", align_corners=False, antialias=False)
    depth = midas.network((resized - mean) / deviation)
    expected = F.interpolate(depth, (45, 150), mode="bicubic", align_corners=False)
    torch.testing.assert_close(midas(photo), expected)
    assert not torch.allclose(midas(photo.flip(1)), expected, rtol=0.05)  # BGR


def test_working_size_against_numpy() -> None:
    def multiple(side: np.float64) -> int:
        rounded = int(np.round(side / 32) * 32)
        return max(32, rounded if rounded <= 256 else int(np.floor(side / 32) * 32))

    for height in range(1, 900, 13):
        for width in range(1, 900, 17):
            scale = np.minimum(256 / np.float64(width), 256 / np.float64(height))
            assert working_size(height, width) == (multiple(scale * height), multiple(scale * width))
    assert working_size(1, 10**6) == (32, 256)
    assert working_size(240, 640) == (96, 256)
    assert working_size(80, 256) == (64, 256)  # 2.5 times 32, to the even one


def test_nothing_of_it_moves(midas: MidasDepth) -> None:
    before = {name: value.clone() for name, value in midas.state_dict().items()}
    midas.train()
    assert not any(module.training for module in midas.modules())
    assert not any(parameter.requires_grad for parameter in midas.parameters())
    photo = smooth(1)[None].requires_grad_()
    depth = midas(photo)
    assert not depth.requires_grad
    assert all(torch.equal(value, before[name]) for name, value in midas.state_dict().items())
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(midas(photo), depth)


def test_weights_that_do_not_fit_are_named(tmp_path: Path, weights: Path) -> None:
    state = torch.load(weights, weights_only=True)
    key = "scratch.refinenet4.out_conv.weight"
    broken = {
        "is missing": {name: value for name, value in state.items() if name != key},
        "has another shape": {**state, key: state[key][:1]},
    }
    for problem, other in broken.items():
        torch.save(other, tmp_path / "other.pt")
        with pytest.raises(InputError, match=rf"other\.pt holds no MiDaS v2\.1 small: {key} {problem}"):
            load_midas(tmp_path / "other.pt")
    torch.save({**state, "more": torch.zeros(1)}, tmp_path / "other.pt")
    with pytest.raises(InputError, match="more is not one of its"):
        load_midas(tmp_path / "other.pt")
    torch.save({"state": [state]}, tmp_path / "other.pt")
    with pytest.raises(InputError, match="they are not tensors by name"):
        load_midas(tmp_path / "other.pt")


def test_weights_are_taken_from_the_cache_of_torch(
    tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    cache = tmp_path / "hub" / "checkpoints"
    cache.mkdir(parents=True)
    digits = hashlib.sha256(weights.read_bytes()).hexdigest()[:8]
    monkeypatch.setattr(midas_module, "WEIGHTS_URL", f"https://example.org/model-small-{digits}.pt")
    for name in (f"model-small-{digits}.pt", "midas_v21_small_256.pt", "midas_v21_small-70d6b9c8.pt"):
        (cache / name).write_bytes(weights.read_bytes())
        load_midas()
        (cache / name).unlink()


def test_download_is_checked_and_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    content = b"weights" * 1000
    digits = hashlib.sha256(content).hexdigest()[:8]
    for name in (f"net-{digits}.pt", "net-00000000.pt"):
        (tmp_path / name).write_bytes(content)
    path = fetch_weights((tmp_path / f"net-{digits}.pt").as_uri(), "a network", "do without")
    assert path == tmp_path / "home" / "hub" / "checkpoints" / f"net-{digits}.pt"
    assert path.read_bytes() == content
    assert "100%" in capsys.readouterr().err
    assert fetch_weights((tmp_path / f"net-{digits}.pt").as_uri(), "a network", "do without") == path
    path.write_bytes(content[:-1])
    with pytest.raises(InputError, match=rf"is not a network as published .*, not {digits}\); delete"):
        fetch_weights((tmp_path / f"net-{digits}.pt").as_uri(), "a network", "do without")
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"a network could not be downloaded \(invalid hash value .*do without"):
        fetch_weights((tmp_path / "net-00000000.pt").as_uri(), "a network", "do without")
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_weights_that_cannot_be_had_say_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*args: object, **kwargs: object) -> None:
        raise OSError("no network")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torch.hub.download_url_to_file", offline)
    with pytest.raises(InputError) as caught:
        load_midas()
    message = str(caught.value)
    assert "\n" not in message
    for part in (WEIGHTS_URL, str(tmp_path / "hub" / "checkpoints" / "model-small-70d6b9c8.pt"), "--depth.weights"):
        assert part in message


def test_a_download_that_breaks_off_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: object, **kwargs: object) -> None:
        raise http.client.IncompleteRead(b"")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torch.hub.download_url_to_file", broken)
    with pytest.raises(InputError, match=r"could not be downloaded \(IncompleteRead"):
        load_midas()


def test_code_in_a_file_of_weights_is_not_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return os.mkdir, (str(tmp_path / "ran"),)

    torch.save({"weight": Trap()}, tmp_path / "trap.pt")
    with pytest.raises(InputError, match=r"trap\.pt holds no weights that can be read"):
        load_midas(tmp_path / "trap.pt")
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(InputError, match=r"plain\.pt holds no weights that can be read"):
        load_midas(tmp_path / "plain.pt")
    assert not (tmp_path / "ran").exists()


def test_weights_that_are_no_numbers_are_named(tmp_path: Path, weights: Path) -> None:
    state = torch.load(weights, weights_only=True)
    key = "scratch.output_conv.0.weight"
    for other, problem in (
        (state[key] * torch.nan, "holds NaN or infinity"),
        (state[key].to(torch.complex64), "is no dense tensor of real numbers"),
    ):
        torch.save({**state, key: other}, tmp_path / "other.pt")
        with pytest.raises(InputError, match=rf"{key} {problem}"):
            load_midas(tmp_path / "other.pt")
    with pytest.raises(InputError, match=rf"{key} is no dense tensor of real numbers"):
        load_state(MidasSmall(), {**state, key: state[key].to_sparse()}, tmp_path, "network")


def test_what_is_no_photograph_is_refused_in_one_line(midas: MidasDepth) -> None:
    image = torch.rand(1, 3, 40, 40)
    for other, message in (
        (image[:, :1], r"ambient is \(1, 1, 40, 40\)"),
        (image[0], r"ambient is \(3, 40, 40\)"),
        (image[..., :0], r"ambient is \(1, 3, 40, 0\)"),
        ((255 * image).byte(), "of torch.uint8"),
        (255 * image, "ambient goes from"),
        (image.index_fill(3, torch.tensor(7), torch.nan), "ambient holds NaN or infinity"),
    ):
        with pytest.raises(ValueError, match=message) as caught:
            midas(other)
        assert "\n" not in str(caught.value)


def test_it_stays_in_evaluation_mode_whatever_its_parts_are_told(midas: MidasDepth) -> None:
    image = smooth(2)[None]
    before = midas(image)
    midas.network.train()
    assert torch.equal(midas(image), before)
    assert not any(module.training for module in midas.modules())
    half = midas(image.half())  # computed as its weights are
    torch.testing.assert_close(half, midas(image.half().float()))
    assert half.dtype == torch.float32
    assert set(midas.state_dict()) == {f"network.{key}" for key in MidasSmall().state_dict()}

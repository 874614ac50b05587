"""LPIPS against the package it comes from, with weights made up."""

import warnings
from pathlib import Path

import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch import Tensor

from msloss_sirr import InputError
from msloss_sirr.evaluation.config import LpipsConfig, PerceptualName
from msloss_sirr.evaluation.lpips import distances, load_lpips, load_perceptual

from ..conftest import smooth


def features_of(name: PerceptualName) -> torch.nn.Sequential:
    """Return the layers of torchvision's network that LPIPS looks through, with small weights made up."""
    with torch.device("meta"):
        network = torchvision.models.alexnet(weights=None) if name == "alex" else torchvision.models.vgg16(weights=None)
    features: torch.nn.Sequential = network.features.to_empty(device="cpu")
    generator = torch.Generator().manual_seed(1)
    for parameter in features.parameters():
        parameter.data.normal_(std=(2 / max(parameter[0].numel(), 100)) ** 0.5, generator=generator)
    return features


@pytest.fixture(scope="module")
def alex(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "alexnet.pth"
    torch.save({f"features.{key}": value for key, value in features_of("alex").state_dict().items()}, path)
    return path


@pytest.fixture(scope="module")
def vgg(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "vgg16.safetensors"
    save_file({f"features.{key}": value for key, value in features_of("vgg").state_dict().items()}, path)
    return path


def by_the_package(name: PerceptualName, a: Tensor, b: Tensor) -> float:
    """Return the distance by the package alone, through the layers of torchvision in place of its own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import lpips

        measure = lpips.LPIPS(net=name, pnet_rand=True, verbose=False)
    features = features_of(name)
    for part in measure.net.children():
        for place, (index, _) in enumerate(list(part.named_children())):
            part[place] = features[int(index)]
    with torch.no_grad():
        return float(measure((2 * a - 1)[None], (2 * b - 1)[None]))


@pytest.mark.parametrize("name", ["alex", "vgg"])
def test_distance_is_that_of_the_package(name: PerceptualName, request: pytest.FixtureRequest) -> None:
    weights = request.getfixturevalue(name)
    a, b = smooth(1, 64, 72), smooth(2, 64, 72)
    ours = load_lpips(name, weights)
    assert ours(a, b) == pytest.approx(by_the_package(name, a, b), rel=1e-5)
    assert ours(a, b) > 0.01
    assert ours(a, a) == 0


def test_loading_leaves_the_random_state_and_warns_of_nothing(alex: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    load_lpips("alex", alex)
    assert torch.equal(torch.get_rng_state(), before)
    assert capsys.readouterr() == ("", "")


def test_weights_that_are_not_to_be_had_are_a_reason(
    alex: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))

    def no_network(*_: object, **__: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr(torch.hub, "download_url_to_file", no_network)
    found = load_perceptual(LpipsConfig(alex=alex))
    assert list(found.networks) == ["alex"]
    assert "VGG16 could not be downloaded (no network)" in found.wanting["vgg"]
    assert "vgg16-397923af.pth" in found.wanting["vgg"]
    first, second = distances(found.networks, smooth(1), smooth(2))
    assert first is not None
    assert first > 0
    assert second is None
    (tmp_path / "checkpoints" / "vgg16-397923af.pth").write_bytes(b"other weights")
    assert "is not VGG16 as published" in load_perceptual(LpipsConfig(("vgg",))).wanting["vgg"]


def test_weights_that_were_named_must_fit(alex: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.pth does not exist"):
        load_perceptual(LpipsConfig(("alex",), alex=tmp_path / "none.pth"))
    with pytest.raises(InputError, match="is a folder; give a file of weights"):
        load_perceptual(LpipsConfig(("alex",), alex=tmp_path))
    (tmp_path / "text.pth").write_text("text")
    with pytest.raises(InputError, match=r"can be read: torch\.save did not write it, or it is damaged, or"):
        load_perceptual(LpipsConfig(("alex",), alex=tmp_path / "text.pth"))
    state = torch.load(alex, weights_only=True)
    del state["features.3.bias"]
    torch.save(state, tmp_path / "part.pth")
    with pytest.raises(InputError, match=r"holds no AlexNet: features\.3\.bias is missing"):
        load_perceptual(LpipsConfig(("alex",), alex=tmp_path / "part.pth"))
    with pytest.raises(InputError, match="it is not a backbone"):
        LpipsConfig(("alex",), vgg=alex)

"""Exported removers estimate what removers do, at every size, and their files tell nothing else."""

import dataclasses
import inspect
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

import msloss
from msloss import refine
from msloss_sirr import InputError, Layers, Remover, RemoverConfig, save_remover
from msloss_sirr.cli import main
from msloss_sirr.export import making
from msloss_sirr.export.making import TOLERANCE, check_sizes, difference, export_onnx
from msloss_sirr.export.running import OnnxRemover, load_onnx
from msloss_sirr.models.ensemble import FlipEnsemble

from ..cli.test_cli import fails
from ..conftest import room, smooth

exports = pytest.mark.skipif(
    "prefer_deferred_runtime_asserts_over_guards" not in inspect.signature(torch.export.export).parameters,
    reason="this PyTorch cannot export for pictures of any size, and the command says so",
)
SMALL = RemoverConfig(architecture="unet", channels=(4, 6), patch=1)
KINDS = {
    "unet, both, ranged depth": dataclasses.replace(SMALL, depth="ranged", upsampling="transposed"),
    "unet of blocks, with a norm": dataclasses.replace(SMALL, patch=2, norm="group", channels=(8, 8), residual=False),
    "compact, pure depth": RemoverConfig(channels=(4, 6), blocks=1, networks="transmission", depth="pure"),
    "squeezenet": RemoverConfig(architecture="squeezenet", networks="transmission", channels=(4, 6, 8)),
}


def lively(config: RemoverConfig) -> Remover:
    """Return a remover that changes pictures, though nothing has trained it."""
    torch.manual_seed(1)
    remover = Remover(config).eval()
    with torch.no_grad():
        for weights in remover.parameters():
            weights += 0.05 * torch.randn_like(weights)
    return remover


@pytest.fixture(scope="module")
def remover() -> Remover:
    return lively(SMALL)


@pytest.fixture(scope="module")
def file(remover: Remover, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("exported") / "small.onnx"
    export_onnx(remover, path)
    return path


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("exported") / "shipped.onnx"
    main(["export", "--onnx", str(path)])
    return path


def apart(theirs: Layers, ours: Layers) -> float:
    return max((a - b).abs().max().item() for a, b in zip(theirs, ours, strict=True))


@exports
@pytest.mark.parametrize("size", [(1, 1), (1, 300), (96, 131), (224, 224), (225, 224), (227, 301), (450, 1003)])
def test_shipped_remover_is_exported_for_every_size(shipped: Path, size: tuple[int, int]) -> None:
    image = smooth(3, *size)[None]
    with torch.no_grad():
        expected = Remover.from_pretrained()(image)
    assert apart(load_onnx(shipped)(image), expected) < TOLERANCE
    if min(size) > 1:
        assert apart(Layers(image, torch.zeros_like(image)), expected) > 100 * TOLERANCE  # it does something


@exports
@pytest.mark.parametrize("kind", KINDS)
def test_every_architecture_is_exported_for_every_size(kind: str, tmp_path: Path) -> None:
    remover = lively(KINDS[kind])
    export_onnx(remover, tmp_path / "a.onnx")
    exported = load_onnx(tmp_path / "a.onnx")
    assert exported.config == remover.config
    for height, width in [(2, 3), (8, 8), (9, 64), (50, 33), (131, 66)]:
        depth = [] if remover.config.depth == "none" else [torch.rand(1, 1, height, width) * 7]
        given = torch.rand(1, 3, height, width), *map(remover.prepare_depth, depth)
        assert all(torch.equal(exported.prepare_depth(d), remover.prepare_depth(d)) for d in depth)
        with torch.no_grad():
            expected = remover(*given)
        scale = max(1.0, *(layer.abs().max().item() for layer in expected))
        assert apart(exported(*given), expected) < TOLERANCE * scale


@exports
def test_other_programs_can_run_the_file_alone(file: Path, remover: Remover) -> None:
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    assert [(each.name, each.shape) for each in session.get_inputs()] == [("ambient", [1, 3, "height", "width"])]
    sides = [1, 3, "height", "width"]
    outputs = [(each.name, each.shape) for each in session.get_outputs()]
    assert outputs == [("transmission", sides), ("reflection", sides)]
    image = np.random.default_rng(0).random((1, 3, 30, 41), np.float32)
    with torch.no_grad():
        expected = remover(torch.from_numpy(image)).transmission.numpy()
    np.testing.assert_allclose(session.run(["transmission"], {"ambient": image})[0], expected, atol=1e-4)
    about = session.get_modelmeta().custom_metadata_map
    fields = json.loads(about.pop("config"))
    assert RemoverConfig(**{**fields, "channels": tuple(fields["channels"])}) == remover.config
    assert about == {"format": "msloss_sirr.onnx/1", "depth": "none", "version": msloss.__version__}


@exports
def test_file_is_a_function_of_the_remover_and_tells_nothing_of_where_it_was_made(
    file: Path, remover: Remover, tmp_path: Path
) -> None:
    export_onnx(remover, tmp_path / "again.onnx")
    content = file.read_bytes()
    assert (tmp_path / "again.onnx").read_bytes() == content
    assert not any(path.encode() in content for path in (str(Path(making.__file__).parent.parent), sys.prefix, ".py"))
    assert [each.name for each in file.parent.iterdir()] == [file.name]  # weights are inside


@exports
def test_exported_remover_is_called_as_a_remover(file: Path, remover: Remover) -> None:
    exported, images = load_onnx(str(file)), torch.rand(3, 3, 20, 31, dtype=torch.float64, requires_grad=True)
    found = exported(images)
    assert isinstance(found, Layers)
    assert found.transmission.dtype == torch.float64
    assert not found.reflection.requires_grad
    with torch.no_grad():
        expected = remover(images.float())
        mirrored = FlipEnsemble(remover)(images.float())
    assert apart(found, expected) < TOLERANCE
    assert apart(FlipEnsemble(exported)(images), mirrored) < TOLERANCE
    twice = refine(exported, images.detach().float(), steps=2, feedback="transmission")
    assert apart(twice, refine(remover, images.detach().float(), steps=2, feedback="transmission")) < 10 * TOLERANCE


@exports
def test_exported_remover_refuses_what_a_remover_refuses(file: Path, remover: Remover) -> None:
    exported, image = load_onnx(file), torch.rand(1, 3, 8, 8)
    bad: list[tuple[Any, ...]] = [
        (image[0],),
        (image * 255,),
        (image.byte(),),
        (image * torch.nan,),
        (image, image[:, :1]),
        (image[..., :0],),
    ]
    for given in bad:
        with pytest.raises(ValueError, match=r"give|call|given") as ours:
            remover.forward(*given)
        with pytest.raises(ValueError, match=r"give|call|given") as theirs:
            exported(*given)
        assert str(theirs.value) == str(ours.value)
    with pytest.raises(ValueError, match="guided by no depth"):
        exported.prepare_depth(image[:, :1])


@exports
@pytest.mark.parametrize("factor", [1.01, float("nan")])
def test_file_that_differs_is_not_written(
    remover: Remover, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, factor: float
) -> None:
    class Other(OnnxRemover):
        def __call__(self, ambient: torch.Tensor, depth: torch.Tensor | None = None) -> Layers:
            found = super().__call__(ambient, depth)
            return found._replace(reflection=found.reflection * factor)

    monkeypatch.setattr(making, "OnnxRemover", Other)
    with pytest.raises(InputError, match=r"a\.onnx is not written"):
        export_onnx(remover, tmp_path / "a.onnx")
    assert not list(tmp_path.iterdir())


def test_difference_is_the_farthest_of_all_sizes(remover: Remover) -> None:
    class Farther:
        def __call__(self, ambient: torch.Tensor, depth: torch.Tensor | None = None) -> Layers:
            transmission, reflection = remover(ambient, depth)
            far = ambient.shape[-2:] == check_sizes(remover.config)[1]
            return Layers(transmission, reflection + 0.25 * far)

    assert 0.2 < difference(remover, Farther()) <= 0.25  # type: ignore[arg-type]
    assert difference(remover, remover) == 0  # type: ignore[arg-type]


@exports
def test_file_is_written_whole_or_not_at_all(remover: Remover, tmp_path: Path) -> None:
    with room(1000), pytest.raises(OSError, match=r"a\.onnx"):
        export_onnx(remover, tmp_path / "a.onnx")
    assert not list(tmp_path.iterdir())


@exports
def test_command_exports_a_checkpoint(remover: Remover, file: Path, tmp_path: Path, capsys: Any) -> None:
    save_remover(remover, tmp_path / "small.safetensors")
    words = ["export", "--checkpoint", tmp_path / "small.safetensors", "--onnx", tmp_path / "small.onnx"]
    main([str(word) for word in words])
    assert capsys.readouterr().out.startswith(f"{tmp_path / 'small.onnx'}: any height and width; ")
    assert (tmp_path / "small.onnx").read_bytes() == file.read_bytes()
    assert "exists already; give --overwrite" in fails(capsys, *words)
    assert "is the checkpoint" in fails(capsys, *words[:-1], tmp_path / "small.safetensors", "--overwrite")


def test_what_is_missing_is_said(tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert fails(capsys, "export", "--onnx", tmp_path / "a.onnx").endswith('; pip install "msloss[export]"')
    assert not list(tmp_path.iterdir())
    with pytest.raises(InputError, match=r'onnxruntime .*pip install "msloss\[export\]"'):
        load_onnx(Path(__file__))


def test_what_is_no_exported_remover_is_refused(tmp_path: Path) -> None:
    for content in (b"", b"text", b"\0" * 100):
        (tmp_path / "a.onnx").write_bytes(content)
        with pytest.raises(InputError, match=r"a\.onnx: ") as refused:
            load_onnx(tmp_path / "a.onnx")
        assert "\n" not in str(refused.value)
    with pytest.raises(InputError, match="does not exist"):
        load_onnx(tmp_path / "b.onnx")
    with pytest.raises(InputError, match="it is a folder"):
        load_onnx(tmp_path)


@exports
def test_other_models_are_refused(file: Path, tmp_path: Path) -> None:
    model = onnx.load(file)
    about = {each.key: each.value for each in model.metadata_props}
    for changes, message in (
        ({"format": "other"}, "another model"),
        ({"config": '{"channels": [4], "novelty": 1}'}, "does not fit this version"),
        ({"config": "{"}, "does not fit this version"),
    ):
        onnx.helper.set_model_props(model, {**about, **changes})
        onnx.save(model, tmp_path / "a.onnx")
        with pytest.raises(InputError, match=message):
            load_onnx(tmp_path / "a.onnx")
    model.graph.initializer[0].data_location = onnx.TensorProto.EXTERNAL
    model.graph.initializer[0].external_data.add(key="location", value="/etc/hostname")
    onnx.helper.set_model_props(model, about)
    (tmp_path / "a.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(InputError, match="no ONNX model that runs here"):
        load_onnx(tmp_path / "a.onnx")

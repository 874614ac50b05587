"""Removers called with images as users have them: the same kind comes back, and what tensors would give."""

import copy
import dataclasses
import pickle
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image, ImageCms
from torch import Tensor, nn

from msloss import refine
from msloss_sirr import Layers, Remover, RemoverConfig
from msloss_sirr.images.kinds import pictures
from msloss_sirr.images.reading import to_bytes, to_float
from msloss_sirr.models.ensemble import FlipEnsemble

from ..conftest import smooth

CONFIG = RemoverConfig(channels=(4, 6, 8), patch=2, blocks=1)
TYPES = ("uint8", "uint16", "float16", "float32", "float64", ">u2", ">f4")
SHAPES = st.one_of(
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
    st.tuples(st.integers(1, 9), st.integers(1, 9), st.sampled_from([3, 4])),
    st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9), st.just(3)),
)


def awake(seed: int = 0, **changes: Any) -> Remover:
    """Return a remover that changes pictures."""
    torch.manual_seed(seed)
    remover = Remover(dataclasses.replace(CONFIG, **changes)).eval()
    for net in (remover.reflection_net, remover.transmission_net):
        if net is not None:
            nn.init.normal_(net.out.weight, std=0.1)
    return remover


REMOVER = awake()
"""One that changes pictures, and below one that returns them."""
IDENTITY = Remover(CONFIG).eval()


@st.composite
def arrays(draw: st.DrawFn) -> np.ndarray:
    dtype = np.dtype(draw(st.sampled_from(TYPES)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    values = rng.random(draw(SHAPES))
    array = (
        values.astype(dtype)
        if dtype.kind == "f"
        else rng.integers(0, np.iinfo(dtype).max + 1, values.shape).astype(dtype)
    )
    return array[:, ::-1] if draw(st.booleans()) else array  # strides need not be positive


def as_tensor(array: np.ndarray) -> Tensor:
    """Return the pixels of an array as a remover takes tensors, by other means than the package's."""
    top = 1.0 if array.dtype.kind == "f" else float(np.iinfo(array.dtype).max)
    values = array.astype(np.float64) / top
    values = np.stack([values] * 3, -1) if values.ndim == 2 else values[..., :3]
    return torch.from_numpy(np.moveaxis(values.reshape(-1, *values.shape[-3:]), -1, 1).astype(np.float32))


def same(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor):
        return one.dtype == other.dtype and one.device == other.device and torch.equal(one, other)
    if isinstance(one, Image.Image):
        return (one.mode, one.size, one.tobytes()) == (other.mode, other.size, other.tobytes())
    return (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes())


@given(arrays())
def test_arrays_go_to_pixels_and_back(array: np.ndarray) -> None:
    before = array.copy()
    found = pictures(array)
    torch.testing.assert_close(found.pixels.float(), as_tensor(array), atol=1e-7, rtol=0)
    back = found.back(found.pixels)
    assert (back.dtype, back.shape, type(back)) == (array.dtype, array.shape, np.ndarray)
    if array.dtype.kind == "f" and array.ndim == 2:  # a mean of three that are alike is rounded
        np.testing.assert_allclose(back, array, rtol=1e-6 if array.dtype.itemsize > 2 else 1e-3)
    else:
        assert same(back, array)
    assert same(found.again(), array)
    assert np.array_equal(array, before)


@given(arrays())
def test_arrays_are_taken_apart_as_tensors_are(array: np.ndarray) -> None:
    layers = REMOVER(array)
    expected = REMOVER(pictures(array).pixels.float())
    for found, tensor in zip(layers, expected, strict=True):
        assert (found.dtype, found.shape) == (array.dtype, array.shape)
        values = tensor.detach().double().movedim(1, -1).numpy()
        values = (values @ [0.299, 0.587, 0.114] if array.ndim == 2 else values).clip(0, 1)
        top = 1.0 if array.dtype.kind == "f" else np.iinfo(array.dtype).max
        step = {"u": 0.5001, "f": 1e-3 if array.dtype.itemsize == 2 else 1e-6}[array.dtype.kind]
        colours = found if array.ndim == 2 else found[..., :3]
        assert np.abs(colours.astype(np.float64) - top * values.reshape(colours.shape)).max() <= step + 1e-6 * top
        if array.ndim == 3 and array.shape[-1] == 4:
            assert np.array_equal(found[..., 3], array[..., 3])


@given(st.integers(0, 2**32), st.integers(1, 33), st.integers(1, 33))
def test_bytes_of_every_kind_give_the_same(seed: int, height: int, width: int) -> None:
    array = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    tensor = torch.from_numpy(array).permute(2, 0, 1).contiguous()
    of_tensor, of_array, of_image = REMOVER(tensor), REMOVER(array), REMOVER(Image.fromarray(array))
    expected = REMOVER(to_float(tensor)[None])
    for layer in ("transmission", "reflection"):
        pixels = to_bytes(getattr(expected, layer)[0])
        assert same(getattr(of_tensor, layer), pixels)
        assert same(getattr(of_array, layer), pixels.permute(1, 2, 0).contiguous().numpy())
        assert same(getattr(of_image, layer), Image.fromarray(pixels.permute(1, 2, 0).contiguous().numpy()))


@given(st.integers(0, 2**32), st.integers(1, 4), st.sampled_from(["uint8", "uint16", "float32"]))
def test_a_batch_is_its_images(seed: int, number: int, dtype: str) -> None:
    rng = np.random.default_rng(seed)
    batch = rng.random((number, 13, 9, 3)).astype(np.float32)
    if dtype != "float32":
        batch = (batch * np.iinfo(dtype).max).astype(dtype)
    together, alone = REMOVER(batch), REMOVER(list(batch))
    top = 1 if dtype == "float32" else np.iinfo(dtype).max
    for found, single in zip(together, alone, strict=True):
        assert isinstance(single, list)
        np.testing.assert_allclose(found / top, np.stack(single) / top, atol=1.01 / 255 if dtype == "uint8" else 1e-4)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16, torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("shape", [(3, 5, 7), (2, 3, 5, 7), (1, 3, 1, 1)])
def test_tensors_come_back_as_they_were(dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    image = torch.rand(shape)
    whole = {torch.uint8: 255, torch.uint16: 65535}
    image = (image * whole[dtype]).to(torch.int32).to(dtype) if dtype in whole else image.to(dtype)
    layers = IDENTITY([image])
    assert same(layers.transmission[0], image if dtype != torch.float64 else image.float().double())
    assert not layers.reflection[0].to(torch.float32).any()
    assert same(IDENTITY(image, strength=0).transmission, image)


def test_float_tensors_are_given_to_the_network_as_they_are() -> None:
    remover, image = awake().train(), torch.rand(3, 9, 12, requires_grad=True)
    single, batch = remover(image), remover(image[None])
    for found, expected, raw in zip(single, batch, remover.forward(image[None]), strict=True):
        assert torch.equal(found, expected[0])
        assert torch.equal(expected, raw)
    single.transmission.sum().backward()
    assert image.grad is not None
    assert remover.training
    dark = torch.zeros(1, 3, 8, 8)
    assert REMOVER(dark).transmission.min() < 0 or REMOVER(dark).reflection.min() < 0  # not clipped


def test_images_are_seen_in_evaluation_mode_and_without_gradients() -> None:
    remover = awake(architecture="unet", norm="batch", patch=1).train()
    remover(torch.rand(4, 3, 16, 16))
    before = copy.deepcopy(remover.state_dict())
    image = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    found = remover(image).transmission
    assert remover.training
    assert all(torch.equal(value, remover.state_dict()[key]) for key, value in before.items())
    assert same(found, remover.eval()(image).transmission)
    assert not remover(torch.rand(3, 8, 8), strength=0.5).transmission.requires_grad


PILLOW = {
    "L": "L",
    "LA": "LA",
    "RGB": "RGB",
    "RGBA": "RGBA",
    "I;16": "I;16",
    "I": "I",
    "F": "F",
    "1": "L",
    "P": "RGB",
    "CMYK": "RGB",
    "YCbCr": "RGB",
    "HSV": "RGB",
    "RGBX": "RGB",
    "La": "LA",
    "RGBa": "RGBA",
}


def pillow(mode: str, height: int = 9, width: int = 14) -> Image.Image:
    rng = np.random.default_rng(0)
    if mode in ("I;16", "I"):
        deep = Image.fromarray(rng.integers(0, 2**16, (height, width), dtype=np.uint16))
        return deep if mode == "I;16" else Image.fromarray(np.array(deep).astype(np.int32))
    if mode == "F":
        return Image.fromarray(rng.random((height, width), dtype=np.float32))
    image = Image.fromarray(rng.integers(0, 256, (height, width, 4), dtype=np.uint8))
    if mode in ("La", "RGBa"):
        return image.convert(mode[:-1] + "A").convert(mode)
    return image if mode == "RGBA" else image.convert(mode) if mode == "LA" else image.convert("RGB").convert(mode)


@pytest.mark.parametrize("mode", sorted(PILLOW))
def test_every_mode_of_pillow_comes_back(mode: str) -> None:
    image = pillow(mode)
    before = image.tobytes()
    layers = IDENTITY(image)
    assert (layers.transmission.mode, layers.transmission.size) == (PILLOW[mode], image.size)
    expected = image.convert(PILLOW[mode]) if PILLOW[mode] != mode else image
    if mode == "F":
        np.testing.assert_allclose(np.array(layers.transmission), np.array(image), rtol=1e-6)
    else:
        assert same(layers.transmission, expected)
    assert not np.array(layers.reflection)[..., :1].any() or "A" in PILLOW[mode] or layers.reflection.mode == "L"
    assert not np.array(layers.reflection.convert("RGB") if "A" in PILLOW[mode] else layers.reflection).any()
    assert not same(REMOVER(image).transmission, expected)
    assert image.tobytes() == before
    nothing = REMOVER(image, strength=0).transmission
    assert same(nothing, image)
    assert nothing is not image


def test_alpha_and_transparency_are_kept() -> None:
    image = pillow("RGBA")
    for layer in REMOVER(image):
        assert layer.getchannel("A").tobytes() == image.getchannel("A").tobytes()
    assert same(REMOVER(image).transmission.convert("RGB"), REMOVER(image.convert("RGB")).transmission)
    stream = BytesIO()
    pillow("RGB").quantize(16).save(stream, "png", transparency=3)
    with Image.open(stream) as palette:
        found = REMOVER(palette).transmission
        assert found.mode == "RGBA"
        assert found.getchannel("A").tobytes() == palette.convert("RGBA").getchannel("A").tobytes()


def test_profile_of_the_colours_is_kept_where_it_holds() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for mode, kept in (("RGB", True), ("RGBA", True), ("L", False), ("CMYK", True)):
        image = pillow(mode)
        image.info = (
            {"icc_profile": profile, "dpi": (72, 72), "transparency": 0} if mode != "RGBA" else {"icc_profile": profile}
        )
        if mode == "CMYK":
            image.info.pop("transparency")
        found = REMOVER(image).transmission
        assert ("icc_profile" in found.info) == kept
        assert "transparency" not in found.info
    assert "icc_profile" in image.info


@given(st.sampled_from(["uint8", "uint16", "float32"]), st.floats(0.01, 1.5), st.integers(1, 3))
def test_strength_and_steps(dtype: str, strength: float, steps: int) -> None:
    pixels = smooth(3, 21, 17)
    image = pixels.permute(1, 2, 0).numpy().astype(np.float64)
    array = image.astype(dtype) if dtype == "float32" else (image * np.iinfo(dtype).max).round().astype(dtype)
    x = pictures(array).pixels
    full: Layers = refine(REMOVER, x, steps=steps, feedback="transmission")
    taken = full.reflection if steps == 1 else x - full.transmission
    found = REMOVER(array, steps=steps, strength=strength)
    top = 1 if dtype == "float32" else np.iinfo(dtype).max
    for layer, expected in (
        (found.transmission, x + strength * (full.transmission - x)),
        (found.reflection, strength * taken),
    ):
        wanted = expected[0].clamp(0, 1).permute(1, 2, 0).double().numpy() * top
        assert np.abs(layer.astype(np.float64) - wanted).max() <= (1e-6 if dtype == "float32" else 0.51)


@given(arrays())
def test_strength_zero_returns_the_image_bit_for_bit(array: np.ndarray) -> None:
    layers = REMOVER(array, strength=0)
    assert same(layers.transmission, array)
    assert not np.shares_memory(layers.transmission, array)
    assert not (layers.reflection[..., :3] if array.ndim > 2 else layers.reflection).any()


def test_lists_may_hold_anything() -> None:
    images = [pillow("RGB"), pillow("L", 4, 5), np.zeros((3, 4, 3), np.uint8), torch.rand(3, 6, 2)]
    layers = REMOVER(images, steps=2)
    for found, image in zip(layers.transmission, images, strict=True):
        alone: Any = REMOVER(image, steps=2)
        assert same(found, alone.transmission)
    assert isinstance(REMOVER(tuple(images)).reflection, list)
    plain = REMOVER([images[3]]).transmission[0]
    assert torch.equal(plain, REMOVER(images[3]).transmission)


def test_images_with_depth() -> None:
    guided = awake(depth="pure")
    image = pillow("RGB")
    depth = torch.rand(1, 9, 14)
    expected = guided(to_float(torch.from_numpy(np.array(image)).permute(2, 0, 1))[None], depth[None])
    assert np.array_equal(
        np.array(guided(image, depth).transmission).transpose(2, 0, 1), to_bytes(expected.transmission[0])
    )
    assert same(guided(image, depth[None]).transmission, guided(image, depth).transmission)
    assert torch.equal(
        guided(torch.ones(3, 9, 14), depth).transmission, guided(torch.ones(1, 3, 9, 14), depth[None])[0][0]
    )
    with pytest.raises(ValueError, match="guided by depth, as prepare_depth returns it"):
        guided(image)
    with pytest.raises(ValueError, match="depth was given for a list"):
        guided([image], depth)


def damaged() -> Image.Image:
    stream = BytesIO()
    pillow("RGB", 90, 90).save(stream, "png")
    return Image.open(BytesIO(stream.getvalue()[:2000]))


REFUSED: dict[str, tuple[Any, str]] = {
    "channels first": (np.zeros((3, 8, 9), np.uint8), r"array \(3, 8, 9\); give .*channels last"),
    "batch, channels first": (np.zeros((2, 3, 8, 9), np.uint8), r"array \(2, 3, 8, 9\); give .*channels last"),
    "two channels": (np.zeros((8, 9, 2), np.uint8), r"array \(8, 9, 2\); give"),
    "a line": (np.zeros(8, np.uint8), r"array \(8,\); give"),
    "a number": (np.float32(1), "is a float32; give a PIL image"),
    "batch with alpha": (np.zeros((2, 8, 9, 4), np.uint8), r"array \(2, 8, 9, 4\); give"),
    "objects": (np.array([[None]]), "array of object; give uint8"),
    "switches": (np.zeros((8, 9), bool), "array of bool; give uint8"),
    "long numbers": (np.zeros((8, 9, 3), np.int64), "array of int64; give uint8"),
    "complex": (np.zeros((8, 9), np.complex64), "array of complex64"),
    "words": (np.array([["a"]]), "array of <U1"),
    "empty": (np.zeros((0, 9, 3), np.uint8), r"array \(0, 9, 3\), which is empty"),
    "masked": (np.ma.masked_array(np.zeros((8, 9)), True), "masked array"),
    "NaN": (np.full((8, 9, 3), np.nan), "holds NaN or infinity"),
    "infinity": (np.full((8, 9, 3), -np.inf, np.float32), "holds NaN or infinity"),
    "bytes as floats": (np.full((8, 9, 3), 200.0), r"goes from 200 to 200; give \[0, 1\]"),
    "NaN in a PIL image": (Image.fromarray(np.full((8, 9), np.nan, np.float32)), "holds NaN"),
    "deep PIL image": (Image.fromarray(np.full((8, 9), 70000, np.int32)), "mode I goes from 70000"),
    "LAB": (Image.new("LAB", (4, 4)), "of mode LAB; convert it to RGB"),
    "empty PIL image": (Image.new("RGB", (0, 4)), "0 x 4 pixels, which is empty"),
    "damaged": (damaged(), "cannot be decoded"),
    "tensor of int64": (torch.zeros(3, 8, 9, dtype=torch.int64), "of torch.int64; give"),
    "grey tensor": (torch.zeros(1, 8, 9, dtype=torch.uint8), r"tensor \(1, 8, 9\) of torch.uint8; give \(3, H, W\)"),
    "tensor, channels last": (torch.zeros(8, 9, 3, dtype=torch.uint8), r"tensor \(8, 9, 3\)"),
    "floats, channels last": (torch.zeros(8, 9, 3), r"ambient is \(1, 8, 9, 3\)"),
    "NaN in a tensor": (torch.full((3, 8, 9), torch.nan), "ambient holds NaN"),
    "nothing": (None, "is a NoneType; give"),
    "a path": ("photo.jpg", "is a str; give a PIL image"),
    "an empty list": ([], "list of images is empty"),
    "a list of lists": ([[np.zeros((8, 9))]], "image 0 of the list: the image is a list"),
    "one of a list": ([np.zeros((8, 9)), np.zeros((8, 9), bool)], "image 1 of the list: .*bool"),
}


@pytest.mark.parametrize("case", sorted(REFUSED))
def test_anything_else_is_refused_in_one_line(case: str) -> None:
    image, message = REFUSED[case]
    with pytest.raises(ValueError, match=message) as caught:
        REMOVER(image)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 250


@given(
    hnp.arrays(
        st.sampled_from(["u1", "u2", "i4", "f4", "?", "O", "M8[s]"]),
        hnp.array_shapes(min_dims=0, max_dims=5, min_side=0),
    )
)
def test_any_array_is_an_image_or_refused(array: np.ndarray) -> None:
    try:
        layers = IDENTITY(array)
    except ValueError as error:
        assert "\n" not in str(error)  # noqa: PT017
    else:
        assert layers.transmission.shape == array.shape


@pytest.mark.parametrize("strength", [-0.1, 1.6, float("nan"), "1", None, True])
def test_other_strengths_are_refused(strength: Any) -> None:
    for image in (torch.rand(1, 3, 8, 8), np.zeros((8, 8))):
        with pytest.raises(ValueError, match=r"strength is .*; give a number from 0 to 1\.5"):
            REMOVER(image, strength=strength)


@pytest.mark.parametrize("steps", [0, -1, 1.5, True, "2"])
def test_other_steps_are_refused(steps: Any) -> None:
    with pytest.raises(ValueError, match=r"steps is .*; give a whole number"):
        REMOVER(np.zeros((8, 8)), steps=steps)


def test_an_estimate_that_is_no_number_is_refused() -> None:
    broken = awake()
    assert broken.transmission_net is not None
    nn.init.constant_(broken.transmission_net.out.bias, torch.nan)
    with pytest.raises(ValueError, match="estimate holds NaN or infinity"):
        broken(np.zeros((8, 8), np.uint8))


def test_hooks_see_tensors_once_a_step() -> None:
    remover, seen = awake(), []
    remover.register_forward_pre_hook(lambda _, given: seen.append(given[0].shape))
    remover.register_forward_hook(lambda _, given, layers: seen.append(type(layers)))
    remover(np.zeros((8, 9, 3), np.uint8), steps=2)
    assert seen == [(1, 3, 8, 9), Layers] * 2
    seen.clear()
    remover(torch.rand(1, 3, 8, 9))
    assert seen == [(1, 3, 8, 9), Layers]


def test_wrapped_for_several_processes_it_is_called_alike(tmp_path: Path) -> None:
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path / 'store'}", rank=0, world_size=1)
    try:
        remover, image = awake(architecture="unet", patch=1).train(), torch.rand(2, 3, 8, 9)
        wrapped = nn.parallel.DistributedDataParallel(remover)
        wrapped(image).transmission.square().sum().backward()
        assert all(parameter.grad is not None for parameter in wrapped.parameters())
        assert torch.equal(wrapped(image).transmission, remover(image).transmission)
        assert same(wrapped.eval()(pillow("RGB")).transmission, remover(pillow("RGB")).transmission)
    finally:
        torch.distributed.destroy_process_group()


def test_copies_and_pickles_are_called_alike() -> None:
    image = pillow("RGB")
    stream = BytesIO()
    torch.save(REMOVER, stream)
    stream.seek(0)
    for other in (copy.deepcopy(REMOVER), pickle.loads(pickle.dumps(REMOVER)), torch.load(stream, weights_only=False)):
        assert same(other(image).transmission, REMOVER(image).transmission)
    layers = REMOVER(np.zeros((2, 2)))
    assert type(pickle.loads(pickle.dumps(layers))) is Layers


def test_half_a_remover_takes_images() -> None:
    image = pillow("RGB")
    rough = np.array(awake().to(torch.bfloat16)(image).transmission).astype(int)
    assert np.abs(rough - np.array(REMOVER(image).transmission)).max() < 8


def test_an_ensemble_takes_images() -> None:
    image = pillow("RGBA")
    ensemble = FlipEnsemble(REMOVER)
    found = ensemble(image).transmission
    assert found.mode == "RGBA"
    mirrored = ensemble(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)).transmission
    difference = np.array(found).astype(int) - np.array(mirrored.transpose(Image.Transpose.FLIP_LEFT_RIGHT))
    assert np.abs(difference).max() <= 1


def test_layers_tell_type_checkers_what_they_hold() -> None:
    assert Layers[Image.Image].__origin__ is Layers
    assert Layers.__bases__ == (tuple,)  # a plain one, that torch can take apart while it records operations

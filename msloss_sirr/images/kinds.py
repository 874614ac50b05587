"""Images as users have them, as the tensors that networks are given, and back again."""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

_HIGHEST = {torch.uint8: 2**8 - 1, torch.uint16: 2**16 - 1}
"""What stands for 1, of whole numbers."""
_LUMA = (0.299, 0.587, 0.114)
"""What the channels count for grey, as in Pillow: ITU-R BT.601."""
_CONVERTED = {
    "1": "L",
    "CMYK": "RGB",
    "HSV": "RGB",
    "La": "LA",
    "P": "RGB",
    "RGBX": "RGB",
    "RGBa": "RGBA",
    "YCbCr": "RGB",
}
_SIXTEEN_BITS = ("I", "I;16", "I;16B", "I;16L", "I;16N")
_FORMS = "(H, W), (H, W, 3), (H, W, 4) or (N, H, W, 3)"

Array: TypeAlias = NDArray[Any]


class Pictures(NamedTuple):
    """An image, or several of one size, as a tensor, and the way back to its kind."""

    pixels: Tensor
    """``(N, 3, H, W)``, RGB, floating-point, [0, 1], at least float32 unless the image itself is narrower."""
    back: Callable[[Tensor], Any]
    """From other pixels, of any floating-point type and device, to an image of the kind, type and device of the first,
    with its alpha. Whole numbers are rounded; they, arrays and Pillow's images are clipped to [0, 1]."""
    again: Callable[[], Any]
    """To a copy of the image, bit for bit."""


def pictures(image: object) -> Pictures:
    """Return an image as pixels, with the way back.

    Args:
        image: a ``PIL.Image.Image`` of any mode that has colours or greys; an array ``(H, W)``, ``(H, W, 3)``,
            ``(H, W, 4)`` or ``(N, H, W, 3)``, uint8, uint16 or floating-point in [0, 1]; or a tensor ``(3, H, W)`` or
            ``(N, 3, H, W)``, uint8, uint16 or floating-point. The fourth channel is alpha, and is kept as it is.
            Palettes, CMYK, YCbCr and HSV come back as RGB, palettes with transparency as RGBA, black and white as L.

    Raises:
        ValueError: if it is nothing of these, is empty, cannot be decoded, or holds NaN, or numbers beyond [0, 1].
    """
    if isinstance(image, Tensor):
        return _of_tensor(image)
    if isinstance(image, np.ndarray):
        return _of_array(image)
    if isinstance(image, Image.Image):
        return _of_pillow(image)
    raise ValueError(
        f"the image is a {type(image).__name__}; give a PIL image, a numpy array, a tensor, or a list of them"
    )


def _of_tensor(image: Tensor) -> Pictures:
    shape, dtype, device = tuple(image.shape) if not image.is_nested else (), image.dtype, image.device
    known = image.is_floating_point() or dtype in _HIGHEST
    if len(shape) not in (3, 4) or shape[-3] != 3 or 0 in shape or not known or image.layout != torch.strided:
        kinds = "uint8, uint16 or floating-point"
        raise ValueError(f"the image is a tensor {shape} of {dtype}; give (3, H, W) or (N, 3, H, W), {kinds}")

    def back(pixels: Tensor) -> Tensor:
        found = pixels.reshape(shape).to(device)
        return found.to(dtype) if dtype.is_floating_point else _whole(found, dtype)

    return Pictures(_real(image.detach().reshape(-1, *shape[-3:])), back, lambda: image.detach().clone())


def _of_array(array: Array) -> Pictures:
    _check_array(array)
    grey, batch, alpha = array.ndim == 2, array.ndim == 4, array.ndim == 3 and array.shape[-1] == 4
    native = array.astype(array.dtype.newbyteorder("="), order="C", subok=False)  # a copy, that torch can have
    tensor = torch.from_numpy(native)
    pixels = (
        tensor.expand(3, -1, -1)[None] if grey else tensor[..., :3].reshape(-1, *array.shape[-3:-1], 3).movedim(-1, 1)
    )

    def back(pixels: Tensor) -> Array:
        found = _luma(pixels)[0] if grey else pixels.movedim(1, -1)
        found = found.cpu() if grey or batch else found[0].cpu()
        typed = _whole(found, tensor.dtype) if tensor.dtype in _HIGHEST else found.clamp(0, 1).to(tensor.dtype)
        typed = torch.cat([typed, tensor[..., 3:]], dim=-1) if alpha else typed
        return np.ascontiguousarray(typed.numpy()).astype(array.dtype, copy=False)

    return Pictures(_real(pixels), back, lambda: np.array(array, copy=True, subok=False))


def _check_array(array: Array) -> None:
    shape, dtype = array.shape, array.dtype
    if isinstance(array, np.ma.MaskedArray):
        raise ValueError("the image is a masked array; give a plain one")  # noqa: TRY004  # as for all other images
    if not (dtype.kind == "f" and dtype.itemsize <= 8) and dtype.newbyteorder("=") not in (np.uint8, np.uint16):
        raise ValueError(f"the image is an array of {dtype}; give uint8, uint16, or floating-point in [0, 1]")
    last = {3: (3, 4), 4: (3,)}.get(len(shape), ())
    if len(shape) != 2 and (not last or shape[-1] not in last):
        first = len(shape) in (3, 4) and shape[-3] in (1, 3, 4)
        hint = " with the channels last, as np.moveaxis(image, -3, -1) has them" if first else ""
        raise ValueError(f"the image is an array {shape}; give {_FORMS}{hint}")
    if 0 in shape:
        raise ValueError(f"the image is an array {shape}, which is empty; give {_FORMS}")
    if dtype.kind == "f":
        low, high = float(array.min()), float(array.max())
        if not np.isfinite([low, high]).all():
            raise ValueError("the image holds NaN or infinity; give [0, 1]")
        if low < 0 or high > 1:
            raise ValueError(f"the image goes from {low:g} to {high:g}; give [0, 1], by division or image.clip(0, 1)")


def _of_pillow(image: Image.Image) -> Pictures:
    if 0 in image.size:
        raise ValueError(f"the image is {image.width} x {image.height} pixels, which is empty")
    try:
        plain = _plain(image)
        alpha = plain.getchannel("A") if plain.mode in ("LA", "RGBA") else None
        base = plain.getchannel("L") if plain.mode == "LA" else plain.convert("RGB") if alpha else plain
        inner = _of_array(_values(base))
    except (OSError, SyntaxError, EOFError) as error:  # what Pillow raises where a file is damaged
        raise ValueError(f"the image cannot be decoded: {' '.join(str(error).split())}") from error

    def back(pixels: Tensor) -> Image.Image:
        values: Array = inner.back(pixels)
        found = Image.fromarray(values.astype(np.int32) if base.mode == "I" else values)
        if alpha is not None:
            found.putalpha(alpha)
        found.info = _kept(image, b"RGB " if base.mode == "RGB" else b"GRAY")
        return found

    return Pictures(inner.pixels, back, image.copy)


def _plain(image: Image.Image) -> Image.Image:
    """Return an image in a mode that can come back: L, LA, RGB, RGBA, F, or 16 bits of grey."""
    image.load()  # a palette's transparency is known only then
    mode = _CONVERTED.get(image.mode, image.mode)
    if image.mode == "PA" or (image.has_transparency_data and mode in ("L", "RGB")):
        mode = "LA" if mode == "L" and image.mode != "PA" else "RGBA"
    if mode not in ("L", "LA", "RGB", "RGBA", "F", *_SIXTEEN_BITS):
        raise ValueError(f"the image is of mode {image.mode}; convert it to RGB")
    return image if image.mode == mode else image.convert(mode)


def _values(image: Image.Image) -> Array:
    values: Array = np.array(image)
    if image.mode != "I":
        return values
    if values.min() < 0 or values.max() > _HIGHEST[torch.uint16]:
        raise ValueError(f"the image of mode I goes from {values.min()} to {values.max()}; give 16 bits, 0 to 65535")
    return values.astype(np.uint16)


def _kept(image: Image.Image, space: bytes) -> dict[str | tuple[int, int], Any]:
    """Return what an image's file said about it, without what is said about other values than those of its layers."""
    kept = {name: value for name, value in image.info.items() if name not in ("background", "transparency")}
    if (kept.get("icc_profile") or b"")[16:20] != space:
        kept.pop("icc_profile", None)
    return kept


def _real(pixels: Tensor) -> Tensor:
    """Return pixels in [0, 1], in the order in which tensors lie: in another, sums are rounded otherwise."""
    real = pixels.to(torch.float32) / _HIGHEST[pixels.dtype] if pixels.dtype in _HIGHEST else pixels
    return real.contiguous()


def _whole(pixels: Tensor, dtype: torch.dtype) -> Tensor:
    """Return pixels in whole numbers, rounded and clipped."""
    exact = (pixels.to(torch.float32).clamp(0, 1) * _HIGHEST[dtype]).round()
    return exact.to(torch.int32).to(dtype)


def _luma(pixels: Tensor) -> Tensor:
    exact = pixels.to(torch.promote_types(pixels.dtype, torch.float32))
    return torch.stack([share * channel for share, channel in zip(_LUMA, exact.unbind(1), strict=True)]).sum(0)

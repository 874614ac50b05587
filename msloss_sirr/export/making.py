"""One step of a remover as an ONNX file, for pictures of any size, compared with the remover itself."""

import dataclasses
import inspect
import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.export import Dim, ExportedProgram

import msloss
from msloss_sirr.errors import InputError
from msloss_sirr.export.needed import needed
from msloss_sirr.export.running import FORMAT, OnnxRemover
from msloss_sirr.files import whole_file
from msloss_sirr.models.config import RemoverConfig
from msloss_sirr.models.remover import Remover

TOLERANCE = 1e-4
"""How far a file may be from its remover, in the largest number that either estimates, at least 1: a fortieth of the
step of 8 bits."""
_OPSET = 18
"""The oldest operators that have all that is needed: means over pixels when a picture is reduced."""


def export_onnx(remover: Remover, path: Path) -> float:
    """Write one step of a remover as an ONNX file, whole or not at all; return how far it is from the remover.

    The file has the input ``ambient`` ``(1, 3, height, width)``, RGB, sRGB-encoded, [0, 1], of any size from one pixel
    on, and, for a remover that is guided by it, ``depth`` ``(1, 1, height, width)`` as `Remover.prepare_depth` returns
    it; the outputs are ``transmission`` and ``reflection``, of the same size, not clipped. All are float32. The
    metadata say the ``format``, the ``config`` of the remover as JSON, its ``depth``, and the ``version`` of msloss.

    Before the file takes its name, onnxruntime has run it on random pictures of odd sizes. The largest difference from
    the remover, in the largest number estimated if that is above 1, is returned.

    Args:
        remover: in evaluation mode, in float32, on the CPU.
        path: ends in ``.onnx``, as a rule.

    Raises:
        InputError: if the file would differ by more than ``TOLERANCE``, a package that is needed is not installed, or
            this version of PyTorch cannot export.
        OSError: if the system refuses, as where the disk is full.
    """
    model = _model(remover)
    apart = difference(remover, OnnxRemover(model))
    if not apart <= TOLERANCE:
        raise InputError(
            f"{path} is not written: onnxruntime's estimates would differ from PyTorch's by {apart:.2g}, more than "
            f"{TOLERANCE:g}; another version of PyTorch or onnxruntime may do better"
        )
    with whole_file(path) as partial:
        partial.write_bytes(model)
    return apart


@torch.no_grad()
def difference(remover: Remover, exported: OnnxRemover) -> float:
    """Return by how much the estimates of two removers differ at most, on random pictures of `check_sizes`.

    It is counted in the largest number estimated, where that is above 1.
    """
    apart: list[float] = []
    draw = torch.Generator().manual_seed(0)
    for height, width in check_sizes(remover.config):
        given = _inputs(remover.config, height, width, draw)
        for ours, theirs in zip(remover(*given), exported(*given), strict=True):
            scale = max(1.0, ours.abs().max().item())
            apart.append((ours - theirs).abs().max().item() / scale)
    return max(apart, key=lambda each: float("inf") if each != each else each)  # NaN is farthest


def check_sizes(config: RemoverConfig) -> list[tuple[int, int]]:
    """Return sizes that an exported remover is checked on: tiny, odd, even, around the view and above it."""
    sizes = [(1, 1), (5, 40), (37, 51), (64, 96)]
    if config.view:
        sizes += [(config.view, config.view + 3), (2 * config.view + 9, config.view + 1)]
    return sizes


def _model(remover: Remover) -> bytes:
    """Return the content of the file."""
    onnx = needed("onnx")
    needed("onnxscript")  # by which PyTorch translates
    made = torch.onnx.export(
        _program(remover),
        dynamo=True,
        opset_version=_OPSET,
        input_names=["ambient", "depth"][: 1 + remover.config.guides],
        output_names=["transmission", "reflection"],
        verbose=False,
    )
    proto = made.model_proto  # type: ignore[union-attr]
    _strip(proto)
    about = {"config": json.dumps(dataclasses.asdict(remover.config)), "depth": remover.config.depth}
    onnx.helper.set_model_props(proto, {"format": FORMAT, **about, "version": msloss.__version__})
    onnx.checker.check_model(proto)
    content: bytes = proto.SerializeToString(deterministic=True)
    return content


def _program(remover: Remover) -> ExportedProgram:
    """Return the operations of a remover for pictures of any size."""
    if "prefer_deferred_runtime_asserts_over_guards" not in inspect.signature(torch.export.export).parameters:
        raise InputError(f"PyTorch {torch.__version__} cannot export for pictures of any size; install a newer one")
    given = _inputs(remover.config, *_example(remover.config), torch.Generator())
    return torch.export.export(
        remover,
        given,
        dynamic_shapes=({2: Dim.DYNAMIC, 3: Dim.DYNAMIC},) * len(given),
        strict=False,
        prefer_deferred_runtime_asserts_over_guards=True,  # which the file leaves out: all sizes have one graph
    )


def _example(config: RemoverConfig) -> tuple[int, int]:
    """Return a size at which nothing holds by chance: at no level is a side 1, or even with another."""
    deepest = 16 if config.architecture == "squeezenet" else config.patch * 2 ** len(config.channels)
    return 5 * deepest + 1, 7 * deepest + 3


def _inputs(config: RemoverConfig, height: int, width: int, draw: torch.Generator) -> tuple[Tensor, ...]:
    """Return random inputs of a size."""
    channels = (3, *(1,) * config.guides)
    return tuple(torch.rand(1, count, height, width, generator=draw) for count in channels)


def _strip(proto: Any) -> None:
    """Give the sides their names, and take out what only tells where the file was made."""
    ends = (*proto.graph.input, *proto.graph.output)
    for value in ends:
        height, width = value.type.tensor_type.shape.dim[2:]
        height.dim_param, width.dim_param = "height", "width"
    for each in (*proto.graph.node, *proto.graph.initializer, *ends):
        del each.metadata_props[:]
        each.doc_string = ""
    del proto.graph.value_info[:]
    del proto.graph.metadata_props[:]

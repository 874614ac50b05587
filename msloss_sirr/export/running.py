"""Exported removers, run by onnxruntime."""

import json
from pathlib import Path

import torch
from torch import Tensor

from msloss import RangedQuantizer
from msloss_sirr.errors import InputError
from msloss_sirr.export.needed import needed
from msloss_sirr.files import check_file
from msloss_sirr.layers import Layers
from msloss_sirr.models.config import RemoverConfig
from msloss_sirr.models.inputs import check_inputs, prepared_depth

FORMAT = "msloss_sirr.onnx/1"
"""What the metadata of an exported remover say that it is."""

_OUTPUTS = ["transmission", "reflection"]


class OnnxRemover:
    """A remover that onnxruntime runs on the processor; called as a `Remover` is, in evaluation mode.

    Input ``(N, 3, H, W)``, RGB, sRGB-encoded, [0, 1], of any size and type of floating-point numbers, and depth
    ``(N, 1, H, W)`` as `prepare_depth` returns it; output `Layers` of the same size, type and device, not clipped to
    [0, 1], without gradients. It computes in float32, one image after the other, with as many threads as PyTorch had
    when it was made.

    Args:
        model: the content of a file that `export_onnx` wrote.

    Attributes:
        config: what the networks are made of.

    Raises:
        InputError: if the content is none of such a file, or onnxruntime is not installed.
        ValueError: at a call, as by `Remover`.
    """

    def __init__(self, model: bytes) -> None:
        runtime = needed("onnxruntime")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.inter_op_num_threads = 1
        options.enable_mem_pattern = False  # it is for inputs of one size
        options.log_severity_level = 3
        try:
            self._session = runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's are of many kinds, without one of their own above them
            raise InputError(f"this is no ONNX model that runs here: {str(error).strip().splitlines()[0]}") from error
        self._options = runtime.RunOptions()  # what a call leaves unused is given back
        self._options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        about = self._session.get_modelmeta().custom_metadata_map
        if about.get("format") != FORMAT:
            raise InputError("this is another model; give a file that msloss-sirr export wrote")
        try:
            fields = json.loads(about["config"])
            self.config = RemoverConfig(**{**fields, "channels": tuple(fields["channels"])})
        except (InputError, KeyError, TypeError, ValueError) as error:
            raise InputError(f"this does not fit this version of msloss: {error}") from error
        self._quantizer = RangedQuantizer(self.config.ranges, self.config.range_mode)

    def __call__(self, ambient: Tensor, depth: Tensor | None = None) -> Layers:
        """Return the estimated layers of ``ambient``, guided by a prepared ``depth``; see the class."""
        check_inputs(self.config, ambient, depth, numbers=True)
        given = {"ambient": ambient} if depth is None else {"ambient": ambient, "depth": depth}
        arrays = {name: tensor.detach().to("cpu", torch.float32).numpy() for name, tensor in given.items()}
        each = [
            self._session.run(_OUTPUTS, {name: array[i : i + 1] for name, array in arrays.items()}, self._options)
            for i in range(len(ambient))
        ]
        return Layers(*(torch.cat([torch.from_numpy(one[i]) for one in each]).to(ambient) for i in range(2)))

    def prepare_depth(self, depth: Tensor) -> Tensor:
        """Return what the networks are given of a depth map, as `Remover.prepare_depth` does."""
        return prepared_depth(self.config, self._quantizer, depth)


def load_onnx(path: Path | str) -> OnnxRemover:
    """Return the exported remover in a file.

    The file is data: it can name no code to run, and no other file to be read.

    Raises:
        InputError: if the file is missing, damaged, or holds another model, or onnxruntime is not installed.
    """
    path = Path(path)
    check_file(path)
    if not path.exists():
        raise InputError(f"{path} does not exist; give a file that msloss-sirr export wrote")
    try:
        return OnnxRemover(path.read_bytes())
    except InputError as error:
        raise InputError(f"{path}: {error}") from error

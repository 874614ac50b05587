"""A remover and its depth, on a device."""

from pathlib import Path

import torch

from msloss_sirr.depth.config import DepthConfig
from msloss_sirr.depth.source import DepthSource, build_source
from msloss_sirr.errors import InputError
from msloss_sirr.export.running import OnnxRemover, load_onnx
from msloss_sirr.models.ensemble import FlipEnsemble
from msloss_sirr.models.finding import find_weights
from msloss_sirr.models.remover import Remover, load_remover


def load_on(
    device: torch.device, checkpoint: Path | str | None, depth: DepthConfig, *, flip: bool, onnx: bool = False
) -> tuple[Remover | OnnxRemover | FlipEnsemble, DepthSource | None]:
    """Return a remover and what it has its depth from, on a device.

    Args:
        device: for both.
        checkpoint: file of the remover; a word may also be a folder, or ``user/name`` of the Hugging Face hub; ``None``
            takes the one that comes with the package.
        depth: where depth comes from, if the remover is guided by it.
        flip: whether a photograph's mirror image is to be estimated, too.
        onnx: whether the checkpoint is an exported one, for onnxruntime, which runs on the processor.

    Raises:
        InputError: if the checkpoint or the source of depth cannot be used.
    """
    remover: Remover | OnnxRemover
    if onnx:
        if checkpoint is None:
            raise InputError("no checkpoint is given for onnxruntime; make one by msloss-sirr export --onnx FILE")
        remover = load_onnx(checkpoint)
    else:
        remover = load_remover(find_weights(checkpoint) if isinstance(checkpoint, str) else checkpoint)
    source = build_source(remover.config.depth, depth)
    for network in (remover, source):
        if isinstance(network, torch.nn.Module):
            network.to(device)
    return FlipEnsemble(remover) if flip else remover, source

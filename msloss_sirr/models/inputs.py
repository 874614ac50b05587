"""What removers are called with: checked, and prepared."""

import torch
from torch import Tensor

from msloss import RangedQuantizer
from msloss_sirr.depth.scaling import scaled_depth
from msloss_sirr.images.checks import check_form, check_numbers
from msloss_sirr.models.config import RemoverConfig


def check_inputs(config: RemoverConfig, ambient: Tensor, depth: Tensor | None, *, numbers: bool) -> None:
    """Raise ``ValueError`` unless a remover of this configuration can be called so.

    Args:
        config: of the remover.
        ambient: should be ``(N, 3, H, W)``, of floating-point numbers.
        depth: should be ``(N, 1, H, W)`` if the remover is guided by it, else ``None``.
        numbers: look at the numbers, too: they should be in [0, 1], those of the image about so.
    """
    check_form(ambient)
    if (depth is None) != (config.depth == "none"):
        needs = "no depth" if config.depth == "none" else "depth, as prepare_depth returns it"
        raise ValueError(f"this remover is guided by {needs}, but was given {'none' if depth is None else 'some'}")
    if depth is not None and depth.shape != (ambient.shape[0], 1, *ambient.shape[2:]):
        raise ValueError(f"depth is {tuple(depth.shape)} but ambient {tuple(ambient.shape)}; give (N, 1, H, W)")
    if numbers:
        check_numbers("ambient", ambient)
        if depth is not None:
            check_numbers("depth", depth, beyond=0.0)


@torch.no_grad()
def prepared_depth(config: RemoverConfig, quantizer: RangedQuantizer, depth: Tensor) -> Tensor:
    """Return what a remover of this configuration is given of a depth map; see `Remover.prepare_depth`.

    Raises:
        ValueError: if the depth is of another shape, or the remover is guided by none.
    """
    if config.depth == "none":
        raise ValueError("this remover is guided by no depth; call it with the image alone")
    return quantizer(depth) if config.depth == "ranged" else scaled_depth(depth)

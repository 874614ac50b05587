"""The remover: a reflection net and a transmission net, one after the other."""

from pathlib import Path

import torch
from torch import Tensor, nn

from msloss import RangedQuantizer
from msloss_sirr.layers import Estimate, Layers
from msloss_sirr.models.calling import OnImages
from msloss_sirr.models.checkpoint import read_remover
from msloss_sirr.models.compact import CompactNet
from msloss_sirr.models.config import RemoverConfig
from msloss_sirr.models.finding import find_weights
from msloss_sirr.models.inputs import check_inputs, prepared_depth
from msloss_sirr.models.squeezenet import SqueezeUNet
from msloss_sirr.models.unet import UNet


class Remover(OnImages):
    """Estimate the layers of a photograph taken through glass.

    ``R = reflection_net(I, D)`` and ``T = transmission_net(I, R, D)`` (figure 2 of the paper), with the depth D if
    ``config.depth`` asks for it, and ``T = I + transmission_net(I, R, D)`` with ``config.residual``. With
    ``config.networks="transmission"`` there is no reflection net, and R is what T leaves of I.

    Input ``(N, 3, H, W)``, RGB, sRGB-encoded, [0, 1], of any size, and depth ``(N, 1, H, W)`` as `prepare_depth`
    returns it; output `Layers` of the same size, not clipped to [0, 1]. An untrained residual remover returns its
    input. Called with an image of another kind, as of Pillow or numpy, it returns layers of that kind: see `OnImages`.

    Args:
        config: what the networks are made of.

    Raises:
        ValueError: at a call, if the image or the depth is not of that shape, or the image is not of floating-point
            numbers; in evaluation mode, unless it is being compiled, exported or captured, also if the image holds NaN
            or infinity, or numbers on a scale that cannot be [0, 1], or the depth numbers beyond it.
    """

    def __init__(self, config: RemoverConfig | None = None) -> None:
        super().__init__()
        self.config = config or RemoverConfig()
        with_depth = 3 + self.config.guides
        both = self.config.networks == "both"
        self.reflection_net = _net(self.config, with_depth) if both else None
        self.transmission_net = _net(self.config, with_depth + 3 if both else with_depth)
        self.quantizer = RangedQuantizer(self.config.ranges, self.config.range_mode)

    @classmethod
    def from_pretrained(
        cls,
        name: Path | str | None = None,
        *,
        revision: str | None = None,
        cache_dir: Path | str | None = None,
        token: str | bool | None = None,
        local_files_only: bool = False,
    ) -> "Remover":
        """Return a trained remover, in evaluation mode, in float32.

        No code that others have written is run: of a folder or a repository ``model.safetensors`` alone is read, and
        its configuration must be one that `RemoverConfig` accepts.

        Args:
            name: ``None`` or ``"shipped"`` for the remover that comes with the package; a ``.safetensors`` file of
                ``msloss-sirr train`` or `save_remover`; a folder that `save_pretrained` wrote; or ``"user/name"``, a
                repository of the Hugging Face hub, if nothing on this machine has that name.
            revision: branch, tag or commit of the repository; the default is its main branch.
            cache_dir: where fetched files are kept; the default is the cache of huggingface_hub. If the hub cannot be
                reached, the revision as it was fetched last is taken from there.
            token: for repositories that are not public; the default is the one that ``hf auth login`` has kept.
            local_files_only: fetch nothing, and take what is in the cache.

        Raises:
            InputError: if there is no such file, folder or repository, the hub cannot be reached, or what is there is
                damaged or another model.
        """
        path = find_weights(
            name, revision=revision, cache_dir=cache_dir, token=token, local_files_only=local_files_only
        )
        return load_remover(path)

    def save_pretrained(self, folder: Path | str) -> None:
        """Write the remover to a folder: ``model.safetensors``, ``config.json``, and ``README.md`` if there is none.

        Weights and configuration are in ``model.safetensors``; the other two are for readers.

        Raises:
            InputError: if ``folder`` is a file.
            OSError: if the system refuses, as where the disk is full.
        """
        from msloss_sirr.models.hub import save_folder  # takes a second to import

        save_folder(self, Path(folder))

    def push_to_hub(
        self,
        repo_id: str,
        *,
        commit_message: str = "Push a remover",
        private: bool | None = None,
        token: str | None = None,
        branch: str | None = None,
        create_pr: bool | None = None,
    ) -> str:
        """Upload what `save_pretrained` writes to the Hugging Face hub, and return the address of the commit.

        The repository is made if there is none; its model card, if it has one, is kept.

        Args:
            repo_id: ``"user/name"``.
            commit_message: of the commit.
            private: whether a repository that is made is private.
            token: the default is the one that ``hf auth login`` has kept.
            branch: the default is the main branch.
            create_pr: whether to open a pull request in place of a commit to the branch.

        Raises:
            InputError: if the hub cannot be reached, or refuses.
        """
        from msloss_sirr.models.hub import push  # takes a second to import

        how = {"commit_message": commit_message, "private": private, "create_pr": create_pr}
        return push(self, repo_id, token=token, branch=branch, **how)

    def forward(self, ambient: Tensor, depth: Tensor | None = None) -> Layers:
        """Return the estimated layers of ``ambient``, guided by a prepared ``depth``; see the class."""
        check_inputs(self.config, ambient, depth, numbers=not self.training)
        guide = [] if depth is None else [depth.to(ambient.dtype)]
        if self.reflection_net is None:
            change = self.transmission_net(_joined(ambient, *guide))
            transmission = ambient + change if self.config.residual else change
            return Layers(transmission, ambient - transmission)
        reflection = self.reflection_net(_joined(ambient, *guide))
        change = self.transmission_net(_joined(ambient, reflection, *guide))
        return Layers(ambient + change if self.config.residual else change, reflection)

    def prepare_depth(self, depth: Tensor) -> Tensor:
        """Return what the networks are given of a depth map: its ranges, or itself from 0 to 1, as configured.

        Args:
            depth: ``(N, 1, H, W)``, on any scale, of the ambient image as it was taken. It is prepared once, and the
                same at every step.

        Returns:
            ``(N, 1, H, W)``, in [0, 1].

        Raises:
            ValueError: if the depth is of another shape, or the remover is guided by none.
        """
        return prepared_depth(self.config, self.quantizer, depth)


class Telling(nn.Module):
    """A remover that tells what its estimates were made from: it returns an `Estimate`.

    Args:
        remover: returns `Layers`.
    """

    def __init__(self, remover: nn.Module) -> None:
        super().__init__()
        self.remover = remover

    def forward(self, ambient: Tensor, *depth: Tensor) -> Estimate:
        """Return the estimate of the layers of ``ambient``."""
        layers: Layers = self.remover(ambient, *depth)
        return Estimate(layers.transmission, layers.reflection, ambient)


def load_remover(path: Path | str | None = None) -> Remover:
    """Return the remover in a file, in evaluation mode, in float32.

    Args:
        path: checkpoint of ``msloss-sirr train``; ``None`` takes the remover that comes with the package.

    Raises:
        InputError: if the file is missing, damaged, or holds another model.
    """
    return read_remover(path, Remover)


def _joined(*images: Tensor) -> Tensor:
    """Return the channels of all images, last in memory: on a processor, a U-Net then takes a quarter less time."""
    joined = torch.cat(images, dim=1)
    return joined.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)  # ``memory_format`` is nothing that vmap knows


def _net(config: RemoverConfig, inputs: int) -> nn.Module:
    if config.architecture == "compact":
        return CompactNet(inputs, 3, config.channels, config.patch, config.blocks)
    if config.architecture == "squeezenet":
        return SqueezeUNet(inputs, config.channels, view=config.view, silent=config.residual)
    return UNet(
        inputs,
        3,
        config.channels,
        config.patch,
        norm=config.norm,
        upsampling=config.upsampling,
        silent=config.residual,
    )

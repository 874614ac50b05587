"""A running mean of weights."""

import copy
from collections.abc import Mapping
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

_Network = TypeVar("_Network", bound=nn.Module)


class RunningMean(Generic[_Network]):
    """The exponential moving average of a network's weights.

    The mean over all weights so far at first, so that the initial ones are soon forgotten; then each update brings
    ``1 - decay`` of the new ones. Buffers are the network's own.

    Args:
        network: whose weights; it stays as it is.
        decay: from 0 to below 1; 0 keeps no mean, and ``network`` is the network itself.
    """

    def __init__(self, network: _Network, decay: float) -> None:
        self.network = network
        if decay:
            self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self._of = network
        self._decay = decay
        self._updates = 0

    @torch.no_grad()
    def update(self) -> None:
        """Take in the network's weights as they are now."""
        if not self._decay:
            return
        self._updates += 1
        share = max(1 - self._decay, 1 / self._updates)
        means: list[Tensor] = list(self.network.parameters())
        weights: list[Tensor] = list(self._of.parameters())
        torch._foreach_lerp_(means, weights, share)  # all of them in a few operations of a GPU
        for kept, buffer in zip(self.network.buffers(), self._of.buffers(), strict=True):
            kept.copy_(buffer)

    def state_dict(self) -> dict[str, Any]:
        """Return what `load_state_dict` needs to continue from here."""
        return {"updates": self._updates, "network": self.network.state_dict()} if self._decay else {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from where ``state`` was taken; if no mean was kept there, begin one with the network as it is."""
        if self._decay:
            self._updates = int(state["updates"]) if state else 0
            self.network.load_state_dict(state["network"] if state else self._of.state_dict())

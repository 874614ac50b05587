"""What an epoch adds up to."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor


class Tally:
    """Sums of named quantities over the batches of an epoch, kept on the device until they are asked for."""

    def __init__(self) -> None:
        self.batches = 0
        """How many were added."""
        self.left_out = 0
        """How many others there were."""
        self.images = 0
        self.lr = 0.0
        self.seconds = 0.0
        self._sums: dict[str, Tensor] = {}

    @property
    def rate(self) -> float:
        """Images a second."""
        return self.images / max(self.seconds, 1e-9)

    def add(self, update: Sequence[Mapping[str, Tensor] | None]) -> None:
        """Add the quantities, tensors of any shape, of an update's batches; all are left out if one is ``None``."""
        if None in update:
            self.left_out += len(update)
            return
        for values in update:
            self.batches += 1
            for name, value in (values or {}).items():
                exact = value.detach().float() if value.device.type == "mps" else value.detach().double()
                self._sums[name] = self._sums[name] + exact if name in self._sums else exact

    def means(self, accelerator: Accelerator) -> dict[str, list[float]]:
        """Return the means over all batches and processes, each flattened; nothing if nothing was added."""
        names = sorted(self._sums)
        if not names:
            return {}
        sums = torch.cat([self._sums[name].flatten() for name in names]) / self.batches
        if accelerator.num_processes > 1:
            sums = accelerator.reduce(sums.to(accelerator.device), reduction="mean")
        parts = torch.split(sums.cpu(), [self._sums[name].numel() for name in names])
        return {name: part.tolist() for name, part in zip(names, parts, strict=True)}

    def state_dict(self) -> dict[str, Any]:
        """Return what `load_state_dict` needs to continue from here."""
        return {
            "batches": self.batches,
            "left_out": self.left_out,
            "images": self.images,
            "lr": self.lr,
            "seconds": self.seconds,
            "sums": {name: value.cpu() for name, value in self._sums.items()},
        }

    def load_state_dict(self, state: Mapping[str, Any], device: torch.device) -> None:
        """Continue from where ``state`` was taken."""
        self.batches, self.left_out = int(state["batches"]), int(state["left_out"])
        self.images, self.lr, self.seconds = int(state["images"]), float(state["lr"]), float(state["seconds"])
        self._sums = {name: value.to(device) for name, value in state["sums"].items()}

"""
Gradient modes and memory
=========================

What each mode keeps for the backward pass, what it takes, and which gradient it gives: measured as this page is built.
"""

# %%
# A small U-Net and a criterion that compares features of a frozen network with random weights, as a VGG would be.
import time

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from msloss import MultiStepLoss
from msloss_sirr.models.unet import UNet

torch.manual_seed(0)
model = UNet(3, 3, channels=(8, 16, 32), patch=1)
x, y = torch.rand(2, 1, 3, 64, 64)


class Features(nn.Module):
    """The mean absolute difference of pixels and of the features of a frozen network."""

    def __init__(self) -> None:
        super().__init__()
        layers = [nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1), nn.ReLU()]
        self.features = nn.Sequential(*layers).requires_grad_(False)

    def prepare(self, target: Tensor) -> tuple[Tensor, Tensor]:
        """Return the target and its features, once a call."""
        return target, self.features(target)

    def forward(self, output: Tensor, prepared: tuple[Tensor, Tensor]) -> Tensor:
        """Return the loss of one step."""
        target, features = prepared
        return F.l1_loss(output, target) + F.l1_loss(self.features(output), features)


criterion = Features()
MODES = {
    "loop as by hand (eager=False)": {"eager": False},
    "default": {},
    "truncate=2": {"truncate": 2},
    "truncate=1": {"truncate": 1},
    "checkpoint=True": {"checkpoint": True},
}

# %%
# ``rehearse`` runs one forward and backward pass and counts the bytes of all tensors that it makes. Time is the median
# of three.
steps = range(1, 7)
peaks, seconds = {}, {}
for name, options in MODES.items():
    peaks[name], seconds[name] = [], []
    for m in steps:
        loss = MultiStepLoss(model, criterion, steps=m, **options)
        peaks[name].append(loss.rehearse(x, y).peak_bytes / 2**20)
        taken = []
        for _ in range(3):
            start = time.perf_counter()
            loss(x, y).backward()
            taken.append(time.perf_counter() - start)
        seconds[name].append(sorted(taken)[1])
        model.zero_grad()

figure, axes = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
for axis, values, label in ((axes[0], peaks, "MiB at the peak"), (axes[1], seconds, "seconds")):
    for name, curve in values.items():
        axis.plot(steps, curve, marker="o", markersize=3, label=name)
    axis.set(xlabel="steps", ylabel=label, ylim=(0, None))
axes[0].legend(fontsize=8)

# %%
# The same in numbers, at six steps over two. Where the chain is cut, or activations are recomputed, memory hardly
# grows. Times of pictures so small are Python's in good part, and a busy machine's; the guide has larger networks.
print(f"{'mode':32}{'MiB, M=2':>10}{'M=6':>8}{'M = 6/2':>10}{'s, M=6':>9}")
for name in MODES:
    two, six = peaks[name][1], peaks[name][5]
    print(f"{name:32}{two:10.1f}{six:8.1f}{six / two:10.2f}{seconds[name][5]:9.3f}")


# %%
# And the gradient. ``eager`` and ``checkpoint`` change no gradient but by rounding. ``truncate`` does: it is another
# one, in direction and length, since a step no longer answers for what it does to the next.
def gradient(**options: object) -> Tensor:
    """Return the gradient of three steps, in float64, as one vector."""
    model.zero_grad()
    MultiStepLoss(model, criterion, steps=3, **options)(x.double(), y.double()).backward()
    return torch.cat([parameter.grad.flatten() for parameter in model.parameters() if parameter.grad is not None])


model.double(), criterion.double()
full = gradient(eager=False)
print(f"{'mode':32}{'greatest difference':>20}{'cosine':>9}{'norm / full':>13}")
for name, options in MODES.items():
    other = gradient(**options)
    cosine = float(F.cosine_similarity(full, other, dim=0))
    difference = float((other - full).abs().max() / full.abs().max())
    print(f"{name:32}{difference:20.1e}{cosine:9.4f}{float(other.norm() / full.norm()):13.3f}")

# %%
# Which to take: the default while it fits; ``checkpoint=True`` when it does not, for one more forward pass;
# ``truncate`` if you want its gradient, or need the time as well. :doc:`/guide/memory` has larger networks, and when
# the gradients are not taken early.

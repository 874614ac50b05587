"""
Three lines into a denoising loop
=================================

The same small network, trained for as many updates with one step and with three, and what each step of it brings.
"""

# %%
# The data are crops of photographs with noise of sigma 0.15, made anew for each batch. One photograph is kept aside.
import time

import matplotlib.pyplot as plt
import skimage
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from msloss import MultiStepLoss, refine

SIGMA = 0.15


def photograph(name: str) -> Tensor:
    """Return one of scikit-image's photographs, halved, ``(3, H, W)`` in [0, 1]."""
    image = torch.tensor(getattr(skimage.data, name)()).permute(2, 0, 1) / 255
    return F.avg_pool2d(image, 2)


photographs = [photograph(name) for name in ("astronaut", "chelsea", "rocket")]


def batch(random: torch.Generator, size: int = 4, side: int = 32) -> tuple[Tensor, Tensor]:
    """Return noisy crops and clean ones, ``(4, 3, 32, 32)`` each."""
    crops = []
    for _ in range(size):
        image = photographs[int(torch.randint(len(photographs), (), generator=random))]
        top, left = (int(torch.randint(n - side, (), generator=random)) for n in image.shape[1:])
        crops.append(image[:, top : top + side, left : left + side])
    clean = torch.stack(crops)
    return clean + SIGMA * torch.randn(clean.shape, generator=random), clean


# %%
# The network returns its input less an estimate of the noise: what comes out can go in again.
class Denoiser(nn.Module):
    """Four convolutions of 16 channels, and the input less what they estimate."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for channels in (3, 16, 16):
            layers += [nn.Conv2d(channels, 16, 3, padding=1), nn.ReLU()]
        self.noise = nn.Sequential(*layers, nn.Conv2d(16, 3, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        """Return a picture with less noise, of the shape of ``x``."""
        return x - self.noise(x)


# %%
# The loop. What makes it a multi-step training are the lines that name ``MultiStepLoss`` and ``loss``; with
# ``steps=1`` it is the loop as it would be without.
def train(steps: int, updates: int = 200) -> tuple[nn.Module, list[Tensor]]:
    """Return a trained network, and the losses of each step, update by update."""
    torch.manual_seed(0)
    model, random, history = Denoiser(), torch.Generator().manual_seed(0), []
    loss = MultiStepLoss(model, F.l1_loss, steps=steps)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    for _ in range(updates):
        losses = loss(*batch(random), details=True)
        losses.total.backward()
        optimizer.step()
        optimizer.zero_grad()
        history.append(losses.per_step)
    return model.eval(), history


trained = {}
for steps in (1, 3):
    start = time.perf_counter()
    trained[steps] = train(steps)
    print(f"{steps} step(s): {time.perf_counter() - start:.1f} s")

# %%
# On the photograph that neither has seen, applied up to four times. A network that was trained with one step has never
# seen its own output.
clean = photograph("coffee")[None]
noisy = clean + SIGMA * torch.randn(clean.shape, generator=torch.Generator().manual_seed(1))


def psnr(estimate: Tensor) -> float:
    """Return the PSNR to the clean photograph in dB."""
    return float(-10 * (estimate - clean).square().mean().log10())


times = range(5)
print("applied         " + "".join(f"{n:8d}" for n in times))
scores = {}
for steps, (model, _) in trained.items():
    scores[steps] = [psnr(refine(model, noisy, steps=n) if n else noisy) for n in times]
    print(f"{steps} step(s), PSNR " + "".join(f"{value:8.2f}" for value in scores[steps]))

# %%
# Results, and the losses of the three steps as they fell.
figure, axes = plt.subplots(1, 2, figsize=(10, 3.4), layout="constrained")
for steps, values in scores.items():
    axes[0].plot(times, values, marker="o", label=f"trained with {steps} step(s)")
axes[0].set(xlabel="times applied", ylabel="PSNR, dB", xticks=list(times))
axes[0].legend()
per_step = torch.stack(trained[3][1]).unfold(0, 10, 10).mean(-1)
for step, curve in enumerate(per_step.T):
    axes[1].plot(torch.arange(len(curve)) * 10, curve, label=f"step {step + 1}")
axes[1].set(xlabel="update", ylabel="loss, means of ten", yscale="log")
axes[1].legend()

# %%
# And the pictures.
panels = {
    f"noisy, {scores[1][0]:.1f} dB": noisy,
    f"1 step, once, {scores[1][1]:.1f} dB": refine(trained[1][0], noisy, steps=1),
    f"3 steps, once, {scores[3][1]:.1f} dB": refine(trained[3][0], noisy, steps=1),
    f"3 steps, three times, {scores[3][3]:.1f} dB": refine(trained[3][0], noisy, steps=3),
}
figure, axes = plt.subplots(1, len(panels), figsize=(12, 3.2), layout="constrained")
for axis, (title, image) in zip(axes, panels.items(), strict=True):
    axis.imshow(image[0, :, 40:140, 60:180].clamp(0, 1).permute(1, 2, 0))
    axis.set_title(title, fontsize=10)
    axis.axis("off")

"""
A reflection made, and taken off
================================

The remover that comes with the package, on a photograph behind a reflection, at several strengths.
"""

# %%
# One photograph reflected in front of another. All travel inside scikit-image, and the remover has been trained on
# none of them. The first reflection is strong and hazy, of the kind that it takes off best; the second is in focus, of
# the kind that it mostly leaves.
from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import skimage
import torch
from torch import Tensor

from msloss_sirr import Remover, score
from msloss_sirr.synthesis.recipes import linear, screen


def photograph(name: str) -> Tensor:
    """Return a photograph, ``(1, 3, 200, 300)`` in [0, 1]."""
    image = torch.tensor(getattr(skimage.data, name)()).permute(2, 0, 1)[None] / 255
    return torch.nn.functional.interpolate(image, (200, 300), mode="bicubic", antialias=True).clamp(0, 1)


def pixels(images: Tensor) -> np.ndarray:
    """Return the first image as an array, ``(H, W, 3)``."""
    return images[0].permute(1, 2, 0).numpy()


scene, mirrored = photograph("coffee"), photograph("rocket").flip(3)
composites = {
    "hazy": screen(scene, mirrored, [1]),
    "in focus": partial(linear, sharp=1.0)(scene, mirrored, [1]),
}

# %%
# Arrays, PIL images and tensors are all taken; what comes back is of the kind that was given.
remover = Remover.from_pretrained()
STRENGTHS = (0.0, 0.5, 1.0, 1.5)
for name, made in composites.items():
    truth = made.layers.transmission[0]
    figure, axes = plt.subplots(2, len(STRENGTHS), figsize=(12, 4.4), layout="constrained")
    figure.suptitle(f"a reflection that is {name}")
    for column, strength in zip(axes.T, STRENGTHS, strict=True):
        layers = remover(pixels(made.ambient), strength=strength)
        after = score(torch.from_numpy(layers.transmission).permute(2, 0, 1), truth)
        print(f"{name:9} strength {strength}: {after.psnr:.2f} dB, SSIM {after.ssim:.3f}")
        column[0].imshow(layers.transmission)
        column[0].set_title(f"strength {strength}, {after.psnr:.1f} dB", fontsize=10)
        column[1].imshow(np.abs(pixels(made.ambient) - layers.transmission))
        column[1].set_title("what was taken off", fontsize=10)
    for axis in axes.flat:
        axis.axis("off")

# %%
# The truth, and what was to be taken off, of the hazy one and of the one in focus.
figure, axes = plt.subplots(1, 4, figsize=(12, 2.4), layout="constrained")
for pair, (name, made) in zip((axes[:2], axes[2:]), composites.items(), strict=True):
    for axis, what, images in zip(pair, ("T", "R = I - T"), made.layers, strict=True):
        axis.imshow(pixels(images))
        axis.set_title(f"{name}: {what}", fontsize=10)
        axis.axis("off")

# %%
# Applied to its own output. The card of this remover says that on real photographs once is best; on these composites:
for name, made in composites.items():
    for steps in (1, 2, 3):
        estimate = remover(pixels(made.ambient), steps=steps).transmission
        after = score(torch.from_numpy(estimate).permute(2, 0, 1), made.layers.transmission[0])
        print(f"{name:9} {steps} step(s): {after.psnr:.2f} dB, SSIM {after.ssim:.3f}")

# %%
# On files, with their orientation, colours and metadata, ``msloss-sirr remove`` does the same: :doc:`/removal/photo`.
# What else the remover can and cannot do: :doc:`/removal/model-card`.

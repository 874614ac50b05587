"""
Ranged depth
============

A depth map cut into ranges, in all the ways there are.
"""

# %%
# The photograph and the measured disparity that come with it travel inside scikit-image; disparity is large where
# things are near, as the output of a depth network is. Where it could not be measured it is infinite.

import matplotlib.pyplot as plt
import numpy as np
import skimage
import torch

from msloss import RangedQuantizer

photo, _, disparity = skimage.data.stereo_motorcycle()
depth = torch.from_numpy(disparity.astype(np.float32))[None, None, ::2, ::2]
known = depth.isfinite()
least, most, share = depth[known].min(), depth[known].max(), known.float().mean()
print(f"{tuple(depth.shape)}, {least:.1f} to {most:.1f} pixels, {share:.1%} known")

# %%
# The paper's: four equal parts of the image's own range, and what a network is given of it. Infinities are the last
# range, and NaN the first, whatever the mode.
ranged = RangedQuantizer(ranges=4)(depth)
print("levels:", ranged.unique().tolist())
panels = {"photograph": photo[::2, ::2], "disparity": depth[0, 0], "four ranges": ranged[0, 0]}
figure, axes = plt.subplots(1, 3, figsize=(12, 3.2), layout="constrained")
for axis, (title, image) in zip(axes, panels.items(), strict=True):
    axis.imshow(image, cmap="viridis")
    axis.set_title(title)
    axis.axis("off")

# %%
# More ranges, and ranges of equal area. ``uniform`` follows the scene's distances: one near thing takes ranges for
# itself. ``quantile`` gives each range as many pixels.
figure, axes = plt.subplots(2, 4, figsize=(12, 5), layout="constrained")
for row, mode in zip(axes, ("uniform", "quantile"), strict=True):
    for axis, k in zip(row, (2, 3, 4, 7), strict=True):
        index = RangedQuantizer(ranges=k, mode=mode, output="index")(depth)
        shares = torch.bincount(index.flatten(), minlength=k) / index.numel()
        axis.imshow(index[0, 0], cmap="viridis")
        axis.set_title(f"{mode}, k = {k}\n" + " ".join(f"{share:.0%}" for share in shares), fontsize=9)
        axis.axis("off")

# %%
# A depth network knows neither scale nor shift. ``uniform`` is blind to both, and ``quantile`` to any increasing
# function; at ``fixed`` boundaries the unit counts. Only where the depth is known: 3 * infinity is infinity still.
scaled = 3 * depth + 7
for name, quantizer in {
    "uniform": RangedQuantizer(4),
    "quantile": RangedQuantizer(4, "quantile"),
    "fixed": RangedQuantizer(4, "fixed", boundaries=(20.0, 35.0, 50.0)),
}.items():
    same = (quantizer(scaled) == quantizer(depth)).float().mean()
    print(f"{name:9} of 3 * depth + 7 is that of depth at {float(same):7.2%} of the pixels")

# %%
# In training, it is conditioning: computed once from the photograph, and handed to every step, ``loss(x, y, ranged)``.
# See :doc:`/guide/depth`, and :doc:`/paper/choices` for what the paper says of it.

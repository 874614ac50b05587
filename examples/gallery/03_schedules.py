"""
Schedules and weights, drawn
============================

How many steps run at which epoch, and what each of them weighs in the sum.
"""

# %%
# A metric that settles down, rises after a step is added, and settles again: the PSNR of a training that we make up
# here, so that the schedule can be seen at work. ``OnPlateau`` is told of it once an epoch.
import matplotlib.pyplot as plt
import torch

from msloss import AtEpochs, MultiStepLoss, OnPlateau, RandomSteps, gamma, last_only, mean

random = torch.Generator().manual_seed(0)
schedule = OnPlateau(start=2, patience=5, threshold=1e-3, mode="max")
schedule.bind(3)
metric, steps, added, level = [], [], 0, 20.0
for epoch in range(60):
    aim = 24.0 + 0.8 * (schedule.steps - 2)
    level += 0.15 * (aim - level)
    metric.append(level + 0.03 * float(torch.randn((), generator=random)))
    steps.append(schedule.steps)
    schedule.step(metric[-1])
    if schedule.steps > steps[-1]:
        added = epoch + 1
        print(f"a step is added for epoch {added}")

figure, axes = plt.subplots(2, 1, figsize=(8, 4), sharex=True, layout="constrained")
axes[0].plot(metric)
axes[0].set(ylabel="PSNR, dB (made up)")
axes[1].step(range(60), steps, where="post")
axes[1].set(xlabel="epoch", ylabel="steps that run", yticks=[1, 2, 3], ylim=(0.8, 3.2))
for axis in axes:
    axis.axvline(added, color="grey", linestyle=":")

# %%
# All schedules side by side, on that metric.
schedules = {
    "OnPlateau(start=2)": OnPlateau(start=2, patience=5, threshold=1e-3, mode="max"),
    "AtEpochs({15: 2, 40: 3})": AtEpochs({15: 2, 40: 3}, start=1),
    "RandomSteps(low=1)": RandomSteps(low=1, seed=0),
}
figure, axes = plt.subplots(len(schedules), 1, figsize=(8, 4.5), sharex=True, layout="constrained")
for axis, (name, each) in zip(axes, schedules.items(), strict=True):
    each.bind(3)
    ran = []
    for value in metric:
        ran.append(each.steps)
        each.step(value)
    axis.step(range(60), ran, where="post")
    axis.set(title=name, yticks=[1, 2, 3], ylim=(0.7, 3.3))
axes[-1].set_xlabel("epoch")

# %%
# What each step weighs, for two, three and five steps that run.
weights = {"None, a plain sum": lambda m: (1.0,) * m, "mean": mean, "gamma(0.8)": gamma(0.8), "last_only": last_only}
figure, axes = plt.subplots(1, len(weights), figsize=(11, 2.8), sharey=True, layout="constrained")
for axis, (name, weigh) in zip(axes, weights.items(), strict=True):
    for offset, m in enumerate((2, 3, 5)):
        axis.bar([t + 0.27 * (offset - 1) for t in range(1, m + 1)], weigh(m), width=0.25, label=f"M = {m}")
    axis.set(title=name, xlabel="step t", xticks=range(1, 6))
axes[0].set_ylabel("w_t")
axes[1].legend()

# %%
# Terms of a criterion may weigh differently: here pixels count at every step, features at the last alone. ``terms``
# are told as the criterion returned them, before they are weighed.
loss = MultiStepLoss(
    torch.nn.Identity(),
    lambda output, target: {"pixel": (output - target).square().mean(), "feature": (output - target).abs().mean()},
    steps=3,
    weights={"feature": last_only},
)
losses = loss(torch.zeros(1, 3, 8, 8), torch.ones(1, 3, 8, 8), details=True)
print("total:", float(losses.total), "= 3 * 1 of pixels + 1 of features")
for name, values in losses.terms.items():
    print(name, values.tolist())

"""Train a denoiser with the multi-step loss and accelerate.

On one device or many, in float32 or bfloat16, with gradients accumulated over two batches:

    accelerate launch --num_processes 2 examples/denoise_accelerate.py --mixed-precision bf16
"""

import argparse

import torch
import torch.nn.functional as F
from accelerate import Accelerator
from accelerate.utils import set_seed
from denoising import Denoiser, NoisyPictures, psnr
from torch.utils.data import DataLoader, Subset

from msloss import AtEpochs, MultiStepLoss, refine


def main() -> None:
    """Train, and measure on pictures that training has not seen."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--pictures", type=int, default=256, help="in an epoch")
    parser.add_argument("--mixed-precision", choices=["no", "bf16"], default="no")
    parser.add_argument("--cpu", action="store_true", help="look for no other device")
    options = parser.parse_args()

    accelerator = Accelerator(cpu=options.cpu, mixed_precision=options.mixed_precision, gradient_accumulation_steps=2)
    set_seed(0)
    model = Denoiser()
    schedule = AtEpochs({max(1, options.epochs // 2): 3}, start=2)
    # what is prepared is the loss: its forward is the whole loop, so that processes meet once a step of the optimiser
    loss, optimizer, loader, held_out = accelerator.prepare(
        MultiStepLoss(model, F.l1_loss, steps=3, schedule=schedule),
        torch.optim.Adam(model.parameters(), lr=1e-3),
        DataLoader(NoisyPictures(options.pictures), batch_size=8, shuffle=True),
        DataLoader(Subset(NoisyPictures(10**6), range(10**5, 10**5 + 64)), batch_size=32),
    )
    for epoch in range(options.epochs):
        for noisy, clean in loader:
            with accelerator.accumulate(loss):
                accelerator.backward(loss(noisy, clean))
                optimizer.step()
                optimizer.zero_grad()
        noisy, clean = next(iter(held_out))
        accelerator.print(f"epoch {epoch}: {accelerator.unwrap_model(loss).diagnose(noisy, clean)}")
        schedule.step()  # on every process, and equal on all

    for steps in range(4):
        scores = [psnr(refine(model, x, steps=steps) if steps else x, y) for x, y in held_out]
        mean = accelerator.reduce(torch.tensor(scores, device=accelerator.device).mean(), "mean")
        accelerator.print(f"PSNR after {steps} steps: {float(mean):.2f} dB")
    accelerator.end_training()


if __name__ == "__main__":
    main()

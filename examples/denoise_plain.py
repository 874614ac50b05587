"""Train a denoiser with the multi-step loss in plain PyTorch.

Two steps at first, three once the first step has settled down:

    python examples/denoise_plain.py --plot losses.png
"""

import argparse

import torch
import torch.nn.functional as F
from denoising import Denoiser, NoisyPictures, psnr
from torch.utils.data import DataLoader, default_collate

from msloss import MultiStepLoss, OnPlateau, plot_losses, refine


def main() -> None:
    """Train, and say what every step brings on pictures that training has not seen."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--pictures", type=int, default=256, help="in an epoch")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--plot", help="picture of the losses to write; needs matplotlib")
    options = parser.parse_args()

    torch.manual_seed(0)
    model = Denoiser().to(options.device)
    loss = MultiStepLoss(model, F.l1_loss, steps=3, schedule=OnPlateau(start=2, patience=1, threshold=0.05))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    training = NoisyPictures(options.pictures)
    held_out = default_collate([NoisyPictures(10**6)[10**5 + i] for i in range(64)])
    x, y = (images.to(options.device) for images in held_out)
    print(loss.rehearse(x[:16], y[:16]))  # memory of three steps, before the first epoch runs two

    history = []
    for epoch in range(options.epochs):
        per_step = torch.zeros(loss.current_steps, device=options.device)
        for noisy, clean in DataLoader(training, batch_size=16, shuffle=True):
            losses = loss(noisy.to(options.device), clean.to(options.device), details=True)
            losses.total.backward()
            optimizer.step()
            optimizer.zero_grad()
            per_step += losses.per_step * len(noisy) / len(training)
        history.append(per_step)
        print(f"epoch {epoch}: {loss.diagnose(x, y)}")
        loss.schedule.step(float(per_step[0]))

    for steps in range(4):
        print(f"PSNR after {steps} steps: {psnr(refine(model, x, steps=steps) if steps else x, y):.2f} dB")
    if options.plot:
        plot_losses(history, options.plot)


if __name__ == "__main__":
    main()

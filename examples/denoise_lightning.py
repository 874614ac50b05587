"""Train a denoiser with the multi-step loss and Lightning.

Devices, precision and checkpoints are those of the Trainer.

    python examples/denoise_lightning.py
"""

import argparse

import lightning
import torch
import torch.nn.functional as F
from denoising import Denoiser, NoisyPictures, psnr
from torch import Tensor
from torch.utils.data import DataLoader, Subset

from msloss import AtEpochs, MultiStepLoss, refine


class Denoising(lightning.LightningModule):
    """The training step is the loss; the rest is Lightning's."""

    def __init__(self, epochs: int) -> None:
        super().__init__()
        self.loss = MultiStepLoss(Denoiser(), F.l1_loss, 3, AtEpochs({max(1, epochs // 2): 3}, start=2))

    def training_step(self, batch: list[Tensor], index: int) -> Tensor:
        return self.loss(*batch)

    def on_train_epoch_end(self) -> None:
        self.loss.schedule.step()

    def validation_step(self, batch: list[Tensor], index: int) -> None:
        x, y = batch
        for steps in range(4):
            score = psnr(refine(self.loss.model, x, steps=steps) if steps else x, y)
            self.log(f"PSNR after {steps} steps", score, sync_dist=True)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.loss.model.parameters(), lr=1e-3)

    def on_save_checkpoint(self, checkpoint: dict) -> None:
        checkpoint["steps"] = self.loss.schedule.state_dict()

    def on_load_checkpoint(self, checkpoint: dict) -> None:
        self.loss.schedule.load_state_dict(checkpoint["steps"])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--pictures", type=int, default=256, help="in an epoch")
    options = parser.parse_args()
    lightning.seed_everything(0)
    training = DataLoader(NoisyPictures(options.pictures), batch_size=16, shuffle=True)
    held_out = DataLoader(Subset(NoisyPictures(10**6), range(10**5, 10**5 + 64)), batch_size=64)
    trainer = lightning.Trainer(max_epochs=options.epochs, log_every_n_steps=1)
    trainer.fit(Denoising(options.epochs), training, held_out)
    trainer.validate(ckpt_path="best", dataloaders=held_out)

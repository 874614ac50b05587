"""Train a reflection remover on your own photographs: ``msloss-sirr train`` with its parts laid open.

    python examples/sirr_train.py --photos PHOTOS --pairs PAIRS --val PAIRS --out runs/first

Takes every option of ``msloss-sirr train`` (``--help`` lists them), and on several devices runs under
``accelerate launch``. Exchange any of the four parts below for one of your own.
"""

import sys

from accelerate.utils import set_seed

from msloss import OnPlateau
from msloss_sirr import train
from msloss_sirr.cli.failing import one_line_errors
from msloss_sirr.cli.parsing import parse
from msloss_sirr.losses.criterion import build_criterion
from msloss_sirr.synthesis.making import build_synthesis
from msloss_sirr.trainer.processes import leave
from msloss_sirr.training.initial_weights import begin_remover
from msloss_sirr.training.presets import TrainOptions, defaults


def main() -> None:
    """Put the parts together and train."""
    words = sys.argv[1:]
    config = parse(TrainOptions, "sirr_train", words, description=__doc__, default=defaults(words))
    set_seed(config.seed)  # so that the weights begin as those of ``msloss-sirr train`` do
    best = train(
        config,
        # the network: any module from an ambient image (N, 3, H, W) to Layers(transmission, reflection)
        remover=begin_remover(config),
        # the loss of one step: named terms of (estimated layers, true layers), see LayersCriterion
        criterion=build_criterion(config.loss),
        # how many steps are summed at which epoch: here one more when validation PSNR has settled down
        schedule=OnPlateau(config.first_steps, config.patience, mode="max"),
        # how a reflection is made on a photo: functions of two batches of images and a seed for each, see Synthesis
        synthesis=build_synthesis(config.data.synthesis, config.task),
    )
    if leave():
        before, after = best
        print(f"PSNR {before.psnr:.2f} -> {after.psnr:.2f} dB, SSIM {before.ssim:.4f} -> {after.ssim:.4f}")


if __name__ == "__main__":
    with one_line_errors("sirr_train"):
        main()

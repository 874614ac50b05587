"""Train a small reflection remover with the multi-step loss in a few minutes, and look at what it does.

Needs no data: the photographs travel inside scikit-image. Two of them are kept out of training; the remover is judged
on one of these behind a reflection of the other.

    python examples/demo.py --out demo.png
"""

import argparse
import math
import time
from pathlib import Path

import skimage
import torch
from PIL import Image, ImageDraw, ImageFont
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from torch.utils.data import DataLoader

from msloss import MultiStepLoss
from msloss_sirr import LayersCriterion, LossConfig, Remover, RemoverConfig, Scores, score
from msloss_sirr.data.batches import Batch, compose
from msloss_sirr.data.draws import Draws, collate
from msloss_sirr.data.synthesis import linear
from msloss_sirr.images.reading import read_pixels, to_bytes, to_float
from msloss_sirr.images.writing import write_pixels
from msloss_sirr.losses.criterion import term_weights

TRAINED_ON = (
    "astronaut.png",
    "brick.png",
    "camera.png",
    "coins.png",
    "grass.png",
    "gravel.png",
    "hubble_deep_field.jpg",
    "ihc.png",
    "motorcycle_left.png",
    "retina.jpg",
    "rocket.jpg",
)
SCENE, MIRRORED = "chelsea.png", "coffee.png"


def photo(name: str) -> torch.Tensor:
    """Return one of scikit-image's photographs, ``(3, H, W)`` uint8."""
    return read_pixels(Path(skimage.__file__).parent / "data" / name)


def train(seconds: float, seed: int) -> Remover:
    """Train a remover for so many seconds; the learning rate falls to zero over them."""
    torch.manual_seed(seed)
    draws = Draws(length=2**20, crop=128, photos=[photo(name) for name in TRAINED_ON], seed=seed)
    remover = Remover(RemoverConfig(channels=(24, 48, 96))).to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(remover.parameters())

    # the three lines: wrap the model and its criterion, call the loss, go backward
    loss = MultiStepLoss(
        remover, LayersCriterion(), steps=3, feedback="transmission", weights=term_weights(LossConfig())
    )
    columns = TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn()
    with Progress(*columns) as progress:
        bar = progress.add_task("training", total=1.0)
        start = time.monotonic()
        for index, draw in enumerate(DataLoader(draws, batch_size=4, collate_fn=collate)):
            spent = (time.monotonic() - start) / seconds
            if spent >= 1:
                break
            optimizer.param_groups[0]["lr"] = 2e-3 * 0.5 * (1 + math.cos(math.pi * spent))
            batch = compose(draw, linear)
            total = loss(batch.ambient.contiguous(memory_format=torch.channels_last), batch.target)
            total.backward()
            optimizer.step()
            optimizer.zero_grad()
            if index % 10 == 0:
                progress.update(bar, completed=spent, description=f"batch {index}, loss {total.item():.4f}")
    return remover.eval()


def unseen() -> Batch:
    """Return a composite of the two photographs that training does not see."""
    scene, mirrored = (to_float(photo(name))[:, :300, :400].unsqueeze(0) for name in (SCENE, MIRRORED))
    return linear(scene, mirrored, seeds=[6])


def picture(panels: dict[str, torch.Tensor]) -> torch.Tensor:
    """Return images ``(3, H, W)`` in [0, 1] side by side, each under its title, as ``(3, H', W')`` uint8."""
    strips = []
    for title, image in panels.items():
        strip = Image.new("RGB", (image.shape[2], 28), "white")
        ImageDraw.Draw(strip).text((4, 4), title, fill="black", font=ImageFont.load_default(15))
        label = torch.frombuffer(bytearray(strip.tobytes()), dtype=torch.uint8).view(28, -1, 3).permute(2, 0, 1)
        strips.append(torch.cat([label, to_bytes(image)], dim=1))
    return torch.cat(strips, dim=2)


def main() -> None:
    """Train, take one reflection off, measure, and write the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("demo.png"), help="picture to write")
    parser.add_argument("--seconds", type=float, default=210, help="how long to train")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    remover = train(options.seconds, options.seed)
    ambient, truth = unseen()
    with torch.no_grad():
        estimate = remover(ambient)
    before, after = (score(image[0], truth.transmission[0]) for image in (ambient, estimate.transmission))

    def told(scores: Scores) -> str:
        return f"{scores.psnr:.2f} dB, SSIM {scores.ssim:.3f}"

    panels = {
        f"ambient: {told(before)}": ambient[0],
        f"estimated transmission: {told(after)}": estimate.transmission[0],
        "estimated reflection": estimate.reflection[0],
        "ground truth": truth.transmission[0],
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    write_pixels(options.out, picture(panels))
    print(f"PSNR {before.psnr:.2f} -> {after.psnr:.2f} dB, SSIM {before.ssim:.4f} -> {after.ssim:.4f}: {options.out}")


if __name__ == "__main__":
    main()

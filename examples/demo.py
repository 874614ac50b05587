"""Train a small reflection remover with the multi-step loss in a few minutes, and look at what it does.

Needs no data: five photographs that travel inside scikit-image are reflected in one another, ever anew. Judged is on
twenty composites that training has not seen: every photograph behind a reflection of every other. The photographs
themselves it does know: so few of them, and so few minutes, make a remover for these scenes, not for the world. Beside
it stands the remover that comes with the package, which has seen none of them.

    python examples/demo.py --out demo.png
"""

import argparse
import math
import time
from pathlib import Path

import skimage
import torch
import torch.nn.functional as F
import torchvision.transforms.v2.functional as transforms
from PIL import Image, ImageDraw, ImageFont
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor
from torch.utils.data import DataLoader

from msloss import MultiStepLoss
from msloss_sirr import Evaluation, LayersCriterion, LossConfig, Remover, RemoverConfig, Scores, score
from msloss_sirr.data.batches import compose
from msloss_sirr.data.draws import Draws
from msloss_sirr.data.loader import collate
from msloss_sirr.evaluation.scores import mean
from msloss_sirr.images.listing import SUFFIXES
from msloss_sirr.images.reading import read_pixels, to_bytes, to_float
from msloss_sirr.images.writing import write_pixels
from msloss_sirr.losses.criterion import term_weights
from msloss_sirr.synthesis.making import Synthesis
from msloss_sirr.synthesis.recipes import Composite, linear

PHOTOS = ("astronaut.png", "chelsea.png", "coffee.png", "motorcycle_left.png", "rocket.jpg")
SHOWN = ("rocket.jpg", "astronaut.png")  # the strongest reflection of the twenty
SHORT_SIDE = 160
CONFIG = RemoverConfig(architecture="unet", channels=(16, 32, 64, 96), patch=1)  # learns fastest in a few minutes


def photo(name: str) -> Tensor:
    """Return one of scikit-image's photographs, reduced, ``(3, 160, W)`` uint8."""
    return transforms.resize(read_pixels(Path(skimage.__file__).parent / "data" / name), [SHORT_SIDE], antialias=True)


def train(seconds: float, seed: int) -> Remover:
    """Train a remover for so many seconds; the learning rate falls to zero over them."""
    torch.manual_seed(seed)
    draws = Draws(length=2**20, crop=64, photos=[photo(name) for name in PHOTOS], seed=seed)
    remover = Remover(CONFIG).to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(remover.parameters())

    # the multi-step loss: wrap the model and its criterion, call it in the criterion's place, go backward
    weights = term_weights(LossConfig())
    loss = MultiStepLoss(remover, LayersCriterion(), steps=2, feedback="transmission", weights=weights)

    with Progress(TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn()) as progress:
        bar = progress.add_task("training", total=1.0)
        start = time.monotonic()
        for index, drawn in enumerate(DataLoader(draws, batch_size=4, collate_fn=collate)):
            spent = (time.monotonic() - start) / seconds
            if spent >= 1:
                break
            optimizer.param_groups[0]["lr"] = 1e-3 * 0.5 * (1 + math.cos(math.pi * spent))
            batch = compose(drawn, Synthesis())
            total = loss(batch.ambient.contiguous(memory_format=torch.channels_last), batch.target)
            total.backward()
            optimizer.step()
            optimizer.zero_grad()
            if index % 10 == 0:
                progress.update(bar, completed=spent, description=f"batch {index}, loss {total.item():.4f}")
        progress.update(bar, completed=1.0)
    return remover.eval()


def unseen(scene: str, mirrored: str) -> Composite:
    """Return one photograph whole behind a reflection of another; training sees crops of other composites."""
    behind, before = (to_float(photo(name)) for name in (scene, mirrored))
    width = min(behind.shape[2], before.shape[2])
    seed = len(PHOTOS) * PHOTOS.index(scene) + PHOTOS.index(mirrored)
    return linear(behind[None, ..., :width], before[None, ..., :width], seeds=[seed])


@torch.no_grad()
def judge(remover: Remover, composite: Composite) -> Evaluation:
    """Score the remover on one composite."""
    truth = composite.layers.transmission[0]
    return Evaluation(score(composite.ambient[0], truth), score(remover(composite.ambient).transmission[0], truth))


def told(scores: Scores) -> str:
    """Return scores in words."""
    return f"{scores.psnr:.2f} dB, SSIM {scores.ssim:.3f}"


def picture(panels: dict[str, Tensor]) -> Tensor:
    """Return images ``(3, H, W)`` in [0, 1] side by side, enlarged, each under its title, as ``(3, H', W')`` uint8."""
    columns = []
    for title, image in panels.items():
        large = F.interpolate(image[None], scale_factor=3, mode="bicubic").clamp(0, 1)[0]
        strip = Image.new("RGB", (large.shape[2], 44), "white")
        ImageDraw.Draw(strip).text((4, 4), title, fill="black", font=ImageFont.load_default(15))
        label = torch.frombuffer(bytearray(strip.tobytes()), dtype=torch.uint8).view(44, -1, 3).permute(2, 0, 1)
        columns.append(torch.cat([label, to_bytes(large)], dim=1))
    return torch.cat(columns, dim=2)


def main() -> None:
    """Train, take the reflections off, measure, and write the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("demo.png"), help="picture to write")
    parser.add_argument("--seconds", type=float, default=240, help="how long to train")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.out.suffix.lower() not in SUFFIXES:
        parser.error(f"--out {options.out}: end it in .png or .jpg")

    removers = {"trained here": train(options.seconds, options.seed), "in the package": Remover.from_pretrained()}
    pairs = [(scene, mirrored) for scene in PHOTOS for mirrored in PHOTOS if scene != mirrored]
    composite, panels = unseen(*SHOWN), {}
    for name, remover in removers.items():
        every = {pair: judge(remover, unseen(*pair)) for pair in pairs}
        before, after = every[SHOWN]
        with torch.no_grad():
            estimate = remover(composite.ambient)
        panels["ambient\n" + told(before)] = composite.ambient[0]
        panels[f"transmission, remover {name}\n{told(after)}"] = estimate.transmission[0]
        for what, result in (("shown", every[SHOWN]), (f"mean of {len(every)}", mean(list(every.values())))):
            print(f"remover {name}, {what}: {told(result.before)} -> {told(result.after)}")
    panels["ground truth"] = composite.layers.transmission[0]
    options.out.parent.mkdir(parents=True, exist_ok=True)
    write_pixels(options.out, picture(panels))
    print(options.out)


if __name__ == "__main__":
    main()

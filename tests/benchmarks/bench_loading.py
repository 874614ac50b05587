"""Share of a training that passes waiting for data: drawing, cropping, and making reflections.

The demo's training, and on request one on folders of your own:

python tests/benchmarks/bench_loading.py --json out/bench_loading.json
python tests/benchmarks/bench_loading.py --photos PHOTOS --pairs PAIRS
"""

import argparse
import json
import runpy
import time
from pathlib import Path

import torch
from torch.utils.data import DataLoader

from msloss import MultiStepLoss
from msloss_sirr import DataConfig, LayersCriterion, LossConfig, Remover, RemoverConfig
from msloss_sirr.data.batches import compose
from msloss_sirr.data.draws import Draws
from msloss_sirr.data.loader import collate
from msloss_sirr.data.sources import build_draws
from msloss_sirr.losses.criterion import term_weights
from msloss_sirr.synthesis.making import build_synthesis

DEMO = Path(__file__).parents[2] / "examples" / "demo.py"


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, nargs="*", default=[])
    parser.add_argument("--pairs", nargs="*", default=[])
    parser.add_argument("--batches", type=int, default=100)
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    options = parser.parse_args()
    demo = runpy.run_path(str(DEMO))
    photos = [demo["photo"](name) for name in demo["PHOTOS"]]
    rows = {"demo": share_of_waiting(demo["CONFIG"], Draws(length=2**20, crop=64, photos=photos), options.batches)}
    if options.photos or options.pairs:
        config = DataConfig(photos=tuple(options.photos), pairs=tuple(options.pairs))
        draws = build_draws(config, length=2**20, seed=0)
        rows["compact, on folders"] = share_of_waiting(RemoverConfig(), draws, options.batches)
    print("| training | waits for data | images/s |\n| --- | --- | --- |")
    for name, (share, rate) in rows.items():
        print(f"| {name} | {100 * share:.1f} % | {rate:.1f} |")
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        found = {name: {"waiting": share, "images_per_second": rate} for name, (share, rate) in rows.items()}
        options.json.write_text(json.dumps(found, indent=2) + "\n")


def share_of_waiting(model: RemoverConfig, draws: Draws, batches: int) -> tuple[float, float]:
    """Return the share of the time in which no network runs, and images a second, with two steps and batches of four.

    The first tenth of the batches, in which files are decoded for the first time, does not count.
    """
    torch.manual_seed(0)
    remover, synthesis = Remover(model).to(memory_format=torch.channels_last), build_synthesis(DataConfig().synthesis)
    optimizer = torch.optim.Adam(remover.parameters())
    weights = term_weights(LossConfig())
    loss = MultiStepLoss(remover, LayersCriterion(), steps=2, feedback="transmission", weights=weights)
    loader = iter(DataLoader(draws, batch_size=4, collate_fn=collate))
    waiting, start, warm = 0.0, time.perf_counter(), batches // 10
    for index in range(batches):
        if index == warm:
            waiting, start = 0.0, time.perf_counter()
        asked = time.perf_counter()
        batch = compose(next(loader), synthesis)
        waiting += time.perf_counter() - asked
        loss(batch.ambient.contiguous(memory_format=torch.channels_last), batch.target).backward()
        optimizer.step()
        optimizer.zero_grad()
    spent = time.perf_counter() - start
    return waiting / spent, 4 * (batches - warm) / spent


if __name__ == "__main__":
    main()

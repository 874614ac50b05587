"""Small trainings at equal compute that differ in steps, loss, or data.

    python tests/benchmarks/bench_choices.py --photos PHOTOS --pairs PAIRS --val VAL --clean PHOTOS --encoder FILE \\
        --out OUT [--results FILE]

Each is the training of the shipped remover, begun with ImageNet's features, over as many applications of the network:
with M steps, an M-th of the images. Its last weights are measured by `bench_remover.py`. What is done already in the
output folder is not done again, and a training that was interrupted goes on. The figures are
kept in --results, where those of other machines may be already. At the end, or with --report alone, a table of all.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from statistics import mean
from typing import Any, NamedTuple

ARMS = {
    "one step": "--steps 1",
    "two steps": "",
    "three steps": "--steps 3",
    "no gradient loss": "--loss.gradient 0",
    "gradient loss 20": "--loss.gradient 20",
    "mse": "--loss.measure mse",
    "log": "--loss.measure log",
    "running mean": "--average 0.99",
    "tolerant, 1 pixel": "--loss.tolerance 1",
    "tolerant, 2 pixels": "--loss.tolerance 2",
    "distilled from the shipped": "--distill.teachers shipped",
    "two networks": "--model.networks both",
    "two networks, R target residual": "--model.networks both --loss.reflection-target residual",
    "half pairs": "--real-share 0.5",
    "half pairs, tolerant, 1 pixel": "--real-share 0.5 --loss.tolerance 1",
    "half pairs, tolerant, 2 pixels": "--real-share 0.5 --loss.tolerance 2",
    "pairs alone": "--real-share 1",
    "linear alone": "--synthesis.clip 0 --synthesis.screen 0 --synthesis.transplant 0",
    "transplant alone": "--synthesis.linear 0 --synthesis.clip 0 --synthesis.screen 0",
    "no pairs": "--real-share 0 --synthesis.transplant 0",
    "no glass": "--synthesis.glass.lighting 0 --synthesis.glass.ghosting 0 --synthesis.glass.local 0",
    "no exposure": "--synthesis.exposure 0 --synthesis.strength 0",
}
"""What each says besides ``--preset shipped``, here with all of its steps from the beginning."""
STEPS = {"one step": 1, "three steps": 3}
"""Those of other than two."""
SHOWN = {
    "real pairs": "gain",
    "clean photographs": "psnr",
    "composites, linear": "gain",
    "composites, clip": "gain",
    "composites, screen": "gain",
}


class Folders(NamedTuple):
    """What is trained on, validated on, and written to."""

    photos: Path
    pairs: Path
    val: Path
    clean: Path
    encoder: Path
    out: Path


def main() -> None:
    """Train, measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("photos", "pairs", "val", "clean", "encoder"):
        parser.add_argument(f"--{name}", type=Path)
    parser.add_argument("--out", type=Path, default=Path("out/choices"))
    parser.add_argument("--results", type=Path, help="figures of all trainings; by default in --out, as choices.json")
    parser.add_argument("--images", type=int, default=4800, help="applications of the network in a training")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--arms", nargs="+", default=list(ARMS), choices=ARMS)
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--report", action="store_true", help="print the table of what is done")
    options = parser.parse_args()
    results = options.results or options.out / "choices.json"
    if not options.report:
        folders = Folders(*(getattr(options, name) for name in Folders._fields))
        if None in folders:
            parser.error("give --photos, --pairs, --val, --clean and --encoder, or --report")
        for seed in options.seeds:
            for arm in options.arms:
                measured(arm, seed, options.images, options.precision, folders)
    keep(results, options.out)
    print(table(json.loads(results.read_text()), f"{options.images} in {options.precision}"))


def measured(arm: str, seed: int, images: int, precision: str, folders: Folders) -> None:
    """Train and measure one, unless that is done."""
    run = folders.out / f"{arm}, {images} in {precision}, seed {seed}"
    figures = run / "figures.json"
    if figures.exists():
        return
    steps = STEPS.get(arm, 2)
    words = [
        *("--preset", "shipped", "--photos", folders.photos, "--pairs", folders.pairs, "--val", folders.val),
        *("--encoder", folders.encoder, "--seed", seed, "--precision", precision, "--device", "cpu"),
        *("--epochs", 2, "--epoch-images", images // steps // 2, "--average", 0, "--start-steps", steps),
        *(*ARMS[arm].split(), "--out", run),
        *(["--resume"] if (run / "config.json").exists() else []),
    ]
    subprocess.run([sys.executable, "-m", "msloss_sirr", "train", *map(str, words)], check=True)
    measure = [Path(__file__).with_name("bench_remover.py"), "--checkpoint", run / "last.safetensors"]
    measure += ["--pairs", folders.val, "--photos", folders.clean, "--json", figures]
    subprocess.run([sys.executable, *map(str, measure)], check=True)


def keep(results: Path, out: Path) -> None:
    """Add the figures of what is done to those that are kept."""
    known = json.loads(results.read_text()) if results.exists() else {}
    known |= {path.parent.name: json.loads(path.read_text()) for path in out.glob("*/figures.json")}
    results.parent.mkdir(parents=True, exist_ok=True)
    results.write_text(json.dumps(dict(sorted(known.items())), indent=1) + "\n")


def table(results: dict[str, Any], made: str) -> str:
    """Return what is done, as a table in Markdown: means over the seeds, and the least and greatest gain."""
    rows = ["| training | seeds | real pairs, dB | SSIM | clean, dB | linear | clip | screen |", "| --- " * 8 + "|"]
    for arm in ARMS:
        done = [figures for name, figures in results.items() if name.startswith(f"{arm}, {made}, seed ")]
        if not done:
            continue
        gains = [each["real pairs"]["gain"] for each in done]
        spread = f" ({min(gains):+.2f} to {max(gains):+.2f})" if len(done) > 1 else ""
        ssim = mean(each["real pairs"]["SSIM out"] for each in done)
        others = [mean(each[name][what] for each in done) for name, what in list(SHOWN.items())[1:]]
        cells = [arm, str(len(done)), f"{mean(gains):+.2f}{spread}", f"{ssim:.4f}", f"{others[0]:.1f}"]
        rows.append(f"| {' | '.join([*cells, *(f'{gain:+.2f}' for gain in others[1:])])} |")
    return "\n".join(rows)


if __name__ == "__main__":
    main()

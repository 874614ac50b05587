"""The examples run as they stand."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from msloss_sirr.cli import main

from .msloss_sirr.conftest import save, smooth

ROOT = Path(__file__).parent.parent


def run(*words: object, ok: bool = True, cwd: Path = ROOT, warnings: str = "error::UserWarning") -> str:
    command = [sys.executable, "-W", warnings, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd)
    assert (done.returncode == 0) == ok, done.stderr
    return done.stdout if ok else done.stderr


def test_demo_measures_and_draws(tmp_path: Path) -> None:
    said = run("examples/demo.py", "--seconds", "2", "--out", tmp_path / "new" / "demo.png")
    score = r"\d+\.\d\d dB, SSIM 0\.\d{3}"
    for remover in ("trained here", "in the package"):
        for what in ("shown", "mean of 20"):
            assert re.search(rf"remover {remover}, {what}: {score} -> {score}", said)
    with Image.open(tmp_path / "new" / "demo.png") as picture:
        assert picture.size == (4 * 3 * 160, 3 * 160 + 44)


@pytest.mark.parametrize("recipe", ["plain", "accelerate", "lightning"])
def test_recipes_train_and_measure(recipe: str, tmp_path: Path) -> None:
    script = ROOT / "examples" / f"denoise_{recipe}.py"
    assert len(script.read_text().splitlines()) < 60
    words = {"plain": ["--plot", tmp_path / "losses.png"], "accelerate": ["--cpu"], "lightning": []}[recipe]
    warnings = "ignore" if recipe == "lightning" else "error::UserWarning"  # it warns of few workers and batches
    said = run(script, "--epochs", 2, "--pictures", 32, *words, cwd=tmp_path, warnings=warnings)
    for steps in range(4):
        assert re.search(rf"PSNR after {steps} steps\D+\d\d\.\d", said)
    if recipe == "plain":
        assert "3 steps on" in said
        assert (tmp_path / "losses.png").exists()


def test_sirr_train_trains(tmp_path: Path) -> None:
    for i in range(2):
        save(tmp_path / "photos" / f"{i}.png", smooth(i))
        for part in ("ambient", "transmission"):
            save(tmp_path / "pairs" / part / f"{i}.png", smooth(i))
    words = ["--photos", tmp_path / "photos", "--pairs", tmp_path / "pairs", "--val", tmp_path / "pairs"]
    words += ["--out", tmp_path / "run", "--model.channels", 4, 6]
    words += ["--crop", "24", "--epochs", "1", "--epoch-images", "4", "--device", "cpu"]
    assert "PSNR" in run("examples/sirr_train.py", *words)
    assert (tmp_path / "run" / "best.safetensors").exists()
    main(["train", *map(str, [*words, "--out", tmp_path / "same"])])
    ours, theirs = (load_file(tmp_path / run / "last.safetensors") for run in ("same", "run"))
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)  # the same training, from the same weights
    damaged = tmp_path / "pairs" / "ambient" / "0.png"
    damaged.write_bytes(damaged.read_bytes()[:-400])
    elsewhere = [*words, "--workers", 1, "--out", tmp_path / "other"]
    assert run("examples/sirr_train.py", *elsewhere, ok=False).startswith(f"sirr_train: cannot read {damaged}")
    again = run("examples/sirr_train.py", *words, ok=False)
    assert (
        again
        == f"sirr_train: {tmp_path / 'run'} holds a run already; continue it with --resume, or give another --out\n"
    )

"""The examples run as they stand."""

import re
import subprocess
import sys
from pathlib import Path

from PIL import Image

from .msloss_sirr.conftest import save, smooth

ROOT = Path(__file__).parent.parent


def run(*words: object, ok: bool = True) -> str:
    command = [sys.executable, "-W", "error::UserWarning", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode == 0) == ok, done.stderr
    return done.stdout if ok else done.stderr


def test_demo_measures_and_draws(tmp_path: Path) -> None:
    said = run("examples/demo.py", "--seconds", "2", "--out", tmp_path / "new" / "demo.png")
    for name in ("shown", "mean of 20"):
        assert re.search(rf"{name}: PSNR \d+\.\d\d -> \d+\.\d\d dB, SSIM 0\.\d{{4}} -> 0\.\d{{4}}", said)
    with Image.open(tmp_path / "new" / "demo.png") as picture:
        assert picture.size == (4 * 3 * 160, 3 * 160 + 44)


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
    damaged = tmp_path / "pairs" / "ambient" / "0.png"
    damaged.write_bytes(damaged.read_bytes()[:-400])
    elsewhere = [*words, "--workers", 1, "--out", tmp_path / "other"]
    assert run("examples/sirr_train.py", *elsewhere, ok=False).startswith(f"sirr_train: cannot read {damaged}")
    again = run("examples/sirr_train.py", *words, ok=False)
    assert (
        again
        == f"sirr_train: {tmp_path / 'run'} holds a run already; continue it with --resume, or give another --out\n"
    )

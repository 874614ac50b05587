"""``msloss-sirr peers``: methods are scored as eval scores them, held against the input, and told what they take."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from msloss_sirr import InputError
from msloss_sirr.ablation.arms import INPUT
from msloss_sirr.ablation.figures import Comparison
from msloss_sirr.ablation.intervals import interval
from msloss_sirr.ablation.results import Results, read_results
from msloss_sirr.cli import main
from msloss_sirr.data.sources import open_pairs
from msloss_sirr.evaluation.scores import evaluate
from msloss_sirr.images.reading import read_pixels, to_bytes, to_float
from msloss_sirr.models.remover import load_remover
from msloss_sirr.peers import measuring
from msloss_sirr.peers.comparing import COSTS, compare
from msloss_sirr.peers.config import PeersConfig
from msloss_sirr.peers.measuring import Taken, Task, perform
from msloss_sirr.peers.page import page
from msloss_sirr.peers.suppression import suppress

from ..conftest import fails, save

pytestmark = pytest.mark.usefixtures("offline")


@pytest.fixture
def in_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Methods run in this process, which is quicker."""

    def run(task: Task, folder: Path) -> Taken:
        peak = {"nothing": 100.0, "suppression": 110.0, "remover": 150.0}[task.kind]
        return Taken(**perform(task), peak_mib=peak)

    monkeypatch.setattr("msloss_sirr.peers.comparing.run", run)


@pytest.fixture
def config(pairs: Path, checkpoint: Path, tmp_path: Path) -> PeersConfig:
    for path in (pairs / "transmission").iterdir():
        save(tmp_path / "theirs" / path.name, to_float(read_pixels(path)))
    return PeersConfig(
        sets=(str(pairs),),
        out=tmp_path / "out",
        checkpoints=(f"half={checkpoint}",),
        outputs=(f"truth={tmp_path / 'theirs'}",),
    )


def silent(_: str) -> None:
    pass


def values(results: Results, arm: str, metric: str) -> list[float]:
    return [score.values[metric] for score in results.scores if score.arm == arm]


def test_methods_are_scored_as_they_are_by_themselves(
    config: PeersConfig, pairs: Path, checkpoint: Path, in_here: None
) -> None:
    found = compare(dataclasses.replace(config, steps=(1, 2)), silent)
    assert list(found.head.arms) == [
        *(INPUT, "gradient suppression 0.033", "shipped remover, 1 steps", "shipped remover, 2 steps"),
        *("half, 1 steps", "half, 2 steps", "truth"),
    ]
    for steps in (1, 2):
        by_hand = evaluate(load_remover(checkpoint), open_pairs(pairs), steps=steps)
        assert values(found, f"half, {steps} steps", "psnr") == pytest.approx([each.after.psnr for each in by_hand])
    assert values(found, INPUT, "psnr") == pytest.approx([each.before.psnr for each in by_hand])
    assert values(found, "truth", "psnr") == [float("inf")] * 4
    ambient = to_float(read_pixels(pairs / "ambient" / "2.png"))
    kept = read_pixels(config.out / "pictures" / "gradient-suppression-0.033" / "pairs" / "2.png")  # type: ignore[operator]
    assert torch.equal(kept, to_bytes(suppress(ambient[None]).transmission[0]))


def test_differences_are_to_the_input_of_the_same_image(config: PeersConfig, in_here: None, tmp_path: Path) -> None:
    found = compare(config, silent)
    figure = Comparison(found).figure("half", "pairs", 0, "psnr")
    assert figure is not None
    apart = np.array(values(found, "half", "psnr")) - np.array(values(found, INPUT, "psnr"))
    np.testing.assert_allclose(figure.between, interval(apart[None]))
    assert figure.verdict == "worse"
    truth = Comparison(found).figure("truth", "pairs", 0, "psnr")
    assert truth is not None
    assert truth.verdict == "better"
    shown = page(found)
    assert f"| half | {figure.mean:.2f} | {figure.difference:+.2f} [" in shown
    assert "| truth | not run here | | | |" in shown
    assert "4 of 4 |" in shown
    assert "0 of 4 |" in shown


def test_what_is_told_of_time_and_memory_is_of_methods_that_ran(config: PeersConfig, in_here: None) -> None:
    found = compare(config, silent)
    assert {score.arm for score in found.scores if "seconds" in score.values} == {*found.head.arms} - {"truth"}
    for score in found.scores:
        assert ({*COSTS} <= score.values.keys()) == (score.arm != "truth")
    made = [s._replace(values={**s.values, "seconds": 2.0, "cpu_seconds": 1.0}) for s in found.scores]
    made = [s if s.arm != "truth" else s._replace(values={"psnr": 99.0, "ssim": 1.0}) for s in made]
    shown = page(Results(found.head, made))
    assert "| gradient suppression 0.033 | 2.000 (2.000, 2.000) | 1.000 | 110 | 10 |" in shown
    assert "| shipped remover | 2.000 (2.000, 2.000) | 1.000 | 150 | 50 |" in shown
    assert "| input | 2.000 (2.000, 2.000) | 1.000 | 100 |  |" in shown


def test_a_process_of_its_own_tells_its_memory(pairs: Path, tmp_path: Path) -> None:
    pictures = [(str(pairs / "ambient" / "0.png"), str(tmp_path / "0.png"))] * 2
    taken = measuring.run(Task("nothing", pictures), tmp_path)
    assert len(taken.seconds) == len(taken.cpu_seconds) == 2
    assert all(each > 0 for each in taken.seconds)
    assert 20 < taken.peak_mib < 20_000
    ballast = b"\1" * (1 << 30)  # of this process, and not of that
    assert measuring.run(Task("nothing", pictures), tmp_path).peak_mib == pytest.approx(taken.peak_mib, abs=200)
    del ballast
    assert torch.equal(read_pixels(tmp_path / "0.png"), read_pixels(pairs / "ambient" / "0.png"))
    with pytest.raises(InputError, match=r"the process of a nothing failed: .*missing\.png does not exist"):
        measuring.run(Task("nothing", [(str(tmp_path / "missing.png"), "")]), tmp_path)


def test_the_command_writes_results_and_a_page_that_is_made_from_them(
    pairs: Path, photos: Path, tmp_path: Path, in_here: None, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    words = ["peers", str(pairs), "--composites", str(photos), "--thresholds", "0.01", "0.1", "--out", str(out)]
    main(words)
    assert capsys.readouterr().out.splitlines()[-1] == str(out / "peers.md")
    found = read_results(out / "peers.csv")
    assert list(found.head.sets) == ["pairs", "composites-linear", "composites-clip", "composites-screen"]
    assert list(found.head.arms)[1:3] == ["gradient suppression 0.01", "gradient suppression 0.1"]
    first = (out / "peers.md").read_text()
    assert "LPIPS (alex) was not measured: it waits for the weights of its network (--lpips.alex FILE)." in first
    (out / "peers.md").unlink()
    main(["peers", "--report", str(out)])
    assert (out / "peers.md").read_text() == first


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "name folders of pairs, or --composites PHOTOS, and --out FOLDER"),
        (["PAIRS"], "name folders of pairs, or --composites PHOTOS, and --out FOLDER"),
        (["PAIRS", "--outputs", "theirs"], "outputs is theirs; give NAME=PATH"),
        (["PAIRS", "--outputs", "a=x", "--outputs", "a=y"], "outputs names a twice; give each a name of its own"),
        (["PAIRS", "--outputs", "input=x"], "two methods are called input; give each a name of its own"),
        (["PAIRS", "--checkpoints", "a=nowhere"], "there is no file nowhere"),
        (["PAIRS", "--thresholds", "-1"], "thresholds are (-1.0,); give numbers from 0 to 1, 0.033 say"),
        (["PAIRS", "--steps", "0"], "steps are (0,); give one or more, each once, 1 or more"),
    ],
)
def test_what_cannot_be_compared_is_told_in_a_line(
    words: list[str], told: str, pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(pairs) if word == "PAIRS" else word for word in words]
    out = ["--out", str(tmp_path / "out")] if len(words) > 1 else []
    assert told in fails(capsys, "peers", *words, *out)


def test_other_results_are_no_page_of_methods(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "peers.csv").write_text("arm,seed\n")
    assert "holds no results of an ablation" in fails(capsys, "peers", "--report", tmp_path)


def test_methods_side_by_side_are_no_page_of_a_comparison(capsys: pytest.CaptureFixture[str]) -> None:
    results = Path(__file__).parents[3] / "docs" / "results" / "peers.csv"
    told = fails(capsys, "ablate", "--report", results)
    assert "peers.csv holds methods side by side; msloss-sirr peers --report takes its folder" in told
    assert not results.with_suffix(".md").exists()

"""``msloss-sirr ablate why``: what is told of iterates and gradients is so, and the page says what the numbers say."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from msloss import refine
from msloss_sirr import InputError, Layers
from msloss_sirr.ablation.figures import NO_DIFFERENCE
from msloss_sirr.ablation.intervals import interval
from msloss_sirr.ablation.results import find_results, read_results
from msloss_sirr.cli import main
from msloss_sirr.data.sources import open_pairs
from msloss_sirr.evaluation.scores import CEILING, score
from msloss_sirr.images.reading import to_float
from msloss_sirr.models.remover import load_remover
from msloss_sirr.training.probes import Look
from msloss_sirr.why import measuring
from msloss_sirr.why.figures import STRENGTHS, Figures, difference, rates
from msloss_sirr.why.iterating import Iterate, iterate
from msloss_sirr.why.page import page
from msloss_sirr.why.plot import draw
from msloss_sirr.why.tables import About, Found, Iterated, Probed, read, write

from ..conftest import fails, smooth

ABOUT = About(
    title="Table 5: Multi-step loss",
    arms={"1-step": "--steps 1", "3-step": ""},
    baseline="1-step",
    seeds=[0, 1, 2],
    trained_by="msloss-sirr ablate 5",
    command="msloss-sirr ablate why",
    facts={"network": "a | b"},
    unlike=["crop 24, not 336"],
    sets={"val": 4},
)


def look(update: int, loss: float, cosine: float = 0.5) -> Look:
    cosines = [[1.0, cosine, 0.25], [cosine, 1.0, 0.125], [0.25, 0.125, 1.0]]
    own = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    parts = [[loss, 0.5, 0.25], [1.0, 1.0, 1.0], [0.0, 0.125, 0.25], [2.0, 4.0, 8.0]]
    return Look(update, *parts, cosines, [0.5, 0.25, -0.5], [2.0, 1.0, 0.5], own, [0.5, 0.0, 0.0])


def made(gain: float = 1.0, probed: bool = True) -> Found:
    """Return results in which 3-step ends nearer to the truth by about ``gain`` dB."""
    draw = np.random.default_rng(0)
    iterates, probes = [], []
    for arm, of_arm in (("1-step", 0.0), ("3-step", gain)):
        for seed in ABOUT.seeds:
            if probed:
                ends = 0.75 - 0.25 * (arm == "3-step") + 0.01 * seed
                probes += [Probed(arm, seed, look(update, 1 - (1 - ends) * update / 8)) for update in (0, 2, 4, 8)]
            for image in ("a", "b, c", 'd "e"', "f"):
                for t in range(5):
                    psnr = 20 + of_arm * t + float(draw.normal(0, 0.01))
                    rest = (0.5**t, 0.5, 0.25, 0.5**t if t else None)
                    iterates.append(Iterated(arm, seed, "val", image, Iterate(t, psnr, 0.125, *rest)))
    return Found(ABOUT, probes, iterates)


def towards(truth: Tensor, rate: float) -> Any:
    return lambda x: Layers(truth + rate * (x - truth), x)


@pytest.mark.parametrize("rate", [0.5, 0.9, -0.5, 1.25])
def test_a_known_linear_map_contracts_as_it_is_known_to(rate: float) -> None:
    truth, ambient = smooth(0)[None].double(), (smooth(0) + smooth(1) / 4)[None].double()
    found = list(iterate(towards(truth, rate), ambient, truth, steps=6))
    for each in found:
        assert each.along == pytest.approx(rate**each.step)
        assert each.left == pytest.approx(rate ** (2 * each.step))
        assert each.beside == pytest.approx(0, abs=1e-6)
        assert each.distance == pytest.approx(float((ambient - truth).abs().mean()) * abs(rate) ** each.step)
    changes = np.array([[[each.change for each in found[1:]]]])
    np.testing.assert_allclose(rates(changes), abs(rate))
    assert found[0].change is None
    assert found[1].change == pytest.approx(abs(rate - 1) * float((ambient - truth).square().mean().sqrt()))


def test_what_is_no_reflection_lies_beside_it() -> None:
    truth, ambient = torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 8)
    ambient[:, :, :4] = 0.5
    wrong = torch.zeros(1, 3, 8, 8)
    wrong[:, :, 4:] = 0.25
    _, found = iterate(lambda _: Layers(0.5 * ambient + wrong, wrong), ambient, truth, steps=1)
    assert (found.along, found.beside, found.left) == pytest.approx((0.5, 0.5, 0.5))
    (clean,) = (each for each in iterate(towards(truth, 1.0), truth, truth, steps=1) if each.step)
    assert (clean.left, clean.along, clean.beside, clean.change, clean.psnr) == (None, None, None, 0.0, CEILING)


def test_iterates_are_those_of_refine(checkpoint: Path, pairs: Path) -> None:
    remover = load_remover(checkpoint)
    pair = open_pairs(pairs)[1]
    ambient, truth = to_float(pair.ambient), to_float(pair.transmission)
    found = list(iterate(remover, ambient[None], truth[None], steps=4))
    assert found[0].psnr == pytest.approx(score(ambient, truth).psnr)
    for steps in (1, 4):
        estimate = refine(remover, ambient[None], steps=steps, feedback="transmission").transmission[0]
        assert found[steps].psnr == pytest.approx(score(estimate, truth).psnr)


def test_files_hold_all_of_it(tmp_path: Path) -> None:
    found = made()
    write(found, tmp_path)
    again = read(tmp_path)
    assert again.about == found.about
    assert list(again.probes) == list(found.probes)
    for ours, theirs in zip(again.iterates, found.iterates, strict=True):
        assert ours[:4] == theirs[:4]
        for one, other in zip(ours.iterate, theirs.iterate, strict=True):
            assert one == (None if other is None else pytest.approx(other, rel=1e-4))
    assert page(again, {}) == page(read(tmp_path), {})
    for text in ("", "arm,seed\n", "# format: 3\n# about: {}\narm\n"):
        (tmp_path / "why-probes.csv").write_text(text)
        with pytest.raises(InputError, match="holds no results of msloss-sirr ablate why"):
            read(tmp_path)


def test_differences_are_of_the_same_seed_and_image() -> None:
    draw = np.random.default_rng(1)
    hard = draw.normal(0, 9, (1, 6))
    own, base = (hard + draw.normal(mean, 0.1, (4, 6)) for mean in (1.0, 0.0))
    found = difference(own, base)
    np.testing.assert_allclose(found.between, interval(own - base))
    assert found.verdict == "more"
    assert difference(base, own).verdict == "less"
    assert difference(base, base + draw.normal(0, 1, (4, 1))).verdict == NO_DIFFERENCE
    assert difference(own[:1], base[:1]).between is None
    own[2, 3] = np.nan  # an image that was clean
    left = [0, 1, 2, 4, 5]
    np.testing.assert_allclose(difference(own, base).between, interval((own - base)[:, left]))


def test_gains_by_strength_are_those_of_the_images_themselves() -> None:
    truth, ambient = smooth(0)[None].double(), (smooth(0) + smooth(1) / 4)[None].double()
    estimate = truth + 0.25 * (ambient - truth) + 0.05 * smooth(2).double()
    steps = [
        Iterated("1-step", 0, "val", "a", each)
        for each in iterate(lambda x: Layers(estimate, x), ambient, truth, steps=1)
    ]
    about = dataclasses.replace(ABOUT, arms={"1-step": ""}, sets={"val": 1})
    gains = Figures(Found(about, [], steps)).strengths("1-step", "val")[0, 0]
    for strength, gain in zip(STRENGTHS, gains, strict=True):
        left = ambient + strength * (estimate - ambient) - truth
        assert gain == pytest.approx(
            -10 * ((left**2).mean() / ((ambient - truth) ** 2).mean()).log10().item(), abs=1e-6
        )


def test_iterates_are_of_the_seeds_that_all_arms_have() -> None:
    found = made()
    part = [each for each in found.iterates if (each.arm, each.seed) != ("3-step", 2)]
    shown = page(dataclasses.replace(found, iterates=part), {})
    assert "| seeds that all arms have been applied with | 0 1 |" in shown
    assert Figures(dataclasses.replace(found, iterates=part)).iterates("1-step", "val", "psnr").shape[0] == 2
    assert f"| 3-step | +5.05 | +0.00 [+0.00, +0.00] {NO_DIFFERENCE} |" in shown
    assert "that all arms have" not in page(found, {})


def test_looks_are_of_the_seeds_that_all_arms_have() -> None:
    found = made()
    part = [each for each in found.probes if (each.arm, each.seed) != ("3-step", 2)]
    shown = page(dataclasses.replace(found, probes=part), {})
    assert "| seeds that all arms have been looked at in training with | 0 1 |" in shown
    assert Figures(dataclasses.replace(found, probes=part)).course(
        "1-step", lambda seen: seen.loss[0]
    ).values.shape == (2, 4)


def test_the_best_strength_is_told_and_what_differs_there() -> None:
    shown = page(made(), {})
    # half of the reflection is left, and a quarter is wrong beside it: (1 - s / 2)^2 + (s / 4)^2 is least at 1.6
    assert "| 1-step | +5.05 |  | 1.60 | +6.99 |  |" in shown
    assert f"| 3-step | +5.05 | +0.00 [+0.00, +0.00] {NO_DIFFERENCE} | 1.60 | +6.99 |" in shown
    clean = [
        each._replace(iterate=each.iterate._replace(left=None, along=None, beside=None)) for each in made().iterates
    ]
    assert "There is no reflection in these." in page(dataclasses.replace(made(), iterates=clean), {})
    timid = [each._replace(iterate=each.iterate._replace(along=0.75, beside=0.0)) for each in made().iterates]
    assert "| 1-step | +2.50 |  | >= 2.00 | +6.02 |  |" in page(dataclasses.replace(made(), iterates=timid), {})


def test_the_page_says_what_the_numbers_say() -> None:
    shown = page(made(), {"identity": "plot.svg"})
    assert "**A small-scale version, not the experiment of the paper.**" in shown
    assert "| network | a \\| b |" in shown
    assert "(plot.svg)" in shown
    identity = next(line for line in shown.splitlines() if line.startswith("| 3-step | 1.000"))
    # from 1 at the beginning to 0.5, 0.51 and 0.52 at the end, of which a quarter and a half are seen
    assert identity.split("|")[2:6] == [
        f" {told} " for told in ("1.000 ± 0.000", "0.877 ± 0.003", "0.755 ± 0.005", "0.510 ± 0.010")
    ]
    assert identity.endswith(
        "| -0.250 [-0.250, -0.250] less | -0.260 [-0.285, -0.235] less | -0.510 [-0.535, -0.485] less |"
    )
    assert "| 1-step | 2.0000 ± 0.0000 | 2.00 ± 0.00 | 4.00 ± 0.00 | 0.50 ± 0.00 | 0.25 ± 0.00 | 0.12 ± 0.00 |" in shown
    last = [line for line in shown.splitlines() if line.startswith("| 3-step |")][-1]
    assert "more | 0.50 (0.50, 0.50) | 0.50 (0.50, 0.50) |" in last
    same = [line for line in page(made(gain=0.0), {}).splitlines() if line.startswith("| 3-step |")][-1]
    assert same.count(NO_DIFFERENCE) == 3
    never = page(made(probed=False), {})
    assert never.count("These trainings were not looked at") == 2


def test_plots_are_of_what_there_is_and_always_the_same(tmp_path: Path) -> None:
    files = draw(made(), tmp_path)
    assert sorted(files) == ["gradients", "identity", "iterates", "residual", "strengths"]
    first = {name: (tmp_path / file).read_bytes() for name, file in files.items()}
    draw(made(), tmp_path)
    assert first == {name: (tmp_path / file).read_bytes() for name, file in files.items()}
    assert sorted(draw(made(probed=False), tmp_path)) == ["iterates", "residual", "strengths"]


def test_trainings_that_are_under_way_count_as_far_as_all_have_come() -> None:
    found = made()
    short = [each for each in found.probes if each.seed != 2 or each.look.update < 4]
    course = Figures(dataclasses.replace(found, probes=short)).course("3-step", lambda seen: seen.loss[0])
    assert course.values.shape == (3, 2)


@pytest.fixture
def comparison(pairs: Path, photos: Path, tmp_path: Path) -> Path:
    """A comparison of two trainings, of a few updates."""
    small = "--preset small --device cpu --crop 24 --batch 2 --epochs 1 --epoch-images 4 --model.channels 4 --samples 0"
    told = f"{small} --seeds 0 --eval-steps 1 --lpips.backbones --val {pairs} --out {tmp_path / 'out'} --probe-every 1"
    main(["ablate", "3", *told.split(), "--pairs", str(pairs), "--photos", str(photos)])
    return tmp_path / "out"


def test_the_command_looks_once_and_writes_a_page(
    comparison: Path, photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = comparison / "why"
    main(["ablate", "why", str(comparison), "--steps", "3", "--composites", str(photos)])
    assert capsys.readouterr().out.splitlines()[-1] == str(out / "why.md")
    found = read(out)
    assert list(found.about.sets) == ["pairs", "composites-linear", "composites-clip", "composites-screen"]
    assert [each.look.update for each in found.probes] == [0, 1, 2]
    assert {each.arm for each in found.iterates} == {"without RefGAN"}
    assert {each.iterate.step for each in found.iterates} == {0, 1, 2, 3}
    first = (out / "why.md").read_text()
    assert "(why-identity.svg)" in first
    (told,) = (line for line in first.splitlines() if line.startswith("| trained by |"))
    assert "revision " in told or "unknown" in told
    assert ", cpu" in told
    scores = json.loads((comparison / "runs" / "without-RefGAN" / "seed-0" / "scores.json").read_text())["images"]
    known = {(set_name, image): values["psnr"] for set_name, image, steps, values in scores if steps == 1}
    seen = {(e.set_name, e.image): e.iterate.psnr for e in found.iterates if e.iterate.step == 1}
    assert {key: seen[key] for key in known} == pytest.approx(known, rel=1e-4)
    monkeypatch.setattr(measuring, "iterate", None)  # what was measured is not measured again
    main(["ablate", "why", str(comparison), "--steps", "3", "--composites", str(photos)])
    (out / "why.md").unlink()
    main(["ablate", "why", "--report", str(out)])
    assert (out / "why.md").read_text() == first


def test_a_training_of_another_comparison_is_looked_at_by_its_place(comparison: Path) -> None:
    note = comparison / "runs" / "without-RefGAN" / "seed-0" / "trained.json"
    note.write_text(json.dumps({**json.loads(note.read_text()), "arm": "another name"}))
    (found,) = measuring._trained(comparison, read_results(find_results(comparison)).head)
    assert (found.arm, found.seed, found.folder) == ("without RefGAN", 0, note.parent)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "name the folder of a comparison, or give --report FOLDER, and not both"),
        (["here", "--report", "there"], "name the folder of a comparison, or give --report FOLDER, and not both"),
        (["here", "--steps", "2"], "steps is 2; give 3 or more, as the paper trains with three"),
        (["here"], "holds 0 files of results"),
        (["--report", "here"], "cannot read"),
    ],
)
def test_what_cannot_be_told_is_told_in_a_line(
    words: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "here").mkdir()
    words = [str(tmp_path / word) if word in ("here", "there") else word for word in words]
    assert told in fails(capsys, "ablate", "why", *words)

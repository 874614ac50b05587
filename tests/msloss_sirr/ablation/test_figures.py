"""Results: what is compared with what, what is said of it, and that a file and its page hold all of it."""

import dataclasses
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from msloss_sirr import InputError, TrainConfig
from msloss_sirr.ablation.arms import INPUT, with_length
from msloss_sirr.ablation.deviations import unlike_paper
from msloss_sirr.ablation.figures import NO_DIFFERENCE, Comparison
from msloss_sirr.ablation.intervals import interval
from msloss_sirr.ablation.page import page, trained_by
from msloss_sirr.ablation.paper import SETS, TABLES
from msloss_sirr.ablation.results import Head, Results, Run, Score, SetFound, read_results, write_results
from msloss_sirr.ablation.studies import STUDIES
from msloss_sirr.catalogue.layout import parse_source
from msloss_sirr.training.option_files import changed
from msloss_sirr.training.presets import PRESETS

SEEDS, IMAGES = (0, 1, 2), ("a", "b, c", 'd "e"', "f")


def head_of(study: str, **changes: object) -> Head:
    each = STUDIES[study]
    head = Head(
        study=study,
        title=each.title,
        question=each.question,
        arms={arm.name: str(arm) for arm in each.arms},
        baseline=each.baseline,
        seeds=SEEDS,
        eval_steps=(1, 2),
        command="msloss-sirr ablate 5 --preset small",
        facts={"network": "a | b"},
        unlike=("crop 24, not 336",),
        sets={"val": SetFound(len(IMAGES))},
    )
    return dataclasses.replace(head, **changes)


def scores(seed: int = 0) -> Iterator[Score]:
    """Yield scores in which an image is as hard for every arm, and 2-step better by 1 dB, within 0.1."""
    draw = np.random.default_rng(seed)
    hard = dict(zip(IMAGES, draw.normal(20, 5, len(IMAGES)), strict=True))
    gains = {"1-step": 0.0, "2-step": 1.0, "3-step": 0.0}
    for image in IMAGES:
        yield Score(INPUT, None, "val", image, 0, {"psnr": hard[image] - 3, "lpips_alex": 0.5})
    for arm, gain in gains.items():
        for of_seed in SEEDS:
            luck = draw.normal(0, 0.05)
            for image in IMAGES:
                for steps in (1, 2):
                    value = hard[image] + luck + gain + draw.normal(0, 0.1)
                    yield Score(arm, of_seed, "val", image, steps, {"psnr": value, "lpips_alex": 1 - value / 100})


def results(**changes: object) -> Results:
    run = Run("1-step", 0, 12, 12, 48, 60.5, (1, 1), 1, 1234, "cpu")
    return Results(head_of("5", runs=(run,), **changes), list(scores()))


def test_differences_are_of_the_same_seed_and_image() -> None:
    found = results()
    compared = Comparison(found).figure("2-step", "val", 1, "psnr")
    values = {(s.arm, s.seed, s.image): s.values["psnr"] for s in found.scores if s.steps == 1}
    by_hand = [[values["2-step", s, i] - values["1-step", s, i] for i in IMAGES] for s in SEEDS]
    assert compared is not None
    assert compared.difference == pytest.approx(np.mean(by_hand))
    np.testing.assert_allclose(compared.between, interval(np.array(by_hand)))
    assert compared.between.high - compared.between.low < 1  # what images have in common has gone: their spread is 5 dB
    assert (compared.verdict, compared.seeds, compared.images) == ("better", 3, 4)
    means = [np.mean([values["2-step", s, i] for i in IMAGES]) for s in SEEDS]
    assert (compared.mean, compared.spread) == pytest.approx((np.mean(means), np.std(means, ddof=1)))


def test_the_order_of_scores_does_not_matter() -> None:
    found = results()
    mixed = list(found.scores)
    random.Random(0).shuffle(mixed)
    for arm in ("2-step", "3-step", INPUT):
        one = Comparison(found).figure(arm, "val", 2, "psnr")
        other = Comparison(Results(found.head, mixed)).figure(arm, "val", 2, "psnr")
        assert one is not None
        assert other is not None
        assert one.verdict == other.verdict
        assert one.difference == pytest.approx(other.difference)


def test_an_image_that_one_seed_lacks_is_left_out_of_all() -> None:
    found = results()
    fewer = [s for s in found.scores if not (s.arm == "1-step" and s.seed == 1 and s.image == "a")]
    whole = [s for s in found.scores if s.image != "a"]
    one, other = (Comparison(Results(found.head, each)).figure("2-step", "val", 1, "psnr") for each in (fewer, whole))
    assert one is not None
    assert other is not None
    assert one.between == pytest.approx(other.between)


def test_less_lpips_is_better_and_no_difference_is_called_so() -> None:
    compared = Comparison(results())
    better = compared.figure("2-step", "val", 1, "lpips_alex")
    assert better is not None
    assert better.difference < 0
    assert better.verdict == "better"
    assert compared.figure("3-step", "val", 1, "psnr").verdict == NO_DIFFERENCE
    assert compared.figure(INPUT, "val", 1, "psnr").verdict == "worse"
    assert compared.figure("1-step", "val", 1, "psnr").verdict == ""


def test_one_seed_says_nothing_of_others() -> None:
    found = results()
    one = [s for s in found.scores if s.seed in (0, None)]
    compared = Comparison(Results(found.head, one)).figure("2-step", "val", 1, "psnr")
    assert compared is not None
    assert compared.difference == pytest.approx(1, abs=0.3)
    assert (compared.between, compared.verdict, compared.spread) == (None, "one seed: no interval", None)


def test_one_image_says_nothing_of_others() -> None:
    found = results()
    one = [s for s in found.scores if s.image == "a"]
    compared = Comparison(Results(found.head, one)).figure("2-step", "val", 1, "psnr")
    assert compared is not None
    assert compared.difference == pytest.approx(1, abs=0.3)
    assert (compared.between, compared.verdict) == (None, "one image: no interval")


def test_what_has_no_seeds_is_compared_over_images() -> None:
    head = head_of("1", baseline=INPUT)
    given = [Score(INPUT, None, "val", i, 0, {"psnr": 20.0 + n}) for n, i in enumerate(IMAGES)]
    given += [Score("other", None, "val", i, 0, {"psnr": 21.0 + 1.1 * n}) for n, i in enumerate(IMAGES)]
    compared = Comparison(Results(head, given)).figure("other", "val", 1, "psnr")
    assert compared is not None
    assert compared.verdict == "better"
    assert compared.between == pytest.approx(interval(np.array([[1.0, 1.1, 1.2, 1.3]])))


def test_a_picture_that_is_its_truth_counts_with_a_hundred() -> None:
    given = [Score("1-step", s, "val", "a", 1, {"psnr": np.inf}) for s in SEEDS]
    figure = Comparison(Results(head_of("5"), given)).figure("1-step", "val", 1, "psnr")
    assert figure is not None
    assert figure.mean == 100


def test_a_file_holds_all_that_the_page_tells(tmp_path: Path) -> None:
    found = results(waiting={"2->3": "time"}, wanting={"lpips_vgg": "weights"}, absent={"nature (20)": "--sets x"})
    write_results(found, tmp_path / "r.csv")
    again = read_results(tmp_path / "r.csv")
    assert again.head == found.head
    assert [s[:5] for s in again.scores] == [s[:5] for s in found.scores]
    for score, before in zip(again.scores, found.scores, strict=True):
        assert score.values == pytest.approx(before.values, abs=1e-5)
    write_results(again, tmp_path / "again.csv")
    assert page(read_results(tmp_path / "again.csv")) == page(again)
    assert (tmp_path / "again.csv").read_bytes() == (tmp_path / "r.csv").read_bytes()


@pytest.mark.parametrize(
    "text", ["", "a,b\n1,2\n", '# format: "other"\n', '# format: "msloss_sirr.ablation/1"\narm,seed\n']
)
def test_other_files_are_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(text)
    with pytest.raises(InputError, match=r"x\.csv holds no results of an ablation"):
        read_results(tmp_path / "x.csv")


def test_the_page_says_what_it_is() -> None:
    told = page(results(waiting={"2->3": "time"}, wanting={"lpips_vgg": "some weights"}))
    assert "A small-scale version, not the experiment of the paper" in told
    assert "crop 24, not 336" in told
    assert "$ msloss-sirr ablate 5 --preset small" in told
    assert "| seeds | 0 1 2; 1 of 12 trainings have ended |" in told
    assert NO_DIFFERENCE in told
    assert "| 2->3 | waits for time |" in told
    assert "Waits for some weights." in told
    assert "| 3x1-step | not done yet |" in told
    assert "| network | a \\| b |" in told
    assert "small-scale" not in page(results(unlike=()))
    assert "| trained by | unknown |" in told


def test_what_trained_is_counted() -> None:
    runs = [Run("1-step", n, 1, 1, 1, 1.0, (1,), 1, 1, "cpu", provenance) for n, provenance in enumerate("aab")]
    assert trained_by(head_of("5", runs=tuple(runs))) == "a (2 of 3 trainings); b (1 of 3 trainings)"
    assert trained_by(head_of("5", runs=tuple(runs[:2]))) == "a"
    assert "| trained by |" not in page(Results(head_of("5"), []))


@pytest.mark.parametrize("study", TABLES)
def test_no_number_of_the_paper_is_one_of_ours(study: str) -> None:
    """Where nothing was measured, every number in a table stands in the column of the paper."""
    table = TABLES[study]
    sets = {f"set {n}": SetFound(0, title) for n, title in enumerate(table.sets)}
    told = page(Results(head_of(study, sets=sets), []))
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in told.splitlines() if line.startswith("|")]
    printed = {f"{value:.2f}" for (_, _, metric), value in table.printed.items() if metric == "psnr"}
    seen = {cell.split(" ")[0] for row in rows for cell in row[1:2]}
    assert printed <= seen
    for row in rows:
        if len(row) == 6 and row[0] not in ("", "---"):
            assert all(cell in ("", "not done yet") for cell in row[2:])


def test_tables_of_the_paper_are_whole() -> None:
    assert {name: len(table.printed) for name, table in TABLES.items()} == {"1": 94, "2": 6, "3": 6, "4": 6, "5": 15}
    for table in TABLES.values():
        for (_, title, metric), value in table.printed.items():
            assert title in SETS
            assert (15 < value < 30) if metric == "psnr" else (0 < value < 1)
    for each in SETS.values():
        assert parse_source(f"{each.source}=.").name in ("flash", "nature", "sir2")


@pytest.mark.parametrize("study", STUDIES)
@pytest.mark.parametrize("preset", ["paper", "small", "compact"])
def test_every_arm_is_a_training(study: str, preset: str, tmp_path: Path) -> None:
    each = STUDIES[study]
    base = changed(dataclasses.replace(PRESETS[preset], val=tmp_path, out=tmp_path), each.base)
    names = [arm.name for arm in each.arms]
    assert len(set(names)) == len(names)
    assert each.baseline in (*names, INPUT)
    assert each.table is None or set(each.table.arms) >= {name for name in names if name != "no depth"}
    configs = [arm.of(base, "REFGAN") for arm in each.arms]
    assert len({str(dataclasses.replace(config)) for config in configs}) == len(names)  # no two are the same
    assert [arm.name for arm, c in zip(each.arms, configs, strict=True) if "REFGAN" not in c.data.pairs] in (
        [],
        ["without RefGAN"],
    )


def test_only_the_experiment_of_the_paper_is_called_so(tmp_path: Path) -> None:
    pairs = ("flash/made/train=X", "nature/train=Y")
    paper = dataclasses.replace(PRESETS["paper"], val=tmp_path, out=tmp_path)
    base = changed(paper, {**STUDIES["5"].base, "data.pairs": pairs})
    sets = ["flash/real/test=X"]
    assert unlike_paper(STUDIES["5"], base, sets, "REFGAN") == ()
    assert unlike_paper(STUDIES["5"], dataclasses.replace(base, patience=3, workers=2), sets, "REFGAN") == ()
    for other, told in (
        ({"iterations": 5}, "iterations 5, not 100 epochs"),
        ({"data.crop": 96}, "crop 96, not 336"),
        ({"model.networks": "both"}, "model.networks both, not transmission"),
        ({"epoch_images": 10}, "epoch-images 10, not 1350"),
        ({"lr": 1e-3}, "lr 0.001, not 0.0001"),
        ({"data.pairs": (*pairs, "OWN")}, "trained on other pairs, too"),
        ({"data.pairs": (*pairs, "flash/real/test=X")}, "trained on other pairs, too"),
        ({"data.photos": (tmp_path,)}, "trained on photographs with reflections made by recipes, too"),
    ):
        assert unlike_paper(STUDIES["5"], changed(base, other), sets, "REFGAN") == (told,)
    assert unlike_paper(STUDIES["5"], base, [], None) == (
        "not trained on pairs of RefGAN",
        "not evaluated on real-world (50)",
    )
    assert unlike_paper(STUDIES["weights"], base, sets, "REFGAN")[0] == "the paper has no such table"
    without = changed(base, {"data.pairs": ("OWN", "nature/train=Y")})
    assert unlike_paper(STUDIES["5"], without, sets, "REFGAN") == (
        "not trained on the pairs of flash",
        "trained on other pairs, too",
    )
    assert unlike_paper(STUDIES["5"], base, sets, "REFGAN", "compute") == (
        "arms of fewer steps make more updates than those of the paper",
    )
    assert unlike_paper(STUDIES["5"], dataclasses.replace(base, steps=4), sets, "REFGAN") == ()  # no arm has four
    for study in ("2", "4"):
        own = changed(paper, {**STUDIES[study].base, "data.pairs": pairs, "model.depth": "none"})
        assert unlike_paper(STUDIES[study], own, sets, "REFGAN") == ()  # arms say which depth they have


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_arms_are_as_long_as_each_other(config: TrainConfig, steps: int) -> None:
    arm = dataclasses.replace(config, steps=steps, start_steps=steps, epochs=2, epoch_images=10, batch=4)
    assert with_length(arm, "updates", 3) == arm
    assert with_length(arm, "compute", 3).applications == 2 * 3 * 3
    by_updates = with_length(dataclasses.replace(arm, iterations=7, accumulate=2), "compute", 3)
    assert (by_updates.applications, by_updates.iterations) == (7 * 2 * 3, None)
    timed = dataclasses.replace(arm, budget="1h")
    assert with_length(timed, "compute", 3) == timed
    with pytest.raises(InputError, match="or --equal compute"):
        with_length(timed, "updates", 3)
    with pytest.raises(InputError, match="give --iterations or --epochs"):
        with_length(dataclasses.replace(arm, applications=3), "compute", 3)

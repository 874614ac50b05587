"""The documentation shows what the code has."""

import ast
import json
import re
import runpy
import zlib
from dataclasses import fields, replace
from importlib import import_module
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import numpy as np
import pytest
from PIL import Image

import msloss_sirr
from msloss_sirr import train
from msloss_sirr.ablation.arms import INPUT
from msloss_sirr.ablation.figures import NO_DIFFERENCE, Comparison
from msloss_sirr.ablation.overview import readings
from msloss_sirr.ablation.results import Head, Results, Run, Score, SetFound, read_results, write_results
from msloss_sirr.evaluation.config import ProtocolName
from msloss_sirr.refgan.config import RefganConfig
from msloss_sirr.refgan.generator import Generator
from msloss_sirr.synthesis.glass import GlassConfig
from msloss_sirr.synthesis.recipes import RECIPES
from msloss_sirr.synthesis.tasks import TASKS
from msloss_sirr.training.presets import PRESETS

DOCS = Path(__file__).parent.parent / "docs"
RESULTS = DOCS / "results" / "multi-step"
RECIPES_OF_CONTRIBUTORS = ("schedule", "backbone", "data-set", "recipe")


def test_figure_of_the_architecture_is_drawn_from_it() -> None:
    draw = runpy.run_path(str(DOCS / "draw_architecture.py"))["draw"]
    assert (DOCS / "images" / "architecture.svg").read_text() == draw(PRESETS["paper"].model)


def test_tables_of_data_are_those_of_the_catalogue() -> None:
    with_tables = runpy.run_path(str(DOCS / "tables_of_data.py"))["with_tables"]
    page = (DOCS / "removal" / "data.md").read_text(encoding="utf-8")
    assert with_tables(page) == page
    assert "\n| `sir2` |" in page


@pytest.mark.parametrize(("style", "columns"), [("none", 5), ("reference", 9)])
def test_sheet_of_refgan_is_drawn(style: str, columns: int) -> None:
    draw = runpy.run_path(str(DOCS / "draw_refgan.py"))["draw"]
    sheet = draw(Generator(RefganConfig(style=style, width=2, levels=3)))
    assert sheet.shape == (3, 24 + 5 * 162 + 2, columns * 162 + 2)


def test_every_recipe_is_documented_and_drawn() -> None:
    page = (DOCS / "removal" / "synthesis.md").read_text()
    for name in (*RECIPES, "transplant"):
        assert f"\n### {name}\n" in page
    for effect in fields(GlassConfig):
        assert f"\n| `{effect.name}` |" in page
    for sheet in runpy.run_path(str(DOCS / "draw_recipes.py"))["SHEETS"]:
        assert f"(../images/recipe-{sheet}.jpg)" in page
        assert (DOCS / "images" / f"recipe-{sheet}.jpg").stat().st_size < 300_000


def test_every_protocol_is_documented() -> None:
    page = (DOCS / "removal" / "evaluation.md").read_text(encoding="utf-8")
    told = " ".join((Path(msloss_sirr.__file__).parent / "evaluation" / "config.py").read_text().split())
    for name in get_args(ProtocolName):
        assert f"\n| `{name}` |" in page
        assert f"{name}: " in told


def test_contact_sheets_are_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["draw_recipes.py", str(tmp_path), "--side", "24"])
    runpy.run_path(str(DOCS / "draw_recipes.py"), run_name="__main__")
    sheets = {path.stem.removeprefix("recipe-"): path for path in tmp_path.iterdir()}
    assert sheets.keys() == {*RECIPES, "transplant", "glass"}
    for name, path in sheets.items():
        with Image.open(path) as sheet:
            panels = (7, 6) if name == "glass" else (8, 3)
            assert sheet.size == (panels[0] * 28, panels[1] * 48)


def test_card_has_the_table_of_the_trainings_that_were_compared() -> None:
    bench = runpy.run_path(str(DOCS.parent / "tests" / "benchmarks" / "bench_choices.py"))
    results = json.loads((DOCS / "results" / "choices.json").read_text())
    table = bench["table"](results, "3600 in bfloat16")
    assert len(table.splitlines()) > 2
    assert table in (DOCS / "removal" / "model-card.md").read_text(encoding="utf-8")


def test_card_counts_the_pairs_that_come_out_worse() -> None:
    card = (DOCS / "removal" / "model-card.md").read_text(encoding="utf-8")
    pairs = [
        [float(cell) for cell in line.split("|")[2:6]] for line in card.splitlines() if re.match(r"\| \d{3} \|", line)
    ]
    assert len(pairs) == 16
    assert "three come out worse in PSNR and six in SSIM" in card
    assert sum(after < before for before, after, *_ in pairs) == 3
    assert sum(after < before for *_, before, after in pairs) == 6


def test_every_task_is_documented_with_what_there_is_of_it() -> None:
    page = (DOCS / "evidence" / "beyond.md").read_text(encoding="utf-8")
    for name in TASKS:
        assert f"\n| `{name}` |" in page


def test_tables_of_tasks_are_those_of_the_results(tmp_path: Path) -> None:
    arms = {"1-step": "", "2-step": "", "3-step": ""}
    sets = {"jpeg-10": SetFound(2), "jpeg-20": SetFound(2)}
    runs = (
        Run("1-step", 0, 12, 12, 48, 60.5, (1, 1), 1, 1234, "cpu"),
        Run("2-step", 0, 12, 24, 48, 60.5, (2, 2), 2, 1234, "cpu"),
    )
    head = Head("5-jpeg", "", "", arms, "1-step", (0, 1), (1, 2), "msloss-sirr ablate 5", {}, (), sets, runs=runs)
    gains = {"jpeg-10": 2.0, "jpeg-20": -2.0}
    scores = []
    for arm, seed, name, image, steps in product(["1-step", "2-step"], (0, 1), sets, "ab", (1, 2)):
        gain = gains[name] + 0.02 * seed + 0.5 * (steps == 2) if arm == "2-step" else -0.25 * (steps == 2)
        scores.append(Score(arm, seed, name, image, steps, {"psnr": 20.0 + gain}))
    (tmp_path / "beyond" / "unet").mkdir(parents=True)
    write_results(Results(head, scores), tmp_path / "beyond" / "unet" / "table-5-jpeg.csv")
    lines = list(runpy.run_path(str(DOCS / "pages_of_results.py"))["beyond"](tmp_path))
    assert lines[0] == "## The U-Net"
    rows = [line.split(" | ")[2:] for line in lines if line.startswith("| jpeg-10 |")]
    assert rows == [
        ["20.00", "+2.01 [+1.88, +2.14] better", "not done yet |"],
        ["20.00", "+2.51 [+2.38, +2.64] better", "not done yet |"],
        ["19.75", "+2.76 [+2.63, +2.89] better", "not done yet |"],
        ["20.00, once", "+2.51 [+2.38, +2.64] better, twice", "not done yet |"],
    ]
    assert lines.count("- 2-step: better on 1, worse on 1, no difference seen on 0, of 2 sets.") == 4
    assert lines.count("- 3-step: no verdict, for want of seeds.") == 4
    assert "| jpeg | 2 of 6 | 0:02:01, cpu | `msloss-sirr ablate 5` |" in lines
    assert "- The U-Net: denoising, deblurring, low-light, rain, super-resolution." in lines
    assert "- The network of gated blocks: denoising, deblurring, jpeg, low-light, rain, super-resolution." in lines


@pytest.mark.parametrize("name", ["brings", "multi-step", "beyond", "why", "peers"])
def test_pages_of_results_say_what_the_files_have(name: str) -> None:
    with_results = runpy.run_path(str(DOCS / "pages_of_results.py"))["with_results"]
    path = DOCS.parent / "README.md" if name == "brings" else DOCS / "evidence" / f"{name}.md"
    page = path.read_text(encoding="utf-8")
    assert f"<!-- {name}: begin -->\n\n" in page
    assert with_results(page) == page


def comparison_of(file: str) -> Comparison:
    return Comparison(read_results(RESULTS / file))


def verdicts(
    compared: Comparison, arms: str, sets: str, steps: int, base: int | None = None, metric: str = "psnr"
) -> set[str]:
    names = [name if name == "val" else f"composites-{name}" for name in sets.split()]
    found = [compared.figure(arm, name, steps, metric, base) for arm in arms.split(", ") for name in names]
    return {"not measured" if each is None else each.verdict for each in found}


def beside_input(file: str) -> Comparison:
    found = read_results(RESULTS / file)
    return Comparison(Results(replace(found.head, baseline=INPUT), found.scores))


def at_best(file: str, arm: str, metric: str = "psnr") -> dict[str, list[str]]:
    """On which sets an arm is better or worse, each as often as suits it best."""
    results = read_results(RESULTS / file)
    compared, reading = Comparison(results), readings({"": results})[-1]
    found: dict[str, list[str]] = {"better": [], "worse": []}
    for name in results.head.sets:
        figure = reading.figure(compared, arm, name, metric)
        assert figure is not None
        if figure.verdict != NO_DIFFERENCE:
            found[figure.verdict].append(name.removeprefix("composites-"))
    return found


def test_readme_says_of_several_steps_what_the_results_do() -> None:
    updates, compute, cut = comparison_of("updates.csv"), comparison_of("compute.csv"), comparison_of("gradients.csv")
    to_input = beside_input("updates.csv")
    told = " ".join((DOCS.parent / "README.md").read_text(encoding="utf-8").split())
    assert "trained with two or three steps, applied once: no difference is seen on real pairs" in told
    assert verdicts(updates, "2-step, 3-step", "val", 1) == {NO_DIFFERENCE}
    assert "two steps are better on linear composites" in told
    assert verdicts(updates, "2-step", "linear", 1) == {"better"}
    assert "both are worse on those of strong reflections, clip and screen" in told
    assert verdicts(updates, "2-step, 3-step", "clip screen", 1) == {"worse"}
    assert "they are better than one step applied once on clip and screen, and worse on real pairs and linear" in told
    for arm, steps in (("2-step", 2), ("3-step", 3)):
        assert verdicts(updates, arm, "clip screen", steps, 1) == {"better"}
        assert verdicts(updates, arm, "val linear", steps, 1) == {"worse"}
    for compared in (updates, compute):
        assert (
            verdicts(compared, "2-step, 3-step", "val", 1)
            == verdicts(compared, "3-step", "linear", 1)
            == {NO_DIFFERENCE}
        )
        assert verdicts(compared, "2-step", "linear", 1) == {"better"}
        assert verdicts(compared, "2-step, 3-step", "clip screen", 1) == {"worse"}
    assert (
        "At equal compute, with more updates for fewer steps, the verdicts after one application are the same" in told
    )
    assert "two and three steps are better on clip, worse on linear composites, and" in told
    assert "and no difference is seen on real pairs and screen" in told
    for arm, steps in (("2-step", 2), ("3-step", 3)):
        assert verdicts(compute, arm, "clip", steps, 1) == {"better"}
        assert verdicts(compute, arm, "linear", steps, 1) == {"worse"}
        assert verdicts(compute, arm, "val screen", steps, 1) == {NO_DIFFERENCE}
    every = ", ".join(updates.head.arms)
    assert "no network is better on real pairs, three steps alone are on linear composites, and all are on clip" in told
    assert verdicts(to_input, every, "val", 1) == {NO_DIFFERENCE}
    assert verdicts(to_input, "3-step", "linear", 1) == {"better"}
    assert verdicts(to_input, "1-step, 2-step, 3x1-step, 2->3", "linear", 1) == {NO_DIFFERENCE}
    assert verdicts(to_input, every, "clip screen", 1) == {"better"}
    assert "two and three steps are better than one on real pairs and linear composites, where one falls below" in told
    assert verdicts(updates, "2-step, 3-step", "val linear", 3) == {"better"}
    assert "where one falls below the input, two do on linear ones, and none rises above it; no difference is" in told
    assert verdicts(to_input, "2-step", "linear", 3) == {"worse"}
    assert verdicts(to_input, "2-step", "val", 3) == verdicts(to_input, "3-step", "val linear", 3) == {NO_DIFFERENCE}
    assert verdicts(to_input, "1-step", "val linear", 3) == {"worse"}
    assert "better" not in verdicts(to_input, every, "val linear", 3)
    assert verdicts(updates, "2-step, 3-step", "clip screen", 3) == {NO_DIFFERENCE}
    assert "three steps are better on none of the four sets and worse on clip, and two are better on linear" in told
    assert at_best("updates.csv", "3-step") == {"better": [], "worse": ["clip"]}
    assert at_best("updates.csv", "2-step") == {"better": ["linear"], "worse": []}
    assert "on clip and screen one step, too, does better if it is applied twice" in told
    assert "three steps have been better in PSNR than one on none of these four sets and worse on one" in told
    twice = comparison_of("updates.csv")
    for name in ("composites-clip", "composites-screen"):
        once, again = (twice.figure("1-step", name, steps, "psnr", 1) for steps in (1, 2))
        assert again.mean > once.mean
    assert "With each as often as suits it best, two are better on linear composites, and three on none" in told
    assert at_best("compute.csv", "2-step") == {"better": ["linear"], "worse": []}
    assert at_best("compute.csv", "3-step") == {"better": [], "worse": []}
    assert "in SSIM, two are better on all four sets, and three on linear composites and clip" in told
    assert at_best("compute.csv", "2-step", "ssim") == {"better": ["val", "linear", "clip", "screen"], "worse": []}
    assert at_best("compute.csv", "3-step", "ssim") == {"better": ["linear", "clip"], "worse": []}
    assert "five seeds of 500 updates: after one application, and as often as in their training, two and three" in told
    twins = comparison_of("two-networks-compute.csv")
    assert len({(run.arm, run.seed) for run in twins.head.runs}) == 25
    assert "they are those of one network at equal compute after one application" in told
    for arm, name in product(("2-step", "3-step"), ("val", "linear", "clip", "screen")):
        assert verdicts(twins, arm, name, 1) == verdicts(compute, arm, name, 1)
    assert "two steps are worse on linear composites alone, and three on real pairs, too, and better on clip" in told
    assert verdicts(twins, "2-step", "linear", 2, 1) == verdicts(twins, "3-step", "val linear", 3, 1) == {"worse"}
    assert verdicts(twins, "2-step", "val clip screen", 2, 1) == verdicts(twins, "3-step", "screen", 3, 1)
    assert verdicts(twins, "3-step", "screen", 3, 1) == {NO_DIFFERENCE}
    assert verdicts(twins, "3-step", "clip", 3, 1) == {"better"}
    assert "each as often as suits it best, two and three are better on linear composites, and three are" in told
    assert "and three are worse on clip. At equal compute" in told
    assert at_best("two-networks.csv", "2-step") == {"better": ["linear"], "worse": []}
    assert at_best("two-networks.csv", "3-step") == {"better": ["linear"], "worse": ["clip"]}
    assert "each as often as suits it best, two are better on linear composites, three on none" in told
    assert at_best("two-networks-compute.csv", "2-step") == {"better": ["linear"], "worse": []}
    assert at_best("two-networks-compute.csv", "3-step") == {"better": [], "worse": []}
    both = comparison_of("two-networks.csv")
    assert len({(run.arm, run.seed) for run in both.head.runs}) == 25
    assert "but that three steps applied once are better on linear composites, too" in told
    assert verdicts(both, "3-step", "linear", 1) == {"better"} != verdicts(updates, "3-step", "linear", 1)
    for (arm, own), name in product((("2-step", 2), ("3-step", 3)), ("val", "linear", "clip", "screen")):
        assert verdicts(both, arm, name, 1) == verdicts(updates, arm, name, 1) or (arm, name) == ("3-step", "linear")
        assert verdicts(both, arm, name, own, 1) == verdicts(updates, arm, name, own, 1)
    assert "as one network's at equal updates, but that three steps applied once are better on linear" in told
    assert (
        "no difference to the full gradient is seen on three sets; on screen they are better by 0.35 dB [0.23" in told
    )
    assert verdicts(cut, "truncated", "val linear clip", 1) == {NO_DIFFERENCE}
    of_one = Comparison(Results(replace(cut.head, baseline="1-step"), read_results(RESULTS / "gradients.csv").scores))
    parted = of_one.figure("truncated", "composites-screen", 1, "psnr").between
    gained = cut.figure("truncated", "composites-screen", 1, "psnr").between
    assert f"better by {gained.mean:.2f} dB [{gained.low:.2f}, {gained.high:.2f}], and still worse than one" in told
    assert f"worse than one step, by {-parted.mean:.2f} [{-parted.high:.2f}, {-parted.low:.2f}]" in told
    assert "they are worse than with the full gradient on real pairs and linear composites, and better on clip" in told
    assert verdicts(cut, "truncated", "val linear", 3) == {"worse"}
    assert verdicts(cut, "truncated", "clip", 3) == {"better"}
    assert verdicts(cut, "truncated", "screen", 3) == {NO_DIFFERENCE}
    assert "three times its loss no difference is seen, at equal updates and at equal compute, in SSIM neither" in told
    for compared, metric in product((updates, compute), ("psnr", "ssim")):
        assert verdicts(compared, "3x1-step", "val linear clip screen", 1, metric=metric) == {NO_DIFFERENCE}


def test_composites_that_share_a_photograph_do_not_make_intervals_too_sure() -> None:
    """Of photograph i is the scene of composite i and the reflection of composite i - 7."""
    results = read_results(RESULTS / "updates.csv")
    values: dict[tuple[str, str, int], dict[str, list[float]]] = {}
    for score in results.scores:
        of_images = values.setdefault((score.arm, score.set_name, score.steps), {})
        of_images.setdefault(score.image, []).append(score.values["psnr"])
    order = sorted(values["1-step", "composites-linear", 1])
    assert len(order) == 24
    found = []
    for name in ("composites-linear", "composites-clip", "composites-screen"):
        for arm, steps in product(("2-step", "3-step", "2->3"), results.head.eval_steps):
            of_images, base = values[arm, name, steps], values[results.head.baseline, name, steps]
            apart = {image: float(np.mean(each) - np.mean(base[image])) for image, each in of_images.items()}
            mean = np.mean(list(apart.values()))
            shared = [each for each in zip(order, order[7:] + order[:7], strict=True) if {*each} <= {*apart}]
            together = np.mean([(apart[a] - mean) * (apart[b] - mean) for a, b in shared])
            found.append(float(together / np.var(list(apart.values()))))
    told = told_in("evidence", "multi-step.md")
    assert f"have correlations from {min(found):.2f} to {max(found):.2f}, in the mean {np.mean(found):.2f}" in told
    assert max(found) < 0.1


def told_in(*path: str) -> str:
    return " ".join(DOCS.joinpath(*path).read_text(encoding="utf-8").split())


def counted(network: str) -> list[dict[str, list[str]]]:
    """On which sets three steps are better, and so on: applied once, as often as in training, thrice, at best."""
    lines = "\n".join(runpy.run_path(str(DOCS / "pages_of_results.py"))["beyond"]())
    part = lines.partition(f"## {network}")[2].partition("\n## ")[0]
    found = []
    for told in re.findall(r"^- each .+?: (.+)\.$", part, re.MULTILINE):
        verdicts = {each.partition(" on ")[0]: each.partition(" on ")[2].split(", ") for each in told.split("; ")}
        assert sum(map(len, verdicts.values())) == 15
        found.append({verdict: verdicts.get(verdict, []) for verdict in ("better", "worse", NO_DIFFERENCE)})
    return found


def test_what_is_said_of_other_tasks_is_what_the_results_say() -> None:
    page, front = told_in("evidence", "beyond.md"), told_in("..", "README.md")
    unet, gated = counted("The U-Net"), counted("The network of gated blocks")
    rows = (
        "each applied once",
        "each as often as in its training, three times and once",
        "each applied three times",
        "each as often as suits it best, up to three times",
    )
    for row, one, other in zip(rows, unet, gated, strict=True):
        cells = (f"better on {len(each['better'])}, worse on {len(each['worse'])}" for each in (one, other))
        assert f"| {row} | {' | '.join(cells)} |" in page
    numbers = [[(len(each["better"]), len(each["worse"])) for each in network] for network in (unet, gated)]
    assert numbers == [[(1, 11), (5, 6), (12, 1), (5, 3)], [(0, 12), (2, 7), (12, 2), (0, 5)]]
    assert "three steps applied once are worse than one on 11 and 12 sets, better on one and none" in front
    assert "they are better than one applied once on five and two, worse on six and seven" in front
    assert "Both applied three times, they are better on 12 and 12, worse on one and two; each as often as" in front
    assert "suits it best, better on five and none, worse on three and five" in front
    assert "three steps are better on noise of sigma 50, and" in page
    assert {*unet[1]["better"]} & {*gated[1]["better"]} == {"denoising-50"}
    assert "worse on compression of quality 20 and 40, light rain and reduction by 2" in page
    both = {"jpeg-20", "jpeg-40", "rain-light", "super-resolution-x2"}
    assert {*unet[1]["worse"]} & {*gated[1]["worse"]} == both


@pytest.mark.parametrize("network", ["unet", "compact"])
def test_numbers_of_other_tasks_are_those_of_the_results(network: str) -> None:
    page = told_in("evidence", "beyond.md")
    _, _, _, best = counted({"unet": "The U-Net", "compact": "The network of gated blocks"}[network])
    assert "Three seeds, 15 test sets of six tasks, 450 updates of two small networks" in page
    assert "where a difference is seen it is less than 0.3 dB in the mean, but for light of 4 stops less" in page
    assert "no difference is seen after one application on any set, by either" in page
    for path in (DOCS / "results" / "beyond" / network).glob("*.csv"):
        compared = Comparison(read_results(path))
        assert compared.head.seeds == (0, 1, 2)
        assert "--iterations 450" in compared.head.command
        for name in compared.head.sets:
            same = compared.figure("3x1-step", name, 1, "psnr")
            assert same is not None
            assert same.verdict == NO_DIFFERENCE

            def best_of(arm: str, compared: Comparison = compared, name: str = name) -> int:
                means = {n: figure.mean for n in (1, 2, 3) if (figure := compared.figure(arm, name, n, "psnr"))}
                return max(means, key=means.__getitem__)

            apart = compared.figure("3-step", name, best_of("3-step"), "psnr", best_of("1-step"))
            assert apart is not None
            assert apart.between is not None
            assert name in best[apart.verdict]
            if name == "low-light-4-stops":
                told = {"unet": "three steps are 4.35 dB better", "compact": "(-0.69 dB, from -4.37 to +2.98)"}[network]
                mean, low, high = apart.between
                assert told in page
                assert told in (
                    f"three steps are {mean:.2f} dB better",
                    f"({mean:.2f} dB, from {low:.2f} to +{high:.2f})",
                )
            elif network == "compact" and name == "denoising-50":
                assert "worse on five by up to 0.64 dB (noise of sigma 50)" in page
                assert apart.between.mean == pytest.approx(-0.64, abs=5e-3)
            elif network == "compact" and name in best["worse"]:
                assert apart.between.mean > -0.64
            elif network == "unet" and name not in best[NO_DIFFERENCE]:
                assert abs(apart.between.mean) < 0.3
    if network == "unet":
        compared = Comparison(read_results(DOCS / "results" / "beyond" / network / "table-5-low-light.csv"))
        once, thrice = (compared.figure("1-step", "low-light-2-stops", n, "psnr") for n in (1, 3))
        assert f"makes of {once.mean:.2f} dB after one application {thrice.mean:.2f} after three" in page


def test_guide_and_readme_say_of_weights_what_the_results_do() -> None:
    found = comparison_of("weights.csv")
    guide, front = told_in("guide", "weights.md"), told_in("..", "README.md")
    assert {(run.arm, run.seed) for run in found.head.runs} == {*product(found.head.arms, range(5))}
    assert found.head.baseline == "sum"
    assert "between the sum and the mean no difference in PSNR is seen, however often the networks are" in guide
    assert "and their mean no difference is seen, however often networks are applied" in front
    for steps in found.head.eval_steps:
        assert verdicts(found, "mean", "val linear clip screen", steps) == {NO_DIFFERENCE}
    assert (
        "worse than with the sum by 0.04 dB on one set of four, applied once, and by 0.10 on another, applied" in guide
    )
    assert "they are worse by 0.04 dB on clip applied once and by 0.10 on screen applied twice" in front
    for name, steps, less in (("clip", 1, 0.04), ("screen", 2, 0.10)):
        assert verdicts(found, "gamma 0.8", name, steps) == {"worse"}
        assert found.figure("gamma 0.8", f"composites-{name}", steps, "psnr").difference == pytest.approx(
            -less, abs=5e-3
        )
    assert verdicts(found, "gamma 0.8", "val linear screen", 1) == {NO_DIFFERENCE}
    assert verdicts(found, "gamma 0.8", "val linear clip", 2) == {NO_DIFFERENCE}
    assert verdicts(found, "gamma 0.8", "val linear clip screen", 3) == {NO_DIFFERENCE}
    assert (
        "applied once, worse than the sum on composites of strong reflections, with no difference seen on real" in guide
    )
    assert "With the loss of the last step alone, they are worse on clip and screen; applied three times" in front
    assert verdicts(found, "last", "clip screen", 1) == {"worse"}
    assert verdicts(found, "last", "val linear", 1) == {NO_DIFFERENCE}
    assert "applied three times, better on these two, and worse on those of strong reflections" in guide
    assert "applied three times, better on real pairs and linear composites" in front
    assert verdicts(found, "last", "val linear", 3) == {"better"}
    assert verdicts(found, "last", "clip screen", 3) == {"worse"}


def test_guide_says_of_cut_gradients_what_the_results_do() -> None:
    found = comparison_of("gradients.csv")
    told = " ".join((DOCS / "guide" / "memory.md").read_text(encoding="utf-8").split())
    assert (
        "Applied once, they differ on one of four sets, composites of strong reflections by screen, where cutting"
        in told
    )
    assert verdicts(found, "truncated", "screen", 1) == {"better"}
    assert verdicts(found, "truncated", "val linear clip", 1) == {NO_DIFFERENCE}
    assert (
        "cutting is worse on real pairs and on composites of weak, linear reflections, and better on those by clip"
        in told
    )
    assert verdicts(found, "truncated", "val linear", 3) == {"worse"}
    assert verdicts(found, "truncated", "clip", 3) == {"better"}
    assert "better than the full gradient on real pairs and linear composites, worse on clip and screen" in told
    assert found.head.seeds == (0, 1, 2, 3, 4)
    assert verdicts(found, "last step only", "val linear", 3) == {"better"}
    assert verdicts(found, "last step only", "clip screen", 3) == {"worse"}


def test_reasons_are_as_the_tables_say() -> None:
    page = (DOCS / "evidence" / "why.md").read_text(encoding="utf-8")
    told, _, measured = page.partition("<!-- why: begin -->")
    told = " ".join(told.partition("## What it comes to")[2].split())

    def cells(arm: str, title: str, part: str = "") -> list[str]:
        """The cells of an arm in the first table under a title, and of a set, if one is named."""
        under = measured.partition(f"## {title}")[2]
        under = under.partition(f"**{part}")[2] if part else under
        return next(line for line in under.splitlines() if line.startswith(f"| {arm} |")).split(" | ")

    identity, gradients, sees = "How near is the loss", "How great are the gradients", "What does each step see"
    for arm, number in (("1-step", "at 0.611 of its loss"), ("2-step", "two (0.700)"), ("3-step", "three (0.767)")):
        assert number in told
        assert cells(arm, identity)[4].split()[0] in number
        assert arm == "1-step" or cells(arm, identity)[7].endswith("more")
    assert "cosines of -0.74 and -0.80" in told
    assert [each.split()[0] for each in cells("1-step", gradients, "Through all")[4:6]] == ["-0.74", "-0.80"]
    assert "the two ask for much the same (0.81)" in told
    assert cells("2-step", gradients, "Through all")[4].split()[0] == "0.81"
    for number, low, high in (("0.582 (by 0.028", "0.022", "0.034"), ("0.580 (by 0.030", "0.013", "0.048")):
        assert f"{number} [{low}, {high}])" in told
    ends = [cells("2-step", identity)[place] for place in (5, 8)] + [
        cells("3-step", identity)[place] for place in (6, 9)
    ]
    assert ends[::2] == ["0.582 ± 0.009", "0.580 ± 0.011"]
    assert [end.rstrip(" |") for end in ends[1::2]] == ["-0.028 [-0.034, -0.022] less", "-0.030 [-0.048, -0.013] less"]
    assert "the first two do (0.99), and the third shares less with them (0.43 and 0.53)" in told
    of_three = [each.split()[0] for each in cells("3-step", gradients, "Through all")[4:]]
    assert of_three == ["0.99", "0.43", "0.53", "0.84", "0.56", "-0.58"]
    assert "agree on the first step (0.84), and ask for opposite changes by the third (-0.58)" in told
    assert (
        "is given 0.86 of the reflection, and 0.35 of its size in mistakes, and the third of three 0.83 and 0.48"
        in told
    )
    assert [cells("2-step", sees, "val")[place].split()[0] for place in (1, 4)] == ["0.86", "0.35"]
    assert [cells("3-step", sees, "val")[place].split()[0] for place in (2, 5)] == ["0.83", "0.48"]
    for arm in ("1-step", "2-step", "3-step", "2->3"):
        for name in ("val", "composites-linear", "composites-clip", "composites-screen"):
            along, beside = ([float(each.split()[0]) for each in cells(arm, sees, name)[i : i + 3]] for i in (1, 4))
            assert sorted(along, reverse=True) == along
            assert sorted(beside) == beside
    applied, strength = "Where does it go", "Is it only that less"
    assert "two and three steps less than one (by 1.52 and 3.10 dB less)" in told
    for arm, less in (("2-step", "+1.52"), ("3-step", "+3.10")):
        assert cells(arm, applied, "val")[8].endswith("] less")
        assert cells(arm, applied, "val")[9].startswith(less)
        assert cells(arm, applied, "val")[9].endswith("] more")
    gains = {"1-step": "at strength 0.40 gains 0.38", "2-step": "at 0.65 gain 0.37", "3-step": "at 0.90 gain 0.36"}
    for arm, gain in gains.items():
        assert gain in told
        at, number = cells(arm, strength, "val")[3:5]
        assert f"{at} gain" in gain
        assert f"+{gain.split()[-1]}" == number
    room = [
        float(end) for arm in ("2-step", "3-step") for end in re.findall(r"[\d.]+", cells(arm, strength, "val")[5])[1:]
    ]
    assert max(room) == 0.11
    for arm, name in product(
        ("2-step", "3-step", "2->3"), ("val", "composites-linear", "composites-clip", "composites-screen")
    ):
        assert NO_DIFFERENCE in cells(arm, strength, name)[5]
        seen = "less" if name in ("composites-clip", "composites-screen") else NO_DIFFERENCE
        assert cells(arm, strength, name)[2].endswith(seen)
    assert NO_DIFFERENCE in cells("3x1-step", identity)[7]
    for name in ("val", "composites-linear", "composites-clip", "composites-screen"):
        assert all(NO_DIFFERENCE in cells("3x1-step", strength, name)[place] for place in (2, 5))
        assert NO_DIFFERENCE in cells("3x1-step", applied, name)[9]


def test_every_room_is_on_the_map_and_in_the_table() -> None:
    rooms = {
        path.name
        for path in (DOCS.parent / "msloss_sirr").iterdir()
        if any(path.glob("[!_]*.*")) or (path / "__init__.py").exists()
    }
    assert len(rooms) > 20
    table = (DOCS.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert rooms == set(re.findall(r"^\| `msloss_sirr/(\w+)/` \|", table, re.M))
    page = (DOCS / "contributing" / "map.md").read_text(encoding="utf-8")
    assert rooms == {
        room for line in re.findall(r"^- \*\*.*?\*\* \((.*?)\)", page, re.M) for room in re.findall(r"`(\w+)`", line)
    }


def test_plots_of_results_are_there() -> None:
    page = "".join(
        (DOCS / "evidence" / f"{name}.md").read_text(encoding="utf-8") for name in ("multi-step", "beyond", "why")
    )
    shown = [line.partition("](")[2].rstrip(")") for line in page.splitlines() if line.startswith("![")]
    assert len(shown) > 6
    assert all((DOCS / "evidence" / file).exists() for file in shown)


def named(name: str) -> Any:
    """Import what a dotted name stands for."""
    module, _, last = name.rpartition(".")
    try:
        return getattr(import_module(module), last)
    except ModuleNotFoundError:
        return getattr(named(module), last)


def test_every_name_and_test_that_the_paper_maps_to_is_there() -> None:
    page = (DOCS / "paper" / "index.md").read_text(encoding="utf-8")
    names, tests = set(re.findall(r"`~?(msloss[\w.]+)`", page)), set(re.findall(r"`(tests/\w[^`]+)`", page))
    for name in names:
        named(name)
    for test in tests - {"tests/test_docs.py"}:
        file, _, function = test.partition("::")
        tree = ast.parse((DOCS.parent / file).read_text(encoding="utf-8"))
        assert function in {each.name for each in tree.body if isinstance(each, ast.FunctionDef)}, test
    rows = [line for line in page.splitlines() if line.startswith("| ") and not line.startswith("| the paper |")]
    for row in rows:
        if set(row) - set("|- "):
            assert "`~msloss" in row, row
            assert "::test_" in row, row
    for number in range(1, 6):
        assert f"| equation {number}," in page
        assert f"| table {number}," in page


@pytest.mark.parametrize("name", ["start/loop", *(f"contributing/{what}" for what in RECIPES_OF_CONTRIBUTORS)])
def test_code_of_a_page_runs(name: str) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", (DOCS / f"{name}.md").read_text(encoding="utf-8"), re.S | re.M)
    assert len(blocks) > 1
    here: dict[str, Any] = {"__name__": "page"}
    for block in blocks:
        exec(compile(block, f"{name}.md", "exec"), here)


def test_names_that_others_document_are_theirs() -> None:
    read_names = runpy.run_path(str(DOCS / "extensions" / "outside.py"))["read_names"]
    names = list(read_names(DOCS / "outside.txt"))
    assert len(names) > 10
    for each in names:
        assert isinstance(named(each.name), type) or each.name.startswith("collections.abc.")
        assert each.site.startswith("https://")


@pytest.mark.parametrize(
    ("body", "mistake"),
    [
        ('<a href="gone.html">x</a>', "page.html: gone.html leads nowhere"),
        ('<a href="other.html#gone">x</a>', "page.html: other.html#gone has no such place on its page"),
        ('<a href="#gone">x</a>', "page.html: #gone has no such place on its page"),
        ('<img src="gone.png" alt="x">', "page.html: gone.png leads nowhere"),
        ('<img src="there.png">', "page.html: there.png has no words in its place (alt)"),
        ('<a href="other.html#here">x</a><a id="a" href="#a">x</a><a href="https://gone.example">x</a>', None),
    ],
)
def test_links_of_what_was_built_are_checked(body: str, mistake: str | None, tmp_path: Path) -> None:
    mistakes = runpy.run_path(str(DOCS / "check_html.py"))["mistakes"]
    (tmp_path / "page.html").write_text(body)
    (tmp_path / "other.html").write_text('<p id="here">')
    (tmp_path / "there.png").touch()
    assert list(mistakes(tmp_path)) == ([] if mistake is None else [mistake])


def test_public_names_without_a_reference_are_named(tmp_path: Path) -> None:
    undocumented = runpy.run_path(str(DOCS / "check_html.py"))["undocumented"]
    known = f"msloss.gamma py:function 1 a.html#$ -\n{train.__module__}.train py:function 1 a.html#$ -\n"
    (tmp_path / "objects.inv").write_bytes(b"#\n#\n#\n#\n" + zlib.compress(known.encode()))
    missing = list(undocumented(tmp_path))
    assert "msloss.mean is not in the reference" in missing
    assert not {"msloss.gamma is not in the reference", "msloss_sirr.train is not in the reference"} & set(missing)


def test_front_page_shows_the_median() -> None:
    drawing = runpy.run_path(str(DOCS / "draw_front.py"))
    names = iter(range(60, 0, -1))
    drawing["median"].__globals__["judged"] = lambda *_: SimpleNamespace(gain=next(names))
    assert drawing["median"](None).gain == 30
    assert not list(names)


def test_front_page_has_the_picture_that_is_drawn() -> None:
    drawing = runpy.run_path(str(DOCS / "draw_front.py"))
    one = drawing["judged"](msloss_sirr.Remover.from_pretrained(), "clip", "motorcycle_left.png", "coffee.png")
    page = (DOCS / "index.md").read_text(encoding="utf-8")
    assert f"{one.scores.before.psnr:.1f} dB from the scene" in page
    assert f"leaves it, {one.scores.after.psnr:.1f} dB" in page
    with Image.open(DOCS / "images" / "front.jpg") as picture:
        there = np.asarray(picture.convert("RGB"), dtype=float)
    assert np.abs(np.asarray(drawing["draw"](one), dtype=float) - there).mean() < 6  # JPEG


def test_every_page_is_in_the_contents() -> None:
    listed = {"index"}
    for path in DOCS.rglob("*.md"):
        for contents in re.findall(r"```{toctree}\n(.*?)```", path.read_text(encoding="utf-8"), re.S):
            for line in contents.splitlines():
                if line and not line.startswith(":"):
                    listed.add(str((path.parent / line).relative_to(DOCS)))
    pages = {str(path.relative_to(DOCS).with_suffix("")) for path in DOCS.rglob("*.md") if "_build" not in path.parts}
    assert pages == listed - {"gallery/index"}

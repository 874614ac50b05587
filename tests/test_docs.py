"""The documentation shows what the code has."""

import json
import runpy
from dataclasses import fields
from itertools import product
from pathlib import Path
from typing import get_args

import pytest
from PIL import Image

import msloss_sirr
from msloss_sirr.ablation.results import Head, Results, Run, Score, SetFound, write_results
from msloss_sirr.evaluation.config import ProtocolName
from msloss_sirr.refgan.config import RefganConfig
from msloss_sirr.refgan.generator import Generator
from msloss_sirr.synthesis.glass import GlassConfig
from msloss_sirr.synthesis.recipes import RECIPES
from msloss_sirr.synthesis.tasks import TASKS
from msloss_sirr.training.presets import PRESETS

DOCS = Path(__file__).parent.parent / "docs"


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


def test_every_task_is_documented_with_what_there_is_of_it() -> None:
    page = (DOCS / "evidence" / "beyond.md").read_text(encoding="utf-8")
    for name, task in TASKS.items():
        assert f"\n| `{name}` |" in page
        assert task.does


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
    ]
    assert lines.count("- 2-step: better on 1, worse on 1, no difference seen on 0, of 2 sets.") == 3
    assert "| jpeg | 2 of 6 | 0:02:01, cpu | `msloss-sirr ablate 5` |" in lines
    assert "- The U-Net: denoising, deblurring, low-light, rain, super-resolution." in lines
    assert "- The network of gated blocks: denoising, deblurring, jpeg, low-light, rain, super-resolution." in lines


@pytest.mark.parametrize("name", ["multi-step", "beyond", "why", "peers"])
def test_pages_of_results_say_what_the_files_have(name: str) -> None:
    with_results = runpy.run_path(str(DOCS / "pages_of_results.py"))["with_results"]
    page = (DOCS / "evidence" / f"{name}.md").read_text(encoding="utf-8")
    assert f"<!-- {name}: begin -->\n\n" in page
    assert with_results(page) == page


def test_plots_of_results_are_there() -> None:
    page = "".join((DOCS / "evidence" / f"{name}.md").read_text(encoding="utf-8") for name in ("multi-step", "why"))
    shown = [line.partition("](")[2].rstrip(")") for line in page.splitlines() if line.startswith("![")]
    assert all((DOCS / "evidence" / file).exists() for file in shown)

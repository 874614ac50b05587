"""The documentation shows what the code has."""

import runpy
from pathlib import Path

import pytest

from msloss_sirr.refgan.config import RefganConfig
from msloss_sirr.refgan.generator import Generator
from msloss_sirr.training.presets import PRESETS

DOCS = Path(__file__).parent.parent / "docs"


def test_figure_of_the_architecture_is_drawn_from_it() -> None:
    draw = runpy.run_path(str(DOCS / "draw_architecture.py"))["draw"]
    assert (DOCS / "images" / "architecture.svg").read_text() == draw(PRESETS["paper"].model)


def test_tables_of_data_are_those_of_the_catalogue() -> None:
    with_tables = runpy.run_path(str(DOCS / "tables_of_data.py"))["with_tables"]
    page = (DOCS / "data.md").read_text(encoding="utf-8")
    assert with_tables(page) == page
    assert "\n| `sir2` |" in page


@pytest.mark.parametrize(("style", "columns"), [("none", 5), ("reference", 9)])
def test_sheet_of_refgan_is_drawn(style: str, columns: int) -> None:
    draw = runpy.run_path(str(DOCS / "draw_refgan.py"))["draw"]
    sheet = draw(Generator(RefganConfig(style=style, width=2, levels=3)))
    assert sheet.shape == (3, 24 + 5 * 162 + 2, columns * 162 + 2)

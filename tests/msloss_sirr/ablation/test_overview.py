"""Several comparisons side by side: what tables say, and what the picture marks where."""

import dataclasses
import sys
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from msloss_sirr.ablation import overview_plot
from msloss_sirr.ablation.figures import Comparison
from msloss_sirr.ablation.overview import overview, readings
from msloss_sirr.ablation.overview_plot import draw_overview
from msloss_sirr.ablation.results import Head, Results, Run, Score, SetFound
from msloss_sirr.errors import InputError


def results_of(gains: dict[str, float]) -> Results:
    """Return results of two seeds and two images, in which two steps gain as told on each set."""
    arms = {"1-step": "", "2-step": "", "3-step": ""}
    sets = {name: SetFound(2) for name in gains}
    runs = tuple(
        Run(arm, seed, 12, 12, 48, 60.5, (most, most), most, 1234, "cpu")
        for (most, arm), seed in product(enumerate(("1-step", "2-step"), 1), (0, 1))
    )
    head = Head("5", "", "", arms, "1-step", (0, 1), (1, 2, 3), "msloss-sirr ablate 5", {}, (), sets, runs=runs)
    scores = []
    for arm, seed, name, image, steps in product(("1-step", "2-step"), (0, 1), sets, "ab", (1, 2, 3)):
        gain = gains[name] * steps + 0.01 * seed if arm == "2-step" else 0.5 * steps
        scores.append(Score(arm, seed, name, image, steps, {"psnr": 20.0 + gain}))
    return Results(head, scores)


def drawn(known: dict[str, Results], monkeypatch: pytest.MonkeyPatch) -> Any:
    figures: list[Any] = []
    monkeypatch.setattr(overview_plot, "save", lambda figure, _: figures.append(figure))
    draw_overview(known, Path("plot.svg"))
    return figures[0]


def with_head(found: Results, **changes: Any) -> Results:
    return Results(dataclasses.replace(found.head, **changes), found.scores)


def test_an_arm_that_was_not_applied_as_often_as_in_its_training_is_no_arm_to_come() -> None:
    found = results_of({"a": 2.0})
    scores = [score for score in found.scores if score.steps != 2]
    lines = list(overview({"one": Results(dataclasses.replace(found.head, eval_steps=(1, 3)), scores)}))
    rows = [line for line in lines if line.startswith("| a |")]
    assert [row.split(" | ")[3:] for row in rows] == [
        ["+1.50 [+1.44, +1.57] better", "not done yet |"],
        ["not evaluated applied twice", "not done yet |"],
        ["+4.50 [+4.44, +4.57] better", "not done yet |"],
        ["+4.50 [+4.44, +4.57] better, 3 times", "not done yet |"],
    ]
    assert [row.split(" | ")[2] for row in rows] == ["20.50", "20.50", "21.50", "21.50, 3 times"]


def test_less_lpips_suits_best() -> None:
    found = results_of({"a": 2.0})
    scores = [score._replace(values={"lpips_alex": score.steps / 10}) for score in found.scores]
    best = readings({"one": found})[-1]
    assert best.steps(Comparison(Results(found.head, scores)), "2-step", "a", "lpips_alex") == 1
    assert best.steps(Comparison(found), "2-step", "a", "psnr") == 3
    assert best.steps(Comparison(found), "3-step", "a", "psnr") == 1


def test_seeds_that_came_to_fewer_steps_are_told() -> None:
    found = results_of({"a": 2.0})
    told = "applied as often as in its training; differences to 1-step, as often as in its own"
    assert readings({"one": found})[1].title == told
    fewer = tuple(run._replace(steps=(1, 1)) if run[:2] == ("2-step", 1) else run for run in found.head.runs)
    apart = readings({"one": with_head(found, runs=fewer)})[1]
    assert apart.title == f"{told}; all seeds of 2-step as the one of most steps"
    assert apart.steps(Comparison(found), "2-step", "a", "psnr") == 2


def test_sets_of_all_comparisons_are_rows_and_sure_differences_are_filled(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {"one": results_of({"a": 2.0}), "other": results_of({"b": -1.0, "c": 0.495})}
    figure = drawn(known, monkeypatch)
    first, other = figure.axes[:4], figure.axes[4:]
    assert [axes.get_title() for axes in first] == [
        "each applied once",
        "each as often as in its training",
        "each applied 3 times",
        "each as often as suits it best",
    ]
    assert [[label.get_text() for label in axes.get_yticklabels()] for axes in (first[0], other[0])] == [
        ["a"],
        ["b", "c"],
    ]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["2-step"], "an arm not run is not shown"
    marks = [
        [
            (round(x, 3), line.get_markerfacecolor())
            for line in axes.lines
            if line.get_marker() == "o"
            for x in line.get_xdata()
        ]
        for axes in (*first, *other)
    ]
    assert marks[0] == [(1.505, "C0")]
    assert marks[4] == [(-1.495, "C0"), (0.0, "white")]
    assert marks[1] == [(3.505, "C0")], "one step is applied once where two are twice"
    assert marks[5] == [(-2.495, "C0"), (0.495, "C0")]
    assert [x for panel in (2, 6) for x, _ in marks[panel]] == [4.505, -4.495, -0.01]
    assert [x for panel in (3, 7) for x, _ in marks[panel]] == [4.505, -2.495, -0.01], "b gets worse with every step"
    bars = [
        line.get_xdata() for line in other[0].lines if line.get_marker() == "None" and len(set(line.get_ydata())) == 1
    ]
    assert any(low < -1.495 < high < 0 for low, high in bars)


def test_the_same_results_make_the_same_file(tmp_path: Path) -> None:
    known = {"one": results_of({"$1 a $": 2.0, "b": 1.0})}
    draw_overview(known, tmp_path / "first.svg")
    draw_overview(known, tmp_path / "again.svg")
    assert (tmp_path / "first.svg").read_bytes() == (tmp_path / "again.svg").read_bytes()
    assert (tmp_path / "first.svg").read_text().startswith("<?xml")


def test_a_comparison_that_has_just_begun_has_nothing_to_mark(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = results_of({"a": 2.0})
    figure = drawn({"one": Results(begun.head, [each for each in begun.scores if each.arm == "1-step"])}, monkeypatch)
    assert not [line for axes in figure.axes for line in axes.lines if line.get_marker() == "o"]


def test_without_matplotlib_it_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(InputError, match=r"msloss\[plot\]"):
        draw_overview({"one": results_of({"a": 1.0})}, tmp_path / "plot.svg")
    assert not list(tmp_path.iterdir())

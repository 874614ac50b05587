"""Files of results: whatever a name holds is read again, and what is damaged, or of another comparison, is refused."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from msloss_sirr import InputError
from msloss_sirr.ablation.figures import Comparison
from msloss_sirr.ablation.joining import join
from msloss_sirr.ablation.page import page
from msloss_sirr.ablation.reporting import keep
from msloss_sirr.ablation.results import Head, Results, Run, Score, SetFound, read_results, write_results


def results(set_name: str = "val", images: tuple[str, ...] = ("a", "b"), **changes: Any) -> Results:
    head = Head(
        study="own",
        title="A study of one's own",
        question="Does it work?",
        arms={"one": "", "two": "--steps 2"},
        baseline="one",
        seeds=(0, 1),
        eval_steps=(1,),
        command=f"msloss-sirr ablate --val {set_name}",
        facts={"length": "3 updates each", "machine": "cpu"},
        unlike=("the paper has no such table",),
        sets={set_name: SetFound(len(images))},
        runs=(Run("one", 0, 1, 1, 1, 1.0, (1,), 1, 1, "cpu"),),
    )
    head = dataclasses.replace(head, **changes)
    random = np.random.default_rng(0)
    scores = [
        Score(arm, seed, set_name, image, 1, {"psnr": random.normal(20, 1), "ssim": 0.5})
        for arm in head.arms
        for seed in head.seeds
        for image in images
    ]
    return Results(head, scores)


@pytest.mark.parametrize(
    "odd", ["\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\r", "\n", "\t", "\udcff", ",", '"', "|", "#"]
)
def test_a_name_may_hold_anything(odd: str, tmp_path: Path) -> None:
    found = results(f"# v{odd}l", (f"a{odd}b", f"# {odd}"))
    keep(found, tmp_path / "own.csv")
    again = read_results(tmp_path / "own.csv")
    (name,) = again.head.sets
    assert {score.set_name for score in again.scores} == {name}
    assert len(again.scores) == len(found.scores)
    figures = [Comparison(each).figure("two", s, 1, "psnr") for each, s in ((found, f"# v{odd}l"), (again, name))]
    assert figures[0] is not None
    assert figures[1] is not None
    assert figures[0].difference == pytest.approx(figures[1].difference, abs=1e-4)
    rows = [line for line in page(again).split("\n") if line.startswith("| two")]
    assert len(rows) == 2


def _replaced(old: str, new: str) -> Callable[[str], str]:
    def change(text: str) -> str:
        assert old in text
        return text.replace(old, new)

    return change


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[:-5],
        lambda text: text[: text.rindex("\n", 0, -1) + 1],
        lambda text: "".join(text.splitlines(keepends=True)[:-2]),
        _replaced("# rows: 8\n", ""),
        lambda text: text.rsplit(",", 1)[0] + ",inf\n",
        lambda text: text.rsplit(",", 2)[0] + ",nan,0.5\n",
        lambda text: text.rsplit(",", 2)[0] + ",-inf,0.5\n",
        lambda text: text + text.splitlines()[-1] + "\n",
        lambda text: _replaced("one,0,val,a", 'one,0,val,"a')(text) + "x" * 200_000,
        _replaced("# eval_steps: [1]", "# eval_steps: []"),
        _replaced("# eval_steps: [1]", '# eval_steps: "1"'),
        _replaced('"steps": [1]', '"steps": []'),
        _replaced('# study: "own"', "# study: []"),
        _replaced('# facts: {"length": "3 updates each", "machine": "cpu"}', "# facts: 3"),
        _replaced('# unlike: ["the paper has no such table"]', "# unlike: [1]"),
        _replaced('"seconds": 1.0', '"seconds": "1"'),
        _replaced('"images": 2', '"images": null'),
    ],
)
def test_damage_is_told_in_a_line(damage: Callable[[str], str], tmp_path: Path) -> None:
    path = tmp_path / "own.csv"
    write_results(results(), path)
    path.write_text(damage(path.read_text()))
    with pytest.raises(InputError, match=r"own\.csv holds no results of an ablation, or is damaged: ."):
        read_results(path)


def test_only_what_is_of_the_same_comparison_is_joined() -> None:
    one, other = results(seeds=(0,)), results(seeds=(1,), facts={"length": "3 updates each", "machine": "gpu"})
    assert join([one, other]).head.facts == {"length": "3 updates each", "machine": "cpu; gpu"}
    longer = results(seeds=(1,), facts={"length": "9 updates each"})
    for wrong, told in (
        (longer, "joined differ in length: 3 updates each, 9 updates each"),
        (results(seeds=(1,), images=("a", "c")), "are of different images"),
        (results(seeds=(1,), eval_steps=(2,)), r"differ in eval_steps: \(1,\), \(2,\)"),
        (one, r"have a seed in common: \[0, 0\]"),
    ):
        with pytest.raises(InputError, match=told):
            join([one, wrong])


def test_without_an_image_in_common_there_is_no_figure() -> None:
    found = results()
    apart = [s for s in found.scores if (s.seed == 0) == (s.image == "a")]
    assert Comparison(Results(found.head, apart)).figure("two", "val", 1, "psnr") is None


def test_a_dollar_in_a_name_is_a_dollar(tmp_path: Path) -> None:
    assert keep(results("$^$"), tmp_path / "own.csv") == ""


def test_nothing_is_less_than_zero_by_its_sign_alone() -> None:
    found = results()
    small = [score._replace(values={"ssim": -0.00001}) for score in found.scores]
    told = page(Results(found.head, small))
    assert "| one | 0.0000 ± 0.0000 |" in told
    assert "-0.0000" not in told

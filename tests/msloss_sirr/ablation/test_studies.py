"""What is compared is what its name says, and what the paper has printed is what stands in it."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from msloss_sirr import TrainConfig
from msloss_sirr.ablation.page import page
from msloss_sirr.ablation.paper import TABLES
from msloss_sirr.ablation.results import Results, Run, SetFound
from msloss_sirr.ablation.studies import STUDIES
from msloss_sirr.training.option_files import changed
from msloss_sirr.training.presets import PRESETS

from .test_figures import head_of, results


def trainings(study: str, tmp_path: Path) -> dict[str, TrainConfig]:
    each = STUDIES[study]
    base = changed(dataclasses.replace(PRESETS["paper"], val=tmp_path, out=tmp_path), each.base)
    return {arm.name: arm.of(base) for arm in each.arms}


def told(found: dict[str, TrainConfig], *names: str) -> dict[str, tuple[Any, ...]]:
    def value(config: Any, name: str) -> Any:
        for part in name.split("."):
            config = getattr(config, part)
        return config

    return {arm: tuple(value(config, name) for name in names) for arm, config in found.items()}


def test_arms_are_what_they_are_called(tmp_path: Path) -> None:
    five = trainings("5", tmp_path)
    assert told(five, "first_steps", "steps", "loss.scale", "truncate", "loss.over_steps") == {
        "1-step": (1, 1, 1.0, None, "sum"),
        "2-step": (2, 2, 1.0, None, "sum"),
        "3x1-step": (1, 1, 3.0, None, "sum"),
        "3-step": (3, 3, 1.0, None, "sum"),
        "2->3": (2, 3, 1.0, None, "sum"),
    }
    assert set(told(five, "model.networks", "model.depth", "epochs").values()) == {("transmission", "none", 100)}
    assert told(trainings("gradients", tmp_path), "first_steps", "steps", "truncate", "loss.over_steps") == {
        "1-step": (1, 1, None, "sum"),
        "full": (3, 3, None, "sum"),
        "truncated": (3, 3, 1, "sum"),
        "last step only": (3, 3, 1, "last"),
    }
    assert told(
        trainings("weights", tmp_path), "first_steps", "steps", "truncate", "loss.over_steps", "loss.gamma"
    ) == {
        "1-step": (1, 1, None, "sum", 0.8),
        "sum": (3, 3, None, "sum", 0.8),
        "mean": (3, 3, None, "mean", 0.8),
        "gamma 0.8": (3, 3, None, "gamma", 0.8),
        "last": (3, 3, None, "last", 0.8),
    }
    assert told(trainings("2", tmp_path), "model.depth", "model.ranges", "epochs") == {
        "no depth": ("none", 4, 100),
        "depth": ("pure", 4, 100),
        "ranged depth": ("ranged", 4, 100),
    }
    ranges = told(trainings("4", tmp_path), "model.depth", "model.ranges", "epochs")
    assert ranges == {f"k={k}": ("ranged", k, 20) for k in range(2, 8)}
    for study in ("1", "3"):
        assert set(told(trainings(study, tmp_path), "first_steps", "steps", "model.depth").values()) == {
            (2, 3, "ranged")
        }


@pytest.mark.parametrize(
    ("study", "sums"),
    [
        ("1", {"psnr": 957.46, "ssim": 35.561, "lpips": 1.847}),
        ("2", {"psnr": 50.11, "ssim": 1.817, "lpips": 0.244}),
        ("3", {"psnr": 147.87}),
        ("4", {"psnr": 149.65}),
        ("5", {"psnr": 122.96, "ssim": 4.524, "lpips": 0.626}),
    ],
)
def test_what_the_paper_has_printed_adds_up(study: str, sums: dict[str, float]) -> None:
    """Sums of its numbers, added from the paper, which one that was copied wrongly would change."""
    found: dict[str, float] = {}
    for (_, _, metric), value in TABLES[study].printed.items():
        found[metric] = found.get(metric, 0) + value
    assert found == pytest.approx(sums)


def test_the_paper_has_its_own_differences() -> None:
    (title,) = TABLES["5"].sets
    own = page(Results(head_of("5", sets={"real": SetFound(0, title)}), []))
    assert "| 1-step | 24.52 | not done yet |" in own
    assert "| 3x1-step | 23.70 (-0.82) | not done yet |" in own
    assert "| 2->3 | 25.18 (+0.66) | not done yet |" in own


def test_what_has_not_come_to_its_end_is_told() -> None:
    found = results()
    fewer = [s for s in found.scores if not (s.arm == "2-step" and s.seed == 2)]
    assert "(2 of 3 seeds)" in page(Results(found.head, fewer))
    assert "of 3 seeds)" not in page(found)


def test_how_many_steps_ran_is_told() -> None:
    raised = Run("2->3", 0, 6, 14, 24, 60.0, (2, 2, 3), 3, 1234, "cpu")
    never = raised._replace(seed=1, steps=(2, 2, 2))
    changing = raised._replace(arm="3-step", steps=(1, 2, 3, 1, 2, 3, 1, 2, 3))
    own = page(Results(head_of("5", runs=(raised, never, changing)), []))
    assert "| 2, 3 from epoch 2 of 3; 2 |" in own
    assert "In 1 of 2 trainings of 2->3, the steps did not come to 3." in own
    assert "of trainings of 3-step" not in own
    assert "| 1 to 3 |" in own


def test_a_difference_that_excludes_zero_does_not_round_to_it() -> None:
    found = results()
    equal = [s._replace(values={"psnr": 20 - 0.001 * (s.arm == "2-step")}) for s in found.scores]
    (row, *_) = [line for line in page(Results(found.head, equal)).splitlines() if line.startswith("| 2-step | 20.00")]
    assert "| -0.001 [-0.001, -0.001] worse |" in row

"""Sets evaluated: the numbers, their means, and what cannot be scored."""

import math
import os
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor

from msloss_sirr import InputError, Layers, Remover, RemoverConfig, evaluate, evaluate_sets
from msloss_sirr.data.sources import open_pairs
from msloss_sirr.depth.source import stored_depth
from msloss_sirr.evaluation.evaluating import Pictures
from msloss_sirr.evaluation.pictures import Extremes
from msloss_sirr.evaluation.protocols import PROTOCOLS, resized
from msloss_sirr.evaluation.results import EvaluationReport, ImageScores, Numbers
from msloss_sirr.evaluation.scores import mean
from msloss_sirr.evaluation.sets import set_names
from msloss_sirr.evaluation.table import table
from msloss_sirr.images.reading import read_pixels, to_float
from msloss_sirr.images.sheet import strip

from ..conftest import save, smooth


class Dimming:
    """A remover that dims, and keeps what it was shown."""

    def __init__(self) -> None:
        self.shown: list[Tensor] = []

    def __call__(self, ambient: Tensor) -> Layers:
        self.shown.append(ambient)
        return Layers(ambient * 0.9, ambient * 0.1)


def scored(gains: Sequence[float], set_name: str = "a") -> list[ImageScores]:
    """Return scores of images whose PSNR was 20 and has gained so much."""
    return [
        ImageScores(set_name, str(number), 1, "whole", Numbers(20.0, 0.5), Numbers(20 + gain, 0.5 + number / 100))
        for number, gain in enumerate(gains)
    ]


def test_whole_images_score_as_training_scores_them(pairs: Path) -> None:
    report = evaluate_sets([pairs], Dimming(), protocols=("whole",))
    (summary,) = report.summaries()
    expected = mean(evaluate(Dimming(), open_pairs(pairs)))
    assert summary.before[:2] == pytest.approx(expected.before)
    assert summary.after[:2] == pytest.approx(expected.after)
    assert [scores.image for scores in report.images] == ["0", "1", "2", "3"]
    assert summary.gain == pytest.approx(expected.after.psnr - expected.before.psnr)


def test_steps_are_scored_in_one_pass(pairs: Path) -> None:
    dimming = Dimming()
    report = evaluate_sets([pairs], dimming, protocols=("whole",), steps=(3, 1))
    assert len(dimming.shown) == 4 * 3
    assert report.steps == [3, 1]
    for steps in (3, 1):
        alone = evaluate_sets([pairs], Dimming(), protocols=("whole",), steps=(steps,))
        assert [scores for scores in report.images if scores.steps == steps] == list(alone.images)


def test_multiple32_shows_the_remover_what_it_scores(pairs: Path) -> None:
    dimming = Dimming()
    report = evaluate_sets([pairs], dimming, protocols=("multiple32", "errnet"))
    assert [tuple(image.shape[2:]) for image in dimming.shown[:2]] == [(32, 32), (40, 56)]
    ambient, truth = (resized(read_pixels(pairs / part / "0.png"), 32, 32) for part in ("ambient", "transmission"))
    expected = PROTOCOLS["errnet"].score(to_float(ambient) * 0.9, to_float(truth))
    assert report.images[0].protocol == "multiple32"
    assert report.images[0].after[:2] == pytest.approx(expected)


def test_remover_is_put_into_evaluation_mode_and_back(pairs: Path) -> None:
    remover = Remover(RemoverConfig(channels=(4, 4)))
    assert all(scores.gain == 0 for scores in evaluate_sets([pairs], remover).images)
    assert remover.training


def test_depth_guides_the_remover_at_every_size(pairs: Path) -> None:
    torch.manual_seed(0)
    remover = Remover(RemoverConfig(channels=(4, 4), depth="pure"))
    with pytest.raises(InputError, match="has no depth image"):
        evaluate_sets([pairs], remover, source=stored_depth)
    for number in range(4):
        save(pairs / "depth" / f"{number}.png", smooth(30 + number)[:1].expand(3, -1, -1))
    from PIL import Image

    for path in (pairs / "depth").iterdir():
        Image.open(path).convert("L").save(path)
    report = evaluate_sets([pairs], remover, protocols=("whole", "multiple32"), source=stored_depth)
    assert len(report.images) == 8


def test_means_of_images_and_of_sets_are_told_apart() -> None:
    report = EvaluationReport([*scored([1.0, -2.0, -0.5, -0.6]), *scored([4.0], "b")])
    a, b, images, sets = report.summaries()
    assert (a.images, a.worse, a.gain, a.median_gain) == (4, 2, pytest.approx(-0.525), pytest.approx(-0.55))
    assert (b.images, b.worse, b.gain) == (1, 0, 4.0)
    assert (images.kind, images.images, images.worse) == ("all images", 5, 2)
    assert images.after.psnr == pytest.approx(20 + (1 - 2 - 0.5 - 0.6 + 4) / 5)
    assert (sets.kind, sets.worse) == ("mean of sets", 2)
    assert sets.after.psnr == pytest.approx((20 - 0.525 + 24) / 2)
    assert sets.gain == pytest.approx((4 - 0.525) / 2)
    assert len(EvaluationReport(scored([1.0])).summaries()) == 1


def test_infinite_scores_survive_means() -> None:
    same = ImageScores("a", "same", 1, "whole", Numbers(math.inf, 1.0), Numbers(math.inf, 1.0))
    perfect = ImageScores("a", "perfect", 1, "whole", Numbers(20.0, 0.5), Numbers(math.inf, 1.0))
    spoilt = ImageScores("a", "spoilt", 1, "whole", Numbers(math.inf, 1.0), Numbers(20.0, 0.5))
    assert [scores.gain for scores in (same, perfect, spoilt)] == [0.0, math.inf, -math.inf]
    (summary,) = EvaluationReport([same, *scored([1.0])]).summaries()
    assert (summary.after.psnr, summary.gain) == (math.inf, 0.5)
    (summary,) = EvaluationReport([perfect, *scored([1.0])]).summaries()
    assert (summary.gain, summary.before.psnr) == (math.inf, 20.0)
    (summary,) = EvaluationReport([perfect, spoilt, same]).summaries()
    assert math.isnan(summary.gain)
    assert (summary.median_gain, summary.worse) == (0.0, 1)
    assert any("inf" in line for line in table(EvaluationReport([perfect])))


def test_equal_images_score_infinitely(tmp_path: Path) -> None:
    for part in ("ambient", "transmission"):
        save(tmp_path / "pairs" / part / "a.png", smooth(1))
    report = evaluate_sets([tmp_path / "pairs"], lambda x: Layers(x, x - x))
    assert {scores.after.psnr for scores in report.images} == {math.inf}
    assert {scores.gain for scores in report.images} == {0.0}


def test_saved_outputs_are_matched_by_name_and_size(pairs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for number in range(3):
        save(out / f"{number}.png", smooth(10 + number) * 0.8)
    with pytest.raises(
        InputError, match=r"^1 of 4 images have no output of their size in .*: 3 of pairs has none; give"
    ):
        evaluate_sets([pairs], outputs=out)
    save(out / "3.png", smooth(3, 20, 30))
    save(out / "another.png", smooth(4))
    with pytest.raises(InputError, match=r"3\.png is 30x20, not 56x40; give --missing 1"):
        evaluate_sets([pairs], outputs=out)
    report = evaluate_sets([pairs], outputs=out, missing=1, protocols=("whole",))
    assert len(report.images) == 3
    assert {scores.after.psnr for scores in report.images} == {math.inf}
    assert report.steps == [None]
    assert list(report.left_out) == [f"{out / '3.png'} is 30x20, not 56x40"]
    assert list(report.unused) == [str(out / "another.png")]
    lines = list(table(report))
    assert f"left out, 1: {out / '3.png'} is 30x20, not 56x40" in lines
    assert f"belong to no image, 1: {out / 'another.png'}" in lines
    save(out / "0.jpg", smooth(0))
    with pytest.raises(InputError, match=r"0\.png and 0\.jpg have the same name|0\.jpg and 0\.png have the same name"):
        evaluate_sets([pairs], outputs=out)


def test_saved_outputs_may_be_of_the_size_at_which_they_are_scored(pairs: Path, tmp_path: Path) -> None:
    for number in range(4):
        save(tmp_path / "out" / f"{number}.png", smooth(number, 32, 32))
    report = evaluate_sets([pairs], outputs=tmp_path / "out", protocols=("multiple32",))
    assert len(report.images) == 4
    with pytest.raises(InputError, match="4 of 4 images have no output of their size"):
        evaluate_sets([pairs], outputs=tmp_path / "out", protocols=("multiple32", "whole"))


def test_saved_outputs_of_other_layouts_are_found(pairs: Path, tmp_path: Path) -> None:
    for number in range(4):
        save(tmp_path / "out" / f"{number}" / "errnet.png", smooth(10 + number) * 0.8)
        save(tmp_path / "out" / f"{number}" / "m_input.png", smooth(1))
    report = evaluate_sets([pairs], outputs=f"{tmp_path}/out/{{name}}/errnet.png", protocols=("whole",))
    assert {scores.after.psnr for scores in report.images} == {math.inf}
    other = tmp_path / "other"
    for part in ("ambient", "transmission"):
        save(other / part / "x.png", smooth(5))
    with pytest.raises(InputError, match=r"put \{set\} in it, too"):
        evaluate_sets([pairs, other], outputs=f"{tmp_path}/out/{{name}}/errnet.png")
    with pytest.raises(InputError, match=r"holds no output of any image; of the first, .*/out/0\.png is looked for"):
        evaluate_sets([pairs], outputs=f"{tmp_path}/out/{{name}}.png", missing=4)
    save(tmp_path / "renamed" / "0_out.png", smooth(1))
    with pytest.raises(InputError, match=r"of the first, .*renamed/0\.png \(or \.jpg, \.\.\.\) is looked for"):
        evaluate_sets([pairs], outputs=tmp_path / "renamed")


def test_what_is_no_output_file_is_none(pairs: Path, tmp_path: Path) -> None:
    for number in range(4):
        save(tmp_path / "out" / f"{number}.png", smooth(10 + number) * 0.8)
    os.mkfifo(tmp_path / "out" / "0.jpg")
    assert len(evaluate_sets([pairs], outputs=tmp_path / "out", protocols=("whole",)).images) == 4
    (tmp_path / "out" / "3.png").unlink()
    os.mkfifo(tmp_path / "out" / "3.png")
    with pytest.raises(InputError, match=r"3\.png: it is a named pipe, not a file; give --missing 1"):
        evaluate_sets([pairs], outputs=tmp_path / "out")


def test_damaged_image_is_named_and_may_be_left_out(pairs: Path) -> None:
    damaged = pairs / "ambient" / "1.png"
    damaged.write_bytes(damaged.read_bytes()[:-400])
    with pytest.raises(InputError, match=r"^cannot read .*ambient/1\.png"):
        evaluate_sets([pairs], Dimming())
    report = evaluate_sets([pairs], Dimming(), missing=1)
    assert {scores.image for scores in report.images} == {"0", "2", "3"}
    assert "ambient/1.png" in report.left_out[0]


def test_files_that_are_no_images_may_be_left_out(pairs: Path, tmp_path: Path) -> None:
    (pairs / "ambient" / "1.png").write_text("text")
    save(pairs / "transmission" / "2.png", smooth(1, 20, 20))
    with pytest.raises(InputError, match=r"^cannot read .*ambient/1\.png: it is no image file$"):
        evaluate_sets([pairs], Dimming())
    with pytest.raises(InputError, match=r"^2 images cannot be scored, one more than may be missing: .*1\.png.*2\.png"):
        evaluate_sets([pairs], Dimming(), missing=1)
    report = evaluate_sets([pairs], Dimming(), missing=2)
    assert {scores.image for scores in report.images} == {"0", "3"}
    assert len(report.left_out) == 2
    for number in range(3):
        save(tmp_path / "out" / f"{number}.png", smooth(10 + number) * 0.8)
    with pytest.raises(InputError, match=r"^1 of 2 images have no output .*: 3 of pairs has none; give --missing 3 to"):
        evaluate_sets([pairs], outputs=tmp_path / "out", missing=2)
    report = evaluate_sets([pairs], outputs=tmp_path / "out", missing=3)
    assert {scores.image for scores in report.images} == {"0"}
    assert len(report.left_out) == 3
    assert not report.unused
    for path in (pairs / "ambient").iterdir():
        path.write_text("text")
    with pytest.raises(InputError, match=r"^no image is left: cannot read .*; and 1 more$"):
        evaluate_sets([pairs], Dimming(), missing=4)


def test_estimate_that_is_no_number_is_named(pairs: Path) -> None:
    with pytest.raises(InputError, match=r"ambient/0\.png: the estimate of step 2 holds NaN or infinity"):
        evaluate_sets([pairs], lambda x: Layers(x.log(), x) if x.min() < 0 else Layers(x - 2, x), steps=(1, 2))


def test_images_too_small_for_a_protocol_are_named(tmp_path: Path) -> None:
    for part in ("ambient", "transmission"):
        save(tmp_path / part / "a.png", smooth(1, 40, 18))
    evaluate_sets([tmp_path], Dimming())
    with pytest.raises(InputError, match=r"a\.png is 18x40, but protocol border4 needs 19 pixels a side"):
        evaluate_sets([tmp_path], Dimming(), protocols=("whole", "border4"))


def test_what_is_no_fault_of_an_image_is_raised(pairs: Path) -> None:
    def broken(_: Tensor) -> Layers:
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        evaluate_sets([pairs], broken, missing=4)

    def too_large(_: Tensor) -> Layers:
        raise torch.OutOfMemoryError("tried to allocate")

    with pytest.raises(InputError, match=r"ambient/0\.png: it does not fit in memory"):
        evaluate_sets([pairs], too_large)


def test_sets_are_named_by_what_tells_them_apart(tmp_path: Path) -> None:
    one, two = tmp_path / "real" / "val", tmp_path / "made" / "val"
    assert set_names([one]) == ["val"]
    assert set_names([one, two]) == ["real-val", "made-val"]
    assert set_names([one, f"sir2/postcard={two}"]) == ["val", "sir2-postcard"]
    assert set_names([f"sir2={one}", f"sir2={two}"]) == ["sir2-real-val", "sir2-made-val"]
    with pytest.raises(InputError, match="is given twice"):
        set_names([one, one])
    with pytest.raises(InputError, match="no sets given"):
        evaluate_sets([], Dimming())


def test_a_photograph_of_two_pairs_has_two_names(pairs: Path, tmp_path: Path) -> None:
    rows = ("ambient,transmission,name", *(f"ambient/0.png,transmission/{number}.png,to {number}" for number in (1, 2)))
    (pairs / "list.csv").write_text("\n".join(rows))
    report = evaluate_sets([f"csv={pairs / 'list.csv'}"], Dimming(), protocols=("whole",))
    assert [scores.image for scores in report.images] == ["to 1", "to 2"]


def test_extremes_keeps_the_best_and_the_worst(pairs: Path) -> None:
    extremes, everything = Extremes(1, "whole", 1), list[Pictures]()
    report = evaluate_sets([pairs], Dimming(), steps=(1, 2), viewers=[extremes, everything.append])
    assert len(everything) == 8
    gains = {scores.gain: scores.image for scores in report.images if (scores.steps, scores.protocol) == (1, "whole")}
    assert [row.scores.image for row in extremes._kept] == [gains[max(gains)], gains[min(gains)]]
    page = extremes.draw()
    assert page.shape == (3, 2 * (40 + 40) + 3 * 6, 4 * 56 + 5 * 6)
    said = strip("whole, step 1", 56)
    assert torch.equal(page[:, 6 + 20 : 6 + 40, 3 * 6 + 2 * 56 : 3 * 6 + 3 * 56], said)
    assert torch.equal(page[:, 46:86, 6:62], read_pixels(pairs / "ambient" / f"{gains[max(gains)]}.png"))


def test_arguments_out_of_range_are_refused(pairs: Path) -> None:
    with pytest.raises(ValueError, match="not both"):
        evaluate_sets([pairs], Dimming(), outputs=pairs)
    with pytest.raises(ValueError, match="give a remover, or outputs"):
        evaluate_sets([pairs])
    with pytest.raises(ValueError, match="steps of 1 or more"):
        evaluate_sets([pairs], Dimming(), steps=(0,))

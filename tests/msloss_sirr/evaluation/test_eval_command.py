"""``msloss-sirr eval``: tables, files, and what the user got wrong in one line."""

import csv
import io
import json
import math
import os
import sys
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import torch
from PIL import Image

from msloss_sirr import files
from msloss_sirr.cli import main
from msloss_sirr.evaluation.protocols import PROTOCOLS

from ..conftest import fails, pixels_of, save, smooth
from .test_lpips import alex

__all__ = ["alex"]

NO_LPIPS = ("--lpips.backbones",)


def run(*words: object) -> None:
    main(["eval", *(str(word) for word in words)])


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def images_of(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"), parse_constant=pytest.fail)["images"]
    return found


@pytest.fixture
def two_sets(pairs: Path, tmp_path: Path) -> tuple[Path, Path]:
    """The pairs, and another set of one pair that shares a name with them."""
    save(tmp_path / "other" / "ambient" / "0.png", smooth(40) * 0.7 + 0.3)
    save(tmp_path / "other" / "transmission" / "0.png", smooth(40) * 0.7)
    return pairs, tmp_path / "other"


def test_table_has_protocols_side_by_side(
    two_sets: tuple[Path, Path], checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(*two_sets, "--checkpoint", checkpoint, "--steps", 1, 2, "--protocol", *PROTOCOLS, *NO_LPIPS)
    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    assert printed.err == ""
    assert lines[0] == f"remover: {checkpoint}"
    assert lines[2].split() == list(PROTOCOLS)
    assert lines[3].split() == ["set", "images", "steps"] + ["PSNR", "SSIM"] * 4
    assert [line.split()[:3] for line in lines[4:16:3]] == [
        ["pairs", "4", "input"],
        ["other", "1", "input"],
        ["mean", "of", "all"],
        ["mean", "of", "sets"],
    ]
    assert [line.split()[0] for line in lines[5:7]] == ["1", "2"]
    assert all(len(line.split()) == 9 for line in lines[5:7])
    assert sum("of 4" in line for line in lines) == 8


def test_estimates_that_were_saved_score_the_same_again(
    two_sets: tuple[Path, Path], checkpoint: Path, tmp_path: Path
) -> None:
    first, again, saved = tmp_path / "first.json", tmp_path / "again.json", tmp_path / "saved"
    protocols = ("--protocol", "whole", "border4", "errnet")
    run(*two_sets, "--checkpoint", checkpoint, "--save", saved, "--json", first, *protocols, *NO_LPIPS)
    assert sorted(str(path.relative_to(saved)) for path in saved.rglob("*.png")) == [
        "other/0.png",
        *(f"pairs/{number}.png" for number in range(4)),
    ]
    run(*two_sets, "--outputs", saved, "--json", again, *protocols, *NO_LPIPS)
    for once, twice in zip(images_of(first), images_of(again), strict=True):
        assert (once["set_name"], once["image"], once["before"]) == (twice["set_name"], twice["image"], twice["before"])
        if once["protocol"] == "errnet":  # which does not round, and files are rounded
            assert once["after"]["psnr"] == pytest.approx(twice["after"]["psnr"], abs=0.05)
        else:
            assert once["after"] == twice["after"]
    run(two_sets[0], "--outputs", saved, "--json", again, "--overwrite", *protocols, *NO_LPIPS)
    assert len(images_of(again)) == 12


def test_every_number_of_steps_is_saved(pairs: Path, checkpoint: Path, tmp_path: Path) -> None:
    once, saved = tmp_path / "steps.csv", tmp_path / "saved"
    run(pairs, "--checkpoint", checkpoint, "--steps", 2, 1, "--save", saved, "--csv", once, *NO_LPIPS)
    for steps, share in ((1, 0.5), (2, 0.25)):
        estimate, ambient = (
            pixels_of(folder / "3.png") for folder in (saved / f"steps-{steps}" / "pairs", pairs / "ambient")
        )
        assert abs(estimate - ambient * share).max() <= 1
        again = tmp_path / f"again-{steps}.csv"
        run(pairs, "--outputs", saved / f"steps-{steps}", "--csv", again, "--protocol", "whole", *NO_LPIPS)
        before = [row["psnr"] for row in rows_of(once) if (row["steps"], row["protocol"]) == (str(steps), "whole")]
        assert before == [row["psnr"] for row in rows_of(again)]


def test_files_hold_every_image_and_every_mean(two_sets: tuple[Path, Path], checkpoint: Path, tmp_path: Path) -> None:
    table, told = tmp_path / "scores.csv", tmp_path / "scores.json"
    run(*two_sets, "--checkpoint", checkpoint, "--csv", table, "--json", told, *NO_LPIPS)
    rows, content = rows_of(table), json.loads(told.read_text())
    assert [row["row"] for row in rows] == ["image"] * 10 + ["set", "set", "all images", "mean of sets"] * 2
    of_pairs = [row for row in rows if (row["row"], row["set"], row["protocol"]) == ("image", "pairs", "whole")]
    (mean,) = (row for row in rows if (row["row"], row["set"], row["protocol"]) == ("set", "pairs", "whole"))
    for column in ("psnr", "ssim", "input_psnr", "input_ssim", "gain"):
        assert float(mean[column]) == pytest.approx(sum(float(row[column]) for row in of_pairs) / 4)
    assert (mean["images"], mean["lpips_alex"], mean["not_measured"]) == ("4", "", "")
    assert len(content["images"]) == 10
    assert content["images"][0]["after"]["psnr"] == float(of_pairs[0]["psnr"])
    assert content["images"][0]["after"]["lpips_vgg"] is None
    assert content["evaluated"]["checkpoint"] == str(checkpoint)
    assert len(content["evaluated"]["sha256"]) == 64
    assert list(content["evaluated"]["protocols"]) == ["whole", "errnet"]
    assert content["means"][-1]["kind"] == "mean of sets"


def test_infinity_survives_files(pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table, told = tmp_path / "scores.csv", tmp_path / "scores.json"
    run(pairs, "--outputs", pairs / "transmission", "--csv", table, "--json", told, *NO_LPIPS)
    assert {row["psnr"] for row in rows_of(table)} == {"inf"}
    assert {float(image["after"]["psnr"]) for image in images_of(told)} == {math.inf}
    assert {image["gain"] for image in images_of(told)} == {"Infinity"}
    assert "+inf" in capsys.readouterr().out


def test_lpips_is_measured_or_says_why_not(
    pairs: Path, alex: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))

    def no_network(*_: object, **__: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr(torch.hub, "download_url_to_file", no_network)
    table, told = tmp_path / "scores.csv", tmp_path / "scores.json"
    run(pairs, "--outputs", pairs / "ambient", "--lpips.alex", alex, "--csv", table, "--json", told)
    lines = capsys.readouterr().out.splitlines()
    assert lines[3].split() == ["set", "images", "steps"] + ["PSNR", "SSIM", "LPIPS", "(alex)", "LPIPS", "(vgg)"] * 2
    assert lines[4].split()[-1] == "-"
    assert lines[-1].startswith("LPIPS (vgg): the weights of VGG16 could not be downloaded (no network); fetch ")
    for row in rows_of(table):
        assert float(row["lpips_alex"]) == float(row["input_lpips_alex"]) > 0
        assert row["lpips_vgg"] == ""
        assert ("LPIPS (vgg): the weights" in row["not_measured"]) == (row["row"] != "image")
    content = json.loads(told.read_text())
    assert list(content["not_measured"]) == ["lpips_vgg"]
    assert content["images"][0]["after"]["lpips_vgg"] is None


def test_folders_are_made_for_what_is_written(pairs: Path, checkpoint: Path, tmp_path: Path) -> None:
    files = {"--csv": tmp_path / "a" / "scores.csv", "--json": tmp_path / "b" / "scores.json"}
    files["--sheet"] = tmp_path / "c" / "d" / "sheet.jpg"
    run(pairs, "--checkpoint", checkpoint, *(word for file in files.items() for word in file), *NO_LPIPS)
    assert all(path.is_file() for path in files.values())


def test_sheet_is_drawn(pairs: Path, checkpoint: Path, tmp_path: Path) -> None:
    page = tmp_path / "sheet.jpg"
    run(pairs, "--checkpoint", checkpoint, "--sheet", page, "--sheet-rows", 1, *NO_LPIPS)
    with Image.open(page) as image:
        assert image.size == (4 * 56 + 5 * 6, 2 * 80 + 3 * 6)


def test_shipped_remover_is_scored_by_default(pairs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(pairs, *NO_LPIPS)
    assert capsys.readouterr().out.startswith("the remover in the package\n")


def test_what_cannot_be_done_is_one_line(
    pairs: Path, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    use = (pairs, "--checkpoint", checkpoint, *NO_LPIPS)
    assert "no sets given" in fails(capsys, "eval")
    assert "nowhere does not exist" in fails(capsys, "eval", tmp_path / "nowhere")
    assert "is given twice" in fails(capsys, "eval", pairs, *use)
    assert "none.safetensors does not exist" in fails(capsys, "eval", pairs, "--checkpoint", "none.safetensors")
    assert "outputs and checkpoint are both given" in fails(capsys, "eval", *use, "--outputs", tmp_path)
    flipped = fails(capsys, "eval", pairs, "--outputs", tmp_path, "--flip")
    assert flipped == "flip is given, but saved outputs are scored as they are; leave one out"
    assert "steps are (0,); give 1 or more" in fails(capsys, "eval", *use, "--steps", 0)
    assert "protocol is ('whole', 'whole')" in fails(capsys, "eval", *use, "--protocol", "whole", "whole")
    assert "missing is -1" in fails(capsys, "eval", *use, "--missing", -1)
    assert "there is no device 'abacus'" in fails(capsys, "eval", *use, "--device", "abacus")
    assert "names no kind of image" in fails(capsys, "eval", *use, "--sheet", tmp_path / "sheet.pdf")
    table = tmp_path / "a.csv" / "scores.csv"
    table.parent.touch()
    assert f"{table.parent} is a file, so that there is no folder" in fails(capsys, "eval", *use, "--csv", table)
    again = tmp_path / "b" / ".." / "a"
    (tmp_path / "b").mkdir()
    assert "is named twice" in fails(capsys, "eval", *use, "--csv", tmp_path / "a", "--json", again)
    (tmp_path / "there.csv").write_text("precious")
    for option in ("--csv", "--json"):
        assert "give --overwrite" in fails(capsys, "eval", *use, option, tmp_path / "there.csv")
    assert "holds files already" in fails(capsys, "eval", *use, "--save", pairs)
    assert "is a file; give a folder" in fails(capsys, "eval", *use, "--save", checkpoint)
    assert (tmp_path / "there.csv").read_text() == "precious"
    run(*use, "--csv", tmp_path / "there.csv", "--overwrite")
    assert (tmp_path / "there.csv").read_text().startswith("row,set,image")


def test_neither_a_full_disk_nor_a_closed_pipe_costs_the_numbers(
    pairs: Path, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use = ("eval", pairs, "--checkpoint", checkpoint, *NO_LPIPS, "--csv", tmp_path / "a.csv")

    class Closed(io.StringIO):
        def write(self, _: str) -> int:
            raise BrokenPipeError

    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", Closed())
        with pytest.raises(SystemExit):
            main([str(word) for word in use])
    assert len(rows_of(tmp_path / "a.csv")) == 10

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(SystemExit):
        main([str(word) for word in (*use, "--overwrite")])
    printed = capsys.readouterr()
    assert "pairs       4  input" in printed.out
    assert printed.err.endswith(f"{tmp_path / 'a.csv'}: No space left on device\n")
    assert len(rows_of(tmp_path / "a.csv")) == 10


def test_names_of_any_bytes_are_written(pairs: Path, checkpoint: Path, tmp_path: Path) -> None:
    table, told, page = tmp_path / "a.csv", tmp_path / "a.json", tmp_path / "a.png"
    for part in ("ambient", "transmission"):
        (pairs / part / "0.png").rename(pairs / part / "caf\udce9.png")
    written = ("--csv", table, "--json", told, "--sheet", page, "--save", tmp_path / "save")
    run(pairs, "--checkpoint", checkpoint, *written, *NO_LPIPS)
    assert "caf\\udce9" in {row["image"] for row in rows_of(table)}
    assert "caf\udce9" in {image["image"] for image in images_of(told)}
    assert (tmp_path / "save" / "pairs" / "caf\udce9.png").exists()


def test_only_files_are_replaced(
    pairs: Path, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    use = ("eval", pairs, "--checkpoint", checkpoint, "--overwrite", *NO_LPIPS)
    pipe, link = tmp_path / "pipe", tmp_path / "link.csv"
    os.mkfifo(pipe)
    link.symlink_to("/dev/null")
    assert "pipe is a named pipe, not a file" in fails(capsys, *use, "--csv", pipe)
    assert "null is a device, not a file" in fails(capsys, *use, "--json", "/dev/null")
    assert "link.csv is a link, not a file" in fails(capsys, *use, "--csv", link)
    assert link.is_symlink()


def test_where_nothing_can_be_written_nothing_is_scored(
    pairs: Path, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir()
    refused = PermissionError(13, "Permission denied", str(closed))
    monkeypatch.setattr(files, "TemporaryFile", Mock(side_effect=refused))
    use = ("eval", pairs, "--checkpoint", checkpoint, *NO_LPIPS)
    for option, target in (("--csv", "a.csv"), ("--json", "a.json"), ("--sheet", "a.png"), ("--save", "a/b")):
        line = fails(capsys, *use, option, closed / target)
        assert line == f"{closed} cannot be written to (permission denied); name another folder"
    assert "half.safetensors is a file, so that there is no folder" in fails(capsys, *use, "--save", checkpoint / "a")


def test_what_is_read_is_not_replaced(
    pairs: Path, checkpoint: Path, alex: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    read = [checkpoint, alex, *pairs.rglob("*.png")]
    before = [path.read_bytes() for path in read]
    use = ("eval", pairs, "--overwrite", "--lpips.backbones", "alex", "--lpips.alex", alex)
    image = pairs / "ambient" / "0.png"
    assert "half.safetensors is named twice" in fails(capsys, *use, "--checkpoint", checkpoint, "--json", checkpoint)
    assert "alexnet.pth is named twice" in fails(capsys, *use, "--csv", alex)
    assert "is an image that is evaluated" in fails(capsys, *use, "--checkpoint", checkpoint, "--sheet", image)
    save(tmp_path / "out" / "0.png", smooth(1))
    words = (*use, "--outputs", tmp_path / "out", "--missing", 3, "--csv", tmp_path / "out" / "0.png")
    assert "out/0.png is an image that is evaluated" in fails(capsys, *words)
    assert [path.read_bytes() for path in read] == before


def test_images_of_the_set_are_not_replaced(
    pairs: Path, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trap = tmp_path / "transmission"
    for part in ("ambient", "transmission"):
        save(trap / part / "a.png", smooth(1))
    (tmp_path / "save").mkdir()
    (tmp_path / "save" / "transmission").symlink_to(trap / "transmission")
    words = ("eval", trap, "--checkpoint", checkpoint, "--save", tmp_path / "save", "--overwrite", *NO_LPIPS)
    before = pixels_of(trap / "transmission" / "a.png")
    assert "is an image of the set itself" in fails(capsys, *words)
    assert (pixels_of(trap / "transmission" / "a.png") == before).all()

"""Data sets made by RefGAN: functions of their seed, readable, and fit to go on with after an interruption."""

import dataclasses
import random
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from msloss_sirr import InputError, TrainConfig, train
from msloss_sirr.catalogue.manifest import digest, read_manifest
from msloss_sirr.cli import main
from msloss_sirr.data.sources import open_pairs
from msloss_sirr.images.reading import read_pixels, to_float
from msloss_sirr.refgan.checkpoint import save_generator
from msloss_sirr.refgan.compare import compare
from msloss_sirr.refgan.config import RefganCompareConfig, RefganGenerateConfig
from msloss_sirr.refgan.generate import Window, generate, passes
from msloss_sirr.refgan.generator import Generator

from ..conftest import drawing, save, smooth
from .test_refgan import TINY, loud


@pytest.fixture
def asked(pairs: Path, photos: Path, tmp_path: Path) -> RefganGenerateConfig:
    """A data set of six pairs, by a generator that changes photographs visibly."""
    save_generator(loud(), tmp_path / "loud.safetensors")
    return RefganGenerateConfig(
        tmp_path / "loud.safetensors", photos, tmp_path / "made", pairs, count=6, crop=32, device="cpu"
    )


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_a_data_set_is_a_function_of_its_seed(asked: RefganGenerateConfig, tmp_path: Path) -> None:
    assert generate(asked) == 6
    names = [f"{i:05}.png" for i in range(6)]
    made = contents(asked.out)
    assert sorted(made) == sorted(["manifest.jsonl", *(f"{p}/{n}" for p in ("ambient", "transmission") for n in names)])
    other = dataclasses.replace(asked, out=tmp_path / "other")
    torch.manual_seed(99)
    generate(other)
    assert contents(other.out) == made
    generate(dataclasses.replace(asked, out=tmp_path / "third", seed=1))
    assert contents(tmp_path / "third") != made
    assert len({made[f"ambient/{name}"] for name in names}) == 6


def test_more_pairs_are_added_to_those_there(asked: RefganGenerateConfig, tmp_path: Path) -> None:
    generate(asked)
    few = dataclasses.replace(asked, out=tmp_path / "few", count=2)
    assert generate(few) == 2
    assert generate(dataclasses.replace(few, count=6)) == 4
    assert contents(few.out) == contents(asked.out)
    assert generate(dataclasses.replace(few, count=6)) == 0


def test_killed_work_goes_on(asked: RefganGenerateConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    generate(asked)
    again = dataclasses.replace(asked, out=tmp_path / "again")
    write, calls = generate.__globals__["place"], []

    def killed(path: Path, pixels: Tensor, ours: str) -> None:
        calls.append(path)
        if len(calls) == 6:  # between the two pictures of a pair
            raise KeyboardInterrupt
        write(path, pixels, ours)

    with monkeypatch.context() as patch:
        patch.setitem(generate.__globals__, "place", killed)
        with pytest.raises(KeyboardInterrupt):
            generate(again)
    (again.out / "ambient" / "00000.png").unlink()
    assert generate(again) == 5
    assert contents(again.out) == contents(asked.out)


def test_manifest_says_what_pairs_were_made_from(asked: RefganGenerateConfig, photos: Path) -> None:
    generate(asked)
    about, records = read_manifest(asked.out)
    assert about["seed"] == 0
    assert about["crop"] == 32
    assert len(about["checkpoint"]) == 64
    for record in records:
        origin = record.origin
        photo, window = to_float(read_pixels(photos / origin["photo"])), origin["window"]
        top, left = window["top"], window["left"]
        part = photo[:, top : top + window["height"], left : left + window["width"]]
        part = part.flip(-1) if window["mirrored"] else part
        part = F.interpolate(part[None], (32, 32), mode="bilinear", antialias=True)[0]
        written = to_float(read_pixels(asked.out / record.files["transmission"]))
        assert (part - written).abs().max() < 0.01
        assert origin["reference"].endswith(".png")


def test_data_sets_are_pairs_to_train_on(asked: RefganGenerateConfig, config: TrainConfig, tmp_path: Path) -> None:
    generate(asked)
    pairs = open_pairs(asked.out)
    assert len(pairs) == 6
    assert all(pairs[i].ambient.shape == (3, 32, 32) for i in range(6))
    train(drawing(dataclasses.replace(config, epochs=1, epoch_images=4), pairs=(asked.out,), photos=()))


def test_whole_photos_keep_their_size(asked: RefganGenerateConfig, photos: Path) -> None:
    generate(dataclasses.replace(asked, crop=None, count=3))
    for record in read_manifest(asked.out)[1]:
        source, made = (
            read_pixels(path) for path in (photos / record.origin["photo"], asked.out / record.files["ambient"])
        )
        assert made.shape == source.shape


@pytest.mark.parametrize("style", ["none", "noise"])
def test_generators_without_references(asked: RefganGenerateConfig, tmp_path: Path, style: Any) -> None:
    save_generator(Generator(dataclasses.replace(TINY, style=style)).eval(), tmp_path / "other.safetensors")
    other = dataclasses.replace(asked, checkpoint=tmp_path / "other.safetensors")
    with pytest.raises(InputError, match="is given no reflections; leave out --references"):
        generate(other)
    assert generate(dataclasses.replace(other, references=None, count=2, least=0.0)) == 2


def test_dropout_is_the_noise_of_the_publication(asked: RefganGenerateConfig, tmp_path: Path) -> None:
    generate(dataclasses.replace(asked, count=1))
    generate(dataclasses.replace(asked, count=1, dropout=False, out=tmp_path / "still"))
    (dropped, still) = (contents(folder) for folder in (asked.out, tmp_path / "still"))
    assert dropped["transmission/00000.png"] == still["transmission/00000.png"]
    assert dropped["ambient/00000.png"] != still["ambient/00000.png"]


def test_what_cannot_be_generated_is_one_error(asked: RefganGenerateConfig, pairs: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="give --references, a folder of real pairs"):
        generate(dataclasses.replace(asked, references=None))
    with pytest.raises(InputError, match="holds pairs that refgan has not made; give another --out"):
        generate(dataclasses.replace(asked, out=pairs))
    assert not asked.out.exists()
    before = contents(tmp_path)
    generate(asked)
    assert {name: data for name, data in contents(tmp_path).items() if not name.startswith("made/")} == before
    save(tmp_path / "fewer" / "photo 0.png", smooth(0))
    for name, value in {"seed": 5, "crop": 40, "dropout": False, "least": 0.02, "most": 0.3}.items():
        with pytest.raises(InputError, match=f"was made otherwise: {name} differ"):
            generate(dataclasses.replace(asked, **{name: value}))
    with pytest.raises(InputError, match="was made otherwise: photos differ"):
        generate(dataclasses.replace(asked, photos=tmp_path / "fewer"))
    with pytest.raises(InputError, match="20 tries at pair 0 had too weak a reflection"):
        generate(dataclasses.replace(asked, out=tmp_path / "strong", least=0.9))
    save(tmp_path / "small" / "tiny.png", smooth(0, 9, 30))
    with pytest.raises(InputError, match=r"tiny\.png is 30x9; 16 pixels a side is the least"):
        generate(dataclasses.replace(asked, out=tmp_path / "other", photos=tmp_path / "small", crop=None))
    with pytest.raises(InputError, match="count is 0"):
        dataclasses.replace(asked, count=0)


def test_pairs_that_pass() -> None:
    scene = torch.full((3, 20, 20), 0.5)
    assert passes(scene + 0.02, scene, 0.01, 0.2)
    assert not passes(scene + 0.005, scene, 0.01, 0.2)
    assert not passes(scene - 0.1, scene, 0.01, 0.2)
    half = scene.clone()
    half[:, :10] = 1.0
    assert not passes(half, scene, 0.01, 0.2)
    assert passes(half, scene, 0.01, 0.6)
    bright = half.clone()
    bright[:, 10:] += 0.04
    assert passes(bright, half, 0.01, 0.2)  # what is saturated in T is no matter of the reflection


def test_commands(pairs: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["train", "--pairs", pairs, "--photos", photos, "--out", tmp_path / "run", "--crop", 32, "--epochs", 1]
    words += ["--epoch-images", 2, "--device", "cpu", "--network.width", 2, "--network.levels", 3, "--samples", 1]
    main(["refgan", *map(str, words)])
    assert f"generator: {tmp_path / 'run' / 'last.safetensors'}" in capsys.readouterr().out
    words = ["generate", "--checkpoint", tmp_path / "run" / "last.safetensors", "--photos", photos, "--out"]
    words += [tmp_path / "made", "--references", pairs, "--count", 2, "--crop", "None", "--least", 0, "--device", "cpu"]
    main(["refgan", *map(str, words)])
    assert "2 pairs in " in capsys.readouterr().out
    main(["refgan", "compare", str(pairs), str(tmp_path / "made"), "--side", "32"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split("|")[1].strip() == "set"
    assert [line.split("|")[2].strip() for line in lines[2:]] == ["4", "2"]
    main(["refgan", "compare", str(pairs), "--side", "32", "--photos", str(photos), "--limit", "3"])
    rows = [[cell.strip() for cell in line.split("|")] for line in capsys.readouterr().out.splitlines()[3:]]
    assert [row[1] for row in rows] == ["linear", "clip", "screen", "transplant"]
    assert all(row[7] == "0.000 ± 0.000" for row in rows)  # a recipe only adds light
    with pytest.raises(SystemExit):
        main(["refgan", "compare", str(tmp_path / "none")])
    assert (
        capsys.readouterr().err
        == f"msloss-sirr: {tmp_path / 'none'} does not exist; give a folder that holds ambient/ and transmission/\n"
    )
    with pytest.raises(InputError, match="side is 8; give 16 or more"):
        RefganCompareConfig((pairs,), side=8)


def test_equal_generators_are_equal_files(tmp_path: Path) -> None:
    files = [tmp_path / f"{i}.safetensors" for i in range(8)]
    for path in files:
        save_generator(loud(), path, {"epoch": "5", "é": '"'})
    assert len({path.read_bytes() for path in files}) == 1


def test_images_that_changed_are_other_images(asked: RefganGenerateConfig, photos: Path) -> None:
    generate(dataclasses.replace(asked, count=2))
    save(photos / "photo 0.png", smooth(77))
    with pytest.raises(InputError, match="was made otherwise: photos differ"):
        generate(asked)


def test_damaged_photos_are_found_before_the_first_pair(
    asked: RefganGenerateConfig, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cut = photos / "photo 1.png"
    cut.write_bytes(cut.read_bytes()[:-200])
    with pytest.raises(InputError, match=r"cannot read .*photo 1.png"):
        generate(asked)
    assert not asked.out.exists()
    generate(dataclasses.replace(asked, damaged=1))
    assert capsys.readouterr().err.count("left out: cannot read") == 1
    cut.unlink()
    assert generate(dataclasses.replace(asked, count=7)) == 1  # the photos that are used are the same
    cut.write_bytes((photos / "photo 2.png").read_bytes()[:-200])
    with pytest.raises(InputError, match=r"is truncated"):
        compare(RefganCompareConfig((str(asked.references),), side=32, photos=photos, limit=20))


def test_nothing_of_others_is_replaced_and_nothing_written_through_links(
    asked: RefganGenerateConfig, tmp_path: Path
) -> None:
    generate(dataclasses.replace(asked, count=2))
    (asked.out / "ambient" / "00003.png").write_text("mine")
    with pytest.raises(InputError, match=r"00003.png is there already, and not what was written here"):
        generate(asked)
    assert (asked.out / "ambient" / "00003.png").read_text() == "mine"
    (asked.out / "ambient" / "00003.png").unlink()
    (asked.out / "ambient" / ".00003.png.0123abcd.partial").touch()
    (asked.out / "ambient").rename(tmp_path / "elsewhere")
    (asked.out / "ambient").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="leads out of"):
        generate(asked)
    (asked.out / "ambient").unlink()
    (tmp_path / "elsewhere").rename(asked.out / "ambient")
    generate(asked)
    assert sorted(path.name for path in (asked.out / "ambient").iterdir()) == [f"{i:05}.png" for i in range(6)]


def test_pairs_of_two_scenes_are_no_references(asked: RefganGenerateConfig, tmp_path: Path) -> None:
    noise = [torch.rand(3, 200, 200, generator=torch.Generator().manual_seed(i)) for i in range(2)]
    for layer, image in zip(("ambient", "transmission"), noise, strict=True):
        save(tmp_path / "two" / layer / "a.png", image)
    with pytest.raises(InputError, match="hardly any of the references shows one scene twice"):
        generate(dataclasses.replace(asked, references=str(tmp_path / "two")))


def test_pictures_that_were_changed_by_hand_stay(asked: RefganGenerateConfig) -> None:
    generate(asked)
    mine = asked.out / "ambient" / "00003.png"
    save(mine, smooth(5))
    changed = mine.read_bytes()
    with pytest.raises(InputError, match=r"00003.png is there already, and not what was written here; move it away"):
        generate(asked)
    assert mine.read_bytes() == changed
    mine.unlink()
    assert generate(asked) == 1


def test_half_a_pair_from_another_processor_is_made_anew(asked: RefganGenerateConfig) -> None:
    """Whose arithmetic is not the same to the bit; the manifest says that the picture was made here."""
    generate(asked)
    made = contents(asked.out)
    ambient, transmission = (asked.out / part / "00003.png" for part in ("ambient", "transmission"))
    ambient.unlink()
    before = digest(transmission)
    save(transmission, smooth(5))
    manifest = asked.out / "manifest.jsonl"
    manifest.write_text(manifest.read_text().replace(before, digest(transmission)))
    assert generate(asked) == 1
    assert contents(asked.out) == made


def test_references_may_be_listed_from_here_and_elsewhere(
    asked: RefganGenerateConfig, pairs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(pairs)
    rows = f"ambient/0.png,transmission/0.png\n{pairs}/ambient/1.png,{pairs}/transmission/1.png\n"
    (pairs / "list.csv").write_text("ambient,transmission\n" + rows)
    generate(dataclasses.replace(asked, references="csv=list.csv"))
    assert {record.origin["reference"] for record in read_manifest(asked.out)[1]} <= {"0.png", "1.png"}


def test_windows_are_of_every_size_and_place_and_half_of_them_mirrored() -> None:
    """From the side of the picture to be made up to the whole of a photo; of smaller photos, all of it."""
    photo, shape = torch.arange(3.0 * 100 * 150).view(3, 100, 150), (32, 40)
    windows = [Window.drawn(random.Random(number), photo, shape) for number in range(200)]
    heights = [window.height for window in windows]
    assert (min(heights), max(heights)) == (32, 100)
    assert all(abs(window.width - window.height * 40 / 32) <= 1 for window in windows)
    assert {0, 100} >= {min(window.top for window in windows), max(window.top + window.height for window in windows)}
    assert {0, 150} >= {min(window.left for window in windows), max(window.left + window.width for window in windows)}
    assert 80 < sum(window.mirrored for window in windows) < 120
    plain, mirrored = (windows[0]._replace(mirrored=so).cut(photo, shape) for so in (False, True))
    assert torch.equal(plain.flip(-1), mirrored)
    assert Window.drawn(random.Random(0), photo, (200, 200))[2:4] == (100, 100)

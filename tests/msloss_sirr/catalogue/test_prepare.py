"""Prepared copies: smaller, upright, 8-bit RGB; made once, whole, and nowhere else."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

from msloss_sirr.catalogue.config import PrepareConfig
from msloss_sirr.catalogue.layout import open_set
from msloss_sirr.catalogue.manifest import NAME, Manifest, digest, read_manifest
from msloss_sirr.catalogue.placing import JOURNAL
from msloss_sirr.catalogue.prepare import Outcome, Prepared, prepare
from msloss_sirr.cli import main
from msloss_sirr.errors import InputError

from ..conftest import pixels_of, save, smooth
from ..doctor.test_doctor import write_deep


def config(folder: Path, out: Path, **changes: Any) -> PrepareConfig:
    return PrepareConfig(**{"name": "pairs", "folder": folder, "out": out, "workers": 1, **changes})


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def state_of(folder: Path) -> dict[str, tuple[str, int]]:
    """Return the digest of every file, and when it was written."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): (digest(path), path.stat().st_mtime_ns) for path in files}


def test_pairs_are_made_smaller_and_read_as_pairs(pairs: Path, out: Path) -> None:
    before = state_of(pairs)
    prepared = prepare(config(pairs, out, short_side=20))
    assert prepared == Prepared(made=4, kept=0, left_out=[], stale=[])
    assert state_of(pairs) == before
    assert sorted(state_of(out)) == [
        *(f"ambient/{i}.png" for i in range(4)),
        NAME,
        *(f"transmission/{i}.png" for i in range(4)),
    ]
    about, records = read_manifest(out)
    assert (about["set"], about["short_side"]) == ("pairs", 20)
    for item, record in zip(open_set("pairs", out), records, strict=True):
        assert item.name == record.name
        for layer, path in item.files.items():
            assert record.digests[layer] == digest(path)
            assert record.origin["digests"][layer] == digest(pairs / record.origin["files"][layer])
            with Image.open(pairs / layer / path.name) as image:
                expected = np.array(image.resize((28, 20), Image.Resampling.BICUBIC))
            assert np.array_equal(pixels_of(path), expected)


def test_images_are_never_enlarged(pairs: Path, out: Path) -> None:
    for side in (0, 40, 4000):
        prepare(config(pairs, out / str(side), short_side=side))
        for path in (pairs / "ambient").iterdir():
            assert np.array_equal(pixels_of(out / str(side) / "ambient" / path.name), pixels_of(path))


def test_a_fine_pattern_becomes_grey_not_another_pattern(tmp_path: Path, out: Path) -> None:
    stripes = torch.zeros(3, 64, 640)
    stripes[:, :, ::2] = 1
    save(tmp_path / "set" / "a.png", stripes)
    prepare(config(tmp_path / "set", out, name="photos", short_side=6))
    assert np.ptp(pixels_of(out / "a.png")[:, 1:-1]) <= 2


def test_a_second_run_makes_only_what_is_new(pairs: Path, out: Path) -> None:
    prepare(config(pairs, out))
    before = state_of(out)
    assert prepare(config(pairs, out)) == Prepared(0, 4, [], [])
    assert {k: v for k, v in state_of(out).items() if k != NAME} == {k: v for k, v in before.items() if k != NAME}
    for layer in ("ambient", "transmission"):
        save(pairs / layer / "new.png", smooth(50))
        save(pairs / layer / "1.png", smooth(51))
        (pairs / layer / "3.png").unlink()
    assert prepare(config(pairs, out)) == Prepared(2, 2, [], ["3"])
    assert np.array_equal(pixels_of(out / "ambient" / "1.png"), pixels_of(pairs / "ambient" / "1.png"))


class Killed(BaseException):
    pass


def test_a_run_that_was_killed_goes_on(pairs: Path, out: Path) -> None:
    prepare(config(pairs, out.with_name("whole")))
    done: list[Outcome] = []

    def kill(outcome: Outcome, total: int) -> None:
        assert total == 4
        done.append(outcome)
        if len(done) == 2:
            raise Killed

    with pytest.raises(Killed):
        prepare(config(pairs, out), kill)
    (out / "ambient" / ".2.png.01234567.partial").write_text("half")
    (out / "ambient" / ".2.89abcdef.candidate.png").write_text("half")
    (out / "ambient" / ".01234567.partial").write_text("half")
    (out / "ambient" / ".89abcdef.candidate.png").write_text("half")
    (out / "ambient" / "2.png").write_bytes((out.with_name("whole") / "ambient" / "2.png").read_bytes())
    with (out / NAME).open("a") as file:
        file.write('{"name": "2", "fil')
    assert prepare(config(pairs, out)) == Prepared(2, 2, [], [])
    assert {k: v[0] for k, v in state_of(out).items()} == {k: v[0] for k, v in state_of(out.with_name("whole")).items()}


KILLED_AT = """
import os, signal, sys
from pathlib import Path
from msloss_sirr.catalogue import placing, prepare
from msloss_sirr.catalogue.config import PrepareConfig
from msloss_sirr.catalogue.manifest import Manifest

def killed(*_):
    os.kill(os.getpid(), signal.SIGKILL)

where, folder, out = sys.argv[1:]
if where == "before the manifest has the item":
    Manifest.add = killed
else:
    replace = Path.replace
    placed = []
    def replace_or_die(path, target):
        if ".candidate" in path.name:
            if placed:
                killed()
            placed.append(target)
        return replace(path, target)
    Path.replace = replace_or_die
prepare.prepare(PrepareConfig("pairs", Path(folder), Path(out), workers=1))
"""


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("where", ["before the manifest has the item", "between two images"])
def test_what_a_kill_left_is_made_anew_though_the_source_has_changed(
    pairs: Path, out: Path, where: str, again: bool
) -> None:
    if again:
        prepare(config(pairs, out))
        save(pairs / "ambient" / "0.png", smooth(60))
    command = [sys.executable, "-c", KILLED_AT, where, str(pairs), str(out)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert (out / "ambient" / "0.png").exists()
    for layer in ("ambient", "transmission"):
        save(pairs / layer / "0.png", smooth(len(layer)))
    kept = 3 if again else 0
    assert prepare(config(pairs, out)) == Prepared(4 - kept, kept, [], [])
    for layer in ("ambient", "transmission"):
        assert np.array_equal(pixels_of(out / layer / "0.png"), pixels_of(pairs / layer / "0.png"))
    assert not list(out.rglob(".*"))


def test_what_others_put_where_a_killed_run_wrote_stays(pairs: Path, out: Path) -> None:
    def kill(*_: object) -> None:
        raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Manifest, "add", kill)
        with pytest.raises(Killed):
            prepare(config(pairs, out))
    save(out / "ambient" / "0.png", smooth(70))
    mine = digest(out / "ambient" / "0.png")
    with (out / JOURNAL).open("a") as file:
        file.write('{"../pairs/ambient/1.png": "' + digest(pairs / "ambient" / "1.png") + '"}\n{"ambient/1.p')
    prepared = prepare(config(pairs, out))
    assert (prepared.made, len(prepared.left_out)) == (3, 1)
    assert "0.png is there already, and not what was written here" in prepared.left_out[0]
    assert digest(out / "ambient" / "0.png") == mine
    assert not (out / "transmission" / "0.png").exists()
    assert (pairs / "ambient" / "1.png").exists()


@pytest.mark.parametrize("kind", ["folder", "pipe", "link"])
def test_what_has_the_name_of_the_journal_and_is_none_stays(pairs: Path, out: Path, tmp_path: Path, kind: str) -> None:
    out.mkdir()
    journal = out / JOURNAL
    if kind == "folder":
        journal.mkdir()
    elif kind == "pipe":
        os.mkfifo(journal)
    else:
        journal.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match=r"no journal that a run has left; move it away"):
        prepare(config(pairs, out))
    assert os.path.lexists(journal)
    assert not (tmp_path / "elsewhere").exists()
    assert not list(out.rglob("*.png"))


def test_workers_write_the_same(pairs: Path, out: Path) -> None:
    prepare(config(pairs, out / "one", short_side=20, format="jpg"))
    prepare(config(pairs, out / "two", short_side=20, format="jpg", workers=2))
    assert {k: v[0] for k, v in state_of(out / "one").items()} == {k: v[0] for k, v in state_of(out / "two").items()}


def test_damaged_items_are_named_and_left_out(pairs: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (pairs / "ambient" / "0.png").write_bytes((pairs / "ambient" / "0.png").read_bytes()[:-400])
    (pairs / "transmission" / "1.png").write_bytes(b"")
    save(pairs / "transmission" / "2.png", smooth(3, 41))
    save(pairs / "ambient" / "alone.png", smooth(4))
    with pytest.raises(SystemExit) as stopped:
        main(["data", "prepare", "pairs", str(pairs), "-o", str(out), "-j", "1"])
    assert stopped.value.code == 1
    told = capsys.readouterr().out.splitlines()
    assert len(told) == 5
    assert told[-1] == f"1 items made, 0 kept, 4 left out: {out}"
    for line, message in zip(
        told,
        (
            "alone is not whole: it has ambient only",
            "0: cannot read ",
            "1: cannot read ",
            "2: its images differ in size: the ambient 56x40, the transmission 56x41",
        ),
        strict=False,
    ):
        assert line.startswith(f"left out: {message}")
    assert [item.name for item in open_set("pairs", out)] == ["3"]
    for layer in ("ambient", "transmission"):
        for name in ("0", "1", "2", "alone"):
            save(pairs / layer / f"{name}.png", smooth(9))
    main(["data", "prepare", "pairs", str(pairs), "-o", str(out), "-j", "1"])
    assert capsys.readouterr().out == f"4 items made, 1 kept, 0 left out: {out}\n"


def test_what_is_no_file_is_named_and_left_out(pairs: Path, out: Path) -> None:
    (pairs / "ambient" / "0.png").unlink()
    os.mkfifo(pairs / "ambient" / "0.png")
    (pairs / "transmission" / "1.png").unlink()
    (pairs / "transmission" / "1.png").mkdir()
    os.mkfifo(pairs / "ambient" / "lone.png")
    prepared = prepare(config(pairs, out))
    assert (prepared.made, prepared.kept) == (2, 0)
    lone, zero, one = prepared.left_out
    assert lone == f"cannot read {pairs / 'ambient' / 'lone.png'}: it is a named pipe, not a file"
    assert zero == f"0: cannot read {pairs / 'ambient' / '0.png'}: it is a named pipe, not a file"
    assert one == f"1: cannot read {pairs / 'transmission' / '1.png'}: it is a folder, not a file"


def forms() -> list[tuple[str, Callable[[Image.Image, Path], None]]]:
    def turned(image: Image.Image, path: Path) -> None:
        exif = Image.Exif()
        exif[0x0112] = 6
        image.transpose(Image.Transpose.ROTATE_90).save(path, exif=exif)

    return [
        ("grey.png", lambda image, path: image.convert("L").save(path)),
        ("palette.png", lambda image, path: image.quantize(256).save(path)),
        ("cmyk.tif", lambda image, path: image.convert("CMYK").save(path)),
        ("alpha.png", lambda image, path: image.convert("RGBA").save(path)),
        ("turned.png", turned),
    ]


@pytest.mark.parametrize(("name", "write"), forms(), ids=lambda value: value if isinstance(value, str) else "")
def test_every_form_becomes_rgb_upright(
    name: str, write: Callable[[Image.Image, Path], None], tmp_path: Path, out: Path
) -> None:
    (tmp_path / "set").mkdir()
    image = Image.fromarray((smooth(1) * 255).byte().permute(1, 2, 0).numpy())
    write(image, tmp_path / "set" / name)
    assert prepare(config(tmp_path / "set", out, name="photos")).made == 1
    with Image.open(out / f"{Path(name).stem}.png") as made:
        assert (made.mode, made.size) == ("RGB", (56, 40))
        expected = np.array(image if name not in ("grey.png",) else image.convert("L").convert("RGB"), dtype=int)
        assert np.abs(np.array(made, dtype=int) - expected).mean() < (8 if name == "palette.png" else 2)


def test_deep_images_are_scaled(tmp_path: Path, out: Path) -> None:
    values = np.arange(8 * 9 * 3, dtype=">u2").reshape(8, 9, 3) * 257
    (tmp_path / "set").mkdir()
    write_deep(tmp_path / "set" / "deep.png", values)
    save(tmp_path / "set" / "other.png", smooth(1))
    assert not prepare(config(tmp_path / "set", out, name="photos")).left_out
    assert np.array_equal(pixels_of(out / "deep.png"), (values // 257).astype(np.uint8))


def test_colours_become_srgb(tmp_path: Path, out: Path) -> None:
    image = Image.new("RGB", (8, 8), (200, 100, 50))
    (tmp_path / "set").mkdir()
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes()
    for name, profile in (("none", None), ("same", srgb), ("broken", bytes(16) + b"RGB " + bytes(108)), ("xyz", lab)):
        image.save(tmp_path / "set" / f"{name}.png", icc_profile=profile)
    swapped = bytearray(srgb)  # red and green exchanged: a profile that is certainly another
    red, green = (bytes(srgb).index(tag) for tag in (b"rXYZ", b"gXYZ"))
    swapped[red : red + 4], swapped[green : green + 4] = b"gXYZ", b"rXYZ"
    other = bytes(swapped).replace(b"s\0R\0G\0B", b"o\0R\0G\0B").replace(b"sRGB", b"oRGB")
    image.save(tmp_path / "set" / "other.png", icc_profile=other)
    prepare(config(tmp_path / "set", out, name="photos"))
    made = {record.name: record.origin["colours"]["photo"] for record in read_manifest(out)[1]}
    assert {name: made[name] for name in ("none", "same", "broken")} == {
        "none": "as it was",
        "same": "as it was",
        "broken": "profile unreadable",
    }
    assert made["other"] == "converted"
    assert pixels_of(out / "none.png")[0, 0].tolist() == [200, 100, 50]
    red_now, green_now, _ = pixels_of(out / "other.png")[0, 0].tolist()
    assert green_now > red_now
    with Image.open(out / "other.png") as image:
        assert "icc_profile" not in image.info


def test_wide_images_and_strange_names(tmp_path: Path, out: Path) -> None:
    name = "très large (1) %s [bold]{x}"
    save(tmp_path / "set" / f"{name}.png", smooth(1, 100, 20_000))
    prepare(config(tmp_path / "set", out, name="photos", short_side=50))
    with Image.open(out / f"{name}.png") as image:
        assert image.size == (10_000, 50)
    assert [item.name for item in open_set("photos", out)] == [name]


def test_names_may_be_as_long_as_file_systems_allow(tmp_path: Path, out: Path) -> None:
    names = ["a" * 251, "é" * 125 + "a"]
    for name in names:
        save(tmp_path / "set" / f"{name}.png", smooth(1))
    assert prepare(config(tmp_path / "set", out, name="photos")) == Prepared(2, 0, [], [])
    assert [item.name for item in open_set("photos", out)] == names


def test_subsets_and_splits_do_not_collide(tmp_path: Path, out: Path) -> None:
    for subset in ("PostcardDataset", "SolidObjectDataset"):
        for layer in ("blended", "transmission_layer", "reflection_layer"):
            save(tmp_path / "sir2" / subset / layer / "1.png", smooth(len(layer) + len(subset)))
    prepare(config(tmp_path / "sir2", out / "sir2", name="sir2"))
    items = open_set("pairs", out / "sir2")
    assert [item.name for item in items] == ["object-1", "postcard-1"]
    assert all(item.files.keys() == {"ambient", "transmission", "reflection"} for item in items)
    prepare(config(tmp_path / "sir2", out / "postcard", name="sir2", subset="postcard"))
    assert [item.name for item in open_set("pairs", out / "postcard")] == ["1"]
    for split in ("train", "test"):
        for layer in ("blended", "transmission_layer"):
            save(tmp_path / "nature" / split / layer / "1.png", smooth(len(split)))
    prepare(config(tmp_path / "nature", out / "nature", name="nature"))
    assert [(item.name, item.split) for item in open_set("pairs", out / "nature")] == [("1", "train"), ("1", "test")]
    assert prepare(config(tmp_path / "nature", out / "nature", name="nature")).kept == 2


def test_nothing_is_overwritten_and_nothing_is_written_elsewhere(pairs: Path, out: Path, tmp_path: Path) -> None:
    before = state_of(pairs)
    for target in (pairs, pairs / "ambient", pairs / "new", tmp_path, pairs / ".." / "pairs"):
        with pytest.raises(InputError, match=r"give --out another folder|holds other things"):
            prepare(config(pairs, target))
    (tmp_path / "link").symlink_to(pairs)
    with pytest.raises(InputError, match="is where the set itself is"):
        prepare(config(pairs, tmp_path / "link" / "new"))
    save(out / "mine.png", smooth(1))
    with pytest.raises(InputError, match="holds other things; give --out a new folder"):
        prepare(config(pairs, out))
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="is a file; give --out a folder"):
        prepare(config(pairs, tmp_path / "file"))
    assert state_of(pairs) == before
    assert sorted(state_of(out)) == ["mine.png"]


def test_what_was_changed_by_hand_stays(pairs: Path, out: Path) -> None:
    prepare(config(pairs, out))
    save(out / "ambient" / "0.png", smooth(70))
    mine = digest(out / "ambient" / "0.png")
    (out / "ambient" / "1.png").unlink()
    prepared = prepare(config(pairs, out))
    assert (prepared.made, prepared.kept) == (1, 2)
    assert "0.png is there already, and not what was written here; move it away" in prepared.left_out[0]
    assert digest(out / "ambient" / "0.png") == mine


def test_links_in_the_folder_written_to_lead_nowhere(pairs: Path, out: Path, tmp_path: Path) -> None:
    prepare(config(pairs, out))
    (tmp_path / "elsewhere").mkdir()
    (out / "ambient" / "0.png").rename(tmp_path / "elsewhere" / "0.png")
    (out / "ambient" / "0.png").symlink_to(tmp_path / "elsewhere" / "0.png")
    assert "is there already" in prepare(config(pairs, out)).left_out[0]
    (out / "ambient").rename(out / "aside")
    (out / "ambient").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="leads out of"):
        prepare(config(pairs, out))
    assert [path.name for path in (tmp_path / "elsewhere").iterdir()] == ["0.png"]


def test_links_that_lead_nowhere_are_not_replaced(pairs: Path, out: Path, tmp_path: Path) -> None:
    prepare(config(pairs, out))
    (out / "ambient" / "0.png").unlink()
    (out / "ambient" / "0.png").symlink_to(tmp_path / "gone.png")
    assert "is there already" in prepare(config(pairs, out)).left_out[0]
    assert (out / "ambient" / "0.png").is_symlink()
    assert not (tmp_path / "gone.png").exists()


def test_a_list_of_what_was_prepared_is_not_prepared_over_it(pairs: Path, out: Path, tmp_path: Path) -> None:
    table = tmp_path / "list.csv"
    table.write_text(f"ambient,transmission\n{pairs}/ambient/0.png,{pairs}/transmission/0.png\n")
    prepare(config(table, out, name="csv"))
    before = state_of(out)
    table.write_text(f"ambient,transmission\n{out}/ambient/0.png,{out}/transmission/0.png\n")
    with pytest.raises(InputError, match="is where the set itself is; give --out another folder"):
        prepare(config(table, out, name="csv"))
    assert state_of(out) == before


def test_what_a_list_names_and_is_not_there_is_left_out(pairs: Path, out: Path) -> None:
    rows = "".join(f"ambient/{name}.png,transmission/{name}.png\n" for name in ("0", "none", "1"))
    (pairs / "list.csv").write_text(f"ambient,transmission\n{rows}")
    prepared = prepare(config(pairs / "list.csv", out, name="csv"))
    assert prepared.made == 2
    (line,) = prepared.left_out
    assert line.startswith("none: ")
    assert "No such file" in line


def test_files_of_one_name_are_named(pairs: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(pairs / "ambient" / "0.bmp", smooth(1))
    with pytest.raises(SystemExit) as stopped:
        main(["data", "prepare", "pairs", str(pairs), "-o", str(out), "-j", "1"])
    assert stopped.value.code == 1
    first, second = (pairs / "ambient" / f"0.{suffix}" for suffix in ("bmp", "png"))
    assert f"left out: {second} has the name of {first}\n" in capsys.readouterr().out


def test_items_of_a_list_that_would_be_called_alike_are_refused(pairs: Path, out: Path) -> None:
    rows = (f"ambient/{i}.png,transmission/{i}.png,{subset},{name}" for i, (subset, name) in enumerate(NAMED_ALIKE))
    (pairs / "list.csv").write_text("ambient,transmission,subset,name\n" + "\n".join(rows))
    with pytest.raises(InputError, match="two items would be called a-b-c; prepare one subset at a time"):
        prepare(config(pairs / "list.csv", out, name="csv"))
    assert not out.exists()


NAMED_ALIKE = (("a", "b-c"), ("a-b", "c"))


def test_subsets_of_a_list_make_no_folders(pairs: Path, out: Path) -> None:
    rows = (f"ambient/{i}.png,transmission/{i}.png,{subset},1" for i, subset in enumerate(("x/y", "z")))
    (pairs / "list.csv").write_text("ambient,transmission,subset,name\n" + "\n".join(rows))
    prepare(config(pairs / "list.csv", out, name="csv"))
    assert [item.name for item in open_set("pairs", out)] == ["x-y-1", "z-1"]


def test_what_the_manifest_has_under_another_name_is_made(pairs: Path, out: Path) -> None:
    prepare(config(pairs, out))
    (out / "ambient" / "0.png").rename(out / "ambient" / "zero.png")
    (out / NAME).write_text((out / NAME).read_text().replace("ambient/0.png", "ambient/zero.png", 1))
    assert prepare(config(pairs, out)).made == 1
    assert (out / "ambient" / "0.png").is_file()


def test_other_settings_need_another_folder(pairs: Path, out: Path) -> None:
    prepare(config(pairs, out))
    for changes in ({"short_side": 20}, {"format": "jpg"}):
        with pytest.raises(InputError, match="was made otherwise"):
            prepare(config(pairs, out, **changes))
    with pytest.raises(InputError, match="short_side is -1"):
        prepare(config(pairs, out, short_side=-1))
    with pytest.raises(InputError, match="workers is 0"):
        prepare(config(pairs, out / "new", workers=0))
    assert not (out / "new").exists()


def test_another_set_is_not_written_over_the_first(pairs: Path, tmp_path: Path, out: Path) -> None:
    prepare(config(pairs, out))
    for layer in ("ambient", "transmission"):
        for i in range(4):
            save(tmp_path / "others" / layer / f"{i}.png", smooth(90 + i))
    before = state_of(out)
    with pytest.raises(InputError, match="was made otherwise: folder differ"):
        prepare(config(tmp_path / "others", out))
    assert state_of(out) == before


def test_a_layer_that_is_gone_is_taken_away_and_what_is_not_ours_stays(pairs: Path, out: Path) -> None:
    for i in range(4):
        save(pairs / "reflection" / f"{i}.png", smooth(50 + i))
    prepare(config(pairs, out))
    (out / "reflection" / "0.png").write_text("mine")
    for i in range(4):
        (pairs / "reflection" / f"{i}.png").unlink()
    assert prepare(config(pairs, out)).made == 4
    assert [path.name for path in (out / "reflection").iterdir()] == ["0.png"]


def test_a_layer_that_is_gone_is_not_taken_away_through_a_link(pairs: Path, out: Path, tmp_path: Path) -> None:
    for i in range(4):
        save(pairs / "reflection" / f"{i}.png", smooth(50 + i))
    prepare(config(pairs, out))
    (out / "reflection").rename(tmp_path / "elsewhere")
    (out / "reflection").symlink_to(tmp_path / "elsewhere")
    before = state_of(tmp_path / "elsewhere")
    for i in range(4):
        (pairs / "reflection" / f"{i}.png").unlink()
    assert prepare(config(pairs, out)).made == 4
    assert state_of(tmp_path / "elsewhere") == before


def test_links_of_a_set_that_lead_nowhere_are_named(pairs: Path, out: Path, tmp_path: Path) -> None:
    for layer in ("ambient", "transmission"):
        (pairs / layer / "9.png").symlink_to(tmp_path / "gone.png")
    prepared = prepare(config(pairs, out))
    assert prepared.made == 4
    assert prepared.left_out == [
        f"the link {pairs / layer / '9.png'} was not followed: it leads nowhere"
        for layer in ("ambient", "transmission")
    ]


def test_what_a_kill_leaves_before_the_first_manifest_is_no_hindrance(pairs: Path, out: Path) -> None:
    out.mkdir()
    (out / f".{NAME}.0123abcd.partial").write_text("{")
    assert prepare(config(pairs, out)).made == 4
    assert not list(out.glob(".*"))


def test_linear_profiles_are_applied_whatever_they_are_called(tmp_path: Path, out: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    name = b"sRGB built-in"
    called = profile.replace("sRGB built-in".encode("utf-16-be"), "linear   sRGB".encode("utf-16-be")).replace(
        name, b"linear   sRGB"
    )
    assert called != profile
    (tmp_path / "set").mkdir()
    for file, icc in (("plain", profile), ("linear", called)):
        Image.fromarray(np.full((8, 8, 3), 60, np.uint8)).save(tmp_path / "set" / f"{file}.png", icc_profile=icc)
    prepare(config(tmp_path / "set", out, name="photos"))
    colours = {record.name: record.origin["colours"]["photo"] for record in read_manifest(out)[1]}
    assert colours == {"plain": "as it was", "linear": "converted"}

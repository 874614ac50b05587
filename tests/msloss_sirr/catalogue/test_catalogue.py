"""The catalogue: every layout that it names is found, and nothing that is not there."""

import os
import socket
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from msloss_sirr.catalogue.description import Arrangement, Description, Part
from msloss_sirr.catalogue.items import Item
from msloss_sirr.catalogue.layout import list_set, open_set, open_source, parse_source
from msloss_sirr.catalogue.report import tell, tell_all
from msloss_sirr.catalogue.sets import SETS
from msloss_sirr.catalogue.templates import fill_of, folder_of
from msloss_sirr.catalogue.walking import walk
from msloss_sirr.cli import main
from msloss_sirr.errors import InputError

from ..conftest import save, smooth


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def layouts() -> Iterator[tuple[Description, Part, Arrangement, str]]:
    for description in SETS.values():
        for part in description.parts:
            for arrangement in part.arrangements:
                for base in arrangement.bases:
                    yield description, part, arrangement, base


def fill(template: str, name: str) -> str:
    return template.format(name=name, tail="-7", dir=f"of {name}/deep")


@pytest.mark.parametrize(("description", "part", "arrangement", "base"), list(layouts()))
def test_every_layout_in_the_table_is_found(
    description: Description, part: Part, arrangement: Arrangement, base: str, tmp_path: Path
) -> None:
    names = sorted(part.names or ())[:3] or ["1", "é à", "x-y z.1"]
    for name in names:
        for layer, template in arrangement.layers.items():
            touch(tmp_path / base / f"{fill(template, name)}.{'png' if layer == 'ambient' else 'JPG'}")
        touch(tmp_path / base / f".{name}.png")
    listing = list_set(description.name, tmp_path, split=part.split)
    assert listing.found[part.subset, part.split] == len(names)
    items = [item for item in listing.items if (item.subset, item.split) == (part.subset, part.split)]
    assert len({item.name for item in items}) == len(names)
    assert not listing.partial
    for item in items:
        assert item.files.keys() == arrangement.layers.keys()
        assert len({fill_of(arrangement.layers[n], relative(p, tmp_path / base)) for n, p in item.files.items()}) == 1


def relative(path: Path, base: Path) -> str:
    return path.relative_to(base).with_suffix("").as_posix()


@pytest.mark.parametrize("name", SETS)
def test_descriptions_are_whole(name: str) -> None:
    description = SETS[name]
    assert all((description.title, description.what, description.citation, description.licence, description.obtain))
    for part in description.parts:
        for arrangement in part.arrangements:
            assert set(description.required) <= arrangement.layers.keys()
            for template in arrangement.layers.values():
                assert template.startswith(folder_of(template)[0])
    assert description.citation in "\n".join(tell(description))
    assert f"{name}: {description.title}" in tell_all()


def test_a_part_alone_may_be_directly_in_the_folder(tmp_path: Path) -> None:
    for layer in ("blended", "transmission_layer"):
        touch(tmp_path / layer / "1.jpg")
    (item,) = open_set("nature", tmp_path, split="test")
    assert (item.name, item.split) == ("1", "test")
    with pytest.raises(InputError, match=r"holds nothing of nature where it is looked for"):
        open_set("nature", tmp_path)


def test_versions_are_told_apart_by_their_numbers(tmp_path: Path) -> None:
    def grow(number: int) -> None:
        for i in range(number):
            for layer in ("blended", "transmission_layer"):
                touch(tmp_path / "SIR2" / "WildSceneDataset" / layer / f"{i}.jpg")

    grow(54)
    assert {item.subset for item in open_set("sir2", tmp_path)} == {"wild"}
    with pytest.raises(InputError, match="has 54 items, which is not wild55 of sir2"):
        open_set("sir2", tmp_path, subset="wild55")
    grow(55)
    assert {item.subset for item in open_set("sir2", tmp_path, subset="wild55")} == {"wild55"}
    assert len(open_set("sir2", tmp_path, subset="wild")) == 55
    with pytest.raises(InputError, match="which is not wild101"):
        open_set("sir2", tmp_path, subset="wild101")
    grow(101)
    assert {item.subset for item in open_set("sir2", tmp_path)} == {"wild101"}


def test_the_test_pairs_of_zhang_are_told_apart_by_name(tmp_path: Path) -> None:
    for i in range(1, 31):
        for layer in ("blended", "transmission_layer"):
            touch(tmp_path / layer / f"{i}.jpg")
    tested = {item.name for item in open_set("real", tmp_path, split="test")}
    assert tested == {"3", "4", "9", "12", "15", "22", "23", "25", "29"}
    trained = {item.name for item in open_set("real", tmp_path, split="train")}
    assert trained == {str(i) for i in range(1, 31)} - tested


def test_what_is_not_whole_is_named(tmp_path: Path) -> None:
    touch(tmp_path / "ambient" / "a.png")
    for layer in ("ambient", "transmission"):
        touch(tmp_path / layer / "b.png")
    listing = list_set("pairs", tmp_path)
    assert [item.name for item in listing.items] == ["b"]
    assert [item.name for item in listing.partial] == ["a"]
    with pytest.raises(InputError, match=rf"a \(ambient only\); msloss-sirr data check pairs {tmp_path} names all"):
        open_set("pairs", tmp_path)
    touch(tmp_path / "transmission" / "a.png")
    assert len(open_set("pairs", tmp_path)) == 2
    touch(tmp_path / "transmission" / "a.JPG")
    with pytest.raises(InputError, match=r"a\.\w+ and a\.\w+ have the same name"):
        open_set("pairs", tmp_path)


def test_accents_may_be_written_in_either_way(tmp_path: Path) -> None:
    touch(tmp_path / "ambient" / f"{unicodedata.normalize('NFC', 'é à ü')}.png")
    touch(tmp_path / "transmission" / f"{unicodedata.normalize('NFD', 'é à ü')}.png")
    (item,) = open_set("pairs", tmp_path)
    assert item.name == unicodedata.normalize("NFC", "é à ü")


def test_names_that_are_no_text_are_found(tmp_path: Path) -> None:
    for layer in ("ambient", "transmission"):
        touch(tmp_path / layer / "x.png").rename(os.fsdecode(os.fsencode(tmp_path / layer) + b"/caf\xe9.png"))
    assert [item.name for item in open_set("pairs", tmp_path)] == ["caf\udce9"]


def test_the_layout_with_the_right_number_is_taken(tmp_path: Path) -> None:
    for folder, number in (("test", 45), ("nature20", 20)):
        for i in range(number):
            for layer in ("blended", "transmission_layer"):
                touch(tmp_path / folder / layer / f"{i}.jpg")
    items = open_set("nature", tmp_path, split="test")
    assert {item.files["ambient"].parent.parent.name for item in items} == {"nature20"}


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    for words, message in (
        ({"name": "sir3"}, "there is no set 'sir3'; give one of sir2, nature"),
        ({"name": "sir2", "subset": "tame"}, "sir2 has no subset or split 'tame'; subsets: postcard, object, wild, "),
        ({"name": "sir2", "split": "train"}, "sir2 has no subset or split 'train'"),
        ({"name": "sir2", "folder": tmp_path / "none"}, "none does not exist; give the folder of a copy of sir2"),
        ({"name": "csv", "folder": tmp_path}, "is no file; give a CSV file"),
    ):
        with pytest.raises(InputError, match=message):
            open_set(**{"folder": tmp_path, **words})  # type: ignore[arg-type]


def test_sources_are_parsed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "a=b").mkdir(parents=True)
    (tmp_path / "nature=x").mkdir()
    for text, name, folder, subset, split in (
        ("d", "pairs", "d", "", ""),
        ("runs/a=b", "pairs", "runs/a=b", "", ""),
        ("nature=x", "pairs", "nature=x", "", ""),
        ("nature=y=z", "nature", "y=z", "", ""),
        ("sir2/wild55=d", "sir2", "d", "wild55", ""),
        ("sir2/wild/test=d", "sir2", "d", "wild", "test"),
        ("nature/train=d", "nature", "d", "", "train"),
    ):
        source = parse_source(text)
        assert (source.name, source.folder, source.subset, source.split) == (name, Path(folder), subset, split)
    for text, message in (
        ("natura=d", "there is no set 'natura'"),
        ("nature=", "names no folder"),
        ("nature/test/train=d", "has no subset or split 'train'"),
        ("sir2/=d", "has no subset or split ''"),
    ):
        with pytest.raises(InputError, match=message):
            parse_source(text)
    for layer in ("ambient", "transmission"):
        touch(tmp_path / "runs" / "a=b" / "val" / layer / "é ü.png")
    expected = {layer: Path(f"runs/a=b/val/{layer}/é ü.png") for layer in ("ambient", "transmission")}
    assert open_source("runs/a=b") == [Item("é ü", "", "val", expected)]


def test_links_are_followed_unless_they_lead_in_circles(tmp_path: Path) -> None:
    root = tmp_path / "root"
    inside = touch(root / "a" / "1.png")
    outside = touch(tmp_path / "other" / "2.png")
    (root / "b").symlink_to(root / "a")
    (root / "link.png").symlink_to(inside)
    for path, target in (("a/up", root), ("me", root / "me"), ("out", outside.parent), ("gone", root / "nothing")):
        (root / path).symlink_to(target)
    os.mkfifo(root / "pipe.png")
    touch(root / ".hidden" / "3.png")
    found = {entry.path.relative_to(root).as_posix(): entry.broken for entry in walk(root, deep=True) if not entry.kind}
    assert {path for path, broken in found.items() if not broken} == {"a/1.png", "b/1.png", "link.png", "out/2.png"}
    reasons = {path: broken for path, broken in found.items() if broken}
    assert reasons.keys() == {"a/up", "b/up", "me", "gone"}
    assert reasons["a/up"] == reasons["me"] == "it leads in a circle"
    assert reasons["gone"] == "it leads nowhere"
    assert list(walk(root / "none", deep=True)) == []
    linked = tmp_path / "linked"
    linked.symlink_to(root)
    assert [e.path.name for e in walk(linked, deep=False) if not (e.broken or e.kind)] == ["link.png"]


@contextmanager
def socket_at(path: Path) -> Iterator[None]:
    """Bind a socket, whose address must be shorter than a test's folder may be."""
    before = Path.cwd()
    with socket.socket(socket.AF_UNIX) as bound:
        os.chdir(path.parent)
        bound.bind(path.name)
        os.chdir(before)
        yield


def test_what_is_no_file_is_told_from_files(tmp_path: Path) -> None:
    touch(tmp_path / "folder.png" / "within.png")
    touch(tmp_path / "plain" / "a.png")
    os.mkfifo(tmp_path / "pipe.png")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "device.png").symlink_to(os.devnull)
    with socket_at(tmp_path / "socket.png"):
        kinds = {"device": "a device", "folder": "a folder", "pipe": "a named pipe", "socket": "a socket"}
        assert {e.path.stem: e.kind for e in walk(tmp_path, deep=False)} == kinds
        files = [entry.path.name for entry in walk(tmp_path, deep=True) if not entry.kind]
        assert files == ["within.png", "a.png"]
        with pytest.raises(InputError, match=r"cannot read .*device.png: it is a device, not a file"):
            open_set("photos", tmp_path)
        assert list_set("photos", tmp_path).strays == {tmp_path / f"{name}.png": kind for name, kind in kinds.items()}


def test_what_is_no_file_is_an_image_only_in_the_place_of_one(tmp_path: Path) -> None:
    for name in ("whole", "beside", "lone"):
        for layer in ("ambient", "transmission"):
            touch(tmp_path / layer / f"{name}.png")
    for name in ("lone.png", "beside.jpg", "nothing.png"):
        path = tmp_path / "ambient" / name
        path.unlink(missing_ok=True)
        path.mkdir()
    listing = list_set("pairs", tmp_path)
    assert {item.name: item.files["ambient"].name for item in listing.items} == {
        "whole": "whole.png",
        "beside": "beside.png",
        "lone": "lone.png",
    }
    assert not listing.partial
    assert not listing.clashes
    assert {path.name: kind for path, kind in listing.strays.items()} == dict.fromkeys(
        ("beside.jpg", "nothing.png"), "a folder"
    )
    told: list[str] = []
    assert len(open_set("pairs", tmp_path, stray=told.append)) == 3
    assert len(told) == 2


def test_folders_that_are_named_as_images_are_looked_into(tmp_path: Path) -> None:
    for letter in "mgr":
        touch(tmp_path / "WildSceneDataset" / "scene.png" / f"{letter}.png")
    listing = list_set("sir2", tmp_path, subset="wild")
    assert [item.name for item in listing.items] == ["scene.png"]
    assert not listing.strays


def test_links_that_could_be_no_image_are_nobodys_business(tmp_path: Path) -> None:
    for layer in ("ambient", "transmission"):
        save(tmp_path / layer / "1.png", smooth(1))
        (tmp_path / layer / "notes").symlink_to(tmp_path / "gone")
    assert [item.name for item in open_set("pairs", tmp_path)] == ["1"]


def test_layer_folders_may_be_links_within(tmp_path: Path) -> None:
    touch(tmp_path / "clean" / "1.png")
    touch(tmp_path / "ambient" / "1.png")
    (tmp_path / "transmission").symlink_to("clean")
    assert len(open_set("pairs", tmp_path)) == 1
    (tmp_path / "transmission").unlink()
    (tmp_path / "transmission").symlink_to("transmission")
    assert list_set("pairs", tmp_path).broken == {tmp_path / "transmission": "it leads in a circle"}
    (tmp_path / "ambient" / "1.png").unlink()
    with pytest.raises(InputError, match=r"the link .*transmission was not followed: it leads in a circle"):
        open_set("pairs", tmp_path)


def test_lists_in_csv_files(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text(
        "transmission,ambient,split,name\nt/1.png,i/1.png,train,one\nt/2.png,/i/2.png,,\n", encoding="utf-8-sig"
    )
    one, two = open_set("csv", path)
    assert one == Item("one", "", "train", {"ambient": tmp_path / "i/1.png", "transmission": tmp_path / "t/1.png"})
    assert (two.name, two.split, two.files["ambient"]) == ("2", "", Path("/i/2.png"))
    assert open_set("csv", path, split="train") == [one]
    for text, message in (
        ("ambient,transmission\n", "lists nothing; give a line for each pair"),
        ("a,b\n1.png,2.png\n", "line 2: no ambient; name columns ambient and transmission"),
        ("ambient,transmission\n1.png,2.png\nx/1.png,2.png\n", "line 3: a second item called 1"),
        ("ambient,transmission,split\n1.png,2.png,exam\n", "line 2: csv has no subset or split 'exam'"),
        ("ambient,transmission\n1.png,2.txt\n", "line 2: the transmission .*2.txt is not named as an image"),
        ("ambient,transmission,name\n1.png,2.png,../x\n", "line 2: the name ..-x begins with a dot"),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=message):
            open_set("csv", path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="is no CSV file"):
        open_set("csv", path)


def test_reflections_and_depth_are_optional(tmp_path: Path) -> None:
    for layer in ("ambient", "transmission", "reflection", "depth"):
        for i in range(2 if layer in ("ambient", "transmission") else 1):
            save(tmp_path / layer / f"{i}.png", smooth(i))
    first, second = open_set("pairs", tmp_path)
    assert first.files.keys() == {"ambient", "transmission", "reflection", "depth"}
    assert second.files.keys() == {"ambient", "transmission"}


def test_list_tells_of_all_sets_and_of_one(capsys: pytest.CaptureFixture[str]) -> None:
    main(["data", "list"])
    told = capsys.readouterr().out
    for each in SETS.values():
        assert each.title in told
        assert each.licence in told
        assert each.obtain in told
    main(["data", "list", "sir2"])
    told = capsys.readouterr().out
    assert "ICCV 2017" in told
    assert "55 (wild55) or 101 (wild101) items" in told
    with pytest.raises(SystemExit):
        main(["data", "list", "sir3"])
    assert "there is no set 'sir3'" in capsys.readouterr().err


def many(folder: Path, count: int, names: str = "{}") -> None:
    for layer in ("ambient", "transmission"):
        for i in range(count):
            touch(folder / layer / f"{names.format(i)}.png")


def test_a_split_that_is_asked_for_is_not_what_lies_above_it(tmp_path: Path) -> None:
    many(tmp_path, 9)
    many(tmp_path / "val", 2)
    assert len(open_set("pairs", tmp_path, split="val")) == 2
    for layer in ("blended", "transmission_layer"):
        for i in range(20):
            touch(tmp_path / "nature" / layer / f"{i}.png")
        for i in range(3):
            touch(tmp_path / "nature" / "test" / layer / f"{i}.png")
    assert len(open_set("nature", tmp_path / "nature", split="test")) == 3


def test_the_version_that_is_asked_for_is_taken(tmp_path: Path) -> None:
    for i in range(55):
        for layer in ("blended", "transmission_layer"):
            touch(tmp_path / "WildSceneDataset" / layer / f"{i}.png")
    for i in range(101):
        for layer in ("m", "g"):
            touch(tmp_path / "Wildscene" / str(i) / f"{layer}.png")
    for version, count in (("wild55", 55), ("wild101", 101)):
        assert len(open_set("sir2", tmp_path, subset=version)) == count


def test_the_test_pairs_of_zhang_may_have_leading_zeros(tmp_path: Path) -> None:
    for layer in ("blended", "transmission_layer"):
        for i in range(1, 111):
            touch(tmp_path / layer / f"{i:03}.png")
    assert len(open_set("real", tmp_path, split="test")) == 20
    assert len(open_set("real", tmp_path, split="train")) == 90


@pytest.mark.parametrize(("subset", "folder"), [("postcard", "PostcardDataset"), ("object", "solidobject")])
def test_pictures_of_sir2_are_found_where_corrn_has_them(tmp_path: Path, subset: str, folder: str) -> None:
    for where in ("Focus/ab/11", "Focus/ab/13", "Thickness/ab/3"):
        for letter in "mgr":
            touch(tmp_path / folder / where / f"{letter}.png")
    items = open_set("sir2", tmp_path, subset=subset)
    assert [item.name for item in items] == ["Focus-ab-11", "Focus-ab-13", "Thickness-ab-3"]
    for item in items:
        assert {layer: path.stem for layer, path in item.files.items()} == {
            "ambient": "m",
            "transmission": "g",
            "reflection": "r",
        }


def numbered(folder: Path, numbers: Iterable[int]) -> None:
    for layer in ("blended", "transmission_layer"):
        for i in numbers:
            touch(folder / layer / f"{i}.png")


@pytest.mark.parametrize("folder", ["train/real", "real89", "train"])
def test_names_decide_only_where_train_and_test_lie_in_one_folder(tmp_path: Path, folder: str) -> None:
    numbered(tmp_path / folder, range(89))
    numbered(tmp_path / "test" / "real20", range(20))
    for split, count in (("train", 89), ("test", 20)):
        assert {item.name for item in open_set("real", tmp_path, split=split)} == {str(i) for i in range(count)}
    assert {item.subset for item in open_set("real", tmp_path, split="train")} == {"real89"}
    assert len(open_set("real", tmp_path)) == 109
    assert len(open_set("real", tmp_path / folder, split="train")) == 89
    assert len(open_set("real", tmp_path / "test" / "real20", split="test")) == 20


def test_a_folder_of_the_test_that_has_all_pairs_is_told_apart_by_name(tmp_path: Path) -> None:
    numbered(tmp_path / "real20", range(1, 111))
    numbered(tmp_path / "all", range(1, 111))
    assert len(open_set("real", tmp_path, split="test")) == 20
    tested = {item.name for item in open_set("real", tmp_path / "all", split="test")}
    trained = {item.name for item in open_set("real", tmp_path / "all", split="train")}
    assert (len(tested), len(trained), len(tested & trained)) == (20, 90, 0)


def test_a_folder_of_the_training_that_has_all_pairs_is_told_apart_by_name(tmp_path: Path) -> None:
    numbered(tmp_path / "train" / "real", range(1, 111))
    trained = {item.name for item in open_set("real", tmp_path, split="train")}
    assert len(trained) == 90
    assert not trained & {name for part in SETS["real"].parts for name in part.names or ()}


@pytest.mark.parametrize(("split", "count"), [("train", 89), ("train", 90), ("test", 20)])
def test_one_split_directly_in_the_folder_is_known_by_its_number(tmp_path: Path, split: str, count: int) -> None:
    numbered(tmp_path, range(count))
    items = open_set("real", tmp_path)
    assert {item.split for item in items} == {split}
    assert len(items) == count
    assert len(open_set("real", tmp_path, split=split)) == count


def test_test_pairs_alone_are_nothing_to_train_on(tmp_path: Path) -> None:
    numbered(tmp_path, [int(name) for part in SETS["real"].parts for name in part.names or ()])
    assert len(open_set("real", tmp_path, split="test")) == 20
    with pytest.raises(InputError, match="holds nothing of real"):
        open_set("real", tmp_path, split="train")


def test_folders_that_link_back_and_forth_are_one_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("msloss_sirr.catalogue.walking._MOST", 200)
    for i in range(6):
        (tmp_path / str(i)).mkdir()
        for j in range(6):
            if i != j:
                (tmp_path / str(i) / f"to {j}").symlink_to(tmp_path / str(j))
    with pytest.raises(InputError, match="links that lead back and forth"):
        list(walk(tmp_path, deep=True))


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("ambient,transmission\n\n\nx.png,\n", "line 4: no transmission"),
        ("photo,ambient\na.png,b.png\n", "line 2: no transmission"),
        ("photo,subset\na.png,.b\n", "line 2: the subset .b begins with a dot"),
        ("ambient,transmission\na\0.png,b.png\n", "line 2: a name holds a NUL|is no CSV file"),
    ],
)
def test_lines_of_csv_files_that_are_wrong_are_named(tmp_path: Path, lines: str, message: str) -> None:
    (tmp_path / "list.csv").write_text(lines)
    with pytest.raises(InputError, match=message):
        open_set("csv", tmp_path / "list.csv")

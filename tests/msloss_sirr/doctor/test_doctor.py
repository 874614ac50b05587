"""The doctor: it finds each fault that is planted in a sound set, and no other."""

import json
import os
import shutil
import struct
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from msloss_sirr.catalogue.layout import list_set, open_set
from msloss_sirr.catalogue.manifest import Manifest, Record, digest
from msloss_sirr.cli import main
from msloss_sirr.doctor.diagnosis import Diagnosis, examine
from msloss_sirr.doctor.findings import KINDS, Finding
from msloss_sirr.doctor.perceptual_hash import ALIKE, BITS, alike, hash_of

from ..conftest import save

HEIGHT, WIDTH = 60, 76
WILD = "SIR2/WildSceneDataset"
DONE = "5"
"""The pair that faults are planted in."""


def scene(seed: int) -> Tensor:
    """Return a made-up photograph with edges, ``(3, H, W)``."""
    generator = torch.Generator().manual_seed(seed)
    image = torch.zeros(3, HEIGHT, WIDTH)
    for side, weight in ((4, 0.5), (9, 0.3), (30, 0.2)):
        coarse = torch.rand(1, 3, side, side, generator=generator)
        image += weight * F.interpolate(coarse, (HEIGHT, WIDTH), mode="nearest")[0]
    return image


def add_pair(root: Path, name: str, seed: int, glass: int) -> None:
    reflection = F.avg_pool2d(scene(glass)[None], 9, 1, 4)[0] * 0.4
    save(root / "blended" / f"{name}.png", scene(seed) * 0.6 + reflection)
    save(root / "transmission_layer" / f"{name}.png", scene(seed) * 0.6)


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A made-up copy of the wild subset of SIR²: 52 scenes, three of them through two glasses."""
    root = tmp_path_factory.mktemp("sound")
    for i in range(55):
        add_pair(root / WILD, str(i), i % 52, 100 + i)
    return root


@pytest.fixture
def tree(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "tree"))


def pair(tree: Path, name: str = DONE) -> tuple[Path, Path]:
    return tree / WILD / "blended" / f"{name}.png", tree / WILD / "transmission_layer" / f"{name}.png"


def serious(diagnosis: Diagnosis) -> list[Finding]:
    return [finding for finding in diagnosis.findings if finding.severity != "note"]


def test_a_sound_set_has_no_errors_and_no_warnings(sound: Path) -> None:
    diagnosis = examine(list_set("sir2", sound))
    assert not serious(diagnosis)
    assert diagnosis.sound
    kinds = [finding.kind for finding in diagnosis.findings]
    assert kinds.count("shared") == 3
    assert kinds.count("absent") == 2


def lose(tree: Path) -> None:
    for path in pair(tree):
        path.unlink()


def lose_one(tree: Path) -> None:
    pair(tree)[1].unlink()


def shrink(tree: Path) -> None:
    edit(pair(tree)[1], lambda image: image.resize((WIDTH - 1, HEIGHT)))


def truncate(tree: Path) -> None:
    path = pair(tree)[0]
    path.write_bytes(path.read_bytes()[:-500])


def empty(tree: Path) -> None:
    pair(tree)[1].write_bytes(b"")


def write_text(tree: Path) -> None:
    pair(tree)[0].write_text("not found")


def repeat(tree: Path) -> None:
    for one, other in zip(pair(tree), pair(tree, "30"), strict=True):
        shutil.copy(other, one)


def shift(tree: Path) -> None:
    path = pair(tree)[1]
    edit(path, lambda image: Image.fromarray(np.roll(np.array(image), (2, -3), (0, 1))))


def exchange_scene(tree: Path) -> None:
    save(pair(tree)[1], scene(999) * 0.6)


def deepen(tree: Path) -> None:
    with Image.open(pair(tree)[1]) as image:
        values = np.array(image).astype(">u2") * 257
    write_deep(pair(tree)[1], values)


def add_alpha(tree: Path) -> None:
    edit(pair(tree)[0], lambda image: image.convert("RGBA"))


def make_one_colour_transparent(tree: Path) -> None:
    with Image.open(pair(tree)[0]) as image:
        image.save(pair(tree)[0], transparency=(1, 2, 3))


def dim_a_little(tree: Path) -> None:
    copy_over(tree)
    edit(pair(tree)[0], lambda image: image.point(lambda value: value + (value % 2)))


def make_grey(tree: Path) -> None:
    edit(pair(tree)[1], lambda image: image.convert("L"))


def use_palette(tree: Path) -> None:
    edit(pair(tree)[1], lambda image: image.quantize(256))


def use_cmyk(tree: Path) -> None:
    for path in pair(tree)[1:]:
        with Image.open(path) as image:
            image.convert("CMYK").save(path.with_suffix(".tif"))
        path.unlink()


def turn(tree: Path) -> None:
    path = pair(tree)[0]
    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(path) as image:
        image.transpose(Image.Transpose.ROTATE_90).save(path, exif=exif)


def exchange(tree: Path) -> None:
    one, other = pair(tree)
    one.rename(tree / "aside")
    other.rename(one)
    (tree / "aside").rename(other)


def copy_over(tree: Path) -> None:
    shutil.copy(*pair(tree))


def name_twice(tree: Path) -> None:
    with Image.open(pair(tree)[0]) as image:
        image.save(pair(tree)[0].with_suffix(".bmp"))


def link_in_a_circle(tree: Path) -> None:
    (tree / WILD / "blended" / "loop.png").symlink_to("loop.png")


def pipe(tree: Path) -> None:
    pair(tree)[0].unlink()
    os.mkfifo(pair(tree)[0])


def make_folder(tree: Path) -> None:
    pair(tree)[1].unlink()
    pair(tree)[1].mkdir()


def pipe_beside(tree: Path) -> None:
    os.mkfifo(pair(tree)[0].with_suffix(".jpg"))


def edit(path: Path, change: Callable[[Image.Image], Image.Image]) -> None:
    with Image.open(path) as image:
        change(image).save(path)


def write_deep(path: Path, values: np.ndarray) -> None:
    """Write a PNG of 16 bits a channel, which Pillow cannot."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width, _ = values.shape
    rows = b"".join(b"\0" + row.tobytes() for row in values)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


@pytest.mark.parametrize(
    ("plant", "severity", "kind"),
    [
        (lose, "error", "count"),
        (lose_one, "error", "unpaired"),
        (shrink, "error", "size"),
        (truncate, "error", "unreadable"),
        (empty, "error", "unreadable"),
        (write_text, "error", "unreadable"),
        (pipe, "error", "unreadable"),
        (make_folder, "error", "unreadable"),
        (pipe_beside, "error", "unreadable"),
        (copy_over, "error", "identical"),
        (dim_a_little, "warning", "identical"),
        (name_twice, "error", "name"),
        (repeat, "warning", "duplicate"),
        (shift, "warning", "misaligned"),
        (exchange_scene, "warning", "misaligned"),
        (exchange, "warning", "swapped"),
        (deepen, "warning", "channels"),
        (add_alpha, "warning", "channels"),
        (make_one_colour_transparent, "warning", "channels"),
        (make_grey, "warning", "channels"),
        (use_palette, "warning", "channels"),
        (use_cmyk, "warning", "channels"),
        (turn, "warning", "rotation"),
        (link_in_a_circle, "warning", "link"),
    ],
)
def test_a_planted_fault_is_found_and_nothing_else(
    plant: Callable[[Path], None], severity: str, kind: str, tree: Path
) -> None:
    plant(tree)
    found = serious(examine(list_set("sir2", tree)))
    assert {(finding.severity, finding.kind) for finding in found} == {(severity, kind)}
    if kind not in ("count", "link"):
        assert all(any(f"/{DONE}." in file for file in finding.files) for finding in found)


def test_images_that_are_trained_on_are_found(tree: Path, tmp_path: Path) -> None:
    training = tmp_path / "training"
    add_pair(training, "new", 500, 501)
    for layer, path in zip(("blended", "transmission_layer"), pair(tree), strict=True):
        with Image.open(path) as image:
            image.resize((WIDTH * 2, HEIGHT * 2)).save(training / layer / "re-encoded.jpg", quality=60)
    found = serious(examine(list_set("sir2", tree), against=open_set("pairs", training)))
    assert {(finding.severity, finding.kind) for finding in found} == {("error", "leak")}
    files = {file for finding in found for file in finding.files}
    assert files == {
        *(str(training / layer / "re-encoded.jpg") for layer in ("blended", "transmission_layer")),
        *(path.relative_to(tree).as_posix() for path in pair(tree)),
    }


def test_leaks_between_splits_of_one_set(sound: Path, tmp_path: Path) -> None:
    for split, names in (("train", ("0", "1", "2")), ("test", ("3", "4"))):
        for name in names:
            for layer, path in zip(("ambient", "transmission"), pair(sound, name), strict=True):
                (tmp_path / split / layer).mkdir(parents=True, exist_ok=True)
                shutil.copy(path, tmp_path / split / layer)
    assert not serious(examine(list_set("pairs", tmp_path)))
    shutil.copy(pair(sound, "1")[0], tmp_path / "test" / "ambient" / "4.png")
    leaks = [f for f in serious(examine(list_set("pairs", tmp_path))) if f.kind == "leak"]
    assert len(leaks) == 1
    assert {"train/ambient/1.png", "test/ambient/4.png"} <= set(leaks[0].files)
    assert "some are one picture" in leaks[0].sentence
    assert "are of test and train" in leaks[0].sentence


def test_photographs_that_look_alike_are_found(tmp_path: Path) -> None:
    for i in range(12):
        save(tmp_path / f"{i}.png", scene(i))
    assert not examine(list_set("photos", tmp_path)).findings
    with Image.open(tmp_path / "3.png") as image:
        image.resize((WIDTH * 2, HEIGHT * 2)).save(tmp_path / "again.jpg")
    (finding,) = examine(list_set("photos", tmp_path)).findings
    assert (finding.severity, finding.kind, finding.files) == ("warning", "near-duplicate", ("3.png", "again.jpg"))


def test_hashes_stay_when_images_are_saved_smaller_and_brighter(tmp_path: Path) -> None:
    hashes = []
    for seed in range(40):
        image = Image.fromarray((scene(seed) * 255).byte().permute(1, 2, 0).numpy())
        hashes.append(hash_of(image))
        image.save(tmp_path / "a.jpg", quality=50)
        with Image.open(tmp_path / "a.jpg") as again:
            variants = [again.copy(), image.resize((152, 120)), image.point(lambda v: v * 1.1)]
        assert all(differing(hashes[-1], hash_of(each)) <= ALIKE for each in variants)
    assert not list(alike(hashes))
    assert list(alike([hashes[3], b"", hashes[4], hashes[3]], chunk=2)) == [(0, 3)]
    assert hash_of(Image.new("RGB", (50, 40), "white")) == b""
    assert len(hashes[0]) == 32
    assert BITS == 255


def differing(one: bytes, other: bytes) -> int:
    return bin(int.from_bytes(one, "big") ^ int.from_bytes(other, "big")).count("1")


def test_pairs_of_two_scenes_are_told_from_shifted_ones(tmp_path: Path) -> None:
    for name, seeds in (("same", (1, 1)), ("other", (1, 2))):
        for layer, seed in zip(("ambient", "transmission"), seeds, strict=True):
            noise = torch.rand(3, 400, 500, generator=torch.Generator().manual_seed(seed))
            save(tmp_path / layer / f"{name}.png", noise * 0.5 + 0.2 * (layer == "ambient"))
    (finding,) = (f for f in examine(list_set("pairs", tmp_path)).findings if f.kind == "misaligned")
    assert finding.files == ("ambient/other.png", "transmission/other.png")
    assert "do not show one scene, or not at one place" in finding.sentence


def test_a_folder_of_links_that_lead_nowhere_is_not_sound(tmp_path: Path) -> None:
    for layer in ("ambient", "transmission"):
        (tmp_path / layer).symlink_to(tmp_path / "gone" / layer)
    diagnosis = examine(list_set("pairs", tmp_path))
    assert not diagnosis.sound
    assert [finding.kind for finding in diagnosis.findings] == ["absent", "link", "link"]


def test_a_folder_of_what_is_no_file_is_not_sound(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "folder.png").mkdir()
    diagnosis = examine(list_set("photos", tmp_path))
    assert [(f.kind, f.sentence) for f in diagnosis.findings] == [
        ("absent", "nothing of the set can be read here"),
        ("unreadable", "folder.png: it is a folder, not a file"),
        ("unreadable", "pipe.png: it is a named pipe, not a file"),
    ]


def test_names_that_are_no_text_are_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = os.fsencode(tmp_path) + b"/caf\xe9.png"
    Path(os.fsdecode(name)).write_bytes(b"")
    with pytest.raises(SystemExit):
        main(["data", "check", "photos", str(tmp_path), "--json", str(tmp_path / "found.json"), "-j", "1"])
    assert "error: unreadable: caf\\udce9.png: " in capsys.readouterr().out
    assert json.loads((tmp_path / "found.json").read_text())["findings"][0]["files"] == ["caf\udce9.png"]


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (1, 9), (30, 2)])
def test_tiny_pairs_are_looked_at(tmp_path: Path, shape: tuple[int, int]) -> None:
    for seed, layer in enumerate(("ambient", "transmission")):
        save(tmp_path / layer / "a.png", torch.rand(3, *shape, generator=torch.Generator().manual_seed(seed)))
    assert "unreadable" not in {finding.kind for finding in examine(list_set("pairs", tmp_path)).findings}


def test_wide_images_and_strange_names(tmp_path: Path) -> None:
    wide = torch.zeros(3, 30, 20_000)
    wide[:, :, ::7] = 0.5
    for layer in ("ambient", "transmission"):
        save(tmp_path / layer / "très large (1) %s [bold]{x}.png", wide + 0.2 * (layer == "ambient"))
    Image.new("1", (20_000, 15_000)).save(tmp_path / "ambient" / "huge.png")
    shutil.copy(tmp_path / "ambient" / "huge.png", tmp_path / "transmission")
    found = examine(list_set("pairs", tmp_path)).findings
    assert {(f.kind, f.files[0]) for f in found if f.severity != "note"} == {
        ("unreadable", f"{layer}/huge.png") for layer in ("ambient", "transmission")
    }
    assert all("too large" in f.sentence for f in found if f.severity == "error")


def test_depth_images_are_no_photographs(tmp_path: Path) -> None:
    for i in range(2):
        add = tmp_path / "depth" / f"{i}.png"
        save(tmp_path / "ambient" / f"{i}.png", scene(i) * 0.5 + 0.2)
        save(tmp_path / "transmission" / f"{i}.png", scene(i) * 0.5)
        add.parent.mkdir(exist_ok=True)
        Image.fromarray(np.full((HEIGHT, WIDTH - i), 7, dtype=np.uint16)).save(add)
    (finding,) = examine(list_set("pairs", tmp_path)).findings
    assert (finding.kind, finding.files[-1]) == ("size", "depth/1.png")


def test_what_the_manifest_says_is_checked(tmp_path: Path) -> None:
    manifest = Manifest(tmp_path, {"set": "sir2"})
    for i in range(3):
        files = {"ambient": f"ambient/{i}.png", "transmission": f"transmission/{i}.png"}
        save(tmp_path / files["ambient"], scene(i) * 0.5 + 0.2)
        save(tmp_path / files["transmission"], scene(i) * 0.5)
        manifest.add(Record(str(i), files, {layer: digest(tmp_path / path) for layer, path in files.items()}, {}))
    assert not examine(list_set("pairs", tmp_path)).findings
    save(tmp_path / "ambient" / "1.png", scene(1) * 0.5 + 0.1)
    for layer in ("ambient", "transmission"):
        (tmp_path / layer / "2.png").unlink()
    found = {(f.severity, f.files) for f in examine(list_set("pairs", tmp_path)).findings}
    assert found == {
        ("warning", ("ambient/1.png",)),
        ("error", ("ambient/2.png",)),
        ("error", ("transmission/2.png",)),
    }


def test_several_workers_find_the_same(tree: Path) -> None:
    truncate(tree)
    listing = list_set("sir2", tree)
    seen: list[str] = []
    assert examine(listing, workers=2, seen=lambda item: seen.append(item.name)) == examine(listing)
    assert seen == [item.name for item in listing.items]


def test_check_reports_and_exits(tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["data", "check", "sir2", str(tree), "--json", str(tmp_path / "found.json")]
    main([*words, "-j", "1"])
    told = capsys.readouterr().out
    assert "  wild55 test: 55\n" in told
    assert told.endswith("0 errors, 0 warnings, 8 notes\n")
    assert json.loads((tmp_path / "found.json").read_text())["sound"] is True
    with pytest.raises(SystemExit) as stopped:
        main([*words, "-j", "1"])
    assert stopped.value.code == 2
    assert "found.json exists already; give --overwrite to replace it" in capsys.readouterr().err
    empty(tree)
    with pytest.raises(SystemExit) as stopped:
        main([*words, "-j", "1", "--overwrite"])
    assert stopped.value.code == 1
    content = json.loads((tmp_path / "found.json").read_text())
    assert content["sound"] is False
    assert content["findings"][0]["severity"] == "error"
    assert content["findings"][0]["sentence"] in capsys.readouterr().out


def test_check_refuses_what_it_cannot_do(tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words, message in (
        (["sir3", tree], "there is no set 'sir3'"),
        (["sir2", tmp_path / "none"], "none does not exist"),
        (["nature", tree], "holds nothing of nature"),
        (["sir2", tree, "--subset", "tame"], "no subset or split 'tame'"),
        (["sir2", tree, "--workers", "0"], "workers is 0; give 1 or more"),
        (["sir2", tree, "--lines", "-1"], "lines is -1"),
        (["sir2", tree, "--against", "nature=none"], "none does not exist"),
        (["sir2", tree, "--json", tmp_path], "is a folder; name a file in it"),
    ):
        with pytest.raises(SystemExit) as stopped:
            main(["data", "check", *map(str, words)])
        assert stopped.value.code == 2
        (line,) = capsys.readouterr().err.strip().splitlines()
        assert message in line


def test_long_reports_are_cut(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for i in range(10):
        pair(tree, str(i))[0].write_bytes(b"")
    with pytest.raises(SystemExit):
        main(["data", "check", "sir2", str(tree), "-j", "1", "--lines", "3"])
    told = capsys.readouterr().out
    assert told.count("error: unreadable: ") == 4
    assert "error: unreadable: and 7 more; --lines 0 prints all" in told


def test_every_kind_that_is_told_of_is_explained(tree: Path) -> None:
    for plant in (shift, lose_one):
        plant(tree)
    listing = replace(list_set("sir2", tree), broken={tree: "it leads nowhere"})
    assert {finding.kind for finding in examine(listing).findings} <= KINDS.keys()


def test_what_cannot_be_held_against_a_set_is_named(sound: Path, tmp_path: Path) -> None:
    for layer in ("ambient", "transmission"):
        touch = tmp_path / layer / "1.png"
        touch.parent.mkdir()
        touch.touch()
    diagnosis = examine(list_set("sir2", sound), against=open_set("pairs", tmp_path))
    assert [finding.kind for finding in serious(diagnosis)] == ["unreadable", "unreadable"]


def test_depth_images_are_decoded_too(tmp_path: Path) -> None:
    for layer in ("ambient", "transmission"):
        save(tmp_path / layer / "1.png", scene(1) if layer == "transmission" else (scene(1) * 0.8 + 0.1))
    depth = tmp_path / "depth" / "1.png"
    depth.parent.mkdir()
    rough = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH), np.uint8)
    Image.fromarray(rough).save(depth)
    assert not [f for f in examine(list_set("pairs", tmp_path)).findings if f.kind == "unreadable"]
    depth.write_bytes(depth.read_bytes()[:200])
    found = [f for f in examine(list_set("pairs", tmp_path)).findings if f.kind == "unreadable"]
    assert [f.files for f in found] == [("depth/1.png",)]


def test_names_that_cannot_be_printed_make_no_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a\nerror: forged\x1b[31m.png").write_text("text")
    with pytest.raises(SystemExit):
        main(["data", "check", "photos", str(tmp_path), "--workers", "1"])
    told = capsys.readouterr().out
    assert "\nerror: forged" not in told
    assert "\x1b" not in told
    assert r"a\nerror: forged\x1b[31m.png" in told


def add_layers(root: Path, name: str, **layers: Tensor) -> None:
    for layer, image in layers.items():
        save(root / layer / f"{name}.png", image.clamp(0, 1))


def test_shifts_of_large_pairs_are_told_in_their_own_pixels(tmp_path: Path) -> None:
    """Sides of 2100 are reduced by 3: shifts are found from 3 pixels on, whatever the size of the reflection."""
    scenes = F.interpolate(scene(1)[None], (300, 2100), mode="nearest")[0] * 0.6
    for name, right in (("far", 12), ("near", 2)):
        add_layers(tmp_path, name, ambient=scenes.roll(right, 2) + 0.2, transmission=scenes)
    for reflection in (scene(2), scene(2)[:, :, :9]):
        save(tmp_path / "reflection" / "far.png", reflection)
        (finding,) = (f for f in examine(list_set("pairs", tmp_path)).findings if f.kind == "misaligned")
        assert finding.files == ("ambient/far.png", "transmission/far.png")
        assert "is +12.0 pixels to the right and " in finding.sentence


def test_pictures_of_nothing_are_not_called_misaligned(tmp_path: Path) -> None:
    noise = torch.rand(3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(1)) / 255
    add_layers(tmp_path, "night", ambient=scene(1) * 0.5, transmission=noise)
    assert not serious(examine(list_set("pairs", tmp_path)))


@pytest.mark.parametrize(
    ("factor", "added", "called"),
    [(0.5, 0.2, False), (1.5, -0.2, False), (0.7, 0.0, True)],
    ids=["dull", "hard", "dim"],
)
def test_swapped_is_what_is_darker_in_the_mean_and_in_the_shadows(
    tmp_path: Path, factor: float, added: float, called: bool
) -> None:
    transmission = scene(1) - scene(1).min()
    transmission = 0.05 + 0.9 * transmission / transmission.max()
    add_layers(tmp_path, "1", ambient=factor * transmission + added, transmission=transmission)
    assert ("swapped" in {finding.kind for finding in examine(list_set("pairs", tmp_path)).findings}) == called


def test_layers_that_only_some_items_have_are_named(tmp_path: Path) -> None:
    for i in range(3):
        add_layers(tmp_path, str(i), ambient=scene(i) * 0.5 + 0.2, transmission=scene(i) * 0.5)
        if i != 1:
            save(tmp_path / "reflection" / f"{i}.png", torch.zeros(3, HEIGHT, WIDTH))
    (finding,) = examine(list_set("pairs", tmp_path)).findings  # equal reflections are no finding
    assert (finding.severity, finding.kind) == ("warning", "unpaired")
    assert finding.sentence == "ambient/1.png has no reflection, which 2 others have"


@pytest.mark.parametrize(("source", "severity"), [("sir2", "note"), ("nature", "warning"), (7, "warning")])
def test_prepared_copies_of_sets_with_several_shots_have_them(tmp_path: Path, source: object, severity: str) -> None:
    Manifest(tmp_path, {"set": source})
    for i in range(2):
        add_layers(tmp_path, str(i), ambient=scene(1) * (0.5 + 0.05 * i) + 0.2, transmission=scene(1 + i) * 0.5)
    found = {(f.severity, f.kind) for f in examine(list_set("pairs", tmp_path)).findings if f.kind != "misaligned"}
    assert found == {(severity, "near-duplicate")}


def test_pairs_that_are_turned_alike_are_no_finding(tree: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    for path in pair(tree):
        with Image.open(path) as image:
            image.transpose(Image.Transpose.ROTATE_90).save(path, exif=exif)
    assert not serious(examine(list_set("sir2", tree)))


def test_manifests_that_cannot_be_followed_are_reported(tmp_path: Path) -> None:
    add_layers(tmp_path, "1", ambient=scene(1) * 0.5 + 0.2, transmission=scene(1) * 0.5)
    long = f"ambient/{'x' * 300}.png"
    Manifest(tmp_path, {}).add(Record("x", {"ambient": long}, {"ambient": ""}, {}))
    (finding,) = examine(list_set("pairs", tmp_path)).findings
    assert (finding.severity, finding.kind, finding.files) == ("error", "changed", (long,))
    (tmp_path / "manifest.jsonl").write_text("{")
    (finding,) = examine(list_set("pairs", tmp_path)).findings
    assert (finding.severity, finding.kind, finding.files) == ("warning", "changed", ("manifest.jsonl",))


def test_what_is_no_file_any_more_is_told_of_beside_the_manifest(tmp_path: Path) -> None:
    add_layers(tmp_path, "1", ambient=scene(1) * 0.5 + 0.2, transmission=scene(1) * 0.5)
    path = tmp_path / "ambient" / "1.png"
    Manifest(tmp_path, {}).add(Record("1", {"ambient": "ambient/1.png"}, {"ambient": digest(path)}, {}))
    path.unlink()
    os.mkfifo(path)
    found = {(f.severity, f.kind, f.files) for f in examine(list_set("pairs", tmp_path)).findings}
    assert found == {("error", kind, ("ambient/1.png",)) for kind in ("changed", "unreadable")}


def test_what_other_sets_have_twice_is_their_own_affair(tmp_path: Path) -> None:
    for folder, names in (("own", "ab"), ("other", "cde")):
        for number, name in enumerate(names):
            save(tmp_path / folder / f"{name}.png", scene(10 * len(names) + min(number, 1)))
    others = open_set("photos", tmp_path / "other")
    assert not examine(list_set("photos", tmp_path / "own"), against=others).findings


@pytest.mark.parametrize("picture", [scene(1), torch.full((3, 20, 20), 0.3)], ids=["scene", "flat"])
def test_one_picture_twice_in_a_split_and_once_in_another(tmp_path: Path, picture: Tensor) -> None:
    for name in ("train/a", "test/b", "test/c"):
        save(tmp_path / f"{name}.png", picture)
    save(tmp_path / "test" / "d.png", scene(4))
    found = {(f.kind, f.files) for f in examine(list_set("photos", tmp_path)).findings}
    assert found == {
        ("leak", ("train/a.png", "test/b.png", "test/c.png")),
        ("duplicate", ("test/b.png", "test/c.png")),
    }


def test_one_picture_twice_in_a_layer_and_once_in_another(tmp_path: Path) -> None:
    add_layers(tmp_path, "1", ambient=scene(1), transmission=scene(9))
    for i in (2, 3):
        add_layers(tmp_path, str(i), ambient=scene(9), transmission=scene(i))
    found = {(f.kind, f.files) for f in examine(list_set("pairs", tmp_path)).findings}
    assert ("duplicate", ("ambient/2.png", "ambient/3.png")) in found


def test_what_cannot_be_read_is_of_no_form(tmp_path: Path) -> None:
    add_layers(tmp_path, "1", ambient=scene(1), transmission=scene(1))
    edit(tmp_path / "transmission" / "1.png", lambda image: image.convert("L"))
    (tmp_path / "ambient" / "1.png").write_bytes(b"")
    found = examine(list_set("pairs", tmp_path)).findings
    assert [(f.severity, f.kind, f.files[0]) for f in found] == [
        ("error", "unreadable", "ambient/1.png"),
        ("note", "channels", "transmission/1.png"),
    ]

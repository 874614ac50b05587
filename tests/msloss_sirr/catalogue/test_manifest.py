"""Manifests: what was added is there again, after an interruption too."""

from pathlib import Path

import pytest

from msloss_sirr.catalogue.manifest import NAME, Manifest, Record, digest, read_manifest
from msloss_sirr.errors import InputError


def item(folder: Path, name: str, text: str = "pixels") -> Record:
    path = folder / "ambient" / f"{name}.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return Record(name, {"ambient": f"ambient/{name}.txt"}, {"ambient": digest(path)}, {"seed": 3, "of": "é ü"})


def test_items_are_there_again(tmp_path: Path) -> None:
    manifest = Manifest(tmp_path / "set", {"side": 256, "of": ("a", "b")})
    items = [item(tmp_path / "set", name) for name in ("b", "a", "c")]
    for each in items:
        manifest.add(each)
    again = Manifest(tmp_path / "set", {"of": ["a", "b"], "side": 256})
    assert again.records == {each.name: each for each in items}
    assert read_manifest(tmp_path / "set") == ({"side": 256, "of": ["a", "b"]}, sorted(items, key=lambda r: r.name))


def test_a_line_cut_short_does_not_count(tmp_path: Path) -> None:
    manifest = Manifest(tmp_path, {})
    for name in ("a", "b"):
        manifest.add(item(tmp_path, name))
    whole = (tmp_path / NAME).read_bytes()
    for length in range(whole.index(b'{"name": "b"'), len(whole)):
        (tmp_path / NAME).write_bytes(whole[:length])
        assert list(Manifest(tmp_path, {}).records) == ["a"]


def test_intact_means_recorded_and_unchanged(tmp_path: Path) -> None:
    manifest = Manifest(tmp_path, {})
    assert not manifest.intact("a")
    manifest.add(item(tmp_path, "a"))
    assert manifest.intact("a")
    (tmp_path / "ambient" / "a.txt").write_text("other")
    assert not manifest.intact("a")
    (tmp_path / "ambient" / "a.txt").unlink()
    assert not manifest.intact("a")


def test_a_later_item_replaces_the_earlier_of_its_name(tmp_path: Path) -> None:
    manifest = Manifest(tmp_path, {})
    manifest.add(item(tmp_path, "a"))
    later = item(tmp_path, "a", "other")
    manifest.add(later)
    assert Manifest(tmp_path, {}).records == {"a": later}


def test_what_was_made_otherwise_is_refused(tmp_path: Path) -> None:
    Manifest(tmp_path, {"side": 256, "kind": "png"})
    with pytest.raises(InputError, match="was made otherwise: side differ"):
        Manifest(tmp_path, {"side": 128, "kind": "png"})
    for damaged in ("", "{}", "[1]\n", '{"format": "msloss_sirr.manifest/1", "about": {}}\n{"name": "a"}\n', "\x00"):
        (tmp_path / NAME).write_text(damaged)
        with pytest.raises(InputError, match=r"damaged"):
            Manifest(tmp_path, {"side": 256})
    with pytest.raises(InputError, match=r"has no manifest.jsonl"):
        read_manifest(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "lines",
    [
        '{"format": "msloss_sirr.manifest/1"}',
        '{"format": "msloss_sirr.manifest/1", "about": 5}',
        '{"format": "msloss_sirr.manifest/1", "about": {}}\n{"name": "a", "files": [], "digests": {}, "origin": {}}',
        '{"format": "msloss_sirr.manifest/1", "about": {}}\n{"name": ["x"], "files": {}, "digests": {}, "origin": {}}',
        '{"format": "msloss_sirr.manifest/1", "about": {}}\n{"name": "a", "files": {"a": 1}, "digests": {}}',
    ],
)
def test_manifests_that_are_no_manifests_are_one_error(tmp_path: Path, lines: str) -> None:
    (tmp_path / NAME).write_text(lines + "\n")
    with pytest.raises(InputError, match="is damaged"):
        read_manifest(tmp_path)


@pytest.mark.parametrize("path", ["../a.png", "/a.png", "b/../../a.png", "a\0.png"])
def test_files_of_items_are_in_the_folder(tmp_path: Path, path: str) -> None:
    Manifest(tmp_path, {}).add(Record("a", {"ambient": path}, {"ambient": ""}, {}))
    with pytest.raises(InputError, match="is damaged"):
        read_manifest(tmp_path)

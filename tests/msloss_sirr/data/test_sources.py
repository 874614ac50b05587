"""From a configuration to draws: several sets, weights, recipes, and damaged files within their budget."""

import dataclasses
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from msloss_sirr import DataConfig, GlassConfig, InputError, SynthesisConfig, TrainConfig, score, train
from msloss_sirr.data.damage import Damage
from msloss_sirr.data.draws import Kind
from msloss_sirr.data.sources import build_draws, list_pairs, open_pairs, training_files
from msloss_sirr.images.reading import to_float
from msloss_sirr.synthesis.making import build_synthesis
from msloss_sirr.synthesis.recipes import RECIPES

from ..conftest import drawing, save, smooth


@pytest.fixture
def others(tmp_path: Path) -> Path:
    """A second folder of two pairs, white."""
    for layer in ("ambient", "transmission"):
        for name in ("x", "y"):
            save(tmp_path / "others" / layer / f"{name}.png", torch.ones(3, 30, 30))
    return tmp_path / "others"


def whites(config: DataConfig) -> float:
    draws = build_draws(config, length=200, seed=0)
    return sum(int(draws[i].first.min()) == 255 for i in range(200)) / 200


def test_pairs_of_several_folders_are_drawn_alike_or_by_weight(pairs: Path, others: Path) -> None:
    both = DataConfig(pairs=(pairs, others), crop=16)
    assert 0.24 < whites(both) < 0.43  # two of six
    assert 0.7 < whites(dataclasses.replace(both, pair_weights=(1, 4))) < 0.9
    assert whites(dataclasses.replace(both, pair_weights=(1, 0))) == 0


def test_sets_of_the_catalogue_are_trained_and_validated_on(config: TrainConfig, tmp_path: Path) -> None:
    for split, count in (("train", 3), ("test", 2)):
        for layer, shade in (("blended", 1.0), ("transmission_layer", 0.5)):
            for i in range(count):
                save(tmp_path / "nature" / split / layer / f"{split} {i}.png", smooth(i) * shade)
    text = f"nature/train={tmp_path / 'nature'}"
    draws = build_draws(DataConfig(pairs=(text,), crop=16), length=8, seed=0)
    assert draws[0].kind is Kind.REAL
    assert len(list_pairs(text)) == 3
    assert len(open_pairs(f"nature={tmp_path / 'nature'}")) == 5
    val = Path(f"nature/test={tmp_path / 'nature'}")
    best = train(drawing(dataclasses.replace(config, val=val, epochs=1), pairs=(text,), real_share=1.0))
    pairs = [open_pairs(val)[i] for i in range(2)]
    expected = sum(score(to_float(pair.ambient), to_float(pair.transmission)).psnr for pair in pairs) / 2
    assert best.before.psnr == pytest.approx(expected)
    with pytest.raises(InputError, match=r"has no depth image"):
        open_pairs(val, depth=True)
    with pytest.raises(InputError, match="holds photographs, not pairs"):
        open_pairs(f"photos={tmp_path / 'nature' / 'test' / 'blended'}")


def test_one_folder_stands_for_itself(pairs: Path, photos: Path) -> None:
    for config in (DataConfig(pairs=pairs, photos=photos), DataConfig(pairs=str(pairs), photos=str(photos))):  # type: ignore[arg-type]
        assert config.pairs == (str(pairs),)
        assert config.photos == (photos,)


def test_transplants_are_drawn_by_their_odds(pairs: Path, photos: Path) -> None:
    synthesis = SynthesisConfig(linear=1, clip=1, transplant=2)
    config = DataConfig(pairs=(pairs,), photos=(photos,), crop=16, real_share=0.0, synthesis=synthesis)
    draws = build_draws(config, length=200, seed=0)
    assert 0.4 < sum(draws[i].kind is Kind.TRANSPLANTED for i in range(200)) / 200 < 0.6


def test_synthesis_is_what_is_asked_for() -> None:
    scene, mirrored, seeds = smooth(1).expand(8, -1, -1, -1), smooth(2).expand(8, -1, -1, -1), range(8)
    for name, recipe in RECIPES.items():
        only = build_synthesis(SynthesisConfig(**{"linear": 0.0, name: 1.0}, sharp=1.0))
        expected = recipe(scene, mirrored, seeds, sharp=1.0).ambient
        torch.testing.assert_close(only.reflect(scene, mirrored, seeds).ambient, expected)
    tinted = build_synthesis(SynthesisConfig(linear=0.0, clip=1.0, transplant=1.0, glass=GlassConfig(tint=1.0)))
    for recipe in (tinted.reflect, tinted.transplant):
        assert (recipe(scene, mirrored * 0, seeds).layers.transmission < scene - 1e-3).any()


def test_damaged_files_are_left_out_within_the_budget(pairs: Path, photos: Path) -> None:
    (photos / "no image.png").write_text("text")
    cut = photos / "photo 1.png"
    cut.write_bytes(cut.read_bytes()[:-200])
    with pytest.raises(
        InputError,
        match=r"no image.png: it is no image file; --damaged 1 leaves it out, msloss-sirr data check finds all$",
    ):
        build_draws(DataConfig(photos=(photos,)), length=4, seed=0)
    said: list[str] = []
    damage = Damage(2, said.append)
    draws = build_draws(DataConfig(photos=(photos,), crop=16), length=60, seed=0, damage=damage)
    assert [line.startswith("left out: ") and "no image.png" in line for line in said] == [True]
    for i in range(60):
        for what in draws[i].damaged:
            damage.meet(what)
    assert len(said) == 2
    assert str(cut) in said[1]
    with pytest.raises(InputError, match="third; more damaged files than the 2 to be left out"):
        damage.meet("third")


def test_training_names_damaged_files_and_goes_on_or_ends(
    config: TrainConfig, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cut = photos / "photo 1.png"
    cut.write_bytes(cut.read_bytes()[:-200])
    config = drawing(dataclasses.replace(config, epochs=2), real_share=0.0)
    with pytest.raises(InputError, match=r"cannot read .*photo 1.png"):
        train(config)
    train(drawing(dataclasses.replace(config, out=tmp_path / "borne"), damaged=1))
    assert capsys.readouterr().err.count(f"left out: cannot read {cut}") == 1


def test_training_bears_what_is_no_file(config: TrainConfig, pairs: Path, photos: Path, tmp_path: Path) -> None:
    val = tmp_path / "val"
    shutil.copytree(pairs, val)
    (pairs / "ambient" / "x.png").mkdir()
    (photos / "x.png").mkdir()
    train(drawing(dataclasses.replace(config, val=val, epochs=1), damaged=2))


def test_training_files_are_those_of_depth_too(pairs: Path, photos: Path) -> None:
    for folder in (pairs, photos):
        (folder / "depth").mkdir()
    for path in [*(pairs / "ambient").iterdir(), *photos.glob("*.png")]:
        (path.parent if path.parent == photos else pairs).joinpath("depth", path.name).write_bytes(b"")
    config = DataConfig(pairs=(pairs,), photos=(photos,))
    for depth in (False, True):
        files = training_files(config, pairs, depth=depth)
        assert [len(paths) for paths in files.values()] == ([12, 12, 12] if depth else [8, 8, 6])


def test_damage_is_remembered_after_a_break(
    config: TrainConfig, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cut = photos / "photo 1.png"
    whole = cut.read_bytes()
    config = drawing(dataclasses.replace(config, epochs=1), real_share=0.0, damaged=1)
    cut.write_bytes(whole[:-200])
    train(config)
    cut.write_bytes(whole)
    other = photos / "photo 2.png"
    other.write_bytes(other.read_bytes()[:-200])
    state = torch.load(config.out / "state.pt", weights_only=True)
    assert [str(cut) in what for what in state["each"][0]["damaged"]] == [True]
    begun = {**state["pace"], "done": 0, "along": (0, 1)}
    torch.save({**state, "pace": begun}, config.out / "state.pt")  # as if more were to come
    config = dataclasses.replace(config, allow_changes=True)
    with pytest.raises(InputError, match=r"photo 2.png.*; more damaged files than the 1 to be left out"):
        train(dataclasses.replace(config, resume=True))
    with pytest.raises(InputError, match=r"another configuration \(data.crop: 24 then, 32 now\)"):
        train(drawing(dataclasses.replace(config, resume=True, allow_changes=False), crop=32))
    train(drawing(dataclasses.replace(config, resume=True), damaged=2))


def test_links_that_lead_nowhere_are_damaged_files(pairs: Path, photos: Path) -> None:
    (photos / "loop.png").symlink_to("loop.png")
    (photos / "gone.png").symlink_to("nowhere.png")
    said: list[str] = []
    build_draws(DataConfig(photos=(photos,), crop=16), length=1, seed=0, damage=Damage(2, said.append))
    assert ["gone.png" in said[0], "loop.png" in said[1]] == [True, True]
    for layer in ("ambient", "transmission"):
        (pairs / layer / "x.png").symlink_to("x.png")
    with pytest.raises(InputError, match=r"the link .*x.png was not followed: it leads in a circle"):
        open_pairs(pairs)


def deepen(folder: Path, photos: Iterable[Path]) -> None:
    """Give photographs depth images."""
    folder.mkdir()
    for path in photos:
        with Image.open(path) as image:
            image.convert("L").save(folder / f"{path.stem}.png")


def test_damaged_depth_images_are_left_out_with_their_photographs(pairs: Path, photos: Path) -> None:
    deepen(photos / "depth", photos.glob("*.png"))
    deepen(pairs / "depth", (pairs / "ambient").iterdir())
    (photos / "depth" / "photo 0.png").write_text("text")
    (photos / "depth" / "photo 1.png").unlink()
    os.mkfifo(photos / "depth" / "photo 1.png")
    cut = photos / "depth" / "photo 2.png"
    cut.write_bytes(cut.read_bytes()[:-100])
    Image.fromarray(np.full((40, 56), np.nan, np.float32)).save(pairs / "depth" / "0.tif")
    (pairs / "depth" / "0.png").unlink()
    (pairs / "depth" / "1.png").write_bytes(b"")
    said: list[str] = []
    damage = Damage(5, said.append)
    config = DataConfig(pairs=(pairs,), photos=(photos,), crop=16)
    draws = build_draws(config, length=60, seed=0, depth=True, damage=damage)
    assert ["1.png" in said[0], "photo 0.png" in said[1], "photo 1.png: it is a named pipe" in said[2]] == [True] * 3
    for i in range(60):
        assert draws[i].depth is not None
        for what in draws[i].damaged:
            damage.meet(what)
    assert len(said) == 5
    assert sorted("0.tif has no finite number" in line or str(cut) in line for line in said) == [False] * 3 + [True] * 2
    with pytest.raises(InputError, match=r"photo 1.png: it is a named pipe, .*more damaged files than the 2"):
        build_draws(dataclasses.replace(config, damaged=2), length=4, seed=0, depth=True)
    (photos / "depth" / "photo 3.png").unlink()
    with pytest.raises(InputError, match=r"photo 3.png has no depth image; give it one"):
        build_draws(dataclasses.replace(config, damaged=9), length=4, seed=0, depth=True)


def test_what_is_no_file_is_damaged(pairs: Path, photos: Path) -> None:
    os.mkfifo(photos / "pipe.png")
    (photos / "folder.png").mkdir()
    (pairs / "ambient" / "0.png").unlink()
    os.mkfifo(pairs / "ambient" / "0.png")
    os.mkfifo(pairs / "transmission" / "x.png")
    (pairs / "ambient" / "y.png").mkdir()
    said: list[str] = []
    config = DataConfig(pairs=(pairs,), photos=(photos,), crop=16, damaged=5)
    draws = build_draws(config, length=8, seed=0, damage=Damage(5, said.append))
    named = ("y.png: it is a folder", "x.png: it is a named pipe", "0.png: it is a named pipe")
    named += ("folder.png: it is a folder", "pipe.png: it is a named pipe")
    assert len(said) == 5
    assert all(sum(name in line for line in said) == 1 for name in named)
    assert not any(draws[i].damaged for i in range(8))
    files = [path.name for path in training_files(config)[f"pairs {pairs}"]]
    assert "0.png" in files
    assert not {"x.png", "y.png"} & set(files)
    with pytest.raises(InputError, match=r"it is a .*, not a file; more damaged files than the 4 to be left out"):
        build_draws(dataclasses.replace(config, damaged=4), length=8, seed=0)


def test_sets_without_anything_to_read_are_named(pairs: Path, photos: Path) -> None:
    for path in (*photos.iterdir(), *(pairs / "ambient").iterdir()):
        path.write_text("text")
    with pytest.raises(InputError, match="pairs holds no pair that can be read"):
        build_draws(DataConfig(pairs=(pairs,), damaged=100), length=4, seed=0)
    with pytest.raises(InputError, match="photos: no photo can be read"):
        build_draws(DataConfig(photos=(photos,), damaged=100), length=4, seed=0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"crop": 8}, "crop is 8; give 16 or more"),
        ({"real_share": 1.5}, "real_share is 1.5; give a number from 0 to 1"),
        ({"damaged": -1}, "damaged is -1"),
        ({"pairs": ("a",), "pair_weights": (-1.0,)}, "give a number for each of the sets"),
        ({"pairs": ("a",), "pair_weights": (0.0,)}, "give one of them a positive number"),
        ({"pairs": ("a", "b"), "pair_weights": (1e308, 1e308)}, "give a number for each of the sets"),
        ({"pair_weights": ("a",)}, "pair_weights is .*; give numbers"),
    ],
)
def test_data_is_checked(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        DataConfig(**change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pair_weights": (1.0,)}, "give a number for each of the 0 sets"),
        ({"synthesis": SynthesisConfig(transplant=1.0)}, "takes reflections out of real pairs; give --pairs"),
        ({"synthesis": SynthesisConfig(strength=0.5)}, "of the reflections of real pairs; give --pairs"),
        ({"clean_share": 0.2, "pairs": ("a",)}, "clean_share is 0.2, but there are no photos; give --photos"),
        ({}, "nothing to train on"),
    ],
)
def test_what_cannot_be_drawn_from_the_sources_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        build_draws(DataConfig(**change), length=4, seed=0)


def test_synthesis_is_checked() -> None:
    for change in ({"linear": 0.0}, {"clip": -1.0}, {"screen": float("inf")}, {"linear": 1e308, "clip": 1e308}):
        with pytest.raises(InputError, match="give one or more of them a positive number"):
            SynthesisConfig(**change)
    with pytest.raises(InputError, match=r"sharp is 2.0; give a probability"):
        SynthesisConfig(sharp=2.0)

"""Fixed composites: a photograph is never behind its own reflection, and what is half made is made again."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from msloss_sirr import InputError
from msloss_sirr.evaluation.composites import composites, write_composites
from msloss_sirr.synthesis.recipes import RECIPES

from ..conftest import save, smooth


@pytest.mark.parametrize("number", [2, 5, 7, 8, 14])
def test_no_photograph_reflects_itself(number: int) -> None:
    """Every recipe is asked for a scene and another photograph, by its own seed."""
    asked: list[tuple[int, int, int]] = []
    linear = RECIPES["linear"]

    def recipe(scene: Tensor, other: Tensor, seeds: list[int]) -> object:
        asked.append((int(scene[0, 0, 0, 0] * 100), int(other[0, 0, 0, 0] * 100), *seeds))
        return linear(scene, other, seeds)

    photos = [torch.full((3, 24, 24), (n + 0.5) / 100) for n in range(number)]
    list(composites(recipe, photos))
    assert [(scene, seed) for scene, _, seed in asked] == [(n, n) for n in range(number)]
    assert all(scene != other for scene, other, _ in asked)
    assert sorted(other for _, other, _ in asked) == list(range(number))
    with pytest.raises(ValueError, match="give two or more"):
        list(composites(linear, photos[:1]))


def test_photographs_that_cannot_be_told_apart_are_refused(tmp_path: Path) -> None:
    save(tmp_path / "photos" / "a.png", smooth(0))
    with pytest.raises(InputError, match="photos holds one photograph, which has no other to reflect"):
        write_composites(tmp_path / "photos", tmp_path / "out")
    save(tmp_path / "photos" / "a.jpg", smooth(1))
    save(tmp_path / "photos" / "a b.jpg", smooth(2))
    with pytest.raises(InputError, match=r"a\.jpg and a\.png have the same name; keep one of them"):
        write_composites(tmp_path / "photos", tmp_path / "out")


def test_what_was_killed_as_it_wrote_is_made_again(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder,) = write_composites(photos, tmp_path / "whole", ["screen"])
    whole = {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    def killed(self: Path, text: str) -> None:
        self.write_bytes(text[:5].encode())
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", killed)
        with pytest.raises(KeyboardInterrupt):
            write_composites(photos, tmp_path / "broken", ["screen"])
    (folder,) = write_composites(photos, tmp_path / "broken", ["screen"])
    assert {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()} == whole
    (folder / "made-of.json").write_text("{")
    with pytest.raises(InputError, match="holds what is made of other photographs, or otherwise"):
        write_composites(photos, tmp_path / "broken", ["screen"])

"""Draws and batches: functions of seed, epoch and number alone; pairs cut alike."""

import dataclasses
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from unittest.mock import Mock

import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from msloss_sirr.data.batches import compose
from msloss_sirr.data.config import DataConfig
from msloss_sirr.data.draws import Draw, Draws, Kind
from msloss_sirr.data.folders import Cache, Pairs, photo_folder
from msloss_sirr.data.loader import DrawBatch, collate
from msloss_sirr.data.reflections import Reflections
from msloss_sirr.data.sources import build_draws, open_pairs
from msloss_sirr.errors import InputError
from msloss_sirr.synthesis.config import SynthesisConfig
from msloss_sirr.synthesis.making import Synthesis, build_synthesis
from msloss_sirr.synthesis.recipes import Composite, linear
from msloss_sirr.synthesis.transplant import reflection_of, transplant


def same(a: Draw | DrawBatch, b: Draw | DrawBatch) -> bool:
    known = [(x, y) for x, y in zip(a[:5], b[:5], strict=True) if x is not None]
    return all(torch.equal(torch.as_tensor(x), torch.as_tensor(y)) for x, y in known) and a.damaged == b.damaged


def draws_of(pairs: Path, photos: Path, **options: object) -> Draws:
    return Draws(length=24, crop=24, pairs=open_pairs(pairs), photos=photo_folder(photos), **options)


def test_a_draw_is_a_function_of_seed_epoch_and_number(pairs: Path, photos: Path) -> None:
    one, two = draws_of(pairs, photos, seed=1), draws_of(pairs, photos, seed=1)
    assert all(same(one[i], two[i]) for i in reversed(range(24)))
    assert not any(same(one[i], one[j]) for i in range(24) for j in range(i))
    first = [one[i] for i in range(24)]
    one.set_epoch(1)
    assert not any(same(one[i], first[i]) for i in range(24))
    other = draws_of(pairs, photos, seed=2)
    assert not any(same(other[i], first[i]) for i in range(24))


UNEXPECTED = """
import sys
from pathlib import Path
from msloss_sirr.data.draws import Draws
from msloss_sirr.data.loader import load
from msloss_sirr.data.folders import photo_folder

batches = iter(load(Draws(length=24, crop=16, photos=photo_folder(Path(sys.argv[1]))), 2, 1))
next(batches)
raise RuntimeError("a bug")
"""


def test_loader_processes_end_with_a_training_that_fails(photos: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", UNEXPECTED, str(photos)], capture_output=True, check=False, timeout=60
    )
    assert ended.returncode == 1
    assert ended.stderr.endswith(b"RuntimeError: a bug\n")


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # four, however few the processors
def test_loader_processes_change_nothing(pairs: Path, photos: Path) -> None:
    draws = draws_of(pairs, photos, transplant_share=0.3)
    plain, *others = ([*DataLoader(draws, 5, collate_fn=collate, num_workers=n)] for n in (0, 1, 4))
    for spread in others:
        assert all(same(a, b) for a, b in zip(plain, spread, strict=True))
    seeds = [seed for batch in plain for seed in batch.seed.tolist()]
    assert len(set(seeds)) == len(seeds) == 24  # no process repeats another


def test_real_share(pairs: Path, photos: Path) -> None:
    for share in (0.0, 0.4, 1.0):
        draws = draws_of(pairs, photos, real_share=share)
        real = sum(draws[i].kind is Kind.REAL for i in range(24)) / 24
        assert real == share if share in (0, 1) else 0.1 < real < 0.7
    only_pairs = Draws(length=5, crop=24, pairs=open_pairs(pairs), real_share=0.0)
    assert all(only_pairs[i].kind is Kind.REAL for i in range(5))
    with pytest.raises(ValueError, match="nothing to draw from"):
        Draws(length=1, crop=8)
    with pytest.raises(ValueError, match="no reflection to transplant"):
        Draws(length=1, crop=8, photos=photo_folder(photos), transplant_share=0.1)


def test_sets_are_drawn_by_their_weights() -> None:
    images = [torch.full((3, 20, 20), number, dtype=torch.uint8) for number in range(5)]
    draws = Draws(length=400, crop=16, pairs=Pairs(images, images), pair_odds=[0.5, 0.5, 3, 0, 0])
    seen = [int(draws[i].first[0, 0, 0]) for i in range(400)]
    assert set(seen) == {0, 1, 2}
    assert 0.68 < seen.count(2) / 400 < 0.82


def test_transplants_lay_reflections_of_pairs_on_photos_and_on_pairs(pairs: Path, photos: Path) -> None:
    draws = draws_of(pairs, photos, real_share=0.2, transplant_share=1.0)
    kinds = {draws[i].kind for i in range(24)}
    assert kinds == {Kind.REAL, Kind.TRANSPLANTED}
    batch = collate([draws[i] for i in range(24)])
    made = compose(batch, Synthesis())
    laid = batch.kind == Kind.TRANSPLANTED
    expected = transplant(batch.first[laid] / 255, batch.second[laid] / 255, batch.seed[laid].tolist())
    torch.testing.assert_close(made.ambient[laid], expected.ambient)
    torch.testing.assert_close(made.target.transmission[laid], batch.first[laid] / 255)
    alone = Draws(length=40, crop=24, pairs=open_pairs(pairs), real_share=0.5, transplant_share=0.1)
    assert {alone[i].kind for i in range(40)} == {Kind.REAL, Kind.TRANSPLANTED}


def test_scenes_and_reflections_of_transplants_are_drawn_as_pairs_are() -> None:
    def grey(value: int) -> torch.Tensor:
        return torch.full((3, 30, 30), value, dtype=torch.uint8)

    depths = [torch.full((1, 30, 30), value) for value in (1.0, 2.0, 3.0)]
    pairs = Pairs([grey(50)] * 2, [grey(100), grey(150)], depths[:2])
    draws = Draws(
        length=200,
        crop=16,
        pairs=pairs,
        pair_odds=[1, 3],
        photos=[grey(200)],
        photo_depths=depths[2:],
        real_share=0.0,
        transplant_share=1.0,
    )
    draws._reflections._kept.update({0: grey(10), 1: grey(20)})  # type: ignore[union-attr]
    found = [draws[i] for i in range(200)]
    scenes = [(int(draw.first[0, 0, 0]), round(float(draw.depth[0, 0, 0]))) for draw in found]  # type: ignore[index]
    assert 0.4 < scenes.count((200, 3)) / 200 < 0.6
    assert 0.06 < scenes.count((100, 1)) / 200 < 0.2
    assert 0.28 < scenes.count((150, 2)) / 200 < 0.48
    assert set(scenes) == {(200, 3), (100, 1), (150, 2)}
    reflections = [int(draw.second[0, 0, 0]) for draw in found]
    assert 0.65 < reflections.count(20) / 200 < 0.85
    assert set(reflections) == {10, 20}


def test_reflections_are_taken_out_once_and_not_of_what_shows_two_scenes(monkeypatch: pytest.MonkeyPatch) -> None:
    textures = [torch.rand(3, 128, 128, generator=torch.Generator().manual_seed(i)) for i in range(2)]
    scene, other = ((image * 255).byte() for image in textures)
    reflections = Reflections(Pairs([scene, scene], [(scene * 0.8).byte(), other]))
    calls = Mock(side_effect=reflection_of)
    monkeypatch.setattr("msloss_sirr.data.reflections.reflection_of", calls)
    for _ in range(2):
        assert reflections[0] is not None
        assert reflections[0].shape == (3, 128, 128)
        assert reflections[1] is None
    assert calls.call_count == 1
    with pytest.raises(InputError, match="hardly any pair shows one scene twice"):
        Draws(length=1, crop=16, pairs=Pairs([scene], [other]), real_share=0.0, transplant_share=1.0)[0]
    few = Reflections(Pairs([scene, scene], [scene, scene]), cache=Cache(3 * 128 * 128))
    assert few[0] is few[0]
    assert few[1] is not few[1]


def test_reflections_share_the_room_that_is_given_for_images(pairs: Path) -> None:
    config = DataConfig(pairs=(str(pairs),), crop=24, real_share=0.0, synthesis=SynthesisConfig(transplant=1.0))
    image = 3 * 40 * 56
    for images, kept in ((2, False), (3, True)):
        small = dataclasses.replace(config, cache_gib=images * image / 2**30)
        reflections = build_draws(small, length=1, seed=0)._reflections
        assert reflections is not None
        assert (reflections[0] is reflections[0]) == kept


def test_processes_that_outlive_an_epoch_draw_the_next(pairs: Path, photos: Path) -> None:
    draws = draws_of(pairs, photos)
    loader = DataLoader(draws, 6, collate_fn=collate, num_workers=1, persistent_workers=True)
    for epoch in (0, 1, 5):
        draws.set_epoch(epoch)
        alone = Draws(length=24, crop=24, pairs=open_pairs(pairs), photos=photo_folder(photos))
        alone.set_epoch(epoch)
        assert all(same(a, b) for a, b in zip(loader, DataLoader(alone, 6, collate_fn=collate), strict=True))


def test_crops_are_of_random_size_at_random_places() -> None:
    across = torch.arange(60, dtype=torch.uint8).expand(3, 60, 60)
    draws = Draws(length=200, crop=20, pairs=Pairs([across], [across]), real_share=1.0)
    edges = [sorted((int(draws[i].first[0, 0, 0]), int(draws[i].first[0, 0, -1]))) for i in range(200)]
    widths, starts = [right - left for left, right in edges], [left for left, _ in edges]
    assert min(widths) < 22
    assert max(widths) > 55
    assert min(starts) == 0
    assert max(starts) > 30


def test_pairs_too_small_to_see_anything_give_no_reflection() -> None:
    for height, width in ((1, 1), (3, 40), (40, 6), (15, 15)):
        small = torch.zeros(3, height, width, dtype=torch.uint8)
        assert Reflections(Pairs([small], [small]))[0] is None


def test_damaged_files_are_named_and_others_drawn(pairs: Path, photos: Path) -> None:
    cut = photos / "photo 2.png"
    cut.write_bytes(cut.read_bytes()[:-200])
    draws = draws_of(pairs, photos, real_share=0.0)
    found = [draws[i] for i in range(24)]
    assert 0 < sum(bool(draw.damaged) for draw in found) < 24
    assert {what for draw in found for what in draw.damaged} == {collate(found).damaged[0]}
    assert str(cut) in collate(found).damaged[0]
    spread = list(DataLoader(draws, 5, collate_fn=collate, num_workers=2))
    assert all(same(a, b) for a, b in zip(spread, DataLoader(draws, 5, collate_fn=collate), strict=True))
    for path in photos.iterdir():
        path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(InputError, match="cannot read"):
        draws_of(pairs, photos, real_share=0.0)[0]


@pytest.mark.parametrize("crop", [16, 64])
def test_pairs_are_cropped_alike(crop: int) -> None:
    image = torch.arange(3 * 40 * 56).remainder(251).byte().view(3, 40, 56)
    draws = Draws(length=30, crop=crop, pairs=Pairs([image], [image]))
    for i in range(30):
        assert draws[i].first.shape == (3, crop, crop)
        assert torch.equal(draws[i].first, draws[i].second)
    if crop == 16:  # the first row of an image rises to the right, unless it is mirrored
        mirrored = [bool(draws[i].first[0, 0].float().diff().sign().sum() < 0) for i in range(30)]
        assert any(mirrored)
        assert not all(mirrored)


def test_pairs_of_two_sizes_are_refused() -> None:
    pairs = Pairs([torch.zeros(3, 20, 30, dtype=torch.uint8)], [torch.zeros(3, 30, 20, dtype=torch.uint8)])
    with pytest.raises(InputError, match="pair 0 is of two sizes"):
        pairs[0]


def test_composition_keeps_real_pairs_and_makes_the_rest(pairs: Path, photos: Path) -> None:
    draws = draws_of(pairs, photos, real_share=0.5)
    batch = collate([draws[i] for i in range(24)])
    made = compose(batch, Synthesis())
    real = batch.kind == Kind.REAL
    assert 0 < real.sum() < 24
    assert torch.equal(made.ambient[real], batch.first[real] / 255)
    assert torch.equal(made.target.transmission[real], batch.second[real] / 255)
    assert (made.ambient[~real] != batch.first[~real] / 255).any()
    for image in (made.ambient, *made.target):
        assert image.dtype == torch.float32
        assert image.min() >= 0
        assert image.max() <= 1
    difference = (made.ambient - made.target.transmission).clamp(min=0)
    torch.testing.assert_close(made.target.reflection, difference)


def test_reflection_of_a_real_pair_is_where_it_is_brighter() -> None:
    dark, bright = torch.zeros(1, 3, 4, 4, dtype=torch.uint8), torch.full((1, 3, 4, 4), 255, dtype=torch.uint8)
    both = DrawBatch(torch.cat([bright, dark]), torch.cat([dark, bright]), torch.zeros(2).long(), torch.zeros(2).long())
    reflection = compose(both, Synthesis()).target.reflection
    assert reflection[0].min() == 1
    assert not reflection[1].any()


def test_exposure_changes_the_scene_alike_wherever_it_is_seen() -> None:
    grey = torch.full((4, 3, 24, 24), 100, dtype=torch.uint8)
    darker, kinds = grey // 2, torch.tensor([Kind.REAL, Kind.CLEAN, Kind.REFLECTED, Kind.TRANSPLANTED])
    second = torch.where((kinds == Kind.CLEAN).view(-1, 1, 1, 1), grey, darker)
    batch = DrawBatch(grey, second, kinds, torch.arange(4))
    seen: list[tuple[Tensor, Tensor]] = []

    def watching(scene: Tensor, mirrored: Tensor, seeds: Sequence[int]) -> Composite:
        seen.append((scene, mirrored))
        return linear(scene, mirrored, seeds)

    made = compose(
        batch, build_synthesis(SynthesisConfig(exposure=1.0))._replace(reflect=watching, transplant=watching)
    )
    plain = compose(batch, Synthesis())
    changed = [made.ambient[:2] / plain.ambient[:2], *(scene / (100 / 255) for scene, _ in seen)]
    for factor in torch.cat(changed).unbind():
        assert (factor - 1).abs().max() > 0.01
        assert factor.flatten(1).std(dim=1).max() < 1e-5
    pair = made.target.transmission[0] / plain.target.transmission[0], changed[0][0]
    torch.testing.assert_close(*pair, atol=1e-4, rtol=0)
    assert torch.equal(made.ambient[1], made.target.transmission[1])
    assert all(torch.equal(mirrored, darker[2:3] / 255) for _, mirrored in seen)


def test_strength_weakens_or_strengthens_the_reflection_of_a_pair_alone() -> None:
    first, second = (
        torch.full((50, 3, 16, 16), 150, dtype=torch.uint8),
        torch.full((50, 3, 16, 16), 50, dtype=torch.uint8),
    )
    batch = DrawBatch(first, second, torch.full((50,), int(Kind.REAL)), torch.arange(50))
    for share in (0.0, 0.5, 1.0):
        made = compose(batch, build_synthesis(SynthesisConfig(strength=share)))
        assert torch.equal(made.target.transmission, second / 255)
        strengths = (made.target.reflection * 255 / 100).flatten(1)
        torch.testing.assert_close(made.ambient - made.target.transmission, made.target.reflection)
        assert strengths.std(dim=1).max() < 1e-5
        changed = (strengths[:, 0] - 1).abs() > 1e-4
        assert bool(changed.any()) is (share > 0)
        assert bool(changed.all()) is (share == 1)
        if share:
            assert 0.299 < strengths.min() < 0.45
            assert 1.05 < strengths.max() < 1.201
    clean = compose(batch._replace(second=first, kind=torch.full((50,), int(Kind.CLEAN))), Synthesis(strength=1.0))
    torch.testing.assert_close(clean.ambient, clean.target.transmission, atol=0, rtol=0)


def test_exposure_and_strength_happen_as_often_as_they_are_asked_to_and_apart() -> None:
    second = torch.full((400, 3, 2, 2), 60, dtype=torch.uint8)
    batch = DrawBatch(second * 2, second, torch.full((400,), int(Kind.REAL)), torch.arange(400))
    plain = compose(batch, Synthesis()).ambient

    def which(**probability: float) -> Tensor:
        made = compose(batch, build_synthesis(SynthesisConfig(**probability)))
        return (made.ambient != plain).flatten(1).any(dim=1)

    for share in (0.2, 0.7):
        exposed, strengthened = which(exposure=share), which(strength=share)
        for happened in (exposed, strengthened):
            assert abs(happened.float().mean() - share) < 0.08
        assert abs((exposed & strengthened).float().mean() - share**2) < 0.08


def test_composition_does_not_depend_on_the_batch(pairs: Path, photos: Path) -> None:
    draws, synthesis = draws_of(pairs, photos, real_share=0.5), Synthesis(exposure=0.5, strength=0.5)
    together = compose(collate([draws[i] for i in range(8)]), synthesis)
    for i in range(8):
        alone = compose(collate([draws[i]]), synthesis)
        torch.testing.assert_close(alone.ambient[0], together.ambient[i], atol=1e-6, rtol=0)


def test_what_a_recipe_rejects_stays_without_a_reflection(pairs: Path, photos: Path) -> None:
    def rejecting(scene: Tensor, mirrored: Tensor, seeds: Sequence[int]) -> Composite:
        made = linear(scene, mirrored, seeds)
        return made._replace(kept=torch.tensor([seed % 2 == 0 for seed in seeds]))

    batch = collate([draws_of(pairs, photos, real_share=0.3)[i] for i in range(24)])
    made, usual = compose(batch, Synthesis(rejecting)), compose(batch, Synthesis())
    real = batch.kind == Kind.REAL
    plain = ~real & (batch.seed % 2 == 1)
    assert 3 < plain.sum() < 21
    for image in (made.ambient, made.target.transmission):
        assert torch.equal(image[plain], batch.first[plain] / 255)
    assert not made.target.reflection[plain].any()
    kept = real | (batch.seed % 2 == 0)
    assert torch.equal(made.ambient[kept], usual.ambient[kept])
    assert torch.equal(made.target.reflection[kept], usual.target.reflection[kept])

"""Draws and batches: functions of seed, epoch and number alone; pairs cut alike."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from msloss_sirr.data.batches import compose
from msloss_sirr.data.draws import Draw, DrawBatch, Draws, collate
from msloss_sirr.data.folders import Pairs, pair_folder, photo_folder
from msloss_sirr.errors import InputError
from msloss_sirr.synthesis.recipes import Composite, linear


def same(a: Draw | DrawBatch, b: Draw | DrawBatch) -> bool:
    known = [(x, y) for x, y in zip(a, b, strict=True) if x is not None]
    return all(torch.equal(torch.as_tensor(x), torch.as_tensor(y)) for x, y in known)


def draws_of(pairs: Path, photos: Path, **options: object) -> Draws:
    return Draws(length=24, crop=24, pairs=pair_folder(pairs), photos=photo_folder(photos), **options)


def test_a_draw_is_a_function_of_seed_epoch_and_number(pairs: Path, photos: Path) -> None:
    one, two = draws_of(pairs, photos, seed=1), draws_of(pairs, photos, seed=1)
    assert all(same(one[i], two[i]) for i in reversed(range(24)))
    assert not any(same(one[i], one[j]) for i in range(24) for j in range(i))
    first = [one[i] for i in range(24)]
    one.set_epoch(1)
    assert not any(same(one[i], first[i]) for i in range(24))
    other = draws_of(pairs, photos, seed=2)
    assert not any(same(other[i], first[i]) for i in range(24))


def test_loader_processes_change_nothing(pairs: Path, photos: Path) -> None:
    draws = draws_of(pairs, photos)
    plain, spread = (DataLoader(draws, 5, collate_fn=collate, num_workers=n) for n in (0, 2))
    assert all(same(a, b) for a, b in zip(plain, spread, strict=True))


def test_real_share(pairs: Path, photos: Path) -> None:
    for share in (0.0, 0.4, 1.0):
        draws = draws_of(pairs, photos, real_share=share)
        real = sum(draws[i].real for i in range(24)) / 24
        assert real == share if share in (0, 1) else 0.1 < real < 0.7
    only_pairs = Draws(length=5, crop=24, pairs=pair_folder(pairs), real_share=0.0)
    assert all(only_pairs[i].real for i in range(5))
    with pytest.raises(ValueError, match="nothing to draw from"):
        Draws(length=1, crop=8)


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
    made = compose(batch, linear)
    assert 0 < batch.real.sum() < 24
    real = batch.real
    assert torch.equal(made.ambient[real], batch.first[real] / 255)
    assert torch.equal(made.target.transmission[real], batch.second[real] / 255)
    assert (made.ambient[~real] != batch.first[~real] / 255).any()
    for image in (made.ambient, *made.target):
        assert image.dtype == torch.float32
        assert image.min() >= 0
        assert image.max() <= 1
    difference = (made.ambient - made.target.transmission).clamp(min=0)
    torch.testing.assert_close(made.target.reflection, difference)


def test_composition_does_not_depend_on_the_batch(pairs: Path, photos: Path) -> None:
    draws = draws_of(pairs, photos, real_share=0.5)
    together = compose(collate([draws[i] for i in range(8)]), linear)
    for i in range(8):
        alone = compose(collate([draws[i]]), linear)
        torch.testing.assert_close(alone.ambient[0], together.ambient[i], atol=1e-6, rtol=0)


def test_what_a_recipe_rejects_stays_without_a_reflection(pairs: Path, photos: Path) -> None:
    def rejecting(scene: Tensor, mirrored: Tensor, seeds: Sequence[int]) -> Composite:
        made = linear(scene, mirrored, seeds)
        return made._replace(kept=torch.arange(len(scene)) % 2 == 0)

    batch = collate([draws_of(pairs, photos, real_share=0.3)[i] for i in range(24)])
    made, usual = compose(batch, rejecting), compose(batch, linear)
    plain = ~batch.real & (torch.arange(24) % 2 == 1)
    assert 3 < plain.sum() < 21
    for image in (made.ambient, made.target.transmission):
        assert torch.equal(image[plain], batch.first[plain] / 255)
    assert not made.target.reflection[plain].any()
    kept = batch.real | (torch.arange(24) % 2 == 0)
    assert torch.equal(made.ambient[kept], usual.ambient[kept])
    assert torch.equal(made.target.reflection[kept], usual.target.reflection[kept])

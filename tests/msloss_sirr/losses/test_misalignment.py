"""The comparison of pictures that may be shifted, against one written in NumPy, and the images that it is for."""

import dataclasses
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from msloss import MultiStepLoss
from msloss_sirr import (
    DataConfig,
    InputError,
    Layers,
    LayersCriterion,
    LossConfig,
    Remover,
    RemoverConfig,
    TrainConfig,
    train,
)
from msloss_sirr.data.batches import compose
from msloss_sirr.data.draws import Draws, Kind
from msloss_sirr.data.folders import photo_folder
from msloss_sirr.data.loader import collate
from msloss_sirr.data.sources import open_pairs
from msloss_sirr.layers import Truth
from msloss_sirr.losses.criterion import build_criterion, term_weights
from msloss_sirr.losses.gradient import gradient_loss
from msloss_sirr.losses.misalignment import inner, nearest
from msloss_sirr.synthesis.making import Synthesis

from ..conftest import drawing, smooth

MEASURES: Any = ["mse", "l1", "log"]
SIDE = 20


def scenes(*seeds: int) -> Tensor:
    """Return made-up photographs with detail of single pixels."""
    noise = torch.rand(len(seeds), 3, SIDE, SIDE, generator=torch.Generator().manual_seed(sum(seeds)))
    return 0.8 * torch.stack([smooth(seed, SIDE, SIDE) for seed in seeds]) + 0.2 * noise


def truth(transmission: Tensor, *misaligned: bool) -> Truth:
    return Truth(transmission, torch.zeros_like(transmission), torch.tensor(misaligned))


def terms(criterion: LayersCriterion, estimate: Tensor, target: Layers | Truth) -> dict[str, Tensor]:
    return criterion(Layers(estimate, torch.zeros_like(estimate)), criterion.prepare(target))


def by_hand(measure: str, estimate: Tensor, target: Tensor, reach: int) -> tuple[float, int, int]:
    """Return the least error of one image over all shifts, and that shift."""
    one, other = estimate.double().numpy(), target.double().numpy()
    found = []
    for down, right in product(range(-reach, reach + 1), repeat=2):
        apart = np.roll(other, (-down, -right), (1, 2)) - one
        apart = apart[:, reach : SIDE - reach, reach : SIDE - reach]
        mse = (apart**2).mean()
        error = {"mse": mse, "l1": np.abs(apart).mean(), "log": np.log(1 + 1000 * mse)}[measure]
        found.append((float(error), down, right))
    return min(found)


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("reach", [1, 2, 3])
def test_the_least_error_over_all_shifts_is_taken_image_by_image(measure: Any, reach: int) -> None:
    target = scenes(1, 2, 3)
    shifts = [(1, 0), (0, -1), (-reach, reach)]
    moved = [image.roll(shift, (1, 2)) for image, shift in zip(target, shifts, strict=True)]
    estimate = 0.9 * torch.stack(moved) + 0.1 * scenes(7, 8, 9)
    criterion = build_criterion(LossConfig(measure=measure, tolerance=reach))
    found = [by_hand(measure, one, other, reach) for one, other in zip(estimate, target, strict=True)]
    assert [(-down, -right) for _, down, right in found] == shifts
    got = terms(criterion, estimate, truth(target, True, True, True))
    assert float(got["transmission"]) == pytest.approx(np.mean([error for error, *_ in found]), rel=1e-5)
    placed = torch.stack([image.roll(shift, (1, 2)) for image, shift in zip(target, shifts, strict=True)])
    expected = gradient_loss(inner(estimate, reach), inner(placed, reach))
    torch.testing.assert_close(got["gradient"], expected)


@pytest.mark.parametrize("measure", MEASURES)
def test_a_shift_within_reach_costs_nothing_and_one_beyond_it_does(measure: Any) -> None:
    criterion = build_criterion(LossConfig(measure=measure, tolerance=2))
    image = scenes(1)
    for down, right in product(range(-3, 4), repeat=2):
        got = terms(criterion, image.roll((down, right), (2, 3)), truth(image, True))
        free = max(abs(down), abs(right)) <= 2
        assert (float(got["transmission"]) == 0) == free
        assert (float(got["gradient"]) == 0) == free


def test_no_shift_costs_more_than_another() -> None:
    """A picture and its estimate, both mirrored or transposed, are as far apart as before."""
    criterion = build_criterion(LossConfig(measure="l1", tolerance=2))
    target, estimate = scenes(1, 2), scenes(1, 2).roll((1, -1), (2, 3)) + 0.05 * scenes(3, 4)
    expected = terms(criterion, estimate, truth(target, True, True))
    for turned in (lambda x: x.flip(2), lambda x: x.flip(3), lambda x: x.mT, lambda x: x.flip(2).mT):
        again = terms(criterion, turned(estimate), truth(turned(target), True, True))
        torch.testing.assert_close(again["transmission"], expected["transmission"])
        torch.testing.assert_close(again["gradient"], expected["gradient"])


def test_of_equal_places_the_nearest_is_taken() -> None:
    estimate, target = scenes(1, 2), scenes(3, 4)
    found = nearest(estimate, target, 2, lambda ours, theirs: torch.zeros(()))
    assert torch.equal(found, inner(target, 2))


def test_a_blurred_estimate_does_not_win() -> None:
    """Of a scene that moves by a pixel from picture to picture, its mean is the better estimate to mse, unless shifts
    are tolerated."""
    scene = scenes(1)
    seen = torch.cat([scene.roll(shift, 3) for shift in (-1, 0, 1)])
    blurred, sharp = seen.mean(dim=0, keepdim=True).expand_as(seen), scene.expand_as(seen)
    target = truth(seen, True, True, True)
    plain, tolerant = LayersCriterion(), LayersCriterion(tolerance=1)
    assert terms(plain, blurred, target)["transmission"] < terms(plain, sharp, target)["transmission"]
    assert terms(tolerant, blurred, target)["transmission"] > terms(tolerant, sharp, target)["transmission"] == 0


@pytest.mark.parametrize("measure", MEASURES)
def test_images_that_are_not_misaligned_are_compared_whole(measure: Any) -> None:
    plain, tolerant = (build_criterion(LossConfig(measure=measure, tolerance=reach)) for reach in (0, 1))
    target, estimate = scenes(1, 2, 3), scenes(4, 5, 6)
    for flags in ([False] * 3, [True, False, False], [False, True, True], [True] * 3):
        got = terms(tolerant, estimate, truth(target, *flags))
        each = []
        for index, flag in enumerate(flags):
            ours, theirs = estimate[index : index + 1], target[index : index + 1]
            if flag:
                theirs, ours = nearest(ours, theirs, 1, plain.measure), inner(ours, 1)
            each.append(terms(plain, ours, Layers(theirs, torch.zeros_like(theirs))))
        for name in ("transmission", "gradient"):
            torch.testing.assert_close(got[name], torch.stack([one[name] for one in each]).mean())
    whole = terms(tolerant, estimate, Layers(target, torch.zeros_like(target)))
    assert whole == terms(plain, estimate, Layers(target, torch.zeros_like(target)))
    assert whole == terms(tolerant, estimate, truth(target, False, False, False))


def test_the_gradient_flows_through_the_shift_that_was_chosen() -> None:
    criterion = build_criterion(LossConfig(measure="l1", tolerance=2))
    target = scenes(1).double()
    estimate = (target.roll((1, -2), (2, 3)) + 0.05 * scenes(2).double()).requires_grad_()
    got = terms(criterion, estimate, truth(target, True))
    (slope,) = torch.autograd.grad(got["transmission"] + got["gradient"], estimate)
    ours, theirs = inner(estimate, 2), inner(target.roll((1, -2), (2, 3)), 2)
    (expected,) = torch.autograd.grad((ours - theirs).abs().mean() + gradient_loss(ours, theirs), estimate)
    torch.testing.assert_close(slope, expected)
    assert inner(expected, 2).all()
    assert not slope[..., :2].any()
    assert not slope[..., -2:, :].any()


def test_every_step_is_held_to_the_place_it_comes_closest_to() -> None:
    """As in a training, with all that the loss does to save memory."""
    torch.manual_seed(0)
    remover = Remover(RemoverConfig(architecture="unet", channels=(4, 6), patch=1))
    for parameter in remover.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    config = LossConfig(measure="l1", tolerance=1)
    criterion, target, ambient = build_criterion(config), scenes(1, 2), scenes(1, 2).roll(1, 3)
    given = Truth(target, scenes(3, 4), torch.tensor([True, False]))
    weights = term_weights(config)
    found = []
    for eager in (True, False):
        loss = MultiStepLoss(remover, criterion, 2, weights=weights, feedback="transmission", eager=eager)
        parts = loss(ambient, given, details=True)
        found.append([parts.total, *torch.autograd.grad(parts.total, list(remover.parameters()))])
        for step, output in enumerate(parts.outputs):
            alone = criterion(output, criterion.prepare(given))
            torch.testing.assert_close(parts.terms["transmission"][step], alone["transmission"])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)


def test_a_reach_that_leaves_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match=r"nothing is left of images \(1, 3, 20, 20\) without 10 pixels at each"):
        nearest(scenes(1), scenes(1), 10, F.mse_loss)
    for wrong in (-1, 8):
        with pytest.raises(InputError, match=f"tolerance is {wrong}; give 0 to 7 pixels"):
            LossConfig(tolerance=wrong)
    smallest = DataConfig(crop=16).crop
    assert nearest(*torch.rand(2, 1, 3, smallest, smallest), 7, F.mse_loss).shape == (1, 3, 2, 2)


def test_a_batch_knows_what_its_images_are_made_of(photos: Path, pairs: Path) -> None:
    draws = Draws(
        length=60,
        crop=16,
        pairs=open_pairs(pairs),
        photos=photo_folder(photos),
        real_share=0.3,
        clean_share=0.3,
        transplant_share=0.5,
    )
    drawn = collate([draws[number] for number in range(60)])
    kinds = compose(drawn, Synthesis()).kind
    assert kinds is not None
    assert torch.equal(kinds, drawn.kind)
    assert set(kinds.tolist()) == {int(kind) for kind in Kind} - {int(Kind.DEGRADED)}  # which are of other tasks


class Watching(LayersCriterion):
    """A criterion that keeps what it is given."""

    def __init__(self, tolerance: int) -> None:
        super().__init__(tolerance=tolerance)
        self.seen: list[Layers | Truth] = []

    def prepare(self, target: Layers | Truth) -> Any:
        self.seen.append(target)
        return super().prepare(target)


@pytest.mark.parametrize("tolerance", [0, 2])
def test_a_training_tolerates_shifts_of_its_real_pairs_alone(
    config: TrainConfig, tolerance: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = dataclasses.replace(config, epochs=1, epoch_images=16, loss=LossConfig(tolerance=tolerance))
    drawn: list[int] = []
    draw = Draws.__getitem__

    def watched(self: Draws, index: int) -> Any:
        found = draw(self, index)
        drawn.append(int(found.kind))
        return found

    monkeypatch.setattr(Draws, "__getitem__", watched)
    monkeypatch.setattr(TrainConfig, "first_steps", config.steps)  # so that nothing is rehearsed
    criterion = Watching(tolerance)
    train(config, criterion=criterion)
    if not tolerance:
        assert all(isinstance(target, Layers) for target in criterion.seen)
        return
    misaligned = torch.cat([target.misaligned for target in criterion.seen if isinstance(target, Truth)])
    assert misaligned.tolist() == [kind == Kind.REAL for kind in drawn]
    assert 0 < int(misaligned.sum()) < len(drawn)


def test_a_tolerance_without_real_pairs_is_refused(config: TrainConfig) -> None:
    tolerant = dataclasses.replace(config, loss=LossConfig(tolerance=1))
    for changes in ({"pairs": ()}, {"real_share": 0.0}):
        with pytest.raises(InputError, match="tolerance is 1, but no real pairs are trained on; give --pairs, or"):
            train(drawing(tolerant, **changes))
    assert not config.out.exists()

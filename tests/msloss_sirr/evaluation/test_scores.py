"""Scores against scikit-image."""

import math
from pathlib import Path

import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor
from torchmetrics.functional.image import structural_similarity_index_measure

from msloss_sirr import Evaluation, Layers, Remover, RemoverConfig, Scores, evaluate, score
from msloss_sirr.data.sources import open_pairs
from msloss_sirr.evaluation.scores import mean
from msloss_sirr.images.reading import to_bytes

from ..conftest import smooth


def test_scores_are_those_of_scikit_image() -> None:
    target = smooth(1, 120, 160)
    image = (target + 0.1 * torch.randn(target.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
    a, b = (to_bytes(x).permute(1, 2, 0).numpy() for x in (target, image))
    got = score(image, target)
    assert got.psnr == pytest.approx(peak_signal_noise_ratio(a, b), rel=1e-5)
    _, whole_map = structural_similarity(
        a, b, channel_axis=2, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, full=True
    )
    assert got.ssim == pytest.approx(whole_map.mean(), abs=2e-4)  # borders are continued a little differently


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_scores_do_not_depend_on_the_device() -> None:
    target = smooth(1, 120, 160)
    image = (target + 0.1 * torch.randn(target.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
    assert score(image.cuda(), target.cuda()) == score(image, target)


def test_equal_images_are_perfect() -> None:
    assert score(smooth(1), smooth(1)) == Scores(float("inf"), 1.0)


@pytest.mark.parametrize(
    ("image", "target", "told"),
    [
        (torch.rand(3, 16, 16), torch.rand(3, 16, 17), r"not \(3, 16, 16\) and \(3, 16, 17\)"),
        (torch.rand(1, 3, 16, 16), torch.rand(1, 3, 16, 16), r"two images \(3, H, W\)"),
        (torch.rand(1, 16, 16), torch.rand(1, 16, 16), r"two images \(3, H, W\)"),
        (torch.rand(3, 10, 16), torch.rand(3, 10, 16), "11 pixels a side"),
        (torch.zeros(3, 16, 16, dtype=torch.uint8), torch.rand(3, 16, 16), "torch.uint8 and torch.float32"),
    ],
    ids=["other size", "batch", "grey", "small", "bytes"],
)
def test_what_is_no_pair_of_images_is_refused(image: Tensor, target: Tensor, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        score(image, target)


def test_what_is_scored_is_what_would_be_stored() -> None:
    image = smooth(1)
    assert score(image + 0.4 / 255 * (image < 0.9), to_bytes(image) / 255).psnr > 48
    assert score(image * 2, (image * 2).clamp(0, 1)).psnr == float("inf")


def test_perfect_images_leave_a_mean_that_others_can_move() -> None:
    perfect, fair = Evaluation.of([math.inf, 1, math.inf, 1]), Evaluation.of([20, 0.5, 30, 0.75])
    assert mean([perfect, fair]) == Evaluation.of([60, 0.75, 65, 0.875])


def test_untrained_remover_scores_as_the_input_and_keeps_its_mode(pairs: Path) -> None:
    remover = Remover(RemoverConfig(channels=(4, 4)))
    scores = evaluate(remover, open_pairs(pairs))
    assert len(scores) == 4
    assert all(s.before == s.after for s in scores)
    assert remover.training
    some = evaluate(remover, open_pairs(pairs), indices=[1, 3])
    assert some == [scores[1], scores[3]]
    assert mean(scores).before.psnr == pytest.approx(sum(s.before.psnr for s in scores) / 4)


def test_steps_are_applied(pairs: Path) -> None:
    half = evaluate(lambda x: Layers(x / 2, x), open_pairs(pairs), steps=1)
    quarter = evaluate(lambda x: Layers(x / 2, x), open_pairs(pairs), steps=2)
    assert isinstance(half[0], Evaluation)
    assert all(q.after.psnr < h.after.psnr for q, h in zip(quarter, half, strict=True))


@pytest.mark.parametrize("spread", [0.003, 0.1])
def test_ssim_is_that_of_torchmetrics(spread: float) -> None:
    target = smooth(1, 120, 163)
    target[:, :40] = 0.5  # flat, where variances are mere rounding
    image = (target + spread * torch.randn(target.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
    a, b = (to_bytes(x)[None].double() / 255 for x in (image, target))
    expected = float(structural_similarity_index_measure(a, b, data_range=1.0))
    assert score(image, target).ssim == pytest.approx(expected, abs=1e-7)

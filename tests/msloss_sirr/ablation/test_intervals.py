"""Intervals contain the truth as often as they say, whatever it is that differs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from msloss_sirr.ablation.intervals import Interval, interval, signed

EXPERIMENTS = 800
SPREADS = {
    "seeds": (1.0, 0.1, 0.1),
    "images": (0.1, 1.0, 0.3),
    "both": (0.3, 0.3, 0.3),
    "neither": (0.0, 0.0, 1.0),
}
"""Of seeds, images, and the rest."""


@pytest.mark.parametrize("differ", SPREADS)
@pytest.mark.parametrize(("seeds", "images"), [(5, 16), (3, 24)])
@pytest.mark.parametrize("heavy", [False, True])
def test_the_truth_lies_within_in_95_of_100_experiments(differ: str, seeds: int, images: int, heavy: bool) -> None:
    """Also where a few images differ far more than the others: Student's t with three degrees of freedom."""
    random = np.random.default_rng(0)
    of_seed, of_image, of_rest = SPREADS[differ]
    truth, hits = 0.7, 0
    for _ in range(EXPERIMENTS):
        by_seed = random.normal(0, of_seed, (seeds, 1))
        tails = random.standard_t(3, (1, images)) / np.sqrt(3) if heavy else random.normal(0, 1, (1, images))
        found = interval(truth + by_seed + of_image * tails + random.normal(0, of_rest, (seeds, images)))
        assert found is not None
        hits += found.low <= truth <= found.high
    assert 0.915 <= hits / EXPERIMENTS <= 0.99


def test_a_bootstrap_of_few_seeds_is_too_sure() -> None:
    random, hits, experiments = np.random.default_rng(0), 0, 200
    for _ in range(experiments):
        values = random.normal(0, 1.0, (5, 1)) + random.normal(0, 0.1, (5, 16))
        rows, columns = random.integers(5, size=(400, 5, 1)), random.integers(16, size=(400, 1, 16))
        low, high = np.quantile(values[rows, columns].mean(axis=(1, 2)), [0.025, 0.975])
        hits += low <= 0 <= high
    assert hits / experiments < 0.9


@given(st.integers(0, 1000), st.integers(2, 6), st.integers(2, 9), st.floats(-5, 5))
def test_it_moves_with_the_differences_and_knows_no_order(seed: int, seeds: int, images: int, shift: float) -> None:
    random = np.random.default_rng(seed)
    values = random.normal(size=(seeds, images)) + random.normal(size=(seeds, 1))
    plain = np.array(interval(values))
    np.testing.assert_allclose(interval(values + shift), plain + shift, atol=1e-9)
    np.testing.assert_allclose(interval(-values), -plain[[0, 2, 1]], atol=1e-9)
    mixed = random.permuted(values, axis=0) if images == 1 else values[random.permutation(seeds)]
    np.testing.assert_allclose(interval(mixed[:, random.permutation(images)]), plain, atol=1e-9)


@given(st.integers(0, 1000), st.integers(2, 30))
def test_with_one_seed_or_one_image_it_is_that_of_students_t(seed: int, number: int) -> None:
    values = np.random.default_rng(seed).normal(size=number)
    expected = stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
    for shape in ((1, number), (number, 1)):
        found = interval(values.reshape(shape))
        assert found is not None
        np.testing.assert_allclose((found.low, found.high), expected)


def test_more_seeds_cannot_make_up_for_few_images() -> None:
    random = np.random.default_rng(0)
    images = random.normal(0, 1.0, (1, 8))
    alone = interval(images)
    many = interval(images + random.normal(0, 0.01, (200, 8)))
    assert alone is not None
    assert many is not None
    assert many.high - many.low == pytest.approx(alone.high - alone.low, rel=0.05)


@pytest.mark.parametrize("wrong", [np.zeros(3), np.zeros((0, 3)), np.full((2, 2), np.nan), np.full((2, 2), np.inf)])
def test_what_is_no_table_of_numbers_is_refused(wrong: np.ndarray) -> None:
    with pytest.raises(ValueError, match="give finite numbers, seeds by images"):
        interval(wrong)


def test_one_number_has_no_interval() -> None:
    assert interval(np.array([[0.3]])) is None
    with pytest.raises(ValueError, match="level is 1"):
        interval(np.zeros((2, 2)), level=1.0)
    assert not interval(np.zeros((2, 2))).excludes_zero


@pytest.mark.parametrize("seed", range(20))
def test_it_is_that_of_the_analysis_of_variance(seed: int) -> None:
    """By sums of squares, of equals, where the degrees of freedom would often be fewer than either factor has."""
    seeds, images = 5, 16
    values = np.random.default_rng(seed).normal(size=(seeds, images))
    total = ((values - values.mean()) ** 2).sum()
    by_seed = images * ((values.mean(axis=1) - values.mean()) ** 2).sum()
    by_image = seeds * ((values.mean(axis=0) - values.mean()) ** 2).sum()
    free = np.array([seeds - 1, images - 1, (seeds - 1) * (images - 1)])
    squares = np.array([by_seed, by_image, total - by_seed - by_image]) / free
    whole = squares[0] + squares[1] - squares[2]
    if whole > max(squares[:2]):
        freedom = max(whole**2 / (squares**2 / free).sum(), seeds - 1)
    else:
        whole, freedom = max(zip(squares[:2], free[:2], strict=True))
    half = stats.t.ppf(0.975, freedom) * np.sqrt(whole / values.size)
    found = interval(values)
    assert found is not None
    np.testing.assert_allclose((found.low, found.high), (values.mean() - half, values.mean() + half))


@pytest.mark.parametrize(
    ("difference", "between", "told"),
    [
        (0.444, None, "+0.44"),
        (-0.004, (-0.2, 0.1), "+0.00 [-0.20, +0.10]"),
        (0.814, (0.116, 1.512), "+0.81 [+0.12, +1.51]"),
        (-0.03, (-0.0551, -0.0031), "-0.030 [-0.055, -0.003]"),
        (0.02, (0.00012, 0.04), "+0.0200 [+0.0001, +0.0400]"),
        (0.0, (0.0, 0.0), "+0.00 [+0.00, +0.00]"),
        (0.09, (-0.0031, 0.1812), "+0.090 [-0.003, +0.181]"),
        (0.09, (-0.000003, 0.1812), "+0.0900 [+0.0000, +0.1812]"),
    ],
)
def test_on_which_side_of_zero_a_limit_lies_is_seen(
    difference: float, between: tuple[float, float] | None, told: str
) -> None:
    assert signed(difference, between and Interval(difference, *between), 2) == told

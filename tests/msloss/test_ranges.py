"""The laws of the ranged quantizer."""

import math

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import Tensor

from msloss import RangedQuantizer

modes = st.sampled_from(["uniform", "quantile"])
ks = st.integers(1, 7)


def depths(*, special: bool = False) -> st.SearchStrategy[Tensor]:
    """Draw ``(N, 1, H, W)`` of float64, with ties, and with NaN and infinities if ``special``."""
    numbers = st.one_of(
        st.sampled_from([0.0, 0.25, 0.5, 1.0]),
        st.floats(-1e6, 1e6, allow_nan=False),
        *([st.sampled_from([math.nan, math.inf, -math.inf])] if special else []),
    )
    shapes = st.tuples(st.integers(1, 3), st.just(1), st.integers(1, 6), st.integers(1, 6))
    return shapes.flatmap(lambda s: hnp.arrays(np.float64, s, elements=numbers)).map(torch.from_numpy)


def indices(depth: Tensor, k: int, mode: str) -> Tensor:
    return RangedQuantizer(k, mode, output="index")(depth)


@given(depths(special=True), ks, modes)
def test_at_most_k_levels_in_the_unit_interval(depth: Tensor, k: int, mode: str) -> None:
    level, index = RangedQuantizer(k, mode)(depth), indices(depth, k, mode)
    assert level.shape == index.shape == depth.shape
    assert level.dtype == depth.dtype
    assert index.min() >= 0
    assert index.max() < k
    torch.testing.assert_close(level, index / max(k - 1, 1), check_dtype=False)
    onehot = RangedQuantizer(k, mode, "onehot")(depth)
    assert onehot.shape == (depth.shape[0], k, *depth.shape[2:])
    assert torch.equal(onehot.argmax(dim=1, keepdim=True), index)
    assert torch.equal(onehot.sum(dim=1), torch.ones_like(depth[:, 0]))


@given(depths(special=True), ks, modes)
def test_monotone(depth: Tensor, k: int, mode: str) -> None:
    for image in depth.nan_to_num(nan=-math.inf, posinf=math.inf, neginf=-math.inf):
        order = image.flatten().argsort()
        assert (indices(image[None], k, mode).flatten()[order].diff() >= 0).all()


@given(depths(special=True), ks, modes, st.sampled_from(["level", "index"]))
def test_idempotent(depth: Tensor, k: int, mode: str, output: str) -> None:
    quantize = RangedQuantizer(k, mode, output)
    once = quantize(depth)
    assert torch.equal(quantize(once), once)


@given(depths(), ks, st.integers(-8, 8), st.integers(-1000, 1000))
def test_uniform_is_blind_to_scale_and_shift(depth: Tensor, k: int, exponent: int, shift: int) -> None:
    depth = (depth * 16).round() / 16  # so that scale and shift are exact, and no pixel crosses a cut by rounding
    assert torch.equal(indices(depth * 2.0**exponent + shift, k, "uniform"), indices(depth, k, "uniform"))


@given(depths(special=True), ks)
def test_quantile_is_blind_to_any_increasing_map(depth: Tensor, k: int) -> None:
    ranks = torch.from_numpy(np.stack([np.unique(d.numpy(), return_inverse=True)[1].reshape(d.shape) for d in depth]))
    assume(not depth.isnan().any())
    assert torch.equal(indices(ranks.double().exp().view_as(depth), k, "quantile"), indices(depth, k, "quantile"))


@given(depths(), ks)
def test_uniform_against_an_independent_computation(depth: Tensor, k: int) -> None:
    for image in depth:
        values = image.numpy()
        edges = np.linspace(values.min(), values.max(), k + 1)[1:-1]
        near = np.isclose(values[..., None], edges, rtol=1e-9, atol=1e-12).any(axis=-1)
        expected = np.digitize(values, edges)
        got = indices(image[None], k, "uniform")[0].numpy()
        if values.min() < values.max():
            assert (got[~near] == expected[~near]).all()
        else:
            assert (got == 0).all()


@given(depths(), ks)
def test_quantile_parts_of_distinct_depths_are_of_equal_area(depth: Tensor, k: int) -> None:
    distinct = torch.randperm(depth[0].numel()).view(1, 1, *depth.shape[2:]).double()
    counts = indices(distinct, k, "quantile").flatten().bincount(minlength=k)
    assert counts.max() - counts.min() <= 1


def test_images_of_a_batch_are_cut_by_themselves() -> None:
    batch = torch.rand(4, 1, 8, 8) * torch.tensor([1.0, 10.0, 100.0, 1000.0]).view(4, 1, 1, 1)
    for mode in ("uniform", "quantile"):
        whole = RangedQuantizer(4, mode)(batch)
        assert torch.equal(whole, torch.cat([RangedQuantizer(4, mode)(image[None]) for image in batch]))


@pytest.mark.parametrize(
    ("values", "mode", "expected"),
    [
        ([5.0, 5.0, 5.0], "uniform", [0, 0, 0]),
        ([5.0, 5.0, 5.0], "quantile", [0, 0, 0]),
        ([math.nan, 0.0, 1.0, math.inf, -math.inf], "uniform", [0, 0, 3, 3, 0]),
        ([math.nan, math.nan], "uniform", [0, 0]),
        ([math.nan, math.nan], "quantile", [0, 0]),
        ([math.inf, 2.0, 2.0], "uniform", [3, 0, 0]),
        ([math.inf, math.inf], "uniform", [0, 0]),
        ([-math.inf, math.inf], "uniform", [0, 3]),
        ([-math.inf, 0.0, 1.0, math.inf], "quantile", [0, 1, 2, 3]),
        ([-1.7e308, 0.0, 1.7e308], "uniform", [0, 2, 3]),
    ],
)
def test_values_without_a_place_have_one(values: list[float], mode: str, expected: list[int]) -> None:
    depth = torch.tensor(values, dtype=torch.float64).reshape(1, 1, 1, -1)
    assert indices(depth, 4, mode).flatten().tolist() == expected


def test_fixed_boundaries_belong_to_the_range_above() -> None:
    quantize = RangedQuantizer(3, "fixed", "index", boundaries=[0.5, 1.0])
    depth = torch.tensor([math.nan, -math.inf, 0.0, 0.5, 0.75, 1.0, 9.0, math.inf]).reshape(1, 1, 2, 4)
    assert quantize(depth).flatten().tolist() == [0, 0, 0, 1, 1, 2, 2, 2]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.uint8, torch.int32])
def test_other_types(dtype: torch.dtype) -> None:
    depth = torch.arange(8).reshape(1, 1, 2, 4).to(dtype)
    assert indices(depth, 4, "uniform").flatten().tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert RangedQuantizer(4)(depth).dtype == (dtype if dtype.is_floating_point else torch.float32)


@pytest.mark.parametrize(("dtype", "most"), [(torch.bfloat16, 16), (torch.float16, 45), (torch.float32, 1024)])
def test_levels_are_told_apart_in_every_type(dtype: torch.dtype, most: int) -> None:
    for k in {2, 3, 7, most // 2 + 1, most - 1, most}:
        levels = (torch.arange(k) / (k - 1)).to(dtype).view(1, 1, 1, k)
        assert torch.equal(RangedQuantizer(k)(levels), levels)
        assert indices(levels, k, "uniform").flatten().tolist() == list(range(k))


def test_large_integers_are_told_apart() -> None:
    depth = (2**24 + torch.arange(8, dtype=torch.int32)).view(1, 1, 1, 8)
    assert indices(depth, 8, "uniform").flatten().tolist() == list(range(8))


def test_no_gradient_and_no_parameters() -> None:
    quantize = RangedQuantizer()
    assert not quantize(torch.rand(1, 1, 4, 4, requires_grad=True)).requires_grad
    assert not list(quantize.parameters())


def test_empty_batch() -> None:
    assert RangedQuantizer()(torch.rand(0, 1, 4, 4)).shape == (0, 1, 4, 4)


def test_bad_arguments_are_named() -> None:
    with pytest.raises(ValueError, match="ranges is 0"):
        RangedQuantizer(0)
    with pytest.raises(ValueError, match="ranges is 1025; give at most 1024"):
        RangedQuantizer(1025)
    with pytest.raises(ValueError, match=r"of torch.complex64; give \(N, 1, H, W\), real"):
        RangedQuantizer()(torch.rand(1, 1, 4, 4, dtype=torch.complex64))
    with pytest.raises(ValueError, match="mode is 'log'"):
        RangedQuantizer(4, "log")
    with pytest.raises(ValueError, match="output is 'rgb'"):
        RangedQuantizer(4, output="rgb")
    with pytest.raises(ValueError, match="'fixed' needs them"):
        RangedQuantizer(4, "fixed")
    with pytest.raises(ValueError, match="2 boundaries make 3 ranges, but ranges=4"):
        RangedQuantizer(4, "fixed", boundaries=[1, 2])
    with pytest.raises(ValueError, match="give increasing numbers"):
        RangedQuantizer(3, "fixed", boundaries=[2, 1])
    with pytest.raises(ValueError, match=r"shape \(1, 3, 4, 4\)"):
        RangedQuantizer()(torch.rand(1, 3, 4, 4))

"""Composites made all at once, as on a GPU: the same as image by image, in as many operations for any number."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from msloss_sirr.data.batches import Batch, compose
from msloss_sirr.data.draws import Kind
from msloss_sirr.data.loader import DrawBatch
from msloss_sirr.images.reading import to_bytes, to_float
from msloss_sirr.synthesis import glass, light, recipes
from msloss_sirr.synthesis.chance import Chance
from msloss_sirr.synthesis.config import GlassConfig, SynthesisConfig
from msloss_sirr.synthesis.making import Synthesis, build_synthesis
from msloss_sirr.synthesis.portions import portions

from ..conftest import smooth

META = torch.device("meta")
GLASS = GlassConfig(ghosting=0.5, local=0.5, lighting=0.5, tint=0.5)
CONFIGS = {
    "linear": SynthesisConfig(sharp=0.3),
    "clip": SynthesisConfig(linear=0, clip=1, sharp=0.3),
    "screen": SynthesisConfig(linear=0, screen=1, sharp=0.3),
    "mixture": SynthesisConfig(linear=1, clip=1, screen=2),
    "everything": SynthesisConfig(linear=1, clip=1, screen=2, sharp=0.3, exposure=0.5, strength=0.5, glass=GLASS),
}
MADE = {name: build_synthesis(config, "low-light") for name, config in CONFIGS.items()}
NOISY = build_synthesis(replace(CONFIGS["everything"], glass=replace(GLASS, noise=0.5)))
EFFECTS = ("ghosted", "covering", "relit", "exposed", "tinted", "noisy", "compressed")
seeds = st.lists(st.integers(0, 2**62), min_size=1, max_size=5)


@contextmanager
def at_once() -> Iterator[None]:
    """Have all images of a batch made at once on a processor, too."""

    def whole(images: Tensor) -> list[slice]:
        return [slice(len(images))] if len(images) else []

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(light, "portions", whole)
        patch.setattr(recipes, "portions", whole)
        yield


def drawn(kinds: list[Kind], seeds: list[int]) -> DrawBatch:
    """Return draws of bright and dark photographs; none black, where encoding makes much of what is rounded."""
    first = torch.stack([smooth(number) * 0.65 + (0.35, 0.05)[number % 2] for number in range(len(kinds))])
    second = torch.stack([smooth(number + 50) * 0.65 + (0.05, 0.35, 0.35)[number % 3] for number in range(len(kinds))])
    return DrawBatch(to_bytes(first), to_bytes(second), torch.tensor(kinds), torch.tensor(seeds))


def assert_same(one: Batch, other: Batch) -> None:
    for alone, together in zip((one.ambient, *one.target), (other.ambient, *other.target), strict=True):
        torch.testing.assert_close(alone, together, atol=1e-5, rtol=0)


@given(st.sampled_from(sorted(MADE)), seeds, st.data())
def test_at_once_is_what_image_by_image_is(name: str, seeds: list[int], data: st.DataObject) -> None:
    kinds = data.draw(st.lists(st.sampled_from(Kind), min_size=len(seeds), max_size=len(seeds)))
    alone = compose(drawn(kinds, seeds), MADE[name])
    with at_once():
        together = compose(drawn(kinds, seeds), MADE[name])
    assert_same(alone, together)


@given(st.sampled_from(sorted(recipes.RECIPES)), seeds, st.floats(0, 1))
def test_recipes_at_once_keep_the_same_images(name: str, seeds: list[int], sharp: float) -> None:
    draws = drawn([Kind.REFLECTED] * len(seeds), seeds)
    scene, mirrored = to_float(draws.first), to_float(draws.second)
    scene[1:2] *= 0.2  # is not kept by `linear`
    alone = recipes.RECIPES[name](scene, mirrored, seeds, sharp=sharp)
    with at_once():
        together = recipes.RECIPES[name](scene, mirrored, seeds, sharp=sharp)
    assert torch.equal(alone.kept, together.kept)
    torch.testing.assert_close(alone.ambient, together.ambient, atol=1e-5, rtol=0)
    torch.testing.assert_close(alone.layers, together.layers, atol=1e-5, rtol=0)


@given(st.lists(st.just(0.0) | st.floats(0.3, 5), min_size=1, max_size=4), st.integers(11, 40), st.integers(11, 40))
def test_blur_at_once_is_what_image_by_image_is(sigmas: list[float], height: int, width: int) -> None:
    images = torch.rand(len(sigmas), 3, height, width, generator=torch.Generator().manual_seed(height * width))
    alone = light.blurred(images, torch.tensor(sigmas))
    with at_once():
        torch.testing.assert_close(light.blurred(images, torch.tensor(sigmas)), alone, atol=1e-6, rtol=0)


@given(st.sampled_from(EFFECTS), seeds)
def test_effects_are_the_same_in_any_batch(name: str, seeds: list[int]) -> None:
    images = torch.stack([smooth(number) for number in range(len(seeds))])
    together = getattr(glass, name)(images, Chance(seeds, images))
    for image, seed, changed in zip(images, seeds, together, strict=True):
        alone = getattr(glass, name)(image[None], Chance([seed], image[None]))
        torch.testing.assert_close(changed[None], alone, atol=1e-5, rtol=0)


class Operations(TorchDispatchMode):
    """Counts the operations on tensors that are not on the processor, and the copies to where those are."""

    def __init__(self) -> None:
        super().__init__()
        self.counted: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = tree_leaves((args, kwargs or {}))
        result = func(*args, **(kwargs or {}))
        tensors = [each for each in (*given, *tree_leaves(result)) if isinstance(each, Tensor)]
        if {each.device.type for each in tensors} - {"cpu"}:
            sent = any(each.device.type == "cpu" and each.ndim for each in tensors)
            self.counted[f"{func} between devices" if sent else f"{func}"] += 1
        return result


def operations(synthesis: Synthesis, count: int) -> Counter[str]:
    """Return what is done to make a batch on a device that computes nothing."""
    kinds = [list(Kind)[number % 4] for number in range(count)]
    draws = drawn(kinds, list(range(count))).on(META)
    assert {draws.kind.device.type, draws.seed.device.type} == {"cpu"}
    seen = Operations()
    with seen:
        assert compose(draws, synthesis).ambient.device == META  # which has no numbers that could be waited for
    return seen.counted


@pytest.mark.parametrize("name", [*sorted(MADE), "noisy"])
def test_operations_do_not_grow_with_the_batch(name: str) -> None:
    """Where there are enough images for all that may happen to some of them."""
    few, many = (operations({**MADE, "noisy": NOISY}[name], count) for count in (64, 128))
    assert few == many
    assert sum(number for what, number in few.items() if "between" in what) < 50


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_is_not_waited_for() -> None:
    draws = drawn([list(Kind)[number % 4] for number in range(32)], list(range(32)))
    torch.cuda.set_sync_debug_mode("error")
    try:
        together = compose(draws.on(torch.device("cuda")), MADE["everything"])
    finally:
        torch.cuda.set_sync_debug_mode("default")
    alone = compose(draws, MADE["everything"])
    for one, other in zip((alone.ambient, *alone.target), (together.ambient, *together.target), strict=True):
        torch.testing.assert_close(one, other.cpu(), atol=1e-4, rtol=0)


def test_a_processor_makes_one_image_after_the_other() -> None:
    images = torch.rand(3, 3, 12, 12)
    assert portions(images) == [slice(0, 1), slice(1, 2), slice(2, 3)]
    assert portions(images.to(META)) == [slice(3)]
    assert portions(images[:0]) == portions(images[:0].to(META)) == []

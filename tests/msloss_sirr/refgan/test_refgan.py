"""RefGAN's networks are those published, whatever the size, the batch and the style."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from msloss_sirr import InputError, Remover, RemoverConfig, save_remover
from msloss_sirr.data.draws import Kind
from msloss_sirr.data.loader import DrawBatch
from msloss_sirr.images.reading import to_float
from msloss_sirr.refgan.checkpoint import load_generator, save_generator
from msloss_sirr.refgan.config import RefganConfig
from msloss_sirr.refgan.discriminator import PatchDiscriminator
from msloss_sirr.refgan.generator import Generator
from msloss_sirr.refgan.pairs import examples
from msloss_sirr.refgan.style import degraded, smooth_noise, training_style
from msloss_sirr.synthesis.light import linear_light
from msloss_sirr.synthesis.making import Synthesis
from msloss_sirr.synthesis.recipes import composed
from msloss_sirr.synthesis.transplant import reflection_of

from ..conftest import smooth

TINY = RefganConfig(width=4, levels=3)
STYLES = ("none", "noise", "reference")


def loud() -> Generator:
    """Return an untrained generator whose weights are large enough that it changes photographs visibly."""
    torch.manual_seed(3)
    generator = Generator(dataclasses.replace(TINY, residual=True))
    with torch.no_grad():
        for parameter in generator.parameters():
            parameter.mul_(8)
    return generator.eval()


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def inputs(style: str, *shape: int, seed: int = 0) -> tuple[Tensor, Tensor | None]:
    generator = torch.Generator().manual_seed(seed)
    image, other = (torch.rand(*shape, generator=generator) for _ in range(2))
    return image, None if style == "none" else other


def test_networks_are_as_large_as_published() -> None:
    """54.414 M and 2.769 M: what the reference implementation counts, for three channels to three."""
    assert round(count(Generator(RefganConfig(style="none"))) / 1e3) == 54414
    assert round(count(PatchDiscriminator()) / 1e3) == 2769


def test_generator_has_the_published_layers() -> None:
    generator = Generator(RefganConfig(style="none"))
    widths = [64, 128, 256, 512, 512, 512, 512, 512]
    down = [generator.enter, *(m for m in generator.down.modules() if isinstance(m, nn.Conv2d))]
    assert [conv.out_channels for conv in down] == widths
    assert {(conv.kernel_size, conv.stride) for conv in down} == {((4, 4), (2, 2))}
    assert [any(isinstance(m, nn.Dropout) for m in up) for up in generator.up] == [True] * 3 + [False] * 4
    assert {m.negative_slope for m in generator.modules() if isinstance(m, nn.LeakyReLU)} == {0.2}
    seen = []
    generator.down[-1].register_forward_hook(lambda *call: seen.append(call[-1].shape))
    with torch.no_grad():
        generator(torch.rand(1, 3, 256, 256))
    assert seen == [(1, 512, 1, 1)]
    weights = torch.cat([m.weight.detach().flatten() for m in generator.modules() if isinstance(m, nn.Conv2d)])
    assert weights.std() == pytest.approx(0.02, rel=0.01)


def test_a_patch_is_70_pixels_wide() -> None:
    """By its gradients, without norms, which see all of the picture."""
    discriminator = PatchDiscriminator(2)
    for index, layer in enumerate(discriminator.layers):
        if isinstance(layer, nn.InstanceNorm2d):
            discriminator.layers[index] = nn.Identity()
    ambient = torch.rand(1, 3, 160, 160, requires_grad=True)
    logits = discriminator(torch.rand(1, 3, 160, 160), ambient)
    logits[0, 0, logits.shape[2] // 2, logits.shape[3] // 2].backward()
    assert ambient.grad is not None
    reached = ambient.grad.abs().sum((0, 1)).nonzero()
    assert (reached.amax(0) - reached.amin(0) + 1).tolist() == [70, 70]


def test_discriminator_sees_both_pictures() -> None:
    discriminator = PatchDiscriminator(2)
    first, second = torch.rand(2, 1, 3, 64, 64)
    logits = discriminator(first, second)
    assert logits.shape == (1, 1, 6, 6)
    assert not torch.equal(logits, discriminator(second, second))
    assert not torch.equal(logits, discriminator(first, first))


@settings(max_examples=15)
@given(st.integers(1, 45), st.integers(1, 45), st.sampled_from(STYLES), st.booleans())
def test_pictures_of_any_size(height: int, width: int, style: Any, residual: bool) -> None:
    generator = Generator(RefganConfig(width=2, levels=3, style=style, residual=residual)).eval()
    made = generator(*inputs(style, 1, 3, height, width))
    assert made.shape == (1, 3, height, width)
    assert 0 <= made.min() <= made.max() <= 1


@pytest.mark.parametrize("style", STYLES)
def test_a_picture_does_not_depend_on_its_batch(style: Any) -> None:
    generator = Generator(dataclasses.replace(TINY, style=style)).double().eval()
    image, given = inputs(style, 3, 3, 40, 48)
    image, given = image.double(), None if given is None else given.double()
    together = generator(image, given)
    for i in range(3):
        alone = generator(image[i : i + 1], None if given is None else given[i : i + 1])
        torch.testing.assert_close(together[i : i + 1], alone)
    judge = PatchDiscriminator(4).double()
    torch.testing.assert_close(judge(image, together)[1:2], judge(image[1:2], together[1:2]))


def test_norm_is_that_of_the_publication_for_one_picture() -> None:
    """Batch normalisation by the statistics of a batch of one, in training and afterwards."""
    generator, reference = (Generator(dataclasses.replace(TINY, dropout=0.0)).double() for _ in range(2))
    reference.load_state_dict(generator.state_dict())
    for module in list(reference.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.InstanceNorm2d):
                norm = nn.BatchNorm2d(child.num_features).double().train()
                norm.load_state_dict(child.state_dict(), strict=False)
                setattr(module, name, norm)
    image, style = (x.double() for x in inputs("reference", 1, 3, 32, 32) if x is not None)
    for mode in (True, False):
        torch.testing.assert_close(generator.train(mode)(image, style), reference(image, style))


def test_style_is_used_and_asked_for() -> None:
    generator = Generator(TINY).eval()
    image, style = inputs("reference", 1, 3, 32, 32)
    assert style is not None
    assert not torch.equal(generator(image, style), generator(image, style.flip(-1)))
    with pytest.raises(ValueError, match="style is 'reference', but none was given"):
        generator(image)
    with pytest.raises(ValueError, match="style is 'none', but one of shape"):
        Generator(dataclasses.replace(TINY, style="none"))(image, style)


def test_untrained_residual_generator_hardly_changes_a_photograph() -> None:
    image, style = inputs("reference", 1, 3, 32, 32)
    made = Generator(dataclasses.replace(TINY, residual=True)).eval()(image, style)
    assert (made - image).abs().mean() < 0.1
    assert not torch.equal(made, image)


def test_styles_are_functions_of_their_seed_alone() -> None:
    images = torch.stack([smooth(i) for i in range(3)])
    for make in (lambda x, seeds: smooth_noise(seeds, x), degraded):
        together = make(images, [5, 6, 7])
        torch.testing.assert_close(together[1:2], make(images[1:2], [6]))
        assert not torch.equal(make(images[:1], [5]), make(images[:1], [6]))
    noise = smooth_noise([0], torch.zeros(1, 3, 96, 96))
    rough = [float((channel[1:] - channel[:-1]).abs().mean()) for channel in noise[0]]
    assert rough == sorted(rough)
    dark = degraded(torch.zeros(1, 3, 20, 20), [1])
    assert not dark.any()
    light = linear_light(torch.full((400, 3, 8, 8), 0.5))
    ratio = (linear_light(degraded(torch.full((400, 3, 8, 8), 0.5), range(400))) / light)[:, 0, 0, 0]
    assert 0.69 < ratio.min() < 0.75
    assert 1.35 < ratio.max() < 1.41


def test_references_are_blurred_by_up_to_three_pixels_and_half_of_them_hardly() -> None:
    line = torch.zeros(200, 3, 41, 41)
    line[:, :, 20] = 0.4
    light = linear_light(degraded(line, range(200)))[:, 0, :, 20]
    spread = ((light * (torch.arange(41) - 20) ** 2).sum(1) / light.sum(1)).sqrt()  # of Gaussians cut off at 2 sigma
    assert spread.min() < 0.1
    assert 0.4 < spread.median() < 0.9
    assert 2.5 < spread.max() < 3


def test_reference_is_the_reflection_of_the_pair_in_poorer_condition() -> None:
    scene, ambient = smooth(1)[None], (0.6 * smooth(1) + 0.4 * smooth(2))[None]
    style = training_style("reference", ambient, scene, [3])
    assert style is not None
    torch.testing.assert_close(style, degraded(reflection_of(ambient, scene), [3]))
    assert training_style("none", ambient, scene, [3]) is None


def test_real_pairs_are_aligned_and_made_ones_left_alone() -> None:
    picture = torch.rand(1, 3, 96, 96, generator=torch.Generator().manual_seed(1))
    picture = (F.interpolate(picture, (112, 112), mode="bicubic").clamp(0, 1) * 255).byte()
    scene, moved = picture[..., 8:104, 8:104], picture[..., 11:107, 6:102]
    kinds = torch.tensor([int(Kind.REAL), int(Kind.REFLECTED)])
    draws = DrawBatch(moved.repeat(2, 1, 1, 1), scene.repeat(2, 1, 1, 1), kinds, torch.tensor([0, 1]))
    example = examples(draws, Synthesis(lambda first, second, _: composed(first, second)), "none")
    inner = (..., slice(8, -8), slice(8, -8))
    away = (example.transmission - example.ambient)[inner].abs().mean((1, 2, 3))
    assert away[0] < 0.01 < away[1]
    assert torch.equal(example.transmission[1:], to_float(scene))


def test_checkpoint_brings_back_the_generator(tmp_path: Path) -> None:
    generator = loud()
    save_generator(generator, tmp_path / "a.safetensors", {"epoch": "3"})
    again = load_generator(tmp_path / "a.safetensors")
    assert again.config == generator.config
    assert all(torch.equal(a, b) for a, b in zip(again.parameters(), generator.parameters(), strict=True))
    save_remover(Remover(RemoverConfig(channels=(4,), patch=1)), tmp_path / "b.safetensors")
    with pytest.raises(InputError, match="another model; give a checkpoint that msloss-sirr refgan train wrote"):
        load_generator(tmp_path / "b.safetensors")

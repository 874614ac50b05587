"""RefGAN: networks as published, training that resumes to the bit, and data sets that are a function of their seed."""

import copy
import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor, nn

from msloss_sirr import InputError, Remover, RemoverConfig, TrainConfig, save_remover, train
from msloss_sirr.catalogue.manifest import read_manifest
from msloss_sirr.cli import main
from msloss_sirr.data.folders import pair_folder
from msloss_sirr.images.reading import read_pixels, to_float
from msloss_sirr.refgan.checkpoint import load_generator, save_generator
from msloss_sirr.refgan.config import RefganCompareConfig, RefganConfig, RefganGenerateConfig, RefganTrainConfig
from msloss_sirr.refgan.discriminator import PatchDiscriminator
from msloss_sirr.refgan.generate import generate, passes
from msloss_sirr.refgan.generator import Generator
from msloss_sirr.refgan.pairs import Example
from msloss_sirr.refgan.sheet import contact_sheet
from msloss_sirr.refgan.style import degraded, smooth_noise
from msloss_sirr.refgan.training import _Training, train_refgan
from msloss_sirr.synthesis.light import linear_light
from msloss_sirr.synthesis.recipes import linear
from msloss_sirr.training.run import RunFolder

from .conftest import save, smooth

TINY = RefganConfig(width=4, levels=3)
STYLES = ("none", "noise", "reference")


@pytest.fixture
def run(pairs: Path, photos: Path, tmp_path: Path) -> RefganTrainConfig:
    """A training of a few seconds."""
    return RefganTrainConfig(
        out=tmp_path / "refgan",
        pairs=pairs,
        photos=photos,
        crop=32,
        epochs=3,
        epoch_images=4,
        samples=2,
        device="cpu",
        network=TINY,
    )


@pytest.fixture
def asked(pairs: Path, photos: Path, tmp_path: Path) -> RefganGenerateConfig:
    """A data set of six pairs, by a generator that changes photographs visibly."""
    save_generator(loud(), tmp_path / "loud.safetensors")
    return RefganGenerateConfig(
        tmp_path / "loud.safetensors", photos, tmp_path / "made", pairs, count=6, crop=32, device="cpu"
    )


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


# networks


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


def test_checkpoint_brings_back_the_generator(tmp_path: Path) -> None:
    generator = loud()
    save_generator(generator, tmp_path / "a.safetensors", {"epoch": "3"})
    again = load_generator(tmp_path / "a.safetensors")
    assert again.config == generator.config
    assert all(torch.equal(a, b) for a, b in zip(again.parameters(), generator.parameters(), strict=True))
    save_remover(Remover(RemoverConfig(channels=(4,), patch=1)), tmp_path / "b.safetensors")
    with pytest.raises(InputError, match="another model; give a checkpoint that msloss-sirr refgan train wrote"):
        load_generator(tmp_path / "b.safetensors")


# training


def weights(config: RefganTrainConfig) -> dict[str, Tensor]:
    state = torch.load(config.out / "state.pt", weights_only=True)
    return {f"{part}.{key}": value for part in ("generator", "discriminator") for key, value in state[part].items()}


def metrics(config: RefganTrainConfig) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (config.out / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if "second" not in key} for line in lines]


@pytest.mark.parametrize("killed_after", [0, 2])
def test_killed_training_resumes_to_the_same_bits(
    run: RefganTrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed_after: int
) -> None:
    train_refgan(run)
    again = dataclasses.replace(run, out=tmp_path / "again")
    record = RunFolder.record

    def killed(self: RunFolder, epoch: Any, state: Any) -> None:
        if epoch.epoch == killed_after:
            raise KeyboardInterrupt
        record(self, epoch, state)

    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "record", killed)
        with pytest.raises(KeyboardInterrupt):
            train_refgan(again)
    torch.manual_seed(99)
    train_refgan(dataclasses.replace(again, resume=True))
    whole, resumed = weights(run), weights(again)
    assert all(torch.equal(whole[key], resumed[key]) for key in whole)
    assert metrics(run) == metrics(again)
    assert (run.out / "samples" / "0002.png").read_bytes() == (again.out / "samples" / "0002.png").read_bytes()
    kept = [load_generator(r.out / "last.safetensors").parameters() for r in (run, again)]
    assert all(torch.equal(a, b) for a, b in zip(*kept, strict=True))
    optimizers = [torch.load(r.out / "state.pt", weights_only=True)["optimizers"] for r in (run, again)]
    for one, two in zip(*optimizers, strict=True):
        assert all(torch.equal(one["state"][i]["exp_avg"], two["state"][i]["exp_avg"]) for i in one["state"])


@pytest.mark.parametrize("style", STYLES)
def test_both_networks_move_and_the_folder_is_a_run(run: RefganTrainConfig, style: Any) -> None:
    run = dataclasses.replace(run, network=dataclasses.replace(TINY, style=style), epochs=2)
    assert train_refgan(dataclasses.replace(run, epochs=1, out=run.out / "one")) == run.out / "one" / "last.safetensors"
    before = weights(dataclasses.replace(run, out=run.out / "one"))
    run = dataclasses.replace(run, out=run.out / "two")
    train_refgan(run)
    after = weights(run)
    assert all(not torch.equal(before[key], after[key]) for key in before)
    assert sorted(str(p.relative_to(run.out)) for p in run.out.rglob("*")) == [
        "config.json",
        "last.safetensors",
        "metrics.jsonl",
        "samples",
        "samples/0000.png",
        "samples/0001.png",
        "state.pt",
    ]
    with Image.open(run.out / "samples" / "0001.png") as sheet:
        columns = 5 if style == "none" else 9
        assert sheet.size == (columns * 34 + 2, 2 * 34 + 2)
    assert json.loads((run.out / "config.json").read_text())["network"]["style"] == style


def test_rate_is_constant_then_falls_to_zero(run: RefganTrainConfig) -> None:
    train_refgan(dataclasses.replace(run, epochs=4, epoch_images=2))
    assert [line["lr"] for line in metrics(run)] == pytest.approx([2e-4, 2e-4, 1.5e-4, 0.5e-4])


def test_every_epoch_is_drawn_anew(run: RefganTrainConfig) -> None:
    train_refgan(dataclasses.replace(run, lr=1e-30, network=dataclasses.replace(TINY, dropout=0.0)))
    assert len({line["difference"] for line in metrics(run)}) == run.epochs


def test_one_pair_can_be_learned(tmp_path: Path) -> None:
    """Far better than at the start, and than leaving the photograph as it is."""
    scene, added = 0.6 * smooth(1, 32, 32), 0.4 * smooth(2, 32, 32)
    save(tmp_path / "pairs" / "transmission" / "a.png", scene)
    save(tmp_path / "pairs" / "ambient" / "a.png", scene + added)
    network = RefganConfig(width=8, levels=3, style="none", dropout=0.0)
    run = RefganTrainConfig(
        tmp_path / "run", tmp_path / "pairs", crop=32, epochs=8, epoch_images=25, lr=2e-3, device="cpu", network=network
    )
    train_refgan(run)
    differences = [line["difference"] for line in metrics(run)]
    assert differences[-1] < 0.4 * differences[0]
    assert differences[-1] < 0.3 * float(added.mean())


def test_a_step_is_that_of_the_publication(run: RefganTrainConfig) -> None:
    """Written by hand: logarithms of probabilities, two calls of the discriminator, pictures from -1 to 1."""
    training = _Training(dataclasses.replace(run, network=dataclasses.replace(TINY, dropout=0.0)), linear)
    generator, judge = training.generator.double(), training.discriminator.double()
    mine, my_judge = copy.deepcopy(generator), copy.deepcopy(judge)
    transmission, style, ambient = torch.rand(3, 2, 3, 32, 32, dtype=torch.float64).unbind()
    losses = training._step(Example(transmission, style, ambient))

    adam = [torch.optim.Adam(net.parameters(), lr=2e-4, betas=(0.5, 0.999)) for net in (mine, my_judge)]
    made = mine(transmission, style)
    real, fake = (torch.sigmoid(my_judge(transmission, picture)) for picture in (ambient, made.detach()))
    told = (-real.log().mean() - (1 - fake).log().mean()) / 2
    told.backward()
    adam[1].step()
    fooled = -torch.sigmoid(my_judge(transmission, made)).log().mean()
    away = ((2 * made - 1) - (2 * ambient - 1)).abs().mean()
    (fooled + 100 * away).backward()
    adam[0].step()

    torch.testing.assert_close(losses, torch.stack([told, fooled, away / 2]).detach())
    for net, by_hand in ((generator, mine), (judge, my_judge)):
        torch.testing.assert_close(dict(net.named_parameters()), dict(by_hand.named_parameters()), rtol=1e-6, atol=1e-9)


def test_samples_leave_training_as_it_was() -> None:
    generator = Generator(TINY).train()
    image, style = inputs("reference", 2, 3, 32, 32)
    torch.manual_seed(5)
    state = torch.get_rng_state()
    first = contact_sheet(generator, Example(image, style, image))
    assert generator.training
    assert torch.equal(state, torch.get_rng_state())
    assert torch.equal(first, contact_sheet(generator, Example(image, style, image)))
    assert (first[:, 2:34, 5 * 34 + 2 : 6 * 34].int() - 128).abs().max() <= 1  # I - T of I = T is grey


def test_runs_are_not_mixed_up(run: RefganTrainConfig) -> None:
    run = dataclasses.replace(run, epochs=1)
    with pytest.raises(InputError, match="holds no run to resume"):
        train_refgan(dataclasses.replace(run, resume=True))
    (run.out / "samples").mkdir(parents=True)
    with pytest.raises(InputError, match="holds a run already"):
        train_refgan(run)
    (run.out / "samples").rmdir()
    train_refgan(run)
    with pytest.raises(InputError, match="holds a run already; continue it with --resume"):
        train_refgan(run)
    with pytest.raises(InputError, match=r"another configuration \(l1: 100.0 then, 10.0 now\)"):
        train_refgan(dataclasses.replace(run, resume=True, l1=10.0))
    torch.save({"epoch": 0}, run.out / "state.pt")
    with pytest.raises(InputError, match=r"state\.pt is no state of a training"):
        train_refgan(dataclasses.replace(run, resume=True))


def test_what_cannot_be_trained_is_one_error(run: RefganTrainConfig, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing to train on; give --pairs, --photos or both"):
        train_refgan(dataclasses.replace(run, pairs=None, photos=None))
    with pytest.raises(InputError, match="none does not exist"):
        train_refgan(dataclasses.replace(run, pairs=tmp_path / "none"))
    assert not run.out.exists()
    with pytest.raises(InputError, match=r"the loss is .* in epoch 0; begin a new run with a lower --lr"):
        train_refgan(dataclasses.replace(run, lr=1e38))
    assert not (run.out / "state.pt").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"crop": 16}, "crop is 16; give 32 or more"),
        ({"batch": 0}, "batch is 0; give 1 or more"),
        ({"real_share": 2.0}, "real_share is 2.0"),
        ({"l1": -1.0}, "l1=-1.0"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_configuration_is_checked(run: RefganTrainConfig, change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        dataclasses.replace(run, **change)
    with pytest.raises(InputError, match="levels=1"):
        RefganConfig(levels=1)
    with pytest.raises(InputError, match="style is 'paint'; give one of 'none', 'noise', 'reference'"):
        RefganConfig(style="paint")  # type: ignore[arg-type]


# data sets


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_a_data_set_is_a_function_of_its_seed(asked: RefganGenerateConfig, tmp_path: Path) -> None:
    assert generate(asked) == 6
    names = [f"{i:05}.png" for i in range(6)]
    made = contents(asked.out)
    assert sorted(made) == sorted(["manifest.jsonl", *(f"{p}/{n}" for p in ("ambient", "transmission") for n in names)])
    other = dataclasses.replace(asked, out=tmp_path / "other")
    torch.manual_seed(99)
    generate(other)
    assert contents(other.out) == made
    generate(dataclasses.replace(asked, out=tmp_path / "third", seed=1))
    assert contents(tmp_path / "third") != made
    assert len({made[f"ambient/{name}"] for name in names}) == 6


def test_more_pairs_are_added_to_those_there(asked: RefganGenerateConfig, tmp_path: Path) -> None:
    generate(asked)
    few = dataclasses.replace(asked, out=tmp_path / "few", count=2)
    assert generate(few) == 2
    assert generate(dataclasses.replace(few, count=6)) == 4
    assert contents(few.out) == contents(asked.out)
    assert generate(dataclasses.replace(few, count=6)) == 0


def test_killed_work_goes_on(asked: RefganGenerateConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    generate(asked)
    again = dataclasses.replace(asked, out=tmp_path / "again")
    write, calls = generate.__globals__["write_pixels"], []

    def killed(path: Path, pixels: Tensor) -> None:
        calls.append(path)
        if len(calls) == 6:  # between the two pictures of a pair
            raise KeyboardInterrupt
        write(path, pixels)

    with monkeypatch.context() as patch:
        patch.setitem(generate.__globals__, "write_pixels", killed)
        with pytest.raises(KeyboardInterrupt):
            generate(again)
    (again.out / "ambient" / "00000.png").write_bytes(b"damaged")
    assert generate(again) == 5
    assert contents(again.out) == contents(asked.out)


def test_manifest_says_what_pairs_were_made_from(asked: RefganGenerateConfig, photos: Path) -> None:
    generate(asked)
    about, records = read_manifest(asked.out)
    assert about["seed"] == 0
    assert about["crop"] == 32
    assert len(about["checkpoint"]) == 64
    for record in records:
        origin = record.origin
        photo, window = to_float(read_pixels(photos / origin["photo"])), origin["window"]
        top, left = window["top"], window["left"]
        part = photo[:, top : top + window["height"], left : left + window["width"]]
        part = part.flip(-1) if window["mirrored"] else part
        part = F.interpolate(part[None], (32, 32), mode="bilinear", antialias=True)[0]
        written = to_float(read_pixels(asked.out / record.files["transmission"]))
        assert (part - written).abs().max() < 0.01
        assert origin["reference"].endswith(".png")


def test_data_sets_are_pairs_to_train_on(asked: RefganGenerateConfig, config: TrainConfig, tmp_path: Path) -> None:
    generate(asked)
    pairs = pair_folder(asked.out)
    assert len(pairs) == 6
    assert all(pairs[i].ambient.shape == (3, 32, 32) for i in range(6))
    train(dataclasses.replace(config, pairs=asked.out, photos=None, epochs=1, epoch_images=4))


def test_whole_photos_keep_their_size(asked: RefganGenerateConfig, photos: Path) -> None:
    generate(dataclasses.replace(asked, crop=None, count=3))
    for record in read_manifest(asked.out)[1]:
        source, made = (
            read_pixels(path) for path in (photos / record.origin["photo"], asked.out / record.files["ambient"])
        )
        assert made.shape == source.shape


@pytest.mark.parametrize("style", ["none", "noise"])
def test_generators_without_references(asked: RefganGenerateConfig, tmp_path: Path, style: Any) -> None:
    save_generator(Generator(dataclasses.replace(TINY, style=style)).eval(), tmp_path / "other.safetensors")
    other = dataclasses.replace(asked, checkpoint=tmp_path / "other.safetensors")
    with pytest.raises(InputError, match="is given no reflections; leave out --references"):
        generate(other)
    assert generate(dataclasses.replace(other, references=None, count=2, least=0.0)) == 2


def test_dropout_is_the_noise_of_the_publication(asked: RefganGenerateConfig, tmp_path: Path) -> None:
    generate(dataclasses.replace(asked, count=1))
    generate(dataclasses.replace(asked, count=1, dropout=False, out=tmp_path / "still"))
    (dropped, still) = (contents(folder) for folder in (asked.out, tmp_path / "still"))
    assert dropped["transmission/00000.png"] == still["transmission/00000.png"]
    assert dropped["ambient/00000.png"] != still["ambient/00000.png"]


def test_what_cannot_be_generated_is_one_error(asked: RefganGenerateConfig, pairs: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="give --references, a folder of real pairs"):
        generate(dataclasses.replace(asked, references=None))
    with pytest.raises(InputError, match="holds pairs that refgan has not made; give another --out"):
        generate(dataclasses.replace(asked, out=pairs))
    assert not asked.out.exists()
    before = contents(tmp_path)
    generate(asked)
    assert {name: data for name, data in contents(tmp_path).items() if not name.startswith("made/")} == before
    with pytest.raises(InputError, match="was made otherwise: seed differ"):
        generate(dataclasses.replace(asked, seed=5))
    with pytest.raises(InputError, match="20 tries at pair 0 had too weak a reflection"):
        generate(dataclasses.replace(asked, out=tmp_path / "strong", least=0.9))
    save(tmp_path / "small" / "tiny.png", smooth(0, 9, 30))
    with pytest.raises(InputError, match=r"tiny\.png is 30x9; 16 pixels a side is the least"):
        generate(dataclasses.replace(asked, out=tmp_path / "other", photos=tmp_path / "small", crop=None))
    with pytest.raises(InputError, match="count is 0"):
        dataclasses.replace(asked, count=0)


def test_pairs_that_pass() -> None:
    scene = torch.full((3, 20, 20), 0.5)
    assert passes(scene + 0.02, scene, 0.01, 0.2)
    assert not passes(scene + 0.005, scene, 0.01, 0.2)
    assert not passes(scene - 0.1, scene, 0.01, 0.2)
    half = scene.clone()
    half[:, :10] = 1.0
    assert not passes(half, scene, 0.01, 0.2)
    assert passes(half, scene, 0.01, 0.6)
    assert passes(half, half - 0.02, 0.01, 0.6)


# the command line


def test_commands(pairs: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["train", "--pairs", pairs, "--photos", photos, "--out", tmp_path / "run", "--crop", 32, "--epochs", 1]
    words += ["--epoch-images", 2, "--device", "cpu", "--network.width", 2, "--network.levels", 3, "--samples", 1]
    main(["refgan", *map(str, words)])
    assert f"generator: {tmp_path / 'run' / 'last.safetensors'}" in capsys.readouterr().out
    words = ["generate", "--checkpoint", tmp_path / "run" / "last.safetensors", "--photos", photos, "--out"]
    words += [tmp_path / "made", "--references", pairs, "--count", 2, "--crop", "None", "--least", 0, "--device", "cpu"]
    main(["refgan", *map(str, words)])
    assert "2 pairs in " in capsys.readouterr().out
    main(["refgan", "compare", str(pairs), str(tmp_path / "made"), "--side", "32"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split("|")[1].strip() == "set"
    assert [line.split("|")[2].strip() for line in lines[2:]] == ["4", "2"]
    main(["refgan", "compare", str(pairs), "--side", "32", "--photos", str(photos), "--limit", "3"])
    rows = [[cell.strip() for cell in line.split("|")] for line in capsys.readouterr().out.splitlines()[3:]]
    assert [row[1] for row in rows] == ["linear", "clip", "screen", "transplant"]
    assert all(row[7] == "0.000 ± 0.000" for row in rows)  # a recipe only adds light
    with pytest.raises(SystemExit):
        main(["refgan", "compare", str(tmp_path / "none")])
    assert capsys.readouterr().err == f"msloss-sirr: {tmp_path / 'none'} does not exist; give a folder of images\n"
    with pytest.raises(InputError, match="side is 8; give 16 or more"):
        RefganCompareConfig((pairs,), side=8)

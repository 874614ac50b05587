"""The terms of the loss against independent computations, and the backbones behind the feature term."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from torch import nn

from msloss import MultiStepLoss
from msloss_sirr import InputError, Layers, LayersCriterion, LossConfig
from msloss_sirr.losses.criterion import build_criterion, term_weights
from msloss_sirr.losses.features import Backbone, FeatureLoss, load_backbone
from msloss_sirr.losses.gradient import gradient_loss
from msloss_sirr.models.remover import Telling

from ..conftest import smooth

MEAN = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
STD = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)


def layers(seed: int) -> Layers:
    return Layers(smooth(seed)[None], smooth(seed + 1)[None])


def test_gradient_loss_against_numpy() -> None:
    a, b = (np.pad(smooth(seed).double().numpy(), ((0, 0), (1, 1), (1, 1)), mode="edge") for seed in (1, 2))
    across = [(x[:, 1:-1, 2:] - x[:, 1:-1, :-2]) / 2 for x in (a, b)]
    down = [(x[:, 2:, 1:-1] - x[:, :-2, 1:-1]) / 2 for x in (a, b)]
    expected = (((across[0] - across[1]) ** 2).mean() + ((down[0] - down[1]) ** 2).mean()) / 2
    actual = gradient_loss(smooth(1)[None].double(), smooth(2)[None].double())
    assert float(actual) == pytest.approx(expected, rel=1e-9)


def test_terms_against_their_equations() -> None:
    criterion, estimate, target = LayersCriterion(), layers(1), layers(5)
    terms = criterion(estimate, criterion.prepare(target))
    assert set(terms) == {"transmission", "reflection", "gradient"}
    for term, ours, theirs in zip(("transmission", "reflection"), estimate, target, strict=True):
        assert float(terms[term]) == pytest.approx(float((ours - theirs).square().mean()))
    assert terms["gradient"] == gradient_loss(estimate.transmission, target.transmission)


@pytest.mark.parametrize("name", ["vgg19", "squeezenet1_1"])
def test_features_are_those_of_torchvision(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = getattr(torchvision.models, name)(weights=None).eval()
    torch.save(network.state_dict(), tmp_path / "weights.pth")
    backbone = load_backbone(name, tmp_path / "weights.pth")
    image, outputs = smooth(3)[None], []
    h = (image - MEAN) / STD
    for layer in network.features:
        if isinstance(layer, nn.ReLU):
            layer.inplace = False
        h = layer(h)
        outputs.append(h)
    # conv1_1 and conv4_1 of VGG19, whose blocks have 2, 2, 4 convolutions with a ReLU each, and a pooling
    wanted = {"vgg19": (0, 2 * 2 + 1 + 2 * 2 + 1 + 4 * 2 + 1), "squeezenet1_1": (1, 7)}[name]
    found = backbone(image)
    assert len(found) == len(wanted)
    for ours, index in zip(found, wanted, strict=True):
        torch.testing.assert_close(ours, outputs[index])


def test_feature_loss_is_the_mean_absolute_error_and_moves_only_the_estimate(squeezenet: Path) -> None:
    criterion = build_criterion(LossConfig(backbone="squeezenet1_1", weights=squeezenet))
    criterion.train()
    assert not any(module.training for module in criterion.feature_loss.backbone.modules())
    assert not any(p.requires_grad for p in criterion.parameters())
    estimate, target = layers(1), layers(5)
    image = estimate.transmission.clone().requires_grad_()
    prepared = criterion.prepare(target)
    loss = criterion(Layers(image, estimate.reflection), prepared)["feature"]
    backbone = criterion.feature_loss.backbone
    expected = sum((a - b).abs().mean() for a, b in zip(backbone(image), backbone(target.transmission), strict=True))
    torch.testing.assert_close(loss, expected)
    loss.backward()
    assert image.grad is not None
    assert image.grad.any()
    assert not any(features.requires_grad for features in prepared.features)


def test_channel_order_matters(squeezenet: Path) -> None:
    backbone = load_backbone("squeezenet1_1", squeezenet)
    image = smooth(1)[None]
    assert not torch.allclose(backbone(image)[0], backbone(image.flip(1))[0], atol=1e-3)


def test_any_module_can_be_a_backbone() -> None:
    class Edges(nn.Module):
        def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
            return [images.diff(dim=-1)]

    loss = FeatureLoss(Edges())
    image = smooth(1)[None]
    assert loss(image, loss.prepare(image)) == 0


def test_weights_that_do_not_fit_are_named(tmp_path: Path, squeezenet: Path) -> None:
    with pytest.raises(InputError, match=r"holds no vgg19: features\.\d+\.\w+ (is missing|has another shape)"):
        load_backbone("vgg19", squeezenet)
    (tmp_path / "text.pth").write_text("text")
    with pytest.raises(InputError, match=r"text\.pth holds no weights that can be read"):
        load_backbone("vgg19", tmp_path / "text.pth")
    with pytest.raises(InputError, match=r"none\.pth does not exist"):
        load_backbone("vgg19", tmp_path / "none.pth")
    with pytest.raises(ValueError, match="backbone is 'alexnet'"):
        load_backbone("alexnet")


def test_weights_that_cannot_be_downloaded_say_where_to_put_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(*args: object, **kwargs: object) -> None:
        raise OSError("no network")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torch.hub.download_url_to_file", offline)
    with pytest.raises(
        InputError, match=r"could not be downloaded \(no network\); fetch https://.*vgg19.*pth to "
    ) as e:
        load_backbone("vgg19")
    assert str(tmp_path / "hub" / "checkpoints" / "vgg19-dcbb9e9d.pth") in str(e.value)


def test_reflection_is_held_to_its_target_at_the_first_step_only() -> None:
    config = LossConfig(transmission=2.0, reflection=3.0, gradient=0.5)
    zeros = torch.zeros(1, 3, 8, 8)

    class Worse(nn.Module):
        def forward(self, x: torch.Tensor) -> Layers:
            return Layers(x + 1, x + 2)

    loss = MultiStepLoss(Worse(), LayersCriterion(), 3, weights=term_weights(config), feedback="transmission")
    # T is off by 1, 2, 3 and R by 2, 3, 4; gradients agree
    assert loss(zeros, Layers(zeros, zeros)).item() == pytest.approx(2 * (1 + 4 + 9) + 3 * 4)


@pytest.mark.parametrize("target", ["first", "residual"])
@pytest.mark.parametrize(
    ("over", "weights"), [("sum", (1, 1, 1)), ("mean", (1 / 3,) * 3), ("gamma", (0.25, 0.5, 1)), ("last", (0, 0, 1))]
)
def test_all_terms_of_a_step_weigh_as_the_step_does(over: Any, weights: tuple[float, ...], target: Any) -> None:
    config = LossConfig(
        transmission=2.0, reflection=3.0, gradient=0.5, over_steps=over, gamma=0.5, scale=7.0, reflection_target=target
    )
    zeros = torch.zeros(1, 3, 8, 8)

    class Worse(nn.Module):
        def forward(self, x: torch.Tensor) -> Layers:
            return Layers(x + 1, x + 2)

    loss = MultiStepLoss(Worse(), LayersCriterion(), 3, weights=term_weights(config), feedback="transmission")
    # T is off by 1, 2, 3 and R by 2, 3, 4; gradients agree
    held = (True, target == "residual", target == "residual")
    each = [2 * (t + 1) ** 2 + 3 * (t + 2) ** 2 * held[t] for t in range(3)]
    expected = 7 * sum(w * value for w, value in zip(weights, each, strict=True))
    assert loss(zeros, Layers(zeros, zeros)).item() == pytest.approx(expected)


@pytest.mark.parametrize("name", ["gamma", "scale"])
@pytest.mark.parametrize("value", [0.0, -1.0, math.inf, math.nan])
def test_factors_of_a_loss_are_greater_than_zero(name: str, value: float) -> None:
    with pytest.raises(InputError, match=f"{name} is {value}; give a number greater than 0"):
        LossConfig(**{name: value})


def test_loss_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="give finite numbers, one of them other than 0"):
        LossConfig(transmission=0, reflection=0, gradient=0)
    with pytest.raises(InputError, match="give finite numbers"):
        LossConfig(transmission=float("nan"))
    with pytest.raises(InputError, match="but no backbone; choose one"):
        LossConfig(weights=tmp_path)


def test_differences_are_not_rounded_under_autocast() -> None:
    criterion, target = LayersCriterion(), layers(5)
    estimate = Layers(target.transmission + 0.002 * torch.rand(1, 3, 40, 56), target.reflection)
    exact = criterion(estimate, criterion.prepare(target))
    with torch.autocast("cpu", torch.bfloat16):
        mixed = criterion(estimate, criterion.prepare(target))
    assert mixed == exact


def test_backbone_stays_in_evaluation_mode() -> None:
    backbone = Backbone(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)), (1,))
    backbone.train()
    before = backbone.features[1].running_mean.clone()
    backbone(torch.rand(2, 3, 8, 8))
    assert torch.equal(backbone.features[1].running_mean, before)


def test_reflection_may_be_held_to_what_is_left_at_every_step() -> None:
    class Halving(nn.Module):
        def forward(self, x: torch.Tensor) -> Layers:
            return Layers(x / 2, x / 4)

    config = LossConfig(transmission=0.0, gradient=0.0, reflection=2.0, reflection_target="residual")
    loss = MultiStepLoss(
        Telling(Halving()), LayersCriterion(), 3, weights=term_weights(config), feedback="transmission"
    )
    ambient, scene = torch.full((1, 3, 8, 8), 0.8), torch.full((1, 3, 8, 8), 0.3)
    # inputs 0.8, 0.4, 0.2; left beside T 0.5, 0.1, 0; estimated 0.2, 0.1, 0.05
    total = loss(ambient.requires_grad_(), Layers(scene, torch.zeros_like(scene)))
    assert total.item() == pytest.approx(2 * (0.3**2 + 0 + 0.05**2))
    total.backward()  # the target has no gradient: only the estimate, a quarter, an eighth and a sixteenth of the input
    slope = 2 * 2 * (-0.3 / 4 + 0 / 8 + 0.05 / 16) / ambient.numel()
    torch.testing.assert_close(ambient.grad, torch.full_like(ambient, slope))


@pytest.mark.parametrize("name", ["vgg19", "squeezenet1_1"])
def test_the_loss_of_a_configuration_against_torchvision(name: str, tmp_path: Path) -> None:
    """Every term of equation 4, with its weight, computed on torchvision's own layers."""
    torch.manual_seed(0)
    network = getattr(torchvision.models, name)(weights=None).eval()
    torch.save(network.state_dict(), tmp_path / "weights.pth")
    config = LossConfig(
        transmission=2.0, reflection=3.0, gradient=5.0, feature=7.0, backbone=name, weights=tmp_path / "weights.pth"
    )

    class Guess(nn.Module):
        def forward(self, x: torch.Tensor) -> Layers:
            return Layers(0.9 * x, 0.2 * x)

    criterion = build_criterion(config)
    loss = MultiStepLoss(Guess(), criterion, 2, weights=term_weights(config), feedback="transmission")
    x, target = smooth(1)[None], layers(5)

    def features(image: torch.Tensor) -> list[torch.Tensor]:
        split, end = {"vgg19": (1, 20), "squeezenet1_1": (2, 8)}[name]
        first = network.features[:split]((image - MEAN) / STD)
        return [first.clone(), network.features[split:end](first)]

    expected = torch.zeros(())
    for step in (1, 2):
        t, r = 0.9**step * x, 0.2 * 0.9 ** (step - 1) * x
        truth = target.transmission
        expected = expected + 2 * (t - truth).square().mean() + 5 * gradient_loss(t, truth)
        expected = expected + 7 * sum((a - b).abs().mean() for a, b in zip(features(t), features(truth), strict=True))
        expected = expected + (3 * (r - target.reflection).square().mean() if step == 1 else 0)
    torch.testing.assert_close(loss(x, target), expected)
    assert len(criterion.feature_loss.backbone.features) == {"vgg19": 20, "squeezenet1_1": 8}[name]


def test_features_are_not_rounded_under_autocast_either(squeezenet: Path) -> None:
    criterion = build_criterion(LossConfig(backbone="squeezenet1_1", weights=squeezenet))
    target = layers(5)
    rounded = Layers(*((layer + 0.01).to(torch.bfloat16) for layer in target))
    exact = criterion(Layers(*(layer.float() for layer in rounded)), criterion.prepare(target))
    with torch.autocast("cpu", torch.bfloat16):
        mixed = criterion(rounded, criterion.prepare(target))
    assert mixed == exact
    assert all(term.dtype == torch.float32 for term in mixed.values())


def test_estimates_of_another_shape_are_refused() -> None:
    criterion, target = LayersCriterion(), layers(5)
    for estimate in (Layers(*(x[:, :1] for x in target)), Layers(*(x.repeat(2, 1, 1, 1) for x in target))):
        with pytest.raises(ValueError, match="compare pictures of one size"):
            criterion(estimate, criterion.prepare(target))


def test_backbone_leaves_the_network_it_is_cut_from_alone() -> None:
    network = torchvision.models.squeezenet1_1(weights=None)
    backbone = Backbone(network.features, (1, 7))
    assert len(backbone.features) == 8
    assert all(parameter.requires_grad for parameter in network.parameters())
    assert network.training
    assert not any(module.training for module in backbone.modules())
    assert any(module.inplace for module in network.modules() if isinstance(module, nn.ReLU))
    for wrong in ((), (-1,), (99,)):
        with pytest.raises(ValueError, match="give indices of the"):
            Backbone(network.features, wrong)


def test_one_network_has_no_reflection_term() -> None:
    weights = term_weights(LossConfig(reflection=3.0), networks="transmission")
    assert weights["reflection"](3) == (0.0, 0.0, 0.0)
    residual = term_weights(LossConfig(reflection_target="residual"), networks="transmission")
    assert residual["reflection"] == 0.0


@pytest.mark.parametrize("wrong", [{"reflection_target": "residuals"}, {"backbone": "vgg"}, {"feature": "1"}])
def test_words_of_a_loss_are_checked(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="; give "):
        LossConfig(**wrong)


@pytest.mark.parametrize("measure", ["mse", "l1", "log"])
def test_pixels_are_compared_as_asked_for(measure: Any) -> None:
    criterion = build_criterion(LossConfig(measure=measure))
    estimate, target = (
        Layers(*(torch.cat(pair) for pair in zip(layers(a), layers(a + 5), strict=True))) for a in (1, 20)
    )
    terms = criterion(estimate, criterion.prepare(target))
    for term, ours, theirs in zip(("transmission", "reflection"), estimate, target, strict=True):
        apart = ours.double().numpy() - theirs.double().numpy()
        each = (apart**2).mean(axis=(1, 2, 3))
        expected = {"mse": each.mean(), "l1": np.abs(apart).mean(), "log": np.log(1 + 1000 * each).mean()}[measure]
        assert float(terms[term]) == pytest.approx(expected, rel=1e-5)
    assert terms["gradient"] == gradient_loss(estimate.transmission, target.transmission)
    again = criterion(target, criterion.prepare(target))
    assert not any(again.values())

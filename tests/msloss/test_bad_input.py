"""Mistakes are refused at the door, in one sentence that names the thing and the remedy."""

from collections import OrderedDict
from typing import Any

import pytest
import torch
from torch import nn

from msloss import MultiStepLoss, gamma, last_only, refine, unroll

from .cases import Both, Pair

x, y = torch.rand(2, 1, 3, 4, 4)
mse = nn.functional.mse_loss


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "steps is 0; give 1 or more"),
        ({"truncate": 0}, "truncate is 0; give 1 or more"),
        ({"norm_stats": "last"}, "norm_stats is 'last'; give 'all' or 'first'"),
        ({"weights": [1, 2]}, "weights has 2 entries but steps=3; give one weight per step"),
        ({"weights": {"a": [1.0] * 4}}, "weights has 4 entries but steps=3; give one weight per step"),
        ({"weights": lambda steps: [1.0]}, r"weights\(3\) returned 1 entries; return one weight per step"),
        ({"weights": [1, 2, float("nan")]}, "weights has an entry that is not finite"),
    ],
)
def test_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        MultiStepLoss(nn.Identity(), mse, **options)


@pytest.mark.parametrize("steps", [2.0, True, "3"])
def test_steps_is_a_whole_number(steps: Any) -> None:
    with pytest.raises(TypeError, match=r"steps is .*; give a whole number"):
        MultiStepLoss(nn.Identity(), mse, steps)
    with pytest.raises(TypeError, match=r"truncate is .*; give a whole number"):
        MultiStepLoss(nn.Identity(), mse, truncate=steps)


def test_unroll_refuses_before_it_is_iterated() -> None:
    with pytest.raises(ValueError, match="steps is 0"):
        unroll(nn.Identity(), x, steps=0)


def test_all_weights_zero() -> None:
    with pytest.raises(ValueError, match="every weight is 0 while 3 steps run"):
        MultiStepLoss(nn.Identity(), mse, weights=[0, 0, 0])(x, y)


@pytest.mark.parametrize("decay", [0.0, -1.0, float("inf"), float("nan")])
def test_gamma(decay: float) -> None:
    with pytest.raises(ValueError, match="give a finite number greater than 0"):
        gamma(decay)


def test_criterion_that_is_not_a_scalar() -> None:
    with pytest.raises(ValueError, match=r"the criterion's value at step 1 has shape \(1, 3, 4, 4\); reduce it"):
        MultiStepLoss(nn.Identity(), lambda o, t: (o - t).square())(x, y)
    with pytest.raises(ValueError, match=r"the criterion's term 'l1' at step 1 has shape \(3,\)"):
        MultiStepLoss(nn.Identity(), lambda o, t: {"l1": (o - t).abs().mean(dim=(0, 2, 3))})(x, y)
    with pytest.raises(TypeError, match="the criterion's value at step 1 is a float; return a tensor"):
        MultiStepLoss(nn.Identity(), lambda o, t: 1.0)(x, y)
    with pytest.raises(ValueError, match="the criterion returned no terms at step 1"):
        MultiStepLoss(nn.Identity(), lambda o, t: {})(x, y)


def test_weights_for_terms_that_are_not_there() -> None:
    with pytest.raises(ValueError, match=r"weights names \['l2'\] but the criterion returns the terms \['l1'\]"):
        MultiStepLoss(nn.Identity(), lambda o, t: {"l1": mse(o, t)}, weights={"l2": last_only})(x, y)
    with pytest.raises(ValueError, match=r"weights names \['l2'\] but the criterion returns a tensor"):
        MultiStepLoss(nn.Identity(), mse, weights={"l2": last_only})(x, y)


def test_terms_that_change_between_steps() -> None:
    names = iter("ab")
    with pytest.raises(ValueError, match=r"the criterion returns the terms \['b'\] at step 2, and others before"):
        MultiStepLoss(nn.Identity(), lambda o, t: {next(names): mse(o, t)})(x, y)


def test_shape_that_is_not_kept() -> None:
    with pytest.raises(ValueError, match=r"step 1 feeds back shape \(1, 3, 8, 8\) but its input had \(1, 3, 4, 4\)"):
        MultiStepLoss(nn.Upsample(scale_factor=2), mse)(x, torch.rand(1, 3, 8, 8))
    assert MultiStepLoss(nn.Upsample(scale_factor=2), mse, steps=1)(x, torch.rand(1, 3, 8, 8)).dim() == 0


def test_structured_output_without_a_part_to_feed_back() -> None:
    with pytest.raises(TypeError, match="what step 1 feeds back is a Pair, not a tensor; name the part"):
        MultiStepLoss(lambda v: Pair(v, v), lambda o, t: o.clean.mean())(x, y)


@pytest.mark.parametrize(
    ("output", "feedback", "message"),
    [
        ({"a": x}, "b", r"feedback='b' but the model's output has the keys \['a'\]"),
        (OrderedDict(a=x), "b", r"feedback='b' but the model's output has the keys \['a'\]"),
        (Pair(x, x), "dirty", r"feedback='dirty' but the model returned a Pair with the fields \['clean', 'rest'\]"),
        (Both(x, x), "dirty", r"feedback='dirty' but the model returned a Both with the fields \['clean', 'rest'\]"),
        (x, "clean", "feedback='clean' but the model returned a Tensor"),
        ((x, x), 2, "feedback=2 but the model returned a tuple of 2"),
        (x, 0, "feedback=0 but the model returned a Tensor"),
    ],
)
def test_feedback_the_output_does_not_have(output: Any, feedback: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        refine(lambda v: output, x, feedback=feedback)


def test_tolerance() -> None:
    with pytest.raises(ValueError, match="tol is -1; give 0 or more"):
        refine(nn.Identity(), x, tol=-1)
    with pytest.raises(TypeError, match="only tensors can be compared, but step 1 feeds back a tuple"):
        refine(lambda v: (v,), (x,), tol=0.1)


def test_refine_restores_the_mode_of_every_submodule_after_an_error() -> None:
    model = nn.Sequential(nn.Dropout(), nn.Upsample(scale_factor=2))
    model[0].eval()
    with pytest.raises(ValueError, match="feeds back shape"):
        refine(model, x)
    assert [module.training for module in model.modules()] == [True, False, True]


@pytest.mark.parametrize("feedback", [1.5, True, ["clean"]])
def test_feedback_of_no_kind(feedback: Any) -> None:
    with pytest.raises(TypeError, match=r"feedback is .*; give a key, an attribute's name, an index or a function"):
        MultiStepLoss(nn.Identity(), mse, feedback=feedback)


def test_input_of_another_type_or_device_than_the_first() -> None:
    with pytest.raises(TypeError, match=r"step 1 feeds back torch.float64 but its input had torch.float32"):
        refine(lambda v: v.double(), x)
    halving = nn.Sequential(nn.Conv2d(3, 3, 1))
    halving.register_forward_hook(lambda module, given, output: output.bfloat16())
    with pytest.raises(TypeError, match=r"step 1 feeds back torch.bfloat16 .*feedback=lambda output: output.to"):
        refine(halving, x)
    assert refine(halving, x, feedback=lambda output: output.to(torch.float32)).dtype == torch.bfloat16
    devices = iter(["cpu", "meta"])
    with pytest.raises(ValueError, match="step 2 feeds back a tensor on meta but its input was on cpu"):
        refine(lambda v: v.to(next(devices)), x)


@pytest.mark.parametrize("steps", [1, 3])
def test_model_that_modifies_its_input_in_place(steps: int) -> None:
    model = nn.Sequential(nn.ReLU(inplace=True), nn.Conv2d(3, 3, 1))
    with pytest.raises(RuntimeError, match="the model modified its input in place at step 1"):
        MultiStepLoss(model, mse, steps)(x.clone(), y)
    late = iter([False, True])
    with pytest.raises(RuntimeError, match="the model modified its input in place at step 2"):
        refine(lambda v: v.clamp_(0.2, 0.4) if next(late) else v * 2, x.clone())


def test_target_that_is_not_like_the_output() -> None:
    late = iter([x, x, x.repeat(1, 2, 1, 1)])
    grown = {"clean": x, "rest": x}
    with pytest.raises(ValueError, match=r"the output of step 1 has shape \(1, 3, 4, 4\) but the target has"):
        MultiStepLoss(nn.Identity(), mse)(x, y[0])
    with pytest.raises(ValueError, match=r"the output of step 3 has shape \(1, 6, 4, 4\) but the target has"):
        MultiStepLoss(lambda v: next(late), lambda o, t: o.mean())(x, y)
    with pytest.raises(ValueError, match=r"the output of step 1 has shape .*; if the target holds more than the image"):
        MultiStepLoss(lambda v: grown, lambda o, t: o["clean"].mean(), feedback="clean")(x, y[:, :1])
    with pytest.raises(ValueError, match="the output of step 1 is on cpu but the target is on meta"):
        MultiStepLoss(nn.Identity(), mse)(x, y.to("meta"))
    with pytest.raises(TypeError, match=r"the output of step 1 is torch.float32 but the target is torch.float64"):
        MultiStepLoss(nn.Identity(), mse)(x, y.double())


def test_target_that_is_another_thing_than_the_output() -> None:
    labels, mask = torch.zeros(1, 4, 4, dtype=torch.long), torch.ones(1, 1, 4, 4)

    class Prepared:
        def prepare(self, target: torch.Tensor) -> torch.Tensor:
            return target[:, :3]

        def __call__(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
            return mse(output, target)

    both = torch.cat([y, mask], dim=1)
    half = nn.Conv2d(3, 3, 1).bfloat16()
    for loss, target in (
        (MultiStepLoss(nn.Identity(), nn.functional.cross_entropy), labels),
        (MultiStepLoss(nn.Identity(), lambda o, t: mse(o * t[1], t[0])), (y, mask)),
        (MultiStepLoss(nn.Identity(), Prepared()), both),
        (
            MultiStepLoss(nn.Identity(), lambda o, t: mse(o, t[:, :3]), feedback=lambda o: o),
            torch.cat([y, mask], dim=1),
        ),
        (MultiStepLoss(lambda v: half(v.bfloat16()), lambda o, t: mse(o.float(), t)), y),
    ):
        assert loss(x, target).isfinite()
    waves = x.to(torch.complex64)
    assert MultiStepLoss(nn.Identity(), lambda o, t: mse(o.abs(), t))(waves, y).isfinite()


def test_criterion_that_is_complex() -> None:
    with pytest.raises(TypeError, match=r"the criterion's value at step 1 is torch.complex64; return a real number"):
        MultiStepLoss(nn.Identity(), lambda o, t: (o - t).to(torch.complex64).mean())(x, y)


def test_weights_that_are_to_be_learned() -> None:
    learned = torch.ones(3, requires_grad=True)
    for weights in (learned, lambda steps: learned, {"term": learned}):
        with pytest.raises(TypeError, match="a weight requires a gradient, which it would not get; give plain numbers"):
            MultiStepLoss(nn.Identity(), nn.functional.mse_loss, weights=weights)

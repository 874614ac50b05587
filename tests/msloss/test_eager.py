"""Gradients taken early are those of the ordinary graph, and where they would not be, the graph is kept."""

import copy
import functools
import types
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest import mock

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.func import functional_call, grad, jvp, vmap
from torch.utils.checkpoint import checkpoint

from msloss import MultiStepLoss
from msloss._memory import LiveBytes

from .cases import Case, Network, assert_same, by_hand, cases, weight_lists

mse = F.mse_loss


@contextmanager
def counted() -> Iterator[list[int]]:
    """Count how often gradients are taken in the block, that is, before the backward pass."""
    taken = [0]
    original = torch.autograd.grad

    def counting(*words: Any, **options: Any) -> Any:
        taken[0] += 1
        return original(*words, **options)

    with mock.patch("torch.autograd.grad", counting):
        yield taken


def small(seed: int = 0, norm: str = "group", shared: bool = True) -> nn.Module:
    torch.manual_seed(seed)
    return Network(2, norm, dropout=0.0, shared=shared, structure="tensor").double()


def images() -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    x, y = torch.rand(2, 2, 2, 4, 5, dtype=torch.float64)
    return x, y


def after_backward(
    model: nn.Module, loss: Callable[..., Tensor], *given: Tensor, scale: float = 1.0
) -> dict[str, Tensor | None]:
    """Return value and gradients of a training step, for the parameters and for what the loss was given."""
    model.zero_grad()
    given = tuple(tensor.detach().clone().requires_grad_(tensor.requires_grad) for tensor in given)
    value = loss(*given)
    (scale * value).backward()
    grads = {name: None if p.grad is None else p.grad.clone() for name, p in model.named_parameters()}
    return {"value": value.detach(), **grads, **{f"given {i}": tensor.grad for i, tensor in enumerate(given)}}


def written_out(
    model: Callable[..., Any],
    criterion: Callable[..., Any],
    steps: int = 3,
    truncate: int | None = None,
    read: Callable[[Any], Tensor] = lambda output: output,
) -> Callable[..., Tensor]:
    """Return the loop written by hand."""

    def loss(x: Tensor, y: Tensor, *cond: Tensor) -> Tensor:
        total = torch.zeros((), dtype=x.real.dtype)
        for t in range(steps):
            if truncate is not None and t % truncate == 0:
                x = x.detach() if t else x
            output = model(x, *cond)
            total = total + criterion(output, y)
            x = read(output)
        return total

    return loss


@given(
    cases(),
    st.data(),
    st.sampled_from([None, 1, 2]),
    st.booleans(),
    st.sampled_from(["all", "first"]),
    st.floats(-2, 2),
)
def test_early_gradients_are_those_of_the_graph(
    case: Case, data: st.DataObject, truncate: int | None, checkpointed: bool, norm_stats: str, scale: float
) -> None:
    weights = data.draw(st.none() | weight_lists(case.steps))
    options = {
        "weights": weights,
        "feedback": case.feedback,
        "truncate": truncate,
        "checkpoint": checkpointed,
        "norm_stats": norm_stats,
    }
    results = []
    for eager in (True, False):
        loss = MultiStepLoss(case.model, case.criterion, case.steps, eager=eager, **options)
        results.append(case.run(loss, scale=scale))
    assert_same(*results, tolerance=1e-12)


@given(cases(), st.sampled_from([None, 1, 2]), st.booleans())
def test_second_derivatives_are_those_of_the_loop_written_by_hand(
    case: Case, truncate: int | None, checkpointed: bool
) -> None:
    early = MultiStepLoss(
        case.model, case.criterion, case.steps, feedback=case.feedback, truncate=truncate, checkpoint=checkpointed
    )
    assert_same(case.run(early, twice=True), case.run(by_hand(case, truncate=truncate), twice=True))


def test_early_gradients_are_taken() -> None:
    model, (x, y) = small(), images()
    for options, expected in (({}, 3), ({"truncate": 1}, 3), ({"truncate": 2}, 4), ({"truncate": 3}, 3)):
        with counted() as taken:
            MultiStepLoss(model, mse, **options)(x, y)
        assert taken == [expected], options
    with counted() as taken:
        MultiStepLoss(model, mse)(x.clone().requires_grad_(), y.clone().requires_grad_())
    assert taken == [3]
    with counted() as taken:
        MultiStepLoss(model, mse, eager=False, truncate=1)(x, y).backward()
    assert taken == [0]


@pytest.mark.parametrize("truncate", [None, 1, 2])
@pytest.mark.parametrize("checkpointed", [False, True])
def test_memory_does_not_grow_with_the_steps(truncate: int | None, checkpointed: bool) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(*(nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.Sigmoid()) for _ in range(6)))
    deep = nn.Sequential(*(nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.Sigmoid()) for _ in range(6)))
    deep.requires_grad_(requires_grad=False)
    x, y = torch.rand(2, 1, 3, 64, 64)

    def peak(steps: int, eager: bool) -> int:
        loss = MultiStepLoss(
            model, lambda o, t: mse(deep(o), t), steps, truncate=truncate, checkpoint=checkpointed, eager=eager
        )
        with LiveBytes() as memory:
            loss(x, y).backward()
        model.zero_grad()
        return memory.peak

    image = x.nbytes

    def growth(eager: bool) -> float:
        return (peak(8, eager) - peak(4, eager)) / 4

    activations = 6 * image  # of the model, and as many of the criterion
    kept = 0 if truncate or checkpointed else activations
    assert growth(eager=True) <= kept + (1.1 if truncate else 2.1) * image
    assert growth(eager=False) >= (1 if checkpointed else 2) * activations


def test_unused_branch_of_a_step_goes_with_it() -> None:
    torch.manual_seed(0)
    branch = nn.Sequential(*(nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.Sigmoid()) for _ in range(8)))
    main = nn.Conv2d(3, 3, 1)
    x, y = torch.rand(2, 1, 3, 64, 64)

    def peak(steps: int) -> int:
        model = nn.Module()
        model.main, model.branch, model.forward = main, branch, lambda v: (main(v), branch(v))
        loss = MultiStepLoss(model, lambda o, t: mse(o[0], t), steps, feedback=0, truncate=1)
        with LiveBytes() as memory:
            loss(x, y).backward()
        return memory.peak

    assert peak(3) - peak(1) <= 6 * x.nbytes


class Reflecting(nn.Module):
    """A model of two outputs, one of which is made from the other."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = small(0), small(1)

    def forward(self, x: Tensor) -> dict[str, Any]:
        reflection = self.first(x)
        transmission = self.second(x - reflection)
        return {"transmission": transmission, "reflection": reflection, "unused": transmission.sin(), "name": "both"}


@pytest.mark.parametrize("truncate", [None, 1])
def test_outputs_that_depend_on_each_other(truncate: int | None) -> None:
    model, (x, y) = Reflecting(), images()

    def criterion(output: dict[str, Tensor], target: Tensor) -> Tensor:
        return mse(output["transmission"], target) + (output["reflection"] * output["transmission"]).mean()

    loss = MultiStepLoss(model, criterion, feedback="transmission", truncate=truncate)
    hand = written_out(model, criterion, truncate=truncate, read=lambda output: output["transmission"])
    with counted() as taken:
        result = after_backward(model, loss, x.requires_grad_(), y)
    assert taken[0] >= 3
    assert_same(result, after_backward(model, hand, x, y))


def test_same_tensor_twice_in_an_output() -> None:
    model, (x, y) = small(), images()

    def twice(v: Tensor) -> tuple[Tensor, Tensor]:
        output = model(v)
        return output, output

    def criterion(output: tuple[Tensor, Tensor], target: Tensor) -> Tensor:
        return (output[0] * output[1] - target).square().mean()

    hand = written_out(twice, criterion, read=lambda output: output[0])
    result = after_backward(model, MultiStepLoss(twice, criterion, feedback=0), x, y)
    assert_same(result, after_backward(model, hand, x, y))


@pytest.mark.parametrize("truncate", [None, 1, 2])
def test_gradient_reaches_input_target_conditioning_and_what_comes_before_them(truncate: int | None) -> None:
    model, before, (x, y) = small(), small(3), images()
    cond = torch.rand(2, 1, 4, 5, dtype=torch.float64).requires_grad_()
    both = nn.ModuleList([model, before])

    def with_encoder(loss: Callable[..., Tensor]) -> Callable[..., Tensor]:
        return lambda x, y, c: loss(before(x), y.sin(), before(x)[:, :1] * c)

    hand = with_encoder(written_out(model, mse, truncate=truncate))
    with counted() as taken:
        result = after_backward(
            both, with_encoder(MultiStepLoss(model, mse, truncate=truncate)), x, y.requires_grad_(), cond
        )
    assert taken[0] >= 3
    assert_same(result, after_backward(both, hand, x, y, cond))


@pytest.mark.parametrize("checkpointed", [False, True])
@pytest.mark.parametrize("truncate", [None, 1, 2])
def test_backward_passes_add_up_and_repeat(truncate: int | None, checkpointed: bool) -> None:
    model, (x, y) = small(), images()
    loss = MultiStepLoss(model, mse, truncate=truncate, checkpoint=checkpointed)
    hand = written_out(model, mse, truncate=truncate)

    def accumulated(of: Callable[..., Tensor]) -> Callable[..., Tensor]:
        return lambda x, y: of(x[:1], y[:1]) / 2 + of(x[1:], y[1:]) / 2

    assert_same(after_backward(model, accumulated(loss), x, y), after_backward(model, accumulated(hand), x, y))
    model.zero_grad()
    value = loss(x, y)
    value.backward(retain_graph=True)
    once = [p.grad.clone() for p in model.parameters()]
    value.backward()
    for p, single in zip(model.parameters(), once, strict=True):
        torch.testing.assert_close(p.grad, 2 * single, rtol=1e-14, atol=0)
    with pytest.raises(RuntimeError, match="second time"):
        value.backward()


def test_gradients_wait_for_the_backward_pass() -> None:
    model, (x, y) = small(), images()
    calls: list[str] = []
    for name, p in model.named_parameters():
        p.register_post_accumulate_grad_hook(lambda p, name=name: calls.append(name))
    value = MultiStepLoss(model, mse, truncate=1)(x, y)
    assert calls == []
    assert all(p.grad is None for p in model.parameters())
    value.backward()
    assert sorted(calls) == sorted(name for name, _ in model.named_parameters())


def test_parameters_that_are_frozen_or_get_no_gradient() -> None:
    for truncate in (None, 1):
        model, (x, y) = Reflecting(), images()
        model.first.requires_grad_(requires_grad=False)
        model.register_parameter("idle", nn.Parameter(torch.ones(1)))

        def criterion(output: dict[str, Tensor], target: Tensor) -> Tensor:
            return mse(output["transmission"], target)

        MultiStepLoss(model, criterion, feedback="transmission", truncate=truncate)(x, y).backward()
        assert model.idle.grad is None
        assert all(p.grad is None for p in model.first.parameters())
        assert all(p.grad is not None for p in model.second.parameters())
    frozen = small().requires_grad_(requires_grad=False)
    assert not MultiStepLoss(frozen, mse, truncate=1)(x, y).requires_grad


def test_random_criterion_draws_as_ever_and_again_for_second_derivatives() -> None:
    model, (x, y) = small(), images()

    def criterion(output: Tensor, target: Tensor) -> Tensor:
        return mse(F.dropout(output, 0.3), target)

    def second(loss: Callable[..., Tensor]) -> list[Tensor]:
        torch.manual_seed(5)
        first = torch.autograd.grad(loss(x, y), list(model.parameters()), create_graph=True)
        state = torch.get_rng_state()
        result = [*torch.autograd.grad(sum(g.square().sum() for g in first), list(model.parameters())), *first]
        assert torch.equal(torch.get_rng_state(), state)
        return [*result, torch.rand(1)]

    for truncate in (None, 1):
        early = second(MultiStepLoss(model, criterion, truncate=truncate))
        for got, expected in zip(early, second(written_out(model, criterion, truncate=truncate)), strict=True):
            torch.testing.assert_close(got, expected, rtol=1e-10, atol=1e-12)


def test_criterion_that_cannot_be_computed_again() -> None:
    model, (x, y) = small(), images()
    factors = iter(range(1, 100))
    value = MultiStepLoss(model, lambda o, t: next(factors) * mse(o, t))(x, y)
    with pytest.raises(RuntimeError, match=r"the criterion gave .* when it was computed again .*; give eager=False"):
        value.backward(create_graph=True)


@pytest.mark.parametrize("truncate", [None, 1, 2])
@pytest.mark.parametrize("kind", ["conditioning", "bare", "input", "target", "encoder", "output"])
def test_what_is_given_may_depend_on_the_parameters_of_the_model(kind: str, truncate: int | None) -> None:
    model, (x, y) = small(), images()
    run: Callable[..., Tensor] = lambda v, c=None: model(v) if c is None else model(v) + c  # noqa: E731
    token = model.middle.bias
    given: dict[str, Callable[[], tuple[Any, ...]]] = {
        "conditioning": lambda: (x, y, token[:2].view(1, 2, 1, 1)),
        "bare": lambda: (x, y, model.outer.bias.sum()),
        "input": lambda: (x + token.sum(), y),
        "target": lambda: (x, y - token.sum()),
        "encoder": lambda: (model.outer(model.inner(x)), y),
        "output": lambda: (model(x), y),
    }
    losses = MultiStepLoss(run, mse, truncate=truncate), written_out(run, mse, truncate=truncate)
    assert_same(*(after_backward(model, lambda of=of: of(*given[kind]())) for of in losses))


def test_loss_inside_the_model_of_another() -> None:
    model, (x, y) = small(), images()
    inner = MultiStepLoss(model, mse, 2, truncate=1)
    inner_hand = written_out(model, mse, 2, truncate=1)
    for truncate in (None, 2):
        outer = MultiStepLoss(lambda v: v - 0.1 * inner(v, y), mse, truncate=truncate)
        hand = written_out(lambda v: v - 0.1 * inner_hand(v, y), mse, truncate=truncate)
        assert_same(after_backward(model, outer, x, y), after_backward(model, hand, x, y))


@pytest.mark.parametrize("truncate", [None, 1, 2])
def test_model_that_marks_its_input(truncate: int | None) -> None:
    """As models of an energy do, which descend its gradient."""
    model, (x, y) = small(), images()

    def descend(v: Tensor) -> Tensor:
        with torch.enable_grad():
            v.requires_grad_()
            (gradient,) = torch.autograd.grad(model(v).square().sum(), v, create_graph=True)
        return v - 0.1 * gradient

    losses = MultiStepLoss(descend, mse, truncate=truncate), written_out(descend, mse, truncate=truncate)
    assert_same(*(after_backward(model, loss, x, y) for loss in losses))


@pytest.mark.parametrize("truncate", [None, 1, 2])
def test_models_with_a_state_in_a_container(truncate: int | None) -> None:
    model, (x, y) = small(), images()

    def run(v: Tensor, state: dict[str, Any]) -> Tensor:
        output = model(v) + state["before"]
        state["before"] = output.detach()
        return output

    results = []
    for loss in (MultiStepLoss(run, mse, truncate=truncate), written_out(run, mse, truncate=truncate)):
        state: dict[str, Any] = {"before": torch.zeros_like(x)}
        results.append(after_backward(model, lambda a, b, loss=loss, state=state: loss(a, b, state), x, y))
        results[-1]["state"] = state["before"]
    assert_same(*results)


class Bag:
    """An object of a user's, with attributes."""

    def __init__(self, **held: Any) -> None:
        self.__dict__.update(held)


CHANGES: dict[str, tuple[Callable[[Tensor], Any], Callable[[Any, Tensor], None], Callable[[Any], Tensor]]] = {
    # how an output holds the image, what the criterion does to it, and what is fed back of it afterwards
    "entry": (lambda v: {"a": v}, lambda o, n: o.update(gain=2.0), lambda o: o["a"] / o["gain"]),
    "exchanged": (lambda v: {"a": v}, lambda o, n: o.update(a=o["a"].clamp(0, 0.5)), lambda o: o["a"]),
    "removed": (lambda v: {"a": v, "b": v.sin()}, lambda o, n: o.pop("a"), lambda o: next(iter(o.values()))),
    "order": (lambda v: {"a": v, "b": v.sin()}, lambda o, n: o.update(a=o.pop("a")), lambda o: next(iter(o.values()))),
    "inner": (lambda v: {"a": [v, 1.0]}, lambda o, n: o["a"].append(n.detach()), lambda o: o["a"][0] + o["a"][2]),
    "shorter": (lambda v: [v, v.sin()], lambda o, n: o.pop(0), lambda o: o[0]),
    "item": (lambda v: [v, 1.0], lambda o, n: o.__setitem__(1, 0.5), lambda o: o[0] * o[1]),
    "alias": (lambda v: {"a": v}, lambda o, n: o.update(b=o["a"]), lambda o: o["a"] if o["b"] is o["a"] else o["gone"]),
    "appended": (lambda v: [v, 2.0], lambda o, n: o.append(o[0]), lambda o: o[0] / o[1] if o[2] is o[0] else o["gone"]),
    "moved": (lambda v: {"a": [v]}, lambda o, n: o.update(b=o.pop("a")), lambda o: o["b"][0]),
    "held twice": (
        lambda v: ((inner := [v]), {"a": inner}),
        lambda o, n: o[1].update(b=o[0]),
        lambda o: o[0][0] if o[1]["a"] is o[1]["b"] is o[0] else o["gone"],
    ),
    "renamed": (lambda v: {"a": v}, lambda o, n: o.update(b=o.pop("a")), lambda o: o["b"]),
    "attribute": (lambda v: Bag(a=v), lambda o, n: setattr(o, "gain", n), lambda o: o.a / (1 + o.gain)),
    "deleted": (lambda v: Bag(a=v, b=0), lambda o, n: delattr(o, "b"), lambda o: o.a if "b" not in vars(o) else o.gone),
    "shared": (lambda v: (d := {"a": v}, d), lambda o, n: o[0].update(g=0.5), lambda o: o[1]["a"] * o[1]["g"]),
}


def first_image(output: Any) -> Tensor:
    """Return the first tensor in an output."""
    if isinstance(output, Tensor):
        return output
    held = vars(output) if isinstance(output, Bag) else output
    return first_image(next(iter(held.values() if isinstance(held, dict) else held)))


@pytest.mark.parametrize("truncate", [None, 1, 2])
@pytest.mark.parametrize("change", sorted(CHANGES))
def test_containers_may_be_changed_by_the_criterion(change: str, truncate: int | None) -> None:
    model, (x, y) = small(), images()
    wrapped, act, read = CHANGES[change]

    def criterion(output: Any, target: Tensor) -> Tensor:
        value = mse(first_image(output), target)
        act(output, value)
        return value

    def run(v: Tensor) -> Any:
        return wrapped(model(v))

    losses = (
        MultiStepLoss(run, criterion, feedback=read, truncate=truncate),
        written_out(run, criterion, read=read, truncate=truncate),
    )
    assert_same(*(after_backward(model, loss, x, y) for loss in losses))


@pytest.mark.parametrize("truncate", [None, 1, 2])
@pytest.mark.parametrize("graph", [True, False])
def test_conditioning_may_be_changed_by_the_model(graph: bool, truncate: int | None) -> None:
    """Whatever it writes there, the next step reads, and so does the caller."""
    model, (x, y) = small(), images()
    embedding = torch.rand(1, dtype=torch.float64).requires_grad_()

    def run(v: Tensor, state: dict[str, Any]) -> Tensor:
        output = model(v) * state["e"] + state["before"][-1]
        state["before"].append(output.cos() if graph else output.detach().cos())
        state["calls"] = state.get("calls", 0) + 1
        return output

    results = []
    for loss in (MultiStepLoss(run, mse, truncate=truncate), written_out(run, mse, truncate=truncate)):
        state: dict[str, Any] = {"e": embedding, "before": [embedding.sin()]}
        results.append(after_backward(model, lambda a, b, loss=loss, state=state: loss(a, b, state), x, y))
        results[-1] |= {"e": embedding.grad, **{f"before {i}": b.detach() for i, b in enumerate(state["before"])}}
        assert state["calls"] == 3
        assert state["e"] is embedding
        embedding.grad = None
    assert_same(*results)


def test_second_derivatives_see_containers_as_they_were() -> None:
    model, (x, y) = small(), images()

    def run(v: Tensor) -> dict[str, Any]:
        return {"a": model(v), "gain": 1.0}

    def criterion(output: dict[str, Any], target: Tensor) -> Tensor:
        return output["gain"] * mse(output["a"], target)

    def read(output: dict[str, Any]) -> Tensor:
        output["gain"] = 2.0
        return output.pop("a")

    def second(loss: Callable[..., Tensor]) -> list[Tensor]:
        first = torch.autograd.grad(loss(x, y), list(model.parameters()), create_graph=True)
        return list(torch.autograd.grad(sum(g.square().sum() for g in first), list(model.parameters())))

    with counted() as taken:
        got = second(MultiStepLoss(run, criterion, feedback=read))
    assert taken[0] > 2
    for ours, hand in zip(got, second(written_out(run, criterion, read=read)), strict=True):
        torch.testing.assert_close(ours, hand, rtol=1e-10, atol=1e-12)


def test_criterion_that_keeps_features_beside_the_target() -> None:
    model, (x, y) = small(), images()
    remembered: dict[str, Any] = {"image": y}

    def remembering(output: dict[str, Tensor], target: dict[str, Tensor]) -> Tensor:
        target.setdefault("features", target["image"].sin())
        return mse(output["a"].sin(), target["features"])

    MultiStepLoss(lambda v: {"a": model(v)}, remembering, feedback="a")(x, remembered).backward()
    assert "features" in remembered


@pytest.mark.parametrize("options", [{}, {"truncate": 1}, {"checkpoint": True}, {"checkpoint": True, "truncate": 1}])
def test_what_is_given_may_change_before_the_backward_pass(options: dict[str, Any]) -> None:
    model, (x, y) = small(), images()
    loss = MultiStepLoss(model, lambda o, t: (o - t).abs().mean(), **options)
    expected = after_backward(model, loss, x, y.clone())
    model.zero_grad()
    target = y.clone()
    value = loss(x, target)
    target.zero_()
    value.backward()
    assert torch.equal(model.outer.weight.grad, expected["outer.weight"])
    with torch.inference_mode():
        unrecorded = y.clone()
    assert_same(after_backward(model, lambda x, y: loss(x, unrecorded), x, y), expected)


def test_weights_changed_before_a_second_derivative() -> None:
    for options in ({"truncate": 1}, {}):
        model, (x, y) = small(), images()
        value = MultiStepLoss(model, mse, **options)(x, y)
        with torch.no_grad():
            model.outer.weight.mul_(1.0000001)
        with pytest.raises(RuntimeError, match="modified"):
            torch.autograd.grad(value, list(model.parameters()), create_graph=True)


class Trainer:
    """An object of a user's, with a module."""

    def __init__(self, net: nn.Module) -> None:
        self.net = net

    def run(self, x: Tensor) -> Tensor:
        return self.net(x)


class Hidden(nn.Module):
    """A module that keeps another out of its state."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.kept = [net]

    def forward(self, x: Tensor) -> Tensor:
        return self.kept[0](x)


class Calling:
    """An object that can be called."""

    def __call__(self, x: Tensor) -> Tensor:
        return shared(x)


def as_global(module: nn.Module) -> Callable[..., Any]:
    globals()["shared"] = module
    return lambda v: [shared(each) for each in (v,)][0]  # noqa: RUF015  # code within code


def as_global_of_a_method(module: nn.Module) -> Callable[..., Any]:
    globals()["shared"] = module
    return Calling()


shared: Any = None
WRAPPED: dict[str, Callable[[nn.Module], Any]] = {
    "bare": lambda m: m,
    "closure": lambda m: lambda v: m(v),
    "default": lambda m: lambda v, m=m: m(v),
    "named default": lambda m: lambda v, *, m=m: m(v),
    "function in a closure": lambda m: lambda v: WRAPPED["closure"](m)(v),
    "method": lambda m: m.forward,
    "partial": functools.partial,
    "list": lambda m: functools.partial(lambda layers, v: layers[0](v), [m]),
    "dict": lambda m: functools.partial(lambda v, layers: layers["a"][0](v), layers={"a": (m,)}),
    "object": lambda m: Trainer(m).run,
    "object in a closure": lambda m: functools.partial(lambda t, v: t.net(v), Trainer(m)),
    "hidden": Hidden,
    "global": as_global,
    "global of a method": as_global_of_a_method,
}


@pytest.mark.parametrize("wrap", sorted(WRAPPED))
@pytest.mark.parametrize("checkpointed", [False, True])
def test_statistics_of_models_and_criteria_are_counted_once(wrap: str, checkpointed: bool) -> None:
    model, critic, (x, y) = (
        small(norm="batch"),
        nn.BatchNorm2d(2).double().requires_grad_(requires_grad=False),
        images(),
    )
    for truncate in (None, 1):
        before = int(model.norm.num_batches_tracked), int(critic.num_batches_tracked)
        judge = WRAPPED[wrap](critic)
        wrapped = WRAPPED["bare" if "global" in wrap else wrap](model)  # there is one global
        loss = MultiStepLoss(wrapped, lambda o, t: mse(judge(o), t), truncate=truncate, checkpoint=checkpointed)  # noqa: B023
        torch.autograd.grad(loss(x, y), list(model.parameters()), create_graph=True)
        after = int(model.norm.num_batches_tracked), int(critic.num_batches_tracked)
        assert [new - old for new, old in zip(after, before, strict=True)] == [3, 3]


@pytest.mark.parametrize("truncate", [None, 1])
def test_large_buffers_that_are_written_uncounted(truncate: int | None) -> None:
    class Codebook(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = small()
            self.register_buffer("codes", torch.ones(40000, dtype=torch.float64))

        def forward(self, x: Tensor) -> Tensor:
            output = (self.inner(x) * self.codes.mean()).tanh()
            self.codes.data.mul_(0.5)
            return output

    x, y = images()
    results = []
    for checkpointed in (True, False):
        model = Codebook()
        results.append(
            after_backward(model, MultiStepLoss(model, mse, truncate=truncate, checkpoint=checkpointed), x, y)
        )
    assert_same(*results)


@pytest.mark.parametrize("options", [{}, {"truncate": 1}, {"checkpoint": True}])
def test_nothing_waits_for_the_device(options: dict[str, Any]) -> None:
    """On the meta device there are no numbers, so that looking at one is an error."""
    model, (x, y) = small(norm="batch").to("meta"), (v.to("meta") for v in images())
    losses = MultiStepLoss(model, lambda o, t: {"a": mse(o, t), "b": o.mean()}, **options)(x, y, details=True)
    losses.total.backward()
    assert losses.improvement.shape == (2,)
    assert model.outer.weight.grad.is_meta
    assert MultiStepLoss(model, mse, **options).rehearse(x, y).peak_bytes > 0


# where taking gradients early would not be exact, the graph is kept


class Learned(nn.Module):
    """A criterion with weights of its own."""

    def __init__(self, trainable: bool) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.features = nn.Conv2d(2, 4, 3).double().requires_grad_(requires_grad=trainable)

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        return mse(self.features(output), self.features(target))


def decayed(model: nn.Module) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda o, t: mse(o, t) + 0.1 * sum(p.square().sum() for p in model.parameters())


def clamped(output: Tensor, target: Tensor) -> Tensor:
    return mse(output.clamp_(0.0, 0.2), target)


def test_criterion_that_leads_elsewhere_than_to_the_output() -> None:
    (x, y) = images()
    for make in (lambda model: Learned(trainable=True), decayed, lambda model: clamped):
        model = small()
        criterion = make(model)
        parts = nn.ModuleList([model, *([criterion] if isinstance(criterion, nn.Module) else [])])
        with counted() as taken:
            result = after_backward(parts, MultiStepLoss(model, criterion), x, y)
        assert taken == [0]
        assert_same(result, after_backward(parts, written_out(model, criterion), x, y))
    frozen = Learned(trainable=False)
    with counted() as taken:
        after_backward(model, MultiStepLoss(model, frozen), x, y)
    assert taken == [3]


def test_criterion_that_compares_with_the_step_before() -> None:
    """It may keep outputs with their graph, but nothing that it has computed from them."""

    class Steady:
        def __init__(self, keep: Callable[[Tensor, Tensor], Tensor]) -> None:
            self.keep = keep
            self.before: Tensor | None = None

        def __call__(self, output: Tensor, target: Tensor) -> Tensor:
            own = mse(output, target)
            value = own if self.before is None else own + (own + output.mean() - self.before.mean()).square()
            self.before = self.keep(output, own)
            return value

    model, (x, y) = small(), images()
    for keep in (lambda output, own: output, lambda output, own: own.detach()):
        for truncate in (None, 2):
            if truncate and keep(x.requires_grad_(), x).requires_grad:
                continue
            result = after_backward(model, MultiStepLoss(model, Steady(keep), truncate=truncate), x, y)
            assert_same(result, after_backward(model, written_out(model, Steady(keep), truncate=truncate), x, y))
    with pytest.raises(RuntimeError, match=r"the criterion uses what it computed at an earlier step .* eager=False"):
        MultiStepLoss(model, Steady(lambda output, own: own))(x, y)
    kept = MultiStepLoss(model, Steady(lambda output, own: own), eager=False)
    expected = after_backward(model, written_out(model, Steady(lambda output, own: own)), x, y)
    assert_same(after_backward(model, kept, x, y), expected)


def test_model_that_remembers_across_a_cut() -> None:
    class Remembering(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = small()
            self.state: Any = 0.0

        def forward(self, x: Tensor) -> Tensor:
            self.state = self.inner(x + self.state)
            return self.state.sin()

    def carrying(v: Tensor, state: dict[str, Any]) -> Tensor:
        state["before"] = model.inner(v) + state["before"]
        return state["before"]

    model, (x, y) = Remembering(), images()
    results = [
        after_backward(model, lambda a, b, loss=loss: loss(a, b, {"before": 0.0}), x, y)
        for loss in (MultiStepLoss(carrying, mse, truncate=1), written_out(carrying, mse, truncate=1))
    ]
    assert_same(*results)
    with pytest.raises(RuntimeError, match=r"the model uses what it computed at an earlier step .* eager=False"):
        MultiStepLoss(model, mse, truncate=1)(x, y)
    model.state = 0.0
    result = after_backward(model, MultiStepLoss(model, mse, truncate=1, eager=False), x, y)
    model.state = 0.0
    assert_same(result, after_backward(model, written_out(model, mse, truncate=1), x, y))


class Holding(nn.Module):
    """A module that is called as a function says."""

    def __init__(self, model: nn.Module, function: Callable[..., Tensor]) -> None:
        super().__init__()
        self.model, self.function = model, [function]

    def forward(self, *given: Tensor) -> Tensor:
        return self.function[0](*given)


def test_parameters_computed_outside() -> None:
    model, (x, y) = small(shared=False), images()
    scale = torch.tensor(1.5, dtype=torch.float64)

    def outside(loss: nn.Module, prefix: str) -> Callable[..., Tensor]:
        def value(x: Tensor, y: Tensor, s: Tensor) -> Tensor:
            made = {prefix + name: (p * s).sin() for name, p in model.named_parameters()}
            return functional_call(loss, made, (x, y))

        return value

    for truncate in (1, None):
        hand = Holding(model, written_out(model, mse, truncate=truncate))
        loss = MultiStepLoss(model, mse, truncate=truncate)
        result = after_backward(model, outside(loss, "model."), x, y, scale.requires_grad_())
        assert_same(result, after_backward(model, outside(hand, "model."), x, y, scale))


def test_hooks_see_one_gradient() -> None:
    def hooked() -> tuple[nn.Module, list[Tensor]]:
        model, seen = small(), []
        model.outer.weight.register_hook(lambda g: seen.append(g.clone()) or g.clamp(-1e-3, 1e-3))
        return model, seen

    x, y = images()
    for truncate in (None, 1):
        (early, seen), (hand, expected) = hooked(), hooked()
        result = after_backward(early, MultiStepLoss(early, mse, truncate=truncate), x, y)
        assert_same(result, after_backward(hand, written_out(hand, mse, truncate=truncate), x, y))
        assert len(seen) == len(expected) == 1
        torch.testing.assert_close(seen[0], expected[0])


def clamped_backward(module: nn.Module, kind: str) -> None:
    """Limit the gradients inside a model, as a hook of the given kind does it."""

    def limit(grad: Tensor) -> Tensor:
        return grad.clamp(-1e-2, 1e-2)

    def limit_all(module: nn.Module, *grads: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return tuple(map(limit, grads[0]))

    def watch_output(module: nn.Module, given: tuple[Tensor, ...], output: Tensor) -> None:
        output.register_hook(limit)

    def watch_input(module: nn.Module, given: tuple[Tensor, ...]) -> None:
        given[0].register_hook(limit)

    hooks = {
        "forward": watch_output,
        "forward_pre": watch_input,
        "full_backward": limit_all,
        "full_backward_pre": limit_all,
    }
    getattr(module, f"register_{kind}_hook")(hooks[kind])


@pytest.mark.parametrize("kind", ["forward", "forward_pre", "full_backward", "full_backward_pre"])
def test_module_hooks_see_the_gradients_of_the_backward_pass(kind: str) -> None:
    x, y = images()
    early, hand = small(), small()
    for model in (early, hand):
        clamped_backward(model.norm, kind)
    result = after_backward(early, MultiStepLoss(early, mse, truncate=1), x, y, scale=1e3)
    assert_same(result, after_backward(hand, written_out(hand, mse, truncate=1), x, y, scale=1e3))


@pytest.mark.parametrize("wrap", sorted(WRAPPED))
def test_hooks_are_found_in_functions_and_in_the_criterion(wrap: str) -> None:
    x, y = images()
    results = []
    for make in (MultiStepLoss, written_out):
        model, critic = small(), small(5).requires_grad_(requires_grad=False)
        for module in (model, critic):
            clamped_backward(module.norm, "forward")
        judge = WRAPPED[wrap](critic)
        loss = make(
            WRAPPED["bare" if "global" in wrap else wrap](model), lambda o, t, judge=judge: mse(judge(o), t), truncate=1
        )
        both = nn.ModuleList([model, critic])
        results.append(after_backward(both, loss, x, y, scale=1e3))
    assert_same(*results)


def test_hooks_of_all_modules_do_too() -> None:
    model, (x, y) = small(), images()
    handle = nn.modules.module.register_module_full_backward_hook(lambda module, *grads: None)
    try:
        with counted() as taken:
            MultiStepLoss(model, mse, truncate=2)(x, y)
    finally:
        handle.remove()
    assert taken == [0]


def test_spectral_and_weight_norm_of_either_kind_do_not() -> None:
    x, y = images()
    for wrap in (
        nn.utils.spectral_norm,
        nn.utils.parametrizations.spectral_norm,
        nn.utils.parametrizations.weight_norm,
    ):
        model = small()
        model.inner = wrap(model.inner)
        twin = copy.deepcopy(model)
        with counted() as taken:
            result = after_backward(model, MultiStepLoss(model, mse, truncate=1), x, y)
        assert taken == [3]
        assert_same(result, after_backward(twin, written_out(twin, mse, truncate=1), x, y))


class Hiding(torch.autograd.Function):
    """A function that computes a layer again in its backward pass, and accumulates into its weights by itself."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, layer: nn.Module) -> Tensor:
        ctx.layer = layer
        ctx.save_for_backward(x)
        return layer(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        (x,) = ctx.saved_tensors
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            ctx.layer(x).backward(grad)
        return x.grad, None


def test_functions_that_accumulate_by_themselves() -> None:
    class Reversible(nn.Module):
        def __init__(self, inner: nn.Module, run: Callable[..., Tensor]) -> None:
            super().__init__()
            self.inner, self.last, self.run = inner, nn.Conv2d(2, 2, 1).double(), run

        def forward(self, x: Tensor) -> Tensor:
            return self.run(self.inner, self.last(x))

    def recomputed(inner: nn.Module, x: Tensor) -> Tensor:
        return checkpoint(inner, x, use_reentrant=True)

    x, y = images()
    for model in (
        Reversible(small(), lambda inner, x: Hiding.apply(x, inner)),
        Reversible(small(), recomputed),
        Reversible(nn.Tanh(), recomputed),
    ):
        with counted() as taken:
            result = after_backward(model, MultiStepLoss(model, mse, truncate=1), x, y)
        assert taken == [0]
        assert_same(result, after_backward(model, written_out(model, mse, truncate=1), x, y))


class Limiting(torch.autograd.Function):
    """A function whose backward pass is not linear."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return grad.clamp(-1e-3, 1e-3)


@pytest.mark.parametrize("truncate", [None, 1, 2])
@pytest.mark.parametrize("where", ["model", "criterion", "criterion that hides weights"])
def test_functions_of_the_user_see_the_gradients_of_the_backward_pass(where: str, truncate: int | None) -> None:
    model, (x, y) = small(), images()
    hidden = small(4)
    run: Callable[[Tensor], Tensor] = (lambda v: Limiting.apply(model(v))) if where == "model" else model
    criterion = {
        "model": mse,
        "criterion": lambda o, t: mse(Limiting.apply(o), t),
        "criterion that hides weights": lambda o, t: mse(Hiding.apply(o, hidden), t),
    }[where]
    both = nn.ModuleList([model, hidden])
    result = after_backward(both, MultiStepLoss(run, criterion, truncate=truncate), x, y, scale=0.1)
    assert_same(result, after_backward(both, written_out(run, criterion, truncate=truncate), x, y, scale=0.1))


def test_float16_waits_for_its_scaler() -> None:
    """A gradient taken before the loss is scaled would be lost: 1e-8 is nothing in float16."""
    model = nn.Conv2d(1, 1, 1, bias=False)
    x, y = torch.rand(2, 1, 1, 4, 4)

    def criterion(output: Tensor, target: Tensor) -> Tensor:
        return 1e-8 * (output.half() * target.half()).float().sum()

    with counted() as taken:
        result = after_backward(model, MultiStepLoss(model, criterion), x, y, scale=2.0**16)
    assert taken == [0]
    assert result["weight"].abs() > 1e-4
    for truncate, inside in ((1, 0), (None, 3)):
        half = nn.Sequential(model)
        half.forward = lambda x: model(x).half().float()
        with counted() as taken:
            MultiStepLoss(half, mse, truncate=truncate)(x, y)
        assert taken == [inside]
    with counted() as taken, torch.autocast("cpu", dtype=torch.float16):
        MultiStepLoss(model, mse)(x, y)
    assert taken == [0]


@pytest.mark.parametrize("truncate", [None, 1, 2])
def test_autocast(truncate: int | None) -> None:
    model, (x, y) = small().float(), (v.float() for v in images())
    x, y = x.contiguous(), y.contiguous()
    hand = written_out(model, lambda o, t: mse(o.float(), t), truncate=truncate)
    loss = MultiStepLoss(model, lambda o, t: mse(o.float(), t), truncate=truncate)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        with counted() as taken:
            result = after_backward(model, loss, x, y)
        again = after_backward(model, loss, x, y)  # with the casts that autocast has kept
    assert taken == [{None: 3, 1: 3, 2: 4}[truncate]]
    assert_same(again, result, tolerance=0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert_same(result, after_backward(model, hand, x, y), tolerance=2e-2)


@pytest.mark.parametrize("truncate", [None, 1])
def test_second_derivatives_of_what_hooks_have_saved_elsewhere(truncate: int | None) -> None:
    model, (x, y) = small(), images()

    def second(eager: bool) -> list[Tensor]:
        with torch.autograd.graph.saved_tensors_hooks(lambda tensor: tensor.clone(), lambda saved: saved):
            value = MultiStepLoss(model, mse, truncate=truncate, eager=eager)(x, y)
        first = torch.autograd.grad(value, list(model.parameters()), create_graph=True)
        return list(torch.autograd.grad(sum(g.square().sum() for g in first), list(model.parameters())))

    for got, expected in zip(second(eager=True), second(eager=False), strict=True):
        torch.testing.assert_close(got, expected)


@pytest.mark.parametrize("truncate", [None, 1])
def test_second_derivatives_are_computed_under_the_autocast_of_then(truncate: int | None) -> None:
    model, (x, y) = small().float(), (v.float() for v in images())
    seen: list[tuple[bool, torch.dtype]] = []

    def criterion(output: Tensor, target: Tensor) -> Tensor:
        seen.append((torch.is_autocast_enabled("cpu"), output.dtype))
        return mse(output.float(), target)

    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = MultiStepLoss(model, criterion, truncate=truncate)(x, y)
    torch.autograd.grad(value, list(model.parameters()), create_graph=True)
    assert seen == [(True, torch.bfloat16)] * 6


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")  # torch's own
@pytest.mark.parametrize("truncate", [None, 1])
def test_function_transforms(truncate: int | None) -> None:
    model, (x, y) = small(), images()
    loss, hand = MultiStepLoss(model, mse, truncate=truncate), written_out(model, mse, truncate=truncate)
    params = dict(model.named_parameters())

    def of(which: Callable[..., Tensor]) -> Callable[..., Tensor]:
        holder = Holding(model, which)
        return lambda p, x, y: functional_call(holder, {f"model.{name}": v for name, v in p.items()}, (x, y))

    for expected, got in zip(grad(of(hand))(params, x, y).values(), grad(of(loss))(params, x, y).values(), strict=True):
        torch.testing.assert_close(got, expected)
    per_image = [
        vmap(grad(of(which)), in_dims=(None, 0, 0))(params, x[:, None], y[:, None])["outer.weight"]
        for which in (loss, hand)
    ]
    torch.testing.assert_close(*per_image)
    tangents = [jvp(lambda v, which=which: which(v, y), (x,), (y,))[1] for which in (loss, hand)]
    torch.testing.assert_close(*tangents)
    with forward_ad.dual_level():
        dual = [forward_ad.unpack_dual(which(forward_ad.make_dual(x, y), y)).tangent for which in (loss, hand)]
    torch.testing.assert_close(*dual)
    hessians = [torch.autograd.functional.hessian(lambda v, w=which: w(v, y[:1]), x[:1]) for which in (loss, hand)]
    torch.testing.assert_close(*hessians)


@pytest.mark.parametrize("reentrant", [False, True])
@pytest.mark.parametrize("truncate", [None, 1])
def test_loss_inside_a_checkpoint(reentrant: bool, truncate: int | None) -> None:
    model, (x, y) = small(norm="batch"), images()

    def inside(loss: Callable[..., Tensor]) -> Callable[..., Tensor]:
        return lambda x, y: checkpoint(loss, x, y, use_reentrant=reentrant)

    early = inside(MultiStepLoss(model, mse, truncate=truncate))
    hand = inside(written_out(model, mse, truncate=truncate))
    x.requires_grad_()
    assert_same(after_backward(model, early, x, y), after_backward(model, hand, x, y))


def test_complex_numbers() -> None:
    torch.manual_seed(0)
    weight = nn.Parameter(torch.randn(3, 3, dtype=torch.complex128))
    model = nn.Module()
    model.weight, model.forward = weight, lambda x: torch.tanh(x @ model.weight)
    x, y = torch.randn(2, 4, 3, dtype=torch.complex128)

    def criterion(output: Tensor, target: Tensor) -> Tensor:
        return (output - target).abs().square().mean()

    for truncate in (None, 1):
        result = after_backward(model, MultiStepLoss(model, criterion, truncate=truncate), x.requires_grad_(), y)
        assert_same(result, after_backward(model, written_out(model, criterion, truncate=truncate), x, y))


def test_memory_is_let_go_by_the_backward_pass_though_the_loss_is_kept() -> None:
    torch.manual_seed(0)
    model = nn.Conv2d(3, 3, 3, padding=1)

    class Featured:
        def prepare(self, target: Tensor) -> Mapping[str, Tensor]:
            return {"image": target, "features": target.repeat(1, 20, 1, 1)}

        def __call__(self, output: Tensor, target: Mapping[str, Tensor]) -> Tensor:
            return mse(output.repeat(1, 20, 1, 1), target["features"])

    x, y = torch.rand(2, 1, 3, 64, 64)
    for options in ({}, {"truncate": 1}, {"checkpoint": True}):
        loss = MultiStepLoss(model, Featured(), **options)
        with LiveBytes() as memory:
            value = loss(x, y)
            value.backward()
            model.zero_grad()
        assert memory.live <= 4 * x.nbytes, options
        assert value.requires_grad


def both_ways(
    make: Callable[[], tuple[nn.Module, Callable[..., Any], Callable[..., Any]]],
    read: Callable[[Any], Tensor] = lambda output: output,
    *extra: Tensor,
    truncate: int | None = None,
    target: Callable[[Tensor], Any] = lambda y: y,
    watch: Tensor | None = None,
) -> None:
    """Hold the loss against the loop written by hand, each with a model, a function and a criterion of its own."""
    results = []
    for early in (True, False):
        model, run, criterion = make()
        x, y = images()
        loss = (
            MultiStepLoss(run, criterion, feedback=read, truncate=truncate)
            if early
            else written_out(run, criterion, read=read, truncate=truncate)
        )
        results.append(after_backward(model, lambda a, b, loss=loss: loss(a, target(b)), x, y))
        if watch is not None:
            results[-1]["watched"], watch.grad = watch.grad, None
    assert_same(*results)


@pytest.mark.parametrize("truncate", [None, 1])
def test_backward_pass_is_not_under_the_autocast_of_the_forward(truncate: int | None) -> None:
    torch.manual_seed(0)
    model, critic = nn.Linear(16, 16), nn.Linear(16, 16).requires_grad_(requires_grad=False)
    x, y = torch.rand(2, 8, 16)

    def exactly(net: nn.Module, v: Tensor) -> Tensor:
        with torch.autocast("cpu", enabled=False):
            return net(v.float())

    def criterion(output: Tensor, target: Tensor) -> Tensor:
        return mse(exactly(critic, output), target)

    results = []
    for eager in (True, False):
        model.zero_grad()
        loss = MultiStepLoss(lambda v: exactly(model, v), criterion, truncate=truncate, eager=eager)
        with torch.autocast("cpu", torch.bfloat16):
            value = loss(x, y)
        value.backward()
        results.append(model.weight.grad.clone())
    torch.testing.assert_close(*results, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("truncate", [None, 1, 2])
def test_containers_that_others_hold_as_well(truncate: int | None) -> None:
    weight = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)

    def make() -> tuple[nn.Module, Callable[..., Any], Callable[..., Any]]:
        model, memory = small(), {"w": weight, "count": 0.0, "bias": 0.0}

        def run(v: Tensor) -> dict[str, Any]:
            memory["bias"] = 0.1 * memory["count"]
            first = model(v)
            return {"a": first + memory["bias"], "b": first.sin(), "memory": memory}

        def criterion(output: dict[str, Any], target: Tensor) -> Tensor:
            output["memory"]["count"] += 1.0
            assert output["memory"] is memory
            return output["memory"]["w"] * mse(output["a"] * output["b"], target) * memory["count"]

        return model, run, criterion

    both_ways(make, lambda output: output["a"], truncate=truncate)


@pytest.mark.parametrize("where", ["target", "output", "closure"])
@pytest.mark.parametrize("allowed", [True, False])
def test_criteria_that_differentiate_by_what_they_are_given(where: str, allowed: bool) -> None:
    """As those of physics-informed networks do."""

    def make() -> tuple[nn.Module, Callable[..., Any], Callable[..., Any]]:
        model = small()
        coordinates = torch.linspace(0, 1, 2 * 2 * 4 * 5, dtype=torch.float64).view(2, 2, 4, 5).requires_grad_()
        given["coordinates"] = coordinates

        def run(v: Tensor) -> dict[str, Any]:
            output = model(v + coordinates.square())
            return {"image": output, **({"by": coordinates} if where == "output" else {})}

        def criterion(output: dict[str, Tensor], target: Any) -> Tensor:
            by = {"closure": coordinates, "output": output.get("by"), "target": target[1]}[where]
            (slope,) = torch.autograd.grad(output["image"].sum(), by, create_graph=True, allow_unused=allowed)
            return mse(output["image"], target[0]) + slope.square().mean()

        return model, run, criterion

    given: dict[str, Tensor] = {}
    target = lambda y: (y, given["coordinates"] if where == "target" else y)  # noqa: E731
    both_ways(make, lambda output: output["image"], target=target)


def test_parts_of_an_output_that_are_differentiated_by_each_other_are_named() -> None:
    model, (x, y) = small(), images()

    def run(v: Tensor) -> dict[str, Tensor]:
        hidden = model(v)
        return {"hidden": hidden, "image": hidden.sin()}

    def criterion(output: dict[str, Tensor], target: Tensor) -> Tensor:
        (slope,) = torch.autograd.grad(output["image"].sum(), output["hidden"], create_graph=True)
        return mse(output["image"], target) + slope.square().mean()

    with pytest.raises(RuntimeError, match=r"the criterion differentiates one of the tensors .*give eager=False"):
        MultiStepLoss(run, criterion, feedback="image")(x, y)
    results = [
        after_backward(model, loss, x, y)
        for loss in (
            MultiStepLoss(run, criterion, feedback="image", eager=False),
            written_out(run, criterion, read=lambda output: output["image"]),
        )
    ]
    assert_same(*results)


@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize("who", ["model", "criterion"])
def test_hooks_on_outputs_see_the_gradient_of_the_backward_pass(who: str, parts: int) -> None:
    def make() -> tuple[nn.Module, Callable[..., Any], Callable[..., Any]]:
        model = small()

        def hook(tensor: Tensor) -> None:
            tensor.register_hook(lambda gradient: 3 * gradient + 1e-3)

        def run(v: Tensor) -> tuple[Tensor, ...]:
            output = model(v)
            if who == "model":
                hook(output)
            return (output, output.sin())[:parts]

        def criterion(output: tuple[Tensor, ...], target: Tensor) -> Tensor:
            if who == "criterion":
                hook(output[0])
            return sum(mse(part, target) for part in output)

        return model, run, criterion

    both_ways(make, lambda output: output[0])


@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize("who", ["model", "criterion"])
def test_gradients_retained_by_outputs_are_those_of_the_backward_pass(who: str, parts: int) -> None:
    model, (x, y) = small(), images()
    kept: list[Tensor] = []

    def run(v: Tensor) -> tuple[Tensor, ...]:
        output = model(v)
        kept.append(output)
        if who == "model":
            output.retain_grad()
        return (output, output.sin())[:parts]

    def criterion(output: tuple[Tensor, ...], target: Tensor) -> Tensor:
        if who == "criterion":
            output[0].retain_grad()
        return sum(mse(part, target) for part in output)

    results = []
    for loss in (MultiStepLoss(run, criterion, feedback=0), written_out(run, criterion, read=lambda o: o[0])):
        kept.clear()
        (100 * loss(x, y)).backward()
        results.append({str(i): output.grad for i, output in enumerate(kept)})
    assert_same(*results)


def test_other_outputs_of_the_operation_that_an_output_comes_from() -> None:
    def make() -> tuple[nn.Module, Callable[..., Any], Callable[..., Any]]:
        model, aside = small(), {}

        def run(v: Tensor) -> Tensor:
            output, aside["second"] = torch.cat([model(v), model(v).sin()]).chunk(2)
            return output

        return model, run, lambda output, target: mse(output * aside["second"], target)

    both_ways(make)


class AttrDict(dict):
    """A dict whose attributes are its entries."""

    def __init__(self, **entries: Any) -> None:
        super().__init__(**entries)
        self.__dict__ = self


class TagDict(dict):
    """A dict with attributes beside its entries."""

    def __init__(self, a: Tensor, b: Tensor) -> None:
        super().__init__(a=a, b=b)
        self.first = a


class Frozen(Mapping):
    """A mapping of somebody's own, that cannot change."""

    def __init__(self, **entries: Any) -> None:
        self._entries = entries
        self.first = next(iter(entries.values()))

    def __getitem__(self, key: str) -> Any:
        return self._entries[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


class Tagged(tuple):
    """A tuple with attributes."""


class Uncopyable(Bag):
    def __reduce_ex__(self, protocol: Any) -> Any:
        raise TypeError("not to be copied")


def tagged(a: Tensor, b: Tensor) -> Tagged:
    made = Tagged((a, b))
    made.first = a
    return made


ODD: dict[str, tuple[Callable[[Tensor, Tensor], Any], Callable[[Any], Tensor]]] = {
    "attributes as entries": (lambda a, b: AttrDict(a=a, b=b), lambda o: o.a * o["b"]),
    "frozen mapping": (lambda a, b: Frozen(a=a, b=b), lambda o: o.first * o["b"]),
    "frozen mapping of a dict": (lambda a, b: Frozen(a=a, b={"b": b}), lambda o: o.first * o["b"]["b"]),
    "proxy of a list": (lambda a, b: types.MappingProxyType({"a": [a], "b": b}), lambda o: o["a"][0] * o["b"]),
    "proxy": (lambda a, b: types.MappingProxyType({"a": a, "b": b}), lambda o: o["a"] * o["b"]),
    "tagged dict": (TagDict, lambda o: o.first * o["b"] if o.first is o["a"] else o["gone"]),
    "tagged tuple": (tagged, lambda o: o.first * o[1]),
    "not to be copied": (lambda a, b: Uncopyable(a=a, b=b), lambda o: o.a * o.b),
    "set": (lambda a, b: ({a}, b), lambda o: next(iter(o[0])) * o[1]),
    "distribution": (lambda a, b: torch.distributions.Normal(a, b.exp()), lambda o: o.mean + o.entropy()),
    "within itself": (lambda a, b: (d := {"a": a, "b": b}).update(d=d) or d, lambda o: o["d"]["a"] * o["b"]),
    "deque": (lambda a, b: deque([a, b], maxlen=2), lambda o: o[0] * o[1]),
    "filled later": (lambda a, b: {"cache": {}, "a": a, "b": b}, lambda o: o["cache"].setdefault("c", o["a"] * o["b"])),
}


@pytest.mark.parametrize("truncate", [None, 1])
@pytest.mark.parametrize("kind", sorted(ODD))
@pytest.mark.parametrize("twice", [False, True])
@pytest.mark.parametrize("parts", [1, 2])
def test_odd_outputs(kind: str, truncate: int | None, twice: bool, parts: int) -> None:
    model, (x, y) = small(), images()
    make, use = ODD[kind]

    def run(v: Tensor) -> tuple[Any, Tensor]:
        output = model(v)
        return make(output, output.sin() if parts == 2 else y), output

    def criterion(output: Any, target: Tensor) -> Tensor:
        return mse(use(output[0]), target)

    def read(output: Any) -> Tensor:
        use(output[0])  # which may be particular about what it holds
        return output[1]

    results = []
    for loss in (
        MultiStepLoss(run, criterion, feedback=read, truncate=truncate),
        written_out(run, criterion, read=read, truncate=truncate),
    ):
        value = loss(x, y)
        if twice:  # and once more
            torch.autograd.grad(value, list(model.parameters()), create_graph=True)
        gradients = torch.autograd.grad(value, list(model.parameters()), create_graph=twice)
        if twice:
            gradients = torch.autograd.grad(sum(g.square().sum() for g in gradients), list(model.parameters()))
        results.append({str(i): gradient for i, gradient in enumerate(gradients)})
    assert_same(*results)


@pytest.mark.parametrize("parts", [1, 2])
def test_attributes_that_python_gives_to_tensors(parts: int) -> None:
    def make() -> tuple[nn.Module, Callable[..., Any], Callable[..., Any]]:
        model = small()

        def run(v: Tensor) -> tuple[Tensor, ...]:
            output = model(v)
            output.gain, output.gone = 2.0, True
            return (output, output.sin())[:parts]

        def criterion(output: tuple[Tensor, ...], target: Tensor) -> Tensor:
            output[0].seen = output[0].gain
            del output[0].gone
            return mse(output[0] * output[0].gain, target) + output[-1].mean()

        return model, run, criterion

    both_ways(make, lambda output: output[0] / (output[0].seen + hasattr(output[0], "gone")))


def test_statistics_of_a_module_that_feeds_back_are_counted_once() -> None:
    model, between, (x, y) = small(), nn.BatchNorm2d(2).double(), images()
    loss = MultiStepLoss(model, mse, 4, feedback=between, truncate=2)
    torch.autograd.grad(loss(x, y), list(model.parameters()), create_graph=True)
    assert between.num_batches_tracked == 3


def test_features_that_a_model_leaves_in_its_conditioning() -> None:
    model, (x, y) = small(), images()

    def run(v: Tensor, log: dict[str, Any]) -> Tensor:
        log["features"] = model.inner(v)
        return model(v)

    logs: list[dict[str, Any]] = [{}, {}]
    results = [
        after_backward(model, lambda a, b, loss=loss, log=log: loss(a, b, log), x, y)
        for loss, log in zip(
            (MultiStepLoss(run, mse, truncate=1), written_out(run, mse, truncate=1)), logs, strict=True
        )
    ]
    assert_same(*results)
    torch.testing.assert_close(logs[0]["features"], logs[1]["features"])


def test_sparse_and_dense_gradients_of_the_same_weights() -> None:
    torch.manual_seed(0)
    table = nn.Embedding(5, 3, sparse=True).double()
    index, y = torch.tensor([0, 2, 2]), torch.rand(3, 3, dtype=torch.float64)
    x = torch.rand(3, 3, dtype=torch.float64)
    steps = iter([0, 1, 1] * 4)

    def run(v: Tensor) -> Tensor:
        return v + table(index) if next(steps) == 0 else v * table.weight[index]

    assert_same(
        after_backward(table, MultiStepLoss(run, mse, truncate=1), x, y),
        after_backward(table, written_out(run, mse, truncate=1), x, y),
    )


@pytest.mark.parametrize("kind", ["dict", "tuple", "deep", "attribute", "cannot"])
def test_what_was_lent_is_given_back(kind: str) -> None:
    model, (x, y) = small(), images()
    made: list[tuple[Any, Tensor, Tensor]] = []

    def run(v: Tensor) -> Any:
        a = model(v)
        b = a.sin()
        output = {
            "dict": lambda: {"a": a, "b": b},
            "tuple": lambda: {"pair": (a, b)},
            "deep": lambda: [{"more": [a, (1, [b])]}],
            "attribute": lambda: TagDict(a, b),
            "cannot": lambda: {"inner": {"a": a}, "proxy": types.MappingProxyType({"b": b})},
        }[kind]()
        made.append((output, a, b))
        return output

    def both(output: Any) -> tuple[Tensor, Tensor]:
        return {
            "dict": lambda: (output["a"], output["b"]),
            "tuple": lambda: output["pair"],
            "deep": lambda: (output[0]["more"][0], output[0]["more"][1][1][0]),
            "attribute": lambda: (output.first, output["b"]),
            "cannot": lambda: (output["inner"]["a"], output["proxy"]["b"]),
        }[kind]()

    def criterion(output: Any, target: Tensor) -> Tensor:
        first, second = both(output)
        return mse(first * second, target)

    with counted() as taken:
        MultiStepLoss(run, criterion, feedback=lambda output: both(output)[0])(x, y).backward()
    assert taken == [0 if kind == "cannot" else 3]
    for output, a, b in made:
        assert both(output)[0] is a
        assert both(output)[1] is b


def test_recorded_outputs_are_detached_whatever_their_attributes() -> None:
    model, (x, y) = small(), images()
    run = lambda v: AttrDict(a=model(v))  # noqa: E731
    losses = MultiStepLoss(run, lambda o, t: mse(o.a, t), feedback="a")(x, y, details=True)
    for output in losses.outputs:
        assert output.a is output["a"]
        assert not output.a.requires_grad


@pytest.mark.parametrize("truncate", [None, 1, 2])
@pytest.mark.parametrize("what", ["feedback", "target", "target by feedback", "conditioning"])
def test_what_is_modified_in_place_after_its_step(what: str, truncate: int | None) -> None:
    """The gradient goes where it would have gone, through what the tensor was then."""

    def make() -> tuple[nn.Module, Callable[..., Any], Callable[..., Any]]:
        model = small()
        scale = 1.5 * model.outer.bias.mean().detach().requires_grad_()

        def run(v: Tensor) -> Tensor:
            if what == "conditioning":
                scale.mul_(2)
            return model(v) + (scale if what == "conditioning" else 0)

        def criterion(output: Tensor, target: Tensor) -> Tensor:
            if what == "target":
                target.mul_(1.5)
            return (output - target).mean().abs()

        return model, run, criterion

    def read(output: Tensor) -> Tensor:
        if what == "target by feedback":
            targets[-1].mul_(1.5)
        return output.clamp_(0, 0.1) if what == "feedback" else output

    def target(y: Tensor) -> Tensor:
        targets.append(weight * y)
        return targets[-1]

    targets: list[Tensor] = []
    weight = torch.tensor(0.9, dtype=torch.float64, requires_grad=True)
    both_ways(make, read, truncate=truncate, target=target, watch=weight)


def test_checkpointed_steps_are_recomputed_once_though_a_part_reaches_them() -> None:
    model, (x, y) = small(), images()
    calls: list[int] = []
    outputs: list[Tensor] = []

    def run(v: Tensor) -> Tensor:
        calls.append(1)
        return model(v)

    def criterion(output: Tensor, target: Tensor) -> Tensor:
        outputs.append(output)
        return mse(output, target) + (mse(output, outputs[-2]) if len(outputs) > 1 else 0)

    value = MultiStepLoss(run, criterion, checkpoint=True)(x, y)
    assert len(calls) == 3
    value.backward()
    assert len(calls) == 6


def test_containers_are_as_they_were_whatever_is_raised() -> None:
    class Locked(dict):
        def __setitem__(self, key: Any, entry: Any) -> None:
            raise RuntimeError("locked")

    model, (x, y) = small(), images()
    output: dict[str, Any] = {}

    def run(v: Tensor) -> dict[str, Any]:
        a = model(v)
        output.update(first={"a": a, "b": a.sin()}, locked=Locked(c=a.cos()))
        output["tensors"] = a
        return output

    def criterion(given: dict[str, Any], target: Tensor) -> Tensor:
        return mse(given["first"]["a"] * given["locked"]["c"], target)

    loss = MultiStepLoss(run, criterion, feedback=lambda given: given["first"]["a"])
    hand = written_out(run, criterion, read=lambda given: given["first"]["a"])
    assert_same(after_backward(model, loss, x, y), after_backward(model, hand, x, y))
    assert output["first"]["a"] is output["tensors"]

    def failing(given: tuple[Tensor, ...], target: Tensor) -> Tensor:
        raise KeyError("mine")

    kept: list[Any] = []

    def keep(v: Tensor) -> list[Tensor]:
        kept.append([model(v)])
        kept[-1].append(kept[-1][0].sin())
        kept.append(list(kept[-1]))
        return kept[-2]

    with pytest.raises(KeyError, match="mine"):
        MultiStepLoss(keep, failing, feedback=0)(x, y)
    assert kept[0][0] is kept[1][0]
    assert kept[0][1] is kept[1][1]


@pytest.mark.parametrize("truncate", [1, 2])
def test_second_derivatives_of_a_model_that_marks_its_input(truncate: int) -> None:
    model, (x, y) = small(), images()

    def descend(v: Tensor) -> Tensor:
        v.requires_grad_()
        (gradient,) = torch.autograd.grad(model(v).square().sum(), v, create_graph=True)
        return v - 0.1 * gradient

    results = []
    for loss in (MultiStepLoss(descend, mse, truncate=truncate), written_out(descend, mse, truncate=truncate)):
        first = torch.autograd.grad(loss(x.clone(), y), list(model.parameters()), create_graph=True, allow_unused=True)
        total = sum(g.square().sum() for g in first if g is not None)
        second = torch.autograd.grad(total, list(model.parameters()), allow_unused=True)
        results.append({str(i): gradient for i, gradient in enumerate(second)})
    assert_same(*results)


@pytest.mark.parametrize("options", [{}, {"truncate": 1}])
def test_second_derivatives_without_numbers(options: dict[str, Any]) -> None:
    model = nn.Conv2d(2, 2, 1, device="meta")
    x, y = torch.rand(2, 1, 2, 4, 4, device="meta")
    first = torch.autograd.grad(MultiStepLoss(model, mse, **options)(x, y), list(model.parameters()), create_graph=True)
    assert all(gradient.is_meta for gradient in first)


def test_parts_of_an_output_that_do_not_depend_on_each_other_are_handed_over_themselves() -> None:
    model, other, (x, y) = small(), small(5), images()
    seen: list[tuple[Tensor, ...]] = []

    def criterion(output: tuple[Tensor, ...], target: Tensor) -> Tensor:
        seen.append(output)
        return mse(output[0] * output[1], target)

    made: list[tuple[Tensor, ...]] = []

    def run(v: Tensor) -> tuple[Tensor, ...]:
        made.append((model(v), other(v), torch.cat([v, v]).chunk(2)[0]))
        return made[-1]

    with counted() as taken:
        MultiStepLoss(run, criterion, feedback=0)(x, y).backward()
    assert taken == [3]
    assert all(output is own for output, own in zip(seen, made, strict=True))


class Clamped(torch.autograd.Function):
    """A function whose gradient is clamped, and which can be vmapped."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient.clamp(-1e-3, 1e-3)


@pytest.mark.parametrize("mapped", [False, True])
def test_functions_that_are_not_linear_keep_the_graph(mapped: bool) -> None:
    model, (x, y) = small(), images()
    clamped = vmap(Clamped.apply) if mapped else Clamped.apply

    def criterion(output: Tensor, target: Tensor) -> Tensor:
        return mse(clamped(output), target)

    early, hand = MultiStepLoss(model, criterion), written_out(model, criterion)
    assert_same(after_backward(model, early, x, y, scale=100.0), after_backward(model, hand, x, y, scale=100.0))

"""Gradients taken early are those of the ordinary graph, and where they would not be, the graph is kept."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from msloss import MultiStepLoss
from msloss._memory import LiveBytes

from .cases import Case, assert_same, by_hand, cases, weight_lists
from .eager import WRAPPED, after_backward, counted, images, mse, small, written_out


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


def test_weights_changed_before_a_second_derivative() -> None:
    for options in ({"truncate": 1}, {}):
        model, (x, y) = small(), images()
        value = MultiStepLoss(model, mse, **options)(x, y)
        with torch.no_grad():
            model.outer.weight.mul_(1.0000001)
        with pytest.raises(RuntimeError, match="modified"):
            torch.autograd.grad(value, list(model.parameters()), create_graph=True)


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


def test_statistics_of_a_module_that_feeds_back_are_counted_once() -> None:
    model, between, (x, y) = small(), nn.BatchNorm2d(2).double(), images()
    loss = MultiStepLoss(model, mse, 4, feedback=between, truncate=2)
    torch.autograd.grad(loss(x, y), list(model.parameters()), create_graph=True)
    assert between.num_batches_tracked == 3


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

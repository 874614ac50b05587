"""The laws of the multi-step loss, over drawn networks, structures, conditioning and step counts, in float64."""

import copy
import pickle
from collections import UserDict, deque
from collections.abc import Callable
from types import MappingProxyType, SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

import msloss
from msloss import MultiStepLoss, StepLosses, refine, unroll

from .cases import Case, Counter, Network, Squares, assert_same, by_hand, cases, part_of, weight_lists


def loss_of(case: Case, steps: int | None = None, **options: object) -> MultiStepLoss:
    return MultiStepLoss(
        case.model, case.criterion, case.steps if steps is None else steps, feedback=case.feedback, **options
    )


def details_of(case: Case, loss: MultiStepLoss) -> StepLosses:
    torch.manual_seed(case.seed)
    details = loss(case.x, case.y, *case.cond, details=True, **case.named_cond)
    assert isinstance(details, StepLosses)
    return details


@given(cases())
def test_one_step_is_the_criterion(case: Case) -> None:
    def criterion(x: Tensor, y: Tensor, *cond: Tensor, **named: Tensor) -> Tensor:
        target = case.criterion.prepare(y) if hasattr(case.criterion, "prepare") else y
        value = case.criterion(case.model(x, *cond, **named), target)
        return sum(value.values()) if isinstance(value, dict) else value

    assert_same(case.run(loss_of(case, steps=1)), case.run(criterion), tolerance=1e-14)


@given(cases(), st.data(), st.floats(-2, 2), st.floats(-2, 2))
def test_loss_is_linear_in_the_weights(case: Case, data: st.DataObject, a: float, b: float) -> None:
    first, second = data.draw(weight_lists(case.steps)), data.draw(weight_lists(case.steps))
    combined = [a * u + b * v for u, v in zip(first, second, strict=True)]
    if not any(combined):
        return

    def total(weights: list[float]) -> Tensor:
        return case.run(loss_of(case, weights=weights))["value"]

    torch.testing.assert_close(total(combined), a * total(first) + b * total(second), rtol=1e-10, atol=1e-10)


@given(cases(stateful=False), st.integers(1, 4))
def test_first_steps_do_not_depend_on_those_that_follow(case: Case, more: int) -> None:
    short, long = details_of(case, loss_of(case)), details_of(case, loss_of(case, steps=case.steps + more))
    assert torch.equal(short.per_step, long.per_step[: case.steps])
    for name, term in short.terms.items():
        assert torch.equal(term, long.terms[name][: case.steps])


@given(cases(stateful=False))
def test_identity_model_gives_m_times_the_one_step_loss(case: Case) -> None:
    loss = MultiStepLoss(nn.Identity(), nn.functional.mse_loss, case.steps)
    torch.testing.assert_close(loss(case.x, case.y), case.steps * nn.functional.mse_loss(case.x, case.y))


@given(cases(), st.sampled_from(["all", "first"]), st.sampled_from([None, 1, 2]), st.booleans())
def test_checkpointing_changes_no_value_gradient_buffer_or_random_state(
    case: Case, norm_stats: str, truncate: int | None, training: bool
) -> None:
    case.model.train(training)
    plain = loss_of(case, norm_stats=norm_stats, truncate=truncate)
    checkpointed = loss_of(case, norm_stats=norm_stats, truncate=truncate, checkpoint=True)
    assert_same(case.run(checkpointed), case.run(plain), tolerance=1e-14)


@given(cases(), st.integers(0, 3))
def test_truncation_beyond_the_last_step_is_the_full_gradient(case: Case, beyond: int) -> None:
    assert_same(case.run(loss_of(case, truncate=case.steps + beyond)), case.run(loss_of(case)), tolerance=0)


@given(cases(stateful=False))
def test_truncation_at_every_step_is_the_sum_of_independent_steps(case: Case) -> None:
    def independent(x: Tensor, y: Tensor, *cond: Tensor, **named: Tensor) -> Tensor:
        with torch.no_grad():
            inputs = [x]
            for _ in range(case.steps - 1):
                inputs.append(part_of(case.feedback)(case.model(inputs[-1], *cond, **named)))
        one = loss_of(case, steps=1)
        return sum(one(x_t, y, *cond, **named) for x_t in inputs)

    assert_same(case.run(loss_of(case, truncate=1)), case.run(independent))


@given(cases())
def test_refinement_is_the_last_output_in_evaluation_mode(case: Case) -> None:
    refined = refine(case.model, case.x, *case.cond, steps=case.steps, feedback=case.feedback, **case.named_cond)
    assert case.model.training
    if isinstance(case.model, Counter):
        case.model.calls.zero_()
    case.model.eval()
    last = details_of(case, loss_of(case)).outputs[-1]
    torch.testing.assert_close(part_of(case.feedback)(refined), part_of(case.feedback)(last), rtol=0, atol=0)


@given(cases(), st.data(), st.sampled_from([None, 1, 2, 3]), st.booleans())
def test_loss_and_gradients_equal_the_loop_written_by_hand(
    case: Case, data: st.DataObject, truncate: int | None, weighted: bool
) -> None:
    weights = None
    if weighted and isinstance(case.criterion, Squares):
        weights = data.draw(weight_lists(case.steps))
    elif weighted:
        weights = {name: data.draw(weight_lists(case.steps)) for name in ("square", "edge")}
    loss = loss_of(case, weights=weights, truncate=truncate)
    assert_same(case.run(loss), case.run(by_hand(case, weights, truncate)))


@given(cases())
def test_details_are_the_parts_of_the_total(case: Case) -> None:
    loss = loss_of(case)
    before = copy.deepcopy(case.model.state_dict())
    details = details_of(case, loss)
    case.model.load_state_dict(before)
    torch.manual_seed(case.seed)
    assert torch.equal(details.total, loss(case.x, case.y, *case.cond, **case.named_cond))
    assert details.total.requires_grad
    assert details.per_step.shape == (case.steps,)
    torch.testing.assert_close(details.per_step.sum(), details.total.detach(), rtol=1e-12, atol=1e-12)
    assert set(details.terms) == (set() if isinstance(case.criterion, Squares) else {"square", "edge"})
    parts = [details.per_step, *details.terms.values(), *map(part_of(case.feedback), details.outputs)]
    assert not any(part.requires_grad for part in parts)
    assert len(details.outputs) == case.steps


@given(cases(stateful=False))
def test_unroll_feeds_every_output_back(case: Case) -> None:
    expected = case.x
    steps = list(unroll(case.model, case.x, *case.cond, steps=case.steps, feedback=case.feedback, **case.named_cond))
    assert [step.index for step in steps] == list(range(1, case.steps + 1))
    for step in steps:
        assert torch.equal(step.input, expected)
        expected = part_of(case.feedback)(step.output)


@given(st.floats(0.1, 0.7), st.floats(1e-6, 1e-2), st.integers(1, 3))
def test_contraction_converges_and_the_tolerance_stops_there(factor: float, tol: float, images: int) -> None:
    fixed_point = torch.rand(images, 3, 4, 4, dtype=torch.float64)
    calls = 0

    def contraction(x: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        return fixed_point + factor * (x - fixed_point)

    x = torch.rand(images, 3, 4, 4, dtype=torch.float64)
    refined = refine(contraction, x, steps=1000, tol=tol)
    # each step shrinks the distance d to the fixed point by the factor and moves by (1 - factor) * d
    distance = (x - fixed_point).square().mean(dim=(1, 2, 3)).sqrt().max()
    expected = next(t for t in range(1, 1001) if (1 - factor) * factor ** (t - 1) * distance <= tol)
    assert calls == expected
    assert (refined - fixed_point).square().mean(dim=(1, 2, 3)).sqrt().max() <= tol * factor / (1 - factor) * (1 + 1e-9)


def test_statistics_of_later_steps_are_left_out_on_request() -> None:
    torch.manual_seed(0)
    for norm in ("batch", "cumulative", "instance"):
        first = Network(3, norm, 0.0, shared=False, structure="tensor").double()
        every = copy.deepcopy(first)
        x, y = torch.rand(2, 2, 3, 4, 4, dtype=torch.float64)
        MultiStepLoss(first, nn.functional.mse_loss, norm_stats="first")(x, y).backward()
        every(x)
        for (name, got), (_, expected) in zip(first.named_buffers(), every.named_buffers(), strict=True):
            assert torch.equal(got, expected), name


def test_target_is_prepared_once_a_call() -> None:
    criterion = Squares(None)
    loss = MultiStepLoss(nn.Identity(), criterion, steps=4)
    loss(torch.rand(1, 3, 4, 4), torch.rand(1, 3, 4, 4))
    assert criterion.prepared == 1


def test_gradient_reaches_the_criterion_and_passes_gradcheck() -> None:
    model = Network(1, "group", 0.0, shared=True, structure="tensor").double()
    loss = MultiStepLoss(model, nn.functional.mse_loss, steps=3)
    x, y = torch.rand(2, 1, 1, 3, 3, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda a, b: loss(a, b), (x.requires_grad_(), y.requires_grad_()))
    assert torch.autograd.gradgradcheck(lambda a: loss(a, y.detach()), (x,))


@pytest.mark.parametrize("name", ["gamma", "mean", "last_only"])
def test_named_weights_weigh_the_steps_that_run(name: str) -> None:
    weights = {"gamma": msloss.gamma(0.5), "mean": msloss.mean, "last_only": msloss.last_only}[name]
    expected = {"gamma": [0.5, 1.0], "mean": [0.5, 0.5], "last_only": [0.0, 1.0]}[name]
    loss = MultiStepLoss(
        lambda x: x / 2, lambda o, y: o.sum(), steps=3, weights=weights, schedule=msloss.AtEpochs({}, 2)
    )
    assert loss(torch.ones(1), torch.zeros(1)).item() == 0.5 * expected[0] + 0.25 * expected[1]


def test_checkpointing_recomputes() -> None:
    calls = 0

    def model(x: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        return x.sin().exp()

    x = torch.rand(1, 1, 4, 4, requires_grad=True)
    MultiStepLoss(model, nn.functional.mse_loss, steps=3, checkpoint=True)(x, x.detach()).backward()
    assert calls == 6


class Shared(nn.Module):
    """Two modules with one buffer between them: the first counts, the second reads."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.w = nn.Module(), nn.Module(), nn.Parameter(torch.ones((), dtype=torch.float64))
        self.a.register_buffer("n", torch.zeros((), dtype=torch.float64))
        self.b.register_buffer("n", self.a.n)

    def forward(self, x: Tensor) -> Tensor:
        self.a.n += 1
        return x * self.w.sin() * self.b.n.clone()


class Late(nn.Module):
    """A module whose buffer is born in its first forward pass."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.ones((), dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        if not hasattr(self, "n"):
            self.register_buffer("n", torch.zeros((), dtype=torch.float64))
        self.n += 1
        return x * self.w.sin() * self.n.clone()


@pytest.mark.parametrize(
    "make", [Shared, Late, lambda: nn.Sequential(nn.LazyBatchNorm2d(dtype=torch.float64), nn.Conv2d(3, 3, 1).double())]
)
def test_checkpointing_keeps_buffers_that_are_shared_or_born_late(make: Callable[[], nn.Module]) -> None:
    results = []
    for checkpoint in (False, True):
        torch.manual_seed(0)
        model = make()
        x, y = torch.rand(2, 2, 3, 4, 4, dtype=torch.float64)
        value = MultiStepLoss(model, nn.functional.mse_loss, steps=2, checkpoint=checkpoint)(x, y)
        value.backward()
        grads = {name: p.grad for name, p in model.named_parameters()}
        results.append({"value": value.detach(), **grads, **dict(model.named_buffers())})
    assert_same(results[1], results[0], tolerance=1e-14)


def test_statistics_are_used_and_not_updated_in_evaluation_mode() -> None:
    model = nn.BatchNorm2d(3).eval()
    model.running_mean += 1
    before = copy.deepcopy(model.state_dict())
    x, y = torch.rand(2, 1, 3, 4, 4)
    expected = MultiStepLoss(model, nn.functional.mse_loss)(x, y)
    assert torch.equal(MultiStepLoss(model, nn.functional.mse_loss, norm_stats="first")(x, y), expected)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


class Halved:
    """An output that computes when it is made."""

    def __init__(self, image: Tensor) -> None:
        self.image = image / 2


class Dictionary(dict[str, Tensor]):
    pass


class Called:
    """An output that can be called."""

    def __init__(self, image: Tensor) -> None:
        self.image = image / 2

    def __call__(self) -> Tensor:
        return self.image


class Slotted:
    """An output without a dictionary, and with a private name."""

    __slots__ = ("__image",)

    def __init__(self, image: Tensor) -> None:
        self.__image = image / 2

    def image(self) -> Tensor:
        return self.__image


@pytest.mark.parametrize(
    ("wrap", "feedback", "read"),
    [
        (Halved, "image", lambda o: o.image),
        (Called, lambda o: o(), lambda o: o()),
        (Slotted, lambda o: o.image(), lambda o: o.image()),
        (lambda y: UserDict(image=y / 2), "image", lambda o: o["image"]),
        (lambda y: torch.sort(y / 2), "values", lambda o: o.values),
        (lambda y: deque([y / 2]), lambda o: o[0], lambda o: o[0]),
        (lambda y: SimpleNamespace(image=y / 2), "image", lambda o: o.image),
        (lambda y: Dictionary(image=y / 2), "image", lambda o: o["image"]),
        (lambda y: MappingProxyType({"image": y / 2}), "image", lambda o: o["image"]),
        (lambda y: {0: y / 2}, 0, lambda o: o[0]),
        (lambda y: [[y / 2]], lambda o: o[0][0], lambda o: o[0][0]),
    ],
)
def test_outputs_of_any_kind_are_detached_and_fed_back(
    wrap: Callable[[Tensor], Any], feedback: Any, read: Callable[[Any], Tensor]
) -> None:
    x = torch.ones(1, requires_grad=True)
    loss = MultiStepLoss(wrap, lambda o, y: read(o).sum(), feedback=feedback)
    details = loss(x, x, details=True)
    assert [read(o).item() for o in details.outputs] == [0.5, 0.25, 0.125]
    assert not any(read(o).requires_grad for o in details.outputs)
    assert details.total.requires_grad


def test_conditioning_may_have_any_name() -> None:
    seen = []

    def model(x: Tensor, *, steps: str, checkpoint: str) -> Tensor:
        seen.append((steps, checkpoint))
        return x

    MultiStepLoss(model, nn.functional.mse_loss, steps=2)(torch.rand(2), torch.rand(2), steps="a", checkpoint="b")
    assert seen == [("a", "b")] * 2


def test_tolerance_in_half_precision_and_on_an_empty_batch() -> None:
    calls = 0

    def model(x: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        return x + 1e-4

    refine(model, torch.zeros(1, 4, dtype=torch.float16), steps=10, tol=1e-5)
    assert calls == 10
    assert refine(nn.Identity(), torch.zeros(0, 3, 4, 4), tol=1e-5).shape == (0, 3, 4, 4)


def test_loss_can_be_pickled() -> None:
    loss = MultiStepLoss(nn.Identity(), nn.functional.mse_loss, weights=msloss.gamma(0.8), schedule=msloss.OnPlateau())
    assert pickle.loads(pickle.dumps(loss)).weights(2) == (0.8, 1.0)

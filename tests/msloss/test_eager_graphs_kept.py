"""Where gradients taken early would not be exact, the graph is kept, and gives them."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.func import functional_call, grad, jvp, vmap
from torch.utils.checkpoint import checkpoint

from msloss import MultiStepLoss

from .cases import assert_same
from .eager import WRAPPED, after_backward, both_ways, counted, images, mse, small, written_out


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

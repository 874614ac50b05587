"""Gradients that are taken early, of outputs and conditioning in containers of any kind, which others may change."""

import types
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from msloss import MultiStepLoss

from .cases import assert_same
from .eager import after_backward, both_ways, counted, images, mse, small, written_out


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

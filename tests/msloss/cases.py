"""Drawn networks, inputs and criteria, and the loop written out by hand that the library is held against."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from hypothesis import strategies as st
from torch import Tensor, nn


class Pair(NamedTuple):
    clean: Tensor
    rest: Tensor


@dataclass(frozen=True)
class Both:
    clean: Tensor
    rest: Tensor


class Network(nn.Module):
    """A small restorer with whatever users have: normalisation, dropout, shared weights, conditioning, structure."""

    def __init__(self, channels: int, norm: str, dropout: float, shared: bool, structure: str) -> None:
        super().__init__()
        self.inner = nn.Conv2d(channels, 4, 3, padding=1)
        self.norm = {
            "none": nn.Identity(),
            "batch": nn.BatchNorm2d(4),
            "cumulative": nn.BatchNorm2d(4, momentum=None),
            "instance": nn.InstanceNorm2d(4, affine=True, track_running_stats=True),
            "group": nn.GroupNorm(2, 4),
        }[norm]
        self.dropout = nn.Dropout(dropout)
        self.middle = nn.Conv2d(4, 4, 1)
        self.again = self.middle if shared else nn.Conv2d(4, 4, 1)
        self.outer = nn.Conv2d(4, channels, 1)
        self.structure = structure

    def forward(self, x: Tensor, *cond: Tensor, scale: Tensor | None = None) -> Any:
        h = self.inner(x)
        for c in cond:
            h = h + c
        h = self.again(torch.tanh(self.middle(self.dropout(torch.sigmoid(self.norm(h))))))
        y = self.outer(h) if scale is None else self.outer(h) * scale
        return {
            "tensor": lambda: y,
            "tuple": lambda: (y.sin(), y),
            "dict": lambda: {"clean": y, "rest": x - y},
            "named": lambda: Pair(y, x - y),
            "dataclass": lambda: Both(y, x - y),
            "nested": lambda: {"rest": [x - y], "stages": (y.cos(), y)},
        }[self.structure]()


class Counter(nn.Module):
    """A model whose output depends on a buffer that every forward pass changes."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.calls: Tensor
        self.register_buffer("calls", torch.zeros((), dtype=torch.float64))

    def forward(self, x: Tensor, *cond: Tensor, **named: Tensor) -> Any:
        self.calls += 1
        return self.model(x / self.calls.clone(), *cond, **named)


FEEDBACK: dict[str, str | int | Callable[[Any], Any] | None] = {
    "tensor": None,
    "tuple": 1,
    "dict": "clean",
    "named": "clean",
    "dataclass": "clean",
    "nested": lambda output: output["stages"][1],
}


class Squares:
    """A criterion of one tensor, with a target that has to be prepared."""

    def __init__(self, feedback: Any) -> None:
        self.part = part_of(feedback)
        self.prepared = 0

    def prepare(self, target: Tensor) -> Tensor:
        self.prepared += 1
        return target.tanh()

    def __call__(self, output: Any, target: Tensor) -> Tensor:
        return (self.part(output).tanh() - target).square().mean()


class Terms:
    """A criterion of named terms."""

    def __init__(self, feedback: Any) -> None:
        self.part = part_of(feedback)

    def __call__(self, output: Any, target: Tensor) -> Mapping[str, Tensor]:
        difference = self.part(output) - target
        return {"square": difference.square().mean(), "edge": difference.diff(dim=-1).abs().sum()}


def part_of(feedback: Any) -> Callable[[Any], Tensor]:
    """Return the function that ``feedback`` means, written independently of the library."""
    if feedback is None:
        return lambda output: output
    if callable(feedback):
        return feedback
    if isinstance(feedback, int):
        return lambda output: output[feedback]
    return lambda output: output[feedback] if isinstance(output, dict) else getattr(output, feedback)


@dataclass
class Case:
    seed: int
    model: nn.Module
    x: Tensor
    y: Tensor
    criterion: Any
    feedback: Any
    steps: int
    cond: tuple[Tensor, ...] = ()
    named_cond: dict[str, Tensor] = field(default_factory=dict)

    def run(self, loss: Callable[..., Any], *, scale: float = 1.0, twice: bool = False) -> dict[str, Any]:
        """Return value, gradients, buffers and random state after one training step, from the same beginning.

        Gradients are those of ``scale`` times the loss, or ``twice``: of the sum of the squares of those.
        """
        begin = {name: tensor.clone() for name, tensor in self.model.state_dict().items()}
        x, y, *cond = (tensor.clone().requires_grad_() for tensor in (self.x, self.y, *self.cond))
        named = {name: tensor.clone().requires_grad_() for name, tensor in self.named_cond.items()}
        wanted = {"input": x, "target": y, **{f"cond {i}": c for i, c in enumerate(cond)}, **named}
        wanted |= {f"grad {name}": p for name, p in self.model.named_parameters()}
        torch.manual_seed(self.seed)
        value = scale * loss(x, y, *cond, **named)
        grads = torch.autograd.grad(value, list(wanted.values()), allow_unused=True, create_graph=twice)
        if twice:
            value = sum(g.square().sum() for g in grads if g is not None)
            grads = torch.autograd.grad(value, list(wanted.values()), allow_unused=True)
        result = {
            "value": value.detach(),
            **dict(zip(wanted, grads, strict=True)),
            **{f"buffer {name}": b.clone() for name, b in self.model.named_buffers()},
            "random": torch.get_rng_state(),
        }
        self.model.load_state_dict(begin)
        return result


def by_hand(case: Case, weights: Any = None, truncate: int | None = None) -> Callable[..., Tensor]:
    """Return the multi-step loss as one would write it without the library."""
    part = part_of(case.feedback)

    def loss(x: Tensor, y: Tensor, *cond: Tensor, **named: Tensor) -> Tensor:
        target = case.criterion.prepare(y) if hasattr(case.criterion, "prepare") else y
        total = torch.zeros((), dtype=x.dtype)
        for t in range(case.steps):
            if truncate is not None and t > 0 and t % truncate == 0:
                x = x.detach()
            output = case.model(x, *cond, **named)
            value = case.criterion(output, target)
            if isinstance(value, Mapping):
                for name, term in value.items():
                    weight = 1.0 if weights is None else weights[name][t] if isinstance(weights, dict) else weights[t]
                    total = total + weight * term
            else:
                total = total + (1.0 if weights is None else weights[t]) * value
            x = part(output)
        return total

    return loss


def assert_same(actual: Mapping[str, Any], expected: Mapping[str, Any], tolerance: float = 1e-10) -> None:
    """Compare what `Case.run` returned."""
    assert actual.keys() == expected.keys()
    for name, value in expected.items():
        if value is None or actual[name] is None:  # no gradient is a gradient of zero
            assert not any(side.any() for side in (value, actual[name]) if side is not None), name
        else:
            torch.testing.assert_close(
                actual[name], value, rtol=tolerance, atol=tolerance, msg=lambda m, n=name: f"{n}: {m}"
            )


@st.composite
def cases(draw: st.DrawFn, stateful: bool = True, max_steps: int = 5) -> Case:
    """Draw a network with its data; without ``stateful``, one whose output is a function of its input alone."""
    seed = draw(st.integers(0, 2**31))
    torch.manual_seed(seed)
    structure = draw(st.sampled_from(sorted(FEEDBACK)))
    channels, batch = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    height, width = draw(st.integers(2, 6)), draw(st.integers(2, 6))
    norms = ["none", "group"] + (["batch", "cumulative", "instance"] if stateful else [])
    model: nn.Module = Network(
        channels,
        norm=draw(st.sampled_from(norms)),
        dropout=draw(st.sampled_from([0.0, 0.5])) if stateful else 0.0,
        shared=draw(st.booleans()),
        structure=structure,
    )
    if stateful and draw(st.booleans()):
        model = Counter(model)
    model = model.double()
    shape = (batch, channels, height, width)
    feedback = FEEDBACK[structure]
    return Case(
        seed=seed,
        model=model,
        x=torch.rand(shape, dtype=torch.float64),
        y=torch.rand(shape, dtype=torch.float64),
        criterion=draw(st.sampled_from([Squares, Terms]))(feedback),
        feedback=feedback,
        steps=draw(st.integers(1, max_steps)),
        cond=tuple(torch.rand(batch, 1, height, width, dtype=torch.float64) for _ in range(draw(st.integers(0, 2)))),
        named_cond={"scale": torch.rand(1, dtype=torch.float64)} if draw(st.booleans()) else {},
    )


def weight_lists(steps: int) -> st.SearchStrategy[list[float]]:
    """Draw one weight per step, at least one of them other than 0."""
    return st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0, 2.0, -1.0]), min_size=steps, max_size=steps).filter(any)

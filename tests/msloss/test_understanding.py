"""What the loss tells of a run: improvements, the identity, fixed points, memory, pictures."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from torch import Tensor, nn

from msloss import AtEpochs, Diagnosis, MultiStepLoss, gamma, plot_losses
from msloss._memory import LiveBytes

from .cases import FEEDBACK, Both, Case, Pair, cases, part_of

mse = F.mse_loss


def tensors_of(case: Case) -> dict[str, Tensor]:
    state = {name: tensor.clone() for name, tensor in case.model.state_dict().items()}
    grads = {f"grad {n}": p.grad.clone() for n, p in case.model.named_parameters() if p.grad is not None}
    return {**state, **grads, "random": torch.get_rng_state()}


def place_in(feedback: Any) -> Callable[[Any, Any], Any] | None:
    if not callable(feedback):
        return None
    return lambda output, x: {**output, "stages": (output["stages"][0], x)}


@given(cases())
def test_diagnosis(case: Case) -> None:
    loss = MultiStepLoss(case.model, case.criterion, case.steps, weights=gamma(0.5), feedback=case.feedback)
    torch.manual_seed(case.seed)
    before = tensors_of(case)
    found = loss.diagnose(case.x, case.y, *case.cond, identity=place_in(case.feedback), **case.named_cond)
    for name, tensor in tensors_of(case).items():
        assert torch.equal(tensor, before[name]), name
    expected = loss(case.x, case.y, *case.cond, details=True, **case.named_cond)
    torch.testing.assert_close(found.losses.per_step, expected.per_step, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(found.losses.improvement, -expected.per_step.diff(), rtol=1e-12, atol=1e-12)
    inputs = [case.x, *map(part_of(case.feedback), expected.outputs)]
    for t, residual in enumerate(found.residual):
        per_image = (inputs[t + 1] - inputs[t]).square().mean(dim=(1, 2, 3)).sqrt()
        torch.testing.assert_close(residual, per_image.max(), rtol=1e-12, atol=1e-12)
    assert not any(value.requires_grad for value in (found.losses.total, found.identity, found.residual))


@pytest.mark.parametrize("structure", sorted(FEEDBACK))
def test_gap_of_the_identity_is_nothing_and_of_a_perfect_model_all(structure: str) -> None:
    make: dict[str, Callable[[Tensor], Any]] = {
        "tensor": lambda v: v,
        "tuple": lambda v: (v.sin(), v),
        "dict": lambda v: {"clean": v, "rest": v * 0},
        "named": lambda v: Pair(v, v * 0),
        "dataclass": lambda v: Both(v, v * 0),
        "nested": lambda v: {"rest": [v * 0], "stages": (v.cos(), v)},
    }
    feedback = FEEDBACK[structure]
    part = part_of(feedback)
    x, y = torch.rand(2, 2, 3, 4, 4)
    for returned, gap in ((lambda v: v, 0.0), (lambda v: y, 3 * float(mse(x, y)))):
        loss = MultiStepLoss(
            lambda v, r=returned: make[structure](r(v)), lambda o, t: mse(part(o), t), feedback=feedback
        )
        found = loss.diagnose(x, y, identity=place_in(feedback))
        assert found.identity == pytest.approx(3 * float(mse(x, y)))
        assert found.identity_gap == pytest.approx(gap, abs=1e-6)


def test_identity_of_a_function_of_a_structure_has_to_be_given() -> None:
    loss = MultiStepLoss(lambda v: (v, v), lambda o, t: mse(o[0], t), feedback=lambda o: o[0])
    x, y = torch.rand(2, 1, 3, 4, 4)
    with pytest.raises(ValueError, match=r"feedback is a function of a tuple, .* give identity=lambda output, x"):
        loss.diagnose(x, y)
    found = MultiStepLoss(lambda v: v / 2, mse, feedback=lambda o: o.clamp(0, 1)).diagnose(x, y)
    assert found.identity == pytest.approx(3 * float(mse(x, y)))


def test_residual_vanishes_at_a_fixed_point_and_line_says_so() -> None:
    fixed = torch.full((1, 1, 2, 2), 0.5)
    loss = MultiStepLoss(lambda x: fixed + 0.5 * (x - fixed), mse, steps=3)
    found = loss.diagnose(fixed + 0.4, fixed)
    assert found.residual.tolist() == pytest.approx([0.2, 0.1, 0.05])
    assert str(found) == (
        "3 steps: loss 0.04, 0.01, 0.0025 (+75.0 %, +75.0 %); total 0.0525, of the input itself 0.48 (gap +89.1 %); "
        "change 0.2, 0.1, 0.05"
    )
    assert isinstance(found, Diagnosis)
    one = MultiStepLoss(nn.Identity(), mse, steps=1).diagnose(fixed, fixed)
    assert str(one) == "1 steps: loss 0; total 0, of the input itself 0 (gap +0.0 %); change 0"


def test_rehearsal_runs_all_steps_and_leaves_no_trace() -> None:
    torch.manual_seed(0)
    calls = 0

    def count(*_: object) -> None:
        nonlocal calls
        calls += 1

    model = nn.Sequential(nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2), nn.Dropout(0.5))
    schedule = AtEpochs({60: 5}, start=2)
    loss = MultiStepLoss(model, mse, 5, schedule)
    x, y = torch.rand(2, 2, 2, 8, 8)
    loss(x, y).backward()
    stepped = []
    for p in model.parameters():
        p.register_post_accumulate_grad_hook(stepped.append)
    case = Case(0, model, x, y, mse, None, 5)
    before = tensors_of(case)
    model.register_forward_hook(count)
    rehearsal = loss.rehearse(x, y)
    assert (calls, loss.current_steps, stepped) == (5, 2, [])
    assert all(torch.equal(tensor, before[name]) for name, tensor in tensors_of(case).items())
    with LiveBytes() as memory:
        MultiStepLoss(model, mse, 5)(x, y).backward()
    assert 0.8 * memory.peak < rehearsal.peak_bytes < 1.25 * memory.peak
    assert re.fullmatch(r"5 steps on cpu: \d+\.\d KiB at the peak", str(rehearsal))


def test_rehearsal_that_fails_leaves_no_trace_either() -> None:
    model = nn.BatchNorm2d(2)

    def fails(output: Tensor, target: Tensor) -> Tensor:
        raise MemoryError

    loss = MultiStepLoss(model, fails, 3, AtEpochs({}, start=1))
    with pytest.raises(MemoryError):
        loss.rehearse(*torch.rand(2, 1, 2, 4, 4))
    assert (loss.current_steps, int(model.num_batches_tracked)) == (1, 0)


def test_rehearsal_without_gradients_and_of_a_frozen_model() -> None:
    loss = MultiStepLoss(nn.Conv2d(2, 2, 1).requires_grad_(requires_grad=False), mse)
    with torch.no_grad():
        assert loss.rehearse(*torch.rand(2, 1, 2, 4, 4)).peak_bytes > 0


def test_picture_of_a_training(tmp_path: Path) -> None:
    history = [[0.5, 0.4], torch.tensor([0.4, 0.3]), [0.3, 0.2, 0.25]]
    axes = plot_losses(history, tmp_path / "losses.png", identity=0.6)
    assert [line.get_label() for line in axes.get_lines()] == ["step 1", "step 2", "step 3", "input itself"]
    third = axes.get_lines()[2].get_ydata()
    assert (third[:2] != third[:2]).all()
    assert third[2] == 0.25
    assert axes.get_yscale() == "log"
    assert (tmp_path / "losses.png").read_bytes().startswith(b"\x89PNG")
    assert plot_losses([[0.0]], axes=axes) is axes
    for empty in ([], [[0.1], []]):
        with pytest.raises(ValueError, match="the history has no epoch, or an epoch without steps"):
            plot_losses(empty)


def test_picture_without_matplotlib() -> None:
    code = "import sys; sys.modules['matplotlib.figure'] = None; import msloss; msloss.plot_losses([[1.0]])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert 'ImportError: plot_losses needs matplotlib: pip install "msloss[plot]"' in done.stderr


class Breaking:
    """A criterion of two terms, the second of which is not finite from a given step on."""

    def __init__(self, step: int, value: float) -> None:
        self.step, self.value, self.calls = step, value, 0

    def __call__(self, output: Tensor, target: Tensor) -> dict[str, Tensor]:
        self.calls += 1
        factor = self.value if self.calls >= self.step else 1.0
        return {"pixel": mse(output, target), "edge": output.mean() * factor}


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_are_not_finite(value: float) -> None:
    x, y = torch.rand(2, 1, 3, 4, 4)
    with pytest.raises(FloatingPointError, match=f"the criterion's term 'edge' at step 2 is {value}"):
        MultiStepLoss(nn.Identity(), Breaking(2, value), check_finite=True)(x, y)
    assert not MultiStepLoss(nn.Identity(), Breaking(2, value))(x, y).isfinite()

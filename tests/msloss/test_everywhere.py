"""The loss at home in every kind of training: several processes, compiled, mixed precision, averaged, on any device."""

import copy
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from msloss import AtEpochs, MultiStepLoss, refine

from .cases import Network

MODES: list[dict[str, Any]] = [{}, {"truncate": 1}, {"truncate": 2}, {"checkpoint": True}, {"eager": False}]
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
BY_THE_COMPILER = pytest.mark.filterwarnings("ignore")  # it warns itself, of the gradients of what is no leaf
mse = F.mse_loss


def network(norm: str = "group") -> nn.Module:
    torch.manual_seed(0)
    return Network(2, norm, dropout=0.0, shared=True, structure="tensor")


def images(device: str = "cpu", dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    x, y = torch.rand(2, 3, 2, 8, 8, dtype=dtype).to(device)
    return x, y


def gradients(model: nn.Module, loss: Callable[..., Tensor], x: Tensor, y: Tensor) -> list[Tensor]:
    model.zero_grad()
    loss(x, y).backward()
    return [p.grad for p in model.parameters() if p.grad is not None]


def assert_close(got: list[Tensor], expected: list[Tensor], tolerance: float = 1e-5) -> None:
    for one, other in zip(got, expected, strict=True):
        torch.testing.assert_close(one.cpu(), other.cpu(), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(
    "work",
    [
        "parallel",
        pytest.param(
            "shards",
            marks=pytest.mark.skipif(
                not hasattr(torch.cpu.Stream, "record_event"), reason="this torch cannot shard on a CPU"
            ),
        ),
    ],
)
def test_gradients_of_several_processes_are_those_of_one(work: str) -> None:
    command = [sys.executable, "-W", "error::UserWarning", "-m", "tests.msloss.ranks", work]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def compiled() -> Iterator[Callable[[nn.Module], tuple[Any, Any]]]:
    from torch._dynamo.testing import CompileCounterWithBackend

    torch._dynamo.reset()

    def compile_(model: nn.Module) -> tuple[Any, Any]:
        counter = CompileCounterWithBackend("aot_eager")
        return torch.compile(model, backend=counter), counter

    yield compile_
    torch._dynamo.reset()


@BY_THE_COMPILER
@pytest.mark.parametrize("mode", MODES, ids=str)
def test_number_of_compilations_does_not_grow_with_the_steps(
    mode: dict[str, Any], compiled: Callable[[nn.Module], tuple[Any, Any]]
) -> None:
    model, (x, y) = network(), images()
    fast, counter = compiled(model)
    schedule = AtEpochs({1: 3, 2: 5, 3: 1, 4: 4}, start=2)
    loss, plain = MultiStepLoss(fast, mse, 5, schedule, **mode), MultiStepLoss(model, mse, 5, schedule, **mode)
    after_first = 0
    for epoch in range(5):
        assert_close(gradients(model, loss, x, y), gradients(model, plain, x, y))
        after_first = after_first or counter.frame_count
        assert counter.frame_count == after_first <= 2, epoch
        schedule.step()


@BY_THE_COMPILER
@pytest.mark.parametrize("mode", MODES, ids=str)
def test_compiled_criterion(mode: dict[str, Any], compiled: Callable[[Any], tuple[Any, Any]]) -> None:
    model, (x, y) = network(), images()
    criterion = nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU()).requires_grad_(requires_grad=False)
    fast, _ = compiled(criterion)
    got = gradients(model, MultiStepLoss(model, lambda o, t: mse(fast(o), fast(t)), **mode), x, y)
    assert_close(
        got, gradients(model, MultiStepLoss(model, lambda o, t: mse(criterion(o), criterion(t)), **mode), x, y)
    )


@BY_THE_COMPILER
def test_compiled_criterion_that_does_not_use_its_target(compiled: Callable[[Any], tuple[Any, Any]]) -> None:
    model, (x, y) = network(), images()
    fast, _ = compiled(lambda output, target: mse(output, target.detach()))
    y.requires_grad_()
    MultiStepLoss(model, fast)(x, y).backward()
    assert y.grad is None


@BY_THE_COMPILER
@pytest.mark.parametrize("mode", MODES[:-2], ids=str)
def test_compiled_loss_is_right_if_not_faster(mode: dict[str, Any]) -> None:
    torch._dynamo.reset()
    model, (x, y) = network(), images()
    loss = MultiStepLoss(model, mse, **mode)
    whole = tuple(map(int, torch.__version__.split(".")[:2])) >= (2, 11)  # before, the compiler stops at some places
    fast = torch.compile(loss, backend="aot_eager", fullgraph=whole)
    assert_close(gradients(model, fast, x, y), gradients(model, loss, x, y))


@pytest.mark.parametrize("mode", MODES, ids=str)
@pytest.mark.parametrize("device", DEVICES)
def test_devices_agree_with_the_loop_written_by_hand(mode: dict[str, Any], device: str) -> None:
    reference = network("batch").double()
    model = copy.deepcopy(reference).to(device)
    x, y = images(dtype=torch.float64)

    def hand(x: Tensor, y: Tensor) -> Tensor:
        total = torch.zeros((), dtype=x.dtype)
        for t in range(3):
            x = x.detach() if mode.get("truncate") and t % mode["truncate"] == 0 else x
            x = reference(x)
            total = total + mse(x, y)
        return total

    got = gradients(model, MultiStepLoss(model, mse, **mode), x.to(device), y.to(device))
    assert_close(got, gradients(reference, hand, x, y), tolerance=1e-8)
    assert_close(list(model.buffers()), list(reference.buffers()), tolerance=1e-8)


@pytest.mark.parametrize("truncate", [None, 1])
@pytest.mark.parametrize("device", DEVICES)
def test_random_state_of_the_device_is_kept(device: str, truncate: int | None) -> None:
    x, y = images(device)
    results = []
    for eager in (True, False):
        torch.manual_seed(2)
        model = nn.Sequential(nn.Conv2d(2, 2, 1), nn.Dropout(0.3)).to(device)
        loss = MultiStepLoss(model, lambda o, t: mse(F.dropout(o, 0.2), t), truncate=truncate, eager=eager)
        first = torch.autograd.grad(loss(x, y), list(model.parameters()), create_graph=True)
        second = torch.autograd.grad(sum(g.square().sum() for g in first), list(model.parameters()))
        results.append([*first, *second, torch.rand(1, device=device)])
    assert_close(*results)


@pytest.mark.parametrize("device", DEVICES)
def test_rehearsal_on_a_device(device: str) -> None:
    model, (x, y) = network().to(device), images(device)
    loss = MultiStepLoss(model, mse, steps=4)
    rehearsal = loss.rehearse(x, y)
    assert rehearsal.device.type == device
    assert rehearsal.peak_bytes > 4 * x.nbytes
    assert (rehearsal.total_bytes is None) == (device == "cpu")


@pytest.mark.parametrize("mode", MODES, ids=str)
def test_channels_last(mode: dict[str, Any]) -> None:
    model, (x, y) = network(), images()
    expected = gradients(model, MultiStepLoss(model, mse, **mode), x, y)
    model.to(memory_format=torch.channels_last)
    formats = []

    def criterion(output: Tensor, target: Tensor) -> Tensor:
        formats.append(output.is_contiguous(memory_format=torch.channels_last))
        return mse(output, target)

    last = [tensor.contiguous(memory_format=torch.channels_last) for tensor in (x, y)]
    assert_close(gradients(model, MultiStepLoss(model, criterion, **mode), *last), expected)
    assert all(formats)


@pytest.mark.parametrize("mode", MODES, ids=str)
def test_bfloat16_weights(mode: dict[str, Any]) -> None:
    model, (x, y) = network().bfloat16(), images(dtype=torch.bfloat16)
    got = gradients(model, MultiStepLoss(model, mse, **mode), x, y)
    assert all(grad.dtype == torch.bfloat16 for grad in got)
    exact = network()
    exact.load_state_dict({name: value.float() for name, value in model.state_dict().items()})
    expected = gradients(exact, MultiStepLoss(exact, mse, **mode), x.float(), y.float())
    assert_close([grad.float() for grad in got], expected, tolerance=0.05)


def test_averaged_model() -> None:
    model, (x, y) = network("batch"), images()
    averaged = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.5), use_buffers=True)
    loss, optimizer = MultiStepLoss(model, mse, truncate=1), torch.optim.SGD(model.parameters(), lr=0.1)
    expected = model.outer.weight.detach().clone()
    for index in range(3):
        loss(x, y).backward()
        optimizer.step()
        optimizer.zero_grad()
        averaged.update_parameters(model)
        expected = model.outer.weight.detach().clone() if index == 0 else (expected + model.outer.weight.detach()) / 2
    torch.testing.assert_close(averaged.module.outer.weight, expected)
    assert refine(averaged, x, steps=3).shape == x.shape


@pytest.mark.parametrize("mode", MODES, ids=str)
def test_sum_of_two_losses_of_one_model(mode: dict[str, Any]) -> None:
    """As in adversarial training: the model's loss beside another that shares its parameters."""
    model, (x, y) = network(), images()
    loss = MultiStepLoss(model, mse, **mode)
    apart = gradients(model, loss, x, y), gradients(model, lambda x, y: model(y).square().mean(), x, y)
    together = gradients(model, lambda x, y: loss(x, y) + model(y).square().mean(), x, y)
    assert_close(together, [one + other for one, other in zip(*apart, strict=True)])

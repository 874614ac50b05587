"""What the processes of a distributed training do; `run` starts them, and each is held against a single process."""

import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from msloss import AtEpochs, MultiStepLoss, OnPlateau, RandomSteps

WORLD = 2


class Blocks(nn.Module):
    """A model of blocks, as those who shard theirs have; one parameter is never used."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Conv2d(4 if i else 2, 4 if i < 2 else 2, 3, padding=1), nn.Tanh()) for i in range(3)
        )

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x)
        return x


class WithIdle(Blocks):
    """A model with a parameter that is never used."""

    def __init__(self) -> None:
        super().__init__()
        self.idle = nn.Parameter(torch.ones(1))


def batch() -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    x, y = torch.rand(2, 2 * WORLD, 2, 6, 6, dtype=torch.float64)
    return x, y


def halves() -> tuple[Tensor, Tensor]:
    x, y = (tensor.chunk(WORLD)[dist.get_rank()] for tensor in batch())
    return x, y


def expected(model: nn.Module, options: Mapping[str, Any]) -> dict[str, Tensor | None]:
    """Return the gradients of a single process on the joined batch."""
    MultiStepLoss(model, F.mse_loss, **options)(*batch()).backward()
    return {name: p.grad for name, p in model.named_parameters()}


def check(parameters: Mapping[str, Tensor], wanted: Mapping[str, Tensor | None]) -> None:
    assert len(parameters) == len(wanted)
    for name, p in parameters.items():
        want, got = wanted[name.removeprefix("module.")], p.grad
        if want is None:
            assert got is None or not got.any(), name
            continue
        assert got is not None, name
        got = got.full_tensor() if hasattr(got, "full_tensor") else got
        torch.testing.assert_close(got, want, rtol=1e-10, atol=1e-12, msg=lambda m, n=name: f"{n}: {m}")


OPTIONS: list[dict[str, Any]] = [{}, {"truncate": 1}, {"truncate": 2}, {"checkpoint": True}, {"eager": False}]


def data_parallel() -> None:
    """DDP around the loss: gradients are those of a single process."""
    kinds: list[tuple[type[nn.Module], dict[str, Any]]] = [
        (Blocks, {}),
        (Blocks, {"gradient_as_bucket_view": True}),
        (Blocks, {"static_graph": True}),
        (WithIdle, {"find_unused_parameters": True}),
    ]
    for options in OPTIONS:
        for kind, settings in kinds:
            wanted = expected(kind().double(), options)
            model = kind().double()
            loss = DistributedDataParallel(MultiStepLoss(model, F.mse_loss, **options), **settings)
            for _ in range(2):  # the second iteration is another to DDP
                model.zero_grad()
                loss(*halves()).backward()
                check(dict(model.named_parameters()), wanted)


def data_parallel_inside() -> None:
    """DDP around the model only."""
    for options in OPTIONS:
        wanted = expected(Blocks().double(), options)
        model = DistributedDataParallel(Blocks().double())
        MultiStepLoss(model, F.mse_loss, **options)(*halves()).backward()
        check(dict(model.named_parameters()), wanted)


def accumulated() -> None:
    """Gradient accumulation: processes meet at the last backward pass only."""
    for options in OPTIONS:
        wanted = expected(Blocks().double(), options)
        model = Blocks().double()
        loss = DistributedDataParallel(MultiStepLoss(model, F.mse_loss, **options))
        x, y = halves()
        with loss.no_sync():
            (loss(x[:1], y[:1]) / 2).backward()
        (loss(x[1:], y[1:]) / 2).backward()
        check(dict(model.named_parameters()), wanted)


def rehearsed() -> None:
    """A rehearsal on every process, before a training step that is as if there had been none."""
    wanted = expected(Blocks().double(), {"steps": 2})
    model = Blocks().double()
    loss = MultiStepLoss(model, F.mse_loss, 3, OnPlateau(start=2))
    parallel = DistributedDataParallel(loss)
    assert loss.rehearse(*halves()).steps == 3
    assert all(p.grad is None for p in model.parameters())
    parallel(*halves()).backward()
    check(dict(model.named_parameters()), wanted)


def sharded() -> None:
    """FSDP2: the loss is the root, the blocks are sharded by themselves, or not."""
    from torch.distributed.fsdp import fully_shard

    for options in OPTIONS:
        for nested in (False, True):
            wanted = expected(Blocks().double(), options)
            model = Blocks().double()
            loss = MultiStepLoss(model, F.mse_loss, **options)
            if nested:
                for block in model.blocks:
                    fully_shard(block)
            fully_shard(loss)
            loss.rehearse(*halves())
            assert all(p.grad is None for p in model.parameters())
            for _ in range(2):
                model.zero_grad()
                loss(*halves()).backward()
                check(dict(model.named_parameters()), wanted)


class Features(nn.Module):
    """A criterion of two terms, one of which compares what a frozen network makes of the images."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.network = nn.Conv2d(2, 4, 3).requires_grad_(False)

    def prepare(self, target: Tensor) -> tuple[Tensor, Tensor]:
        return target, self.network(target)

    def forward(self, output: Tensor, target: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        return {
            "pixel": F.mse_loss(output, target[0]),
            "feature": F.mse_loss(self.network(output), target[1]),
        }


def sharded_training() -> None:
    """FSDP2 as the documentation has it: updates of two steps, then of three, and the weights that are saved."""
    from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
    from torch.distributed.fsdp import fully_shard

    def trained(model: Blocks, shard: bool, x: Tensor, y: Tensor) -> MultiStepLoss:
        schedule = AtEpochs({1: 3}, start=2)
        loss = MultiStepLoss(model, Features().double(), 3, schedule, weights={"feature": 0.5})
        if shard:
            for block in model.blocks:
                fully_shard(block)
            fully_shard(loss)
        optimizer = torch.optim.SGD(loss.model.parameters(), lr=0.1, momentum=0.9)
        for _ in range(3):
            loss(x, y).backward()
            optimizer.step()
            optimizer.zero_grad()
            schedule.step()
        return loss

    wanted = trained(Blocks().double(), False, *batch()).model.state_dict()
    loss = trained(Blocks().double(), True, *halves())
    whole = StateDictOptions(full_state_dict=True, cpu_offload=True)
    found = get_model_state_dict(loss.model, options=whole)
    if dist.get_rank() > 0:
        assert not found  # the first process has it all
        return
    assert found.keys() == wanted.keys()
    for name, value in found.items():
        torch.testing.assert_close(value, wanted[name], rtol=1e-10, atol=1e-12)


def sharded_by_wrapper() -> None:
    """The older FSDP, around the model or the loss."""
    from torch.distributed.fsdp import FullyShardedDataParallel

    for options in OPTIONS:
        for around_loss in (False, True):
            wanted = expected(Blocks().double(), options)
            model: nn.Module = Blocks().double()
            where: dict[str, Any] = {"device_id": torch.device("cpu"), "use_orig_params": True}
            if not around_loss:
                model = FullyShardedDataParallel(model, **where)
            loss: nn.Module = MultiStepLoss(model, F.mse_loss, **options)
            if around_loss:
                loss = model = FullyShardedDataParallel(loss, **where)
            loss(*halves()).backward()
            with FullyShardedDataParallel.summon_full_params(model, with_grads=True):
                found = {name.removeprefix("_fsdp_wrapped_module."): p for name, p in model.named_parameters()}
                check({name.removeprefix("model."): p for name, p in found.items()}, wanted)


def scheduled() -> None:
    """Schedules are equal on every process, if the metric is."""
    plateau, random = OnPlateau(start=1, patience=0), RandomSteps(seed=7)
    for schedule in (plateau, random):
        MultiStepLoss(nn.Identity(), F.mse_loss, 5, schedule)
    torch.manual_seed(dist.get_rank())
    for _ in range(20):
        metric = torch.rand(1)
        dist.all_reduce(metric)
        for schedule in (plateau, random):
            schedule.step(float(metric))
            steps = [torch.zeros(1, dtype=torch.long) for _ in range(WORLD)]
            dist.all_gather(steps, torch.tensor([schedule.steps]))
            assert len({int(step) for step in steps}) == 1


def parallel() -> None:
    """Everything but sharding, in one start of the processes."""
    for work in (data_parallel, data_parallel_inside, accumulated, rehearsed, scheduled):
        work()


def shards() -> None:
    """Sharding of both kinds."""
    for work in (sharded, sharded_training, sharded_by_wrapper):
        work()


def run(work: Callable[[], None]) -> None:
    """Do the work in processes of their own."""
    with tempfile.TemporaryDirectory() as folder:
        torch.multiprocessing.spawn(_process, (work, Path(folder) / "meeting"), nprocs=WORLD)


def _process(rank: int, work: Callable[[], None], meeting: Path) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=WORLD)
    work()
    dist.barrier()
    sys.stdout.flush()
    os._exit(0)  # some versions of torch abort now and then while they take gloo down


if __name__ == "__main__":
    run(globals()[sys.argv[1]])

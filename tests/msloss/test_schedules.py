"""Schedules: when they change the number of steps, and that a save at any epoch loses nothing."""

import json
import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.optim.lr_scheduler import ReduceLROnPlateau

from msloss import AtEpochs, MultiStepLoss, OnPlateau, RandomSteps, Schedule

LIMIT = 5


def bound(schedule: Schedule, steps: int = LIMIT) -> Schedule:
    MultiStepLoss(torch.nn.Identity(), torch.nn.functional.mse_loss, steps, schedule)
    return schedule


makers = st.one_of(
    st.builds(
        lambda plan, start: lambda: AtEpochs(plan, start),
        st.dictionaries(st.integers(1, 12), st.integers(1, LIMIT), max_size=4),
        st.integers(1, LIMIT),
    ),
    st.builds(
        lambda start, patience, mode, cooldown: lambda: OnPlateau(start, patience, 1e-3, mode, cooldown),
        st.integers(1, LIMIT),
        st.integers(0, 3),
        st.sampled_from(["min", "max"]),
        st.integers(0, 3),
    ),
    st.builds(lambda low, seed: lambda: RandomSteps(low, seed), st.integers(1, LIMIT), st.integers()),
)
metrics = st.lists(st.floats(0, 1) | st.sampled_from([math.nan, math.inf, -math.inf]), min_size=1, max_size=15)


@given(makers, metrics)
def test_schedule_survives_a_save_at_every_epoch(make: Callable[[], Schedule], values: list[float]) -> None:
    kept = bound(make())
    resumed = bound(make())
    for value in values:
        resumed_state = json.loads(json.dumps(resumed.state_dict()))
        resumed = bound(make())
        resumed.load_state_dict(resumed_state)
        assert resumed.steps == kept.steps
        assert 1 <= kept.steps <= LIMIT
        kept.step(value)
        resumed.step(value)
    assert resumed.steps == kept.steps


@given(st.dictionaries(st.integers(1, 20), st.integers(1, LIMIT), max_size=5), st.integers(1, LIMIT))
def test_milestones_rule_from_their_epoch_on(plan: dict[int, int], start: int) -> None:
    schedule = bound(AtEpochs(plan, start))
    expected = start
    for epoch in range(25):
        expected = plan.get(epoch, expected)
        assert schedule.steps == expected
        schedule.step()


@given(metrics, st.integers(0, 3), st.sampled_from(["min", "max"]))
def test_first_plateau_is_where_torch_would_lower_the_learning_rate(
    values: list[float], patience: int, mode: str
) -> None:
    values = [value for value in values if not math.isnan(value)]
    schedule = bound(OnPlateau(2, patience, 1e-3, mode))
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(()))], lr=1.0)
    reference = ReduceLROnPlateau(optimizer, mode, patience=patience, threshold=1e-3)
    for value in values:
        schedule.step(value)
        reference.step(value)
        lowered = optimizer.param_groups[0]["lr"] < 1.0
        assert (schedule.steps > 2) == lowered
        if lowered:
            break


def test_plateau_forgets_the_best_value_when_a_step_is_added() -> None:
    schedule = bound(OnPlateau(2, patience=1), steps=4)
    seen = []
    for value in (1.0, 1.0, 1.0, 3.0, 2.9, 2.8, 2.8, 2.8, 9.0, 9.0, 9.0, 9.0):
        schedule.step(value)
        seen.append(schedule.steps)
    assert seen == [2, 2, 3, 3, 3, 3, 3, 4, 4, 4, 4, 4]


def test_cooldown_keeps_no_count() -> None:
    schedule = bound(OnPlateau(1, patience=0, cooldown=2), steps=3)
    seen = []
    for _ in range(6):
        schedule.step(1.0)
        seen.append(schedule.steps)
    assert seen == [1, 2, 2, 2, 3, 3]


def test_random_steps_cover_their_range_and_repeat() -> None:
    def draws(seed: int) -> list[int]:
        schedule = bound(RandomSteps(2, seed))
        drawn = []
        for _ in range(300):
            drawn.append(schedule.steps)
            assert schedule.steps == drawn[-1]
            schedule.step()
        return drawn

    assert draws(1) == draws(1) != draws(2)
    assert min(map(draws(1).count, range(2, LIMIT + 1))) > 50


def test_loss_runs_as_many_steps_as_its_schedule_says() -> None:
    schedule = AtEpochs({1: 3}, start=2)
    loss = MultiStepLoss(torch.nn.Identity(), torch.nn.functional.mse_loss, 3, schedule)
    x, y = torch.rand(2, 1, 3, 4, 4)
    assert len(loss(x, y, details=True).outputs) == 2
    schedule.step()
    assert len(loss(x, y, details=True).outputs) == 3


class Fixed:
    """The least that a schedule can be."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def step(self, metric: float | None = None) -> None:
        self.steps += 1

    def state_dict(self) -> dict[str, int]:
        return {"steps": self.steps}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.steps = state["steps"]


def test_users_schedule_may_not_run_out_of_range() -> None:
    schedule = Fixed(3)
    assert isinstance(schedule, Schedule)
    loss = MultiStepLoss(torch.nn.Identity(), torch.nn.functional.mse_loss, 3, schedule)
    x, y = torch.rand(2, 1, 3, 4, 4)
    loss(x, y)
    schedule.step()
    with pytest.raises(ValueError, match="asks for 4 steps but the loss has steps=3"):
        loss(x, y)
    with pytest.raises(ValueError, match="asks for 4 steps but the loss has steps=3"):
        MultiStepLoss(torch.nn.Identity(), torch.nn.functional.mse_loss, 3, schedule)


@pytest.mark.parametrize("schedule", [AtEpochs({60: 4}), AtEpochs({}, 4), OnPlateau(4), RandomSteps(4)])
def test_schedule_beyond_the_loss_is_refused_at_once(schedule: Schedule) -> None:
    with pytest.raises(ValueError, match="asks for 4 steps but the loss has steps=3; raise steps to 4"):
        bound(schedule, steps=3)


def test_bad_arguments_are_named() -> None:
    with pytest.raises(ValueError, match="start is 0"):
        AtEpochs({}, start=0)
    with pytest.raises(ValueError, match="epoch is 0"):
        AtEpochs({0: 2})
    with pytest.raises(ValueError, match="steps at epoch 3 is 0"):
        AtEpochs({3: 0})
    with pytest.raises(ValueError, match="start is 0"):
        OnPlateau(0)
    with pytest.raises(ValueError, match="mode is 'up'"):
        OnPlateau(2, mode="up")
    with pytest.raises(ValueError, match="patience=-1"):
        OnPlateau(2, patience=-1)
    with pytest.raises(ValueError, match="needs the metric"):
        OnPlateau(2).step()
    with pytest.raises(ValueError, match="low is 0"):
        RandomSteps(0)


def test_plateau_refuses_a_state_beyond_its_limit() -> None:
    state = bound(OnPlateau(5)).state_dict()
    with pytest.raises(ValueError, match="asks for 5 steps but the loss has steps=3"):
        bound(OnPlateau(2), steps=3).load_state_dict(state)


def test_a_best_that_is_forgotten_is_no_more_to_be_beaten() -> None:
    schedule = OnPlateau(start=1, patience=1, mode="max")
    schedule.step(9.0)
    schedule.forget()
    for value in (5.0, 5.0):
        schedule.step(value)
    assert schedule.steps == 1
    schedule.step(5.0)
    assert schedule.steps == 2

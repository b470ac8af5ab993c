"""How long an app that fails waits before its next launch."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.core.app import Backoff
from scheduler.core.backoff import next_delay_ms
from scheduler.core.ids import InstanceId
from scheduler.core.instance import Condition, TaskState
from scheduler.core.records import Delay
from tests.unit.core.game import NOW_MS, V1, WEB, Game, instance, launched_in, offer, spec, update

POLICY = Backoff(base_ms=1000, factor_milli=2000, max_ms=10_000)


def delay(delay_ms: int, *, failed_ms: int = 0) -> Delay:
    return Delay(WEB, V1, delay_ms, failed_ms + delay_ms, failed_ms)


@pytest.mark.parametrize(
    ("last", "now_ms", "expected"),
    [
        (None, 0, 1000),
        (delay(1000), 1000, 2000),
        (delay(2000), 2000, 4000),
        (delay(8000), 8000, 10_000),
        (delay(10_000), 10_000, 10_000),
        # Quiet for its delay and the maximum together: it starts afresh.
        (delay(4000), 13_999, 8000),
        (delay(4000), 14_000, 1000),
    ],
)
def test_each_failure_waits_longer_until_the_app_was_quiet(
    last: Delay | None, now_ms: int, expected: int
) -> None:
    assert next_delay_ms(POLICY, last, now_ms) == expected


policies = st.builds(
    Backoff,
    base_ms=st.integers(0, 10**6),
    factor_milli=st.integers(1000, 10_000),
    max_ms=st.integers(0, 10**7),
)


@given(policies, st.lists(st.integers(0, 10**7), max_size=20))
def test_a_delay_stays_in_bounds_and_never_falls_while_the_app_keeps_failing(
    policy: Backoff, gaps_ms: list[int]
) -> None:
    last: Delay | None = None
    now_ms = 0
    for gap_ms in gaps_ms:
        now_ms += gap_ms
        delay_ms = next_delay_ms(policy, last, now_ms)
        assert 0 <= delay_ms <= policy.max_ms
        assert delay_ms >= min(policy.base_ms, policy.max_ms)
        if last is not None and now_ms - last.last_failure_ms < last.delay_ms + policy.max_ms:
            assert delay_ms >= last.delay_ms
        last = Delay(WEB, V1, delay_ms, now_ms + delay_ms, now_ms)


def crashing(instances: int = 1) -> Game:
    game = Game()
    game.connect()
    game.install(spec(instances=instances, backoff=POLICY))
    for number in range(instances):
        game.put(instance(Condition.RUNNING, id=InstanceId(f"web.instance-{number}")))
    game.send()
    return game


def test_an_app_that_crashed_is_not_launched_before_its_delay_is_over() -> None:
    game = crashing()
    game.send(update(game.only.task_id, TaskState.FAILED))
    assert launched_in(game.offer(offer())) == []
    game.wait(999)
    assert launched_in(game.offer(offer())) == []
    game.wait(1)
    assert len(launched_in(game.offer(offer()))) == 1


def test_fifty_that_die_together_are_one_failure() -> None:
    """Or the first hiccup of a large app would cost it the maximum."""
    game = crashing(50)
    game.send(*(update(i.task_id, TaskState.FAILED) for i in list(game.world.instances.values())))
    (found,) = game.world.delays.values()
    assert found.delay_ms == POLICY.base_ms


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (TaskState.KILLED, ""),
        (TaskState.GONE, ""),
        (TaskState.LOST, "REASON_INVALID_OFFERS"),
        (TaskState.FAILED, "REASON_SLAVE_DRAINING"),
    ],
)
def test_an_end_that_is_not_the_apps_fault_costs_no_delay(state: TaskState, reason: str) -> None:
    game = crashing()
    game.send(update(game.only.task_id, state, reason=reason))
    assert game.world.delays == {}


def test_running_again_does_not_make_a_crash_loop_start_afresh() -> None:
    """A crash loop reaches RUNNING every time."""
    game = crashing()
    delays_ms: list[int] = []
    for _ in range(5):
        game.send(update(game.only.task_id, TaskState.FAILED))
        (found,) = game.world.delays.values()
        delays_ms.append(found.delay_ms)
        game.wait(found.delay_ms)
        game.offer(offer())
        game.send(update(game.only.task_id, TaskState.RUNNING))
    assert delays_ms == [1000, 2000, 4000, 8000, 10_000]
    assert game.now_ms == NOW_MS + sum(delays_ms)

"""What Marathon's users suffered from its health checks: that it cannot happen here.

The numbers in the docstrings are issues of Marathon's tracker. What the core makes of verdicts is
in `tests/unit/core/test_pains.py`.
"""

import asyncio
import threading

import pytest

from scheduler.core import World
from scheduler.core.app import HealthCheck
from scheduler.core.ids import AgentId, AppId, TaskId
from scheduler.core.instance import CheckResult, Condition, Placement
from scheduler.core.settings import Settings
from scheduler.health import targets_of
from scheduler.health.prober import Prober
from scheduler.spec import decode_spec, encode_spec
from scheduler.store import Codec, Elected, MemoryStore
from tests.unit.core.game import NOW_MS, WEB, Game, instance, spec
from tests.unit.health.test_prober import ALIVE, DEAD, Script, run, target


def test_two_thousand_checks_need_no_thread_and_few_connections():
    """#3317, #4220: checks of some thousand tasks took all threads, descriptors and time."""
    script = Script(ALIVE, takes_s=0.2)
    threads = threading.active_count()
    most_at_once: list[int] = []

    async def during(prober: Prober) -> None:
        others = len(asyncio.all_tasks())
        for number in range(2_000):
            prober.watch(target(TaskId(f"t{number}")))
        for _ in range(600):
            await asyncio.sleep(0.1)
            most_at_once.append(len(asyncio.all_tasks()) - others)
        assert prober.stats().checks == 2_000
        assert threading.active_count() == threads

    reports = run(script, during=during, concurrency_max=64)
    assert len({report.task_id for report in reports}) == 2_000
    assert len(script.asked_s) >= 2_000 * 5
    assert script.most <= 64
    assert max(most_at_once) <= 64


@pytest.mark.parametrize("failures", [1, 2])
def test_failures_are_counted_on_by_the_next_leader_without_new_grace(failures: int):
    """#4917, #3419: a failover forgot every verdict, and each task was given its grace again."""
    check = HealthCheck(
        path="/", port=80, grace_period_s=10**6, interval_s=10, max_consecutive_failures=3
    )
    known = CheckResult(
        alive=False,
        consecutive_failures=failures,
        first_success_ms=NOW_MS,
        last_failure_ms=NOW_MS,
    )
    game = Game()
    game.install(spec(health_checks=(check,)))
    place = Placement(AgentId("a"), "host1", (), "*", ())
    game.put(instance(Condition.RUNNING, checks=(known,), placement=place))
    store = MemoryStore(Codec(encode_spec, decode_spec))
    elected = store.campaign()
    assert isinstance(elected, Elected)
    store.commit(elected.epoch, game.history)
    world = World(Settings())
    world.load(store.load())
    (loaded,) = world.instances.values()
    watched = targets_of(loaded, world.spec_of(AppId(WEB)))
    assert watched is not None

    async def during(prober: Prober) -> None:
        prober.watch(watched)
        await asyncio.sleep(60)

    reports = run(Script(DEAD), during=during)
    counted = [report.result.consecutive_failures for report in reports]
    assert counted == list(range(failures + 1, 4))

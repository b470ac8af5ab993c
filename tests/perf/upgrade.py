"""A rolling upgrade in the core alone, of few and of many instances: it must be linear."""

import gc
from collections import deque
from time import process_time

from attrs import evolve

from scheduler.core import World
from scheduler.core.app import AppSpec, UpgradeStrategy
from scheduler.core.effects import Accept, Effect, Kill
from scheduler.core.events import ChangeApps, Event, OffersReceived, StatusUpdate, Tick
from scheduler.core.ids import RequestId
from scheduler.core.instance import Condition, TaskState
from scheduler.core.wishes import Upsert
from tests.perf import worlds
from tests.perf.report import emit
from tests.perf.worlds import NOW_MS, TURN

_TENTHS = UpgradeStrategy(minimum_health_capacity_milli=900, maximum_over_capacity_milli=100)


def upgrade_s(instances: int) -> float:
    """Replace every instance of one app; returns the CPU seconds that the core took.

    Events come in batches of the same size whatever the number of instances, so what is done
    once a batch and grows with the app shows.
    """
    app = evolve(worlds.spec("/web", instances), upgrade_strategy=_TENTHS)
    world = worlds.subscribed([app])
    gc.collect()
    gc.freeze()  # As the runtime does with what it has loaded.
    cpu_s = _replace(world, evolve(app, cmd="sleep 2000"))
    gc.unfreeze()
    now = [i for i in world.instances.values() if i.condition is Condition.RUNNING]
    assert len(now) == len(world.instances) == instances, f"{len(now)} run"
    assert all(one.version != worlds.VERSION for one in now), "some are old"
    return cpu_s


def _replace(world: World, app: AppSpec) -> float:
    cpu_s, turn = 0.0, 0
    waiting: deque[Event] = deque(
        [ChangeApps(RequestId(1), (Upsert(app, world.apps[app.id].version),))]
    )
    while waiting:
        turn += 1
        now_ms = NOW_MS + turn
        events = [waiting.popleft() for _ in range(min(TURN, len(waiting)))]
        if world.next_due_ms is not None and world.next_due_ms <= now_ms:
            events.insert(0, Tick())
        started_s = process_time()
        done = worlds.step(world, now_ms, turn, *events)
        cpu_s += process_time() - started_s
        for effect in done.effects:
            waiting += _answers(world, effect)
        if not waiting and world.deployments:
            waiting.append(OffersReceived(worlds.offers(turn)))
    return cpu_s


def _answers(world: World, effect: Effect) -> list[StatusUpdate]:
    """What a cluster says to what the core asks of it."""
    match effect:
        case Accept():
            states = (TaskState.STARTING, TaskState.RUNNING)
            launched = [one.instance for one in effect.launches]
            return [worlds.update(one, state) for state in states for one in launched]
        case Kill(task_id, agent_id):
            return [StatusUpdate(task_id, TaskState.KILLED, agent_id, uuid=f"killed-{task_id}")]
        case _:
            return []


def run(*, quick: bool) -> None:
    """Measure both sizes, and compare."""
    few, many = (200, 2_000) if quick else (1_000, 10_000)
    upgrade_s(few)  # Warms up.
    few_us, many_us = (upgrade_s(count) / count * 1e6 for count in (few, many))
    emit("upgrade", "instance", few_us, "µs", instances=few)
    emit("upgrade", "instance", many_us, "µs", instances=many)
    emit("upgrade", "ratio", many_us / few_us, "", budget=1, instances=[few, many])

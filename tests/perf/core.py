"""What the core costs, without any process, socket or store. Costs are CPU time."""

import gc
import resource
from itertools import pairwise
from pathlib import Path
from random import Random
from time import process_time

from attrs import define, field

from scheduler.core import Batch, World, handle, settle
from scheduler.core.effects import Accept
from scheduler.core.events import ChangeApps, Event, OffersReceived, StatusUpdate
from scheduler.core.ids import RequestId
from scheduler.core.instance import Condition, Instance, TaskState
from scheduler.core.wishes import Upsert
from tests.perf import worlds
from tests.perf.report import emit, percentile
from tests.perf.worlds import NOW_MS, TURN, Step

TASK_BUDGET_US = 120.0
_BUDGET_INSTANCES = 100_000
_MEMORY_BUDGET_MB = 88.0
_COLLECTION_BUDGET_MS = 35.0
_FROZEN_BUDGET_MS = 1.0
"""A collection that walks over nothing."""


@define
class Lives:
    """Tasks from the command to RUNNING: what it cost, and every step of it."""

    decisions_s: float = 0.0
    """From the command to the last launch."""
    updates_s: list[float] = field(factory=list)
    """Of each status update, with its share of settling."""
    steps: list[Step] = field(factory=list)

    @property
    def update_us(self) -> float:
        return sum(self.updates_s) / len(self.updates_s) * 1e6

    def task_us(self, tasks: int) -> float:
        return (self.decisions_s + sum(self.updates_s)) / tasks * 1e6


def memory(instances: int) -> None:
    """How much the loaded world takes, and what the collector makes of it."""
    gc.collect()
    before_bytes = _resident_bytes()
    world = worlds.subscribed(worlds.many_apps(instances))
    gc.collect()
    megabytes = (_resident_bytes() - before_bytes) / 1e6
    where = {"instances": len(world.instances)}
    budget_mb = _MEMORY_BUDGET_MB * instances / _BUDGET_INSTANCES
    emit("core", "memory", megabytes, "MB", budget=budget_mb, **where)
    collection_ms = _collection_ms()
    gc.freeze()
    frozen_ms = _collection_ms()
    gc.unfreeze()
    emit("core", "full_collection", collection_ms, "ms", budget=_COLLECTION_BUDGET_MS, **where)
    emit("core", "full_collection_frozen", frozen_ms, "ms", budget=_FROZEN_BUDGET_MS, **where)


def _resident_bytes() -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024


def _collection_ms() -> float:
    started_s = process_time()
    gc.collect()
    return (process_time() - started_s) * 1000


def launches(beside: int, tasks: int) -> Lives:
    """Launch an app of so many tasks beside so many instances."""
    world = worlds.subscribed(worlds.many_apps(beside))
    lives = Lives()
    gc.collect()
    gc.freeze()  # As the runtime does with what it has loaded.
    started_s = process_time()
    launched = _launch_all(world, tasks, lives.steps)
    lives.decisions_s = process_time() - started_s
    updates = [
        worlds.update(one, state)
        for state in (TaskState.STARTING, TaskState.RUNNING)
        for one in launched
    ]
    _take_updates(world, updates, lives)
    gc.unfreeze()
    running = sum(i.condition is Condition.RUNNING for i in world.instances.values())
    assert running == beside + tasks, f"{running} run"
    return lives


def _launch_all(world: World, tasks: int, steps: list[Step]) -> list[Instance]:
    """Post an app and offer until all its tasks have been launched."""
    command = ChangeApps(RequestId(1), (Upsert(worlds.spec("/new", tasks), None),))
    events: list[Event] = [command, OffersReceived(worlds.offers(0))]
    launched: list[Instance] = []
    for turn in range(1, tasks + 2):
        done = worlds.step(world, NOW_MS, turn, *events)
        steps.append(done)
        accepts = [effect for effect in done.effects if isinstance(effect, Accept)]
        launched += [one.instance for accept in accepts for one in accept.launches]
        if len(launched) == tasks:
            return launched
        events = [OffersReceived(worlds.offers(turn))]
    raise AssertionError(f"{len(launched)} of {tasks} launched")


def _take_updates(world: World, updates: list[StatusUpdate], lives: Lives) -> None:
    """Handle updates in batches as they come; the cost of settling is shared by its batch."""
    for start in range(0, len(updates), TURN):
        events = tuple(updates[start : start + TURN])
        batch = Batch(world, NOW_MS + 1_000, Random(4))
        marks_s = [process_time()]
        for event in events:
            handle(batch, event)
            marks_s.append(process_time())
        settle(batch)
        settle_s = (process_time() - marks_s[-1]) / len(events)
        lives.updates_s += [after - before + settle_s for before, after in pairwise(marks_s)]
        lives.steps.append(Step(events, batch.records, batch.effects, world.take_changes()))


def _show(lives: Lives, beside: int, tasks: int) -> None:
    where = {"instances": beside, "tasks": tasks}
    emit("core", "update_mean", lives.update_us, "µs", budget=30, **where)
    p99_us = percentile(lives.updates_s, 0.99) * 1e6
    emit("core", "update_p99", p99_us, "µs", budget=100, **where)
    emit("core", "task", lives.task_us(tasks), "µs", budget=TASK_BUDGET_US, **where)


def run(*, tasks: int, large: int) -> tuple[float, list[Step]]:
    """Measure beside 1,000 and beside ``large`` instances.

    Returns what a task cost beside the many, in µs, and all steps that were taken there.
    """
    memory(large)
    launches(1_000, 500)  # Warms up.
    few = launches(1_000, tasks)
    _show(few, 1_000, tasks)
    many = launches(large, tasks)
    _show(many, large, tasks)
    ratio = many.update_us / few.update_us
    emit("core", "update_ratio", ratio, "", budget=1, instances=[1_000, large])
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    emit("core", "peak_memory", peak_mb, "MB", instances=large)
    return many.task_us(tasks), many.steps

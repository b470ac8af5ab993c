"""What Marathon's users suffered from a scheduler that lives long: that it cannot happen here.

The numbers in the docstrings are issues of Marathon's tracker.
"""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Iterator
from random import Random

import pytest

from scheduler.core.app import AppSpec, Resources
from scheduler.core.effects import Accept, Accepted, Kill, MesosEffect, Reconcile
from scheduler.core.events import ChangeApps, OffersReceived, StatusUpdate, Subscribed, Upsert
from scheduler.core.ids import AgentId, AppId, FrameworkId, RequestId, TaskId
from scheduler.core.instance import Condition, TaskState
from scheduler.core.settings import Settings
from scheduler.runtime import Changes, Limits, Runtime, Station, Surroundings, Term
from scheduler.spec import decode_spec, encode_spec
from scheduler.store import Codec, Fault, MemoryStore
from scheduler.telemetry import Bus, Metrics
from tests.support import eventually
from tests.unit.core.game import offer

FEW = Resources(cpus_milli=1, mem_mib=1)
AT_ONCE = Limits(retry_first_ms=1, retry_max_ms=2)


class Cluster:
    """A master and its agents, for one scheduler after the other: what runs, runs on."""

    def __init__(self) -> None:
        self.tasks: dict[TaskId, AgentId] = {}
        self.launched: list[TaskId] = []
        self.killed: list[TaskId] = []
        self.runtime: Runtime | None = None

    def post(self, task_id: TaskId, state: TaskState, uuid: str | None = None) -> None:
        assert self.runtime is not None
        agent_id = self.tasks.get(task_id, AgentId("agent-1"))
        self.runtime.post(StatusUpdate(task_id, state, agent_id=agent_id, uuid=uuid))

    def call(self, effect: MesosEffect) -> None:
        match effect:
            case Accept(launches=launches, agent_id=agent_id):
                for launch in launches:
                    task_id = launch.instance.task_id
                    assert task_id is not None
                    self.launched.append(task_id)
                    self.tasks[task_id] = agent_id
                    self.post(task_id, TaskState.RUNNING, uuid="u")
            case Kill(task_id=task_id):
                self.killed.append(task_id)
            case Reconcile(tasks=tasks):
                for task_id in [task_id for task_id, _ in tasks] or list(self.tasks):
                    known = task_id in self.tasks
                    self.post(task_id, TaskState.RUNNING if known else TaskState.UNKNOWN)
            case _:
                pass


class Link:
    """The room that subscribes, once in each term."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.terms = 0

    async def start(self, term: Term) -> None:
        self.terms += 1
        self.runtime.post(Subscribed(FrameworkId("f-1"), "m:5050"))

    async def stop(self) -> None:
        pass

    def instances_changed(self, changes: Changes) -> None:
        pass


@contextlib.asynccontextmanager
async def leading(store: MemoryStore, cluster: Cluster) -> AsyncIterator[tuple[Runtime, Link]]:
    """Run a scheduler until the end of the block."""
    around = Surroundings(rng=Random(len(cluster.launched)), limits=AT_ONCE)
    runtime = Runtime(Settings(), store, around, Metrics(), Bus())
    runtime.connect_mesos(cluster.call)
    cluster.runtime = runtime
    link = Link(runtime)
    runtime.add_room(link)
    life = asyncio.create_task(runtime.run())
    try:
        await eventually(lambda: runtime.leadership.station is Station.ACTIVE, what="the lead")
        yield runtime, link
        assert not life.done()
    finally:
        runtime.stop()
        await life


async def create(runtime: Runtime, app_id: str, instances: int = 1) -> None:
    spec = AppSpec(
        AppId(app_id), cmd="run", instances=instances, resources=FEW, port_definitions=()
    )

    def make(request_id: RequestId) -> ChangeApps:
        return ChangeApps(request_id, (Upsert(spec, expect=None),))

    assert isinstance(await runtime.submit(make, timeout_s=30), Accepted)


def running(runtime: Runtime) -> set[TaskId | None]:
    instances = runtime.world.instances.values()
    return {one.task_id for one in instances if one.condition is Condition.RUNNING}


async def until_running(runtime: Runtime, count: int) -> None:
    runtime.post(OffersReceived(tuple(offer(number) for number in range(1, 4))))
    await eventually(lambda: len(running(runtime)) == count, what=f"{count} tasks that run")
    await eventually(lambda: not runtime.world.deployments, what="the end of deployments")
    await runtime.read_barrier(30)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(Codec(encode_spec, decode_spec))


async def test_a_store_that_stumbles_ends_no_term_and_loses_nothing(store: MemoryStore):
    """#4266, #4841, #4227, #1043, #2557: a hiccup of ZooKeeper, and the leader ended itself."""
    cluster = Cluster()
    async with leading(store, cluster) as (runtime, link):
        epoch = runtime.epoch
        away = threading.Event()
        away.set()
        faults = endless(Fault.UNAVAILABLE, Fault.UNKNOWN_LOST, Fault.UNKNOWN_WRITTEN)
        store.next_fault = lambda: next(faults) if away.is_set() else Fault.NONE
        commands = [asyncio.create_task(create(runtime, f"/app-{n}")) for n in range(20)]
        tried = runtime._turns
        assert tried is not None
        await eventually(lambda: tried._pending and tried._pending.attempts > 20, what="attempts")
        assert [command.done() for command in commands] == [False] * 20
        away.clear()
        await asyncio.gather(*commands)
        await until_running(runtime, 20)
        assert (runtime.epoch, link.terms) == (epoch, 1)
        assert runtime.store_problem is None
    assert len(cluster.launched) == len(set(cluster.launched)) == 20
    assert cluster.killed == []


def endless(*faults: Fault) -> Iterator[Fault]:
    while True:
        yield from faults


async def test_leaders_that_take_turns_touch_no_task(store: MemoryStore):
    """#1553, #2308, #1652: with each change of leader tasks were killed and launched again."""
    cluster = Cluster()
    async with leading(store, cluster) as (runtime, _):
        await create(runtime, "/web", instances=50)
        await until_running(runtime, 50)
    tasks = set(cluster.tasks)
    for _ in range(4):
        async with leading(store, cluster) as (runtime, _):
            unanswered = runtime.world.reconciliation.unanswered
            await eventually(lambda left=unanswered: not left, what="answers for every task")
            runtime.post(OffersReceived((offer(1),)))
            await eventually(lambda one=runtime: one.inbox_length == 0, what="an empty inbox")
            await runtime.read_barrier(30)
            assert running(runtime) == tasks
    assert (set(cluster.launched), cluster.killed) == (tasks, [])


async def test_threads_do_not_grow_with_tasks(store: MemoryStore):
    """#974, #3964: thousands of threads for some thousand tasks."""
    cluster = Cluster()
    async with leading(store, cluster) as (runtime, _):
        await create(runtime, "/one")
        await until_running(runtime, 1)
        with_one = threading.active_count()
        coroutines = len(asyncio.all_tasks())
        await create(runtime, "/many", instances=400)
        await until_running(runtime, 401)
        assert threading.active_count() == with_one
        assert len(asyncio.all_tasks()) == coroutines

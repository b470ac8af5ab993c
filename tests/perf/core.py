"""What the core and the store cost for each task, without any process or socket.

Budgets (docs/architecture.md): a status update 30 µs mean and 100 µs p99, the same at 1,000 and at
100,000 instances; the core 120 µs a task; codec and store 100 µs a task.
"""

import gc
import resource
import tempfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from random import Random
from time import perf_counter, process_time

from scheduler.core import Batch, Settings, World, handle, settle
from scheduler.core.app import AppSpec, Resources
from scheduler.core.effects import Accept
from scheduler.core.events import (
    ChangeApps,
    Event,
    OffersReceived,
    StatusUpdate,
    Subscribed,
    Upsert,
)
from scheduler.core.ids import (
    AgentId,
    AppId,
    FrameworkId,
    InstanceId,
    OfferId,
    RequestId,
    Version,
)
from scheduler.core.instance import Condition, Instance, Placement, TaskState
from scheduler.core.offer import Agent, Offer, Pool
from scheduler.core.records import App, AppVersion, Framework, Put, Record, put
from scheduler.spec import decode_spec, encode_spec
from scheduler.store import Codec, Elected, SqliteStore
from tests.perf.report import emit, percentile

NOW_MS = 1_800_000_000_000
VERSION = Version("2027-01-15T08:00:00.000Z")
AGENTS = 100
PER_APP = 100
TURN = 32
"""Updates of one batch, as they come under load."""


def _agent(number: int) -> Agent:
    return Agent(AgentId(f"8eff41bc-f4b1-4080-9b2e-ebe9bb2d2a46-S{number}"), f"agent-{number}")


def _offers(turn: int) -> tuple[Offer, ...]:
    pool = Pool(cpus_milli=10_000_000, mem_mib=10_000_000)
    return tuple(Offer(OfferId(f"O{turn}-{n}"), _agent(n), "*", (pool,)) for n in range(AGENTS))


def _spec(app_id: str, instances: int) -> AppSpec:
    return AppSpec(
        id=AppId(app_id),
        cmd="sleep 1000",
        instances=instances,
        resources=Resources(100, 32),
        port_definitions=(),
    )


def _instance(app: int, number: int) -> Instance:
    name = f"app-{app}"
    return Instance(
        id=InstanceId(f"{name}.instance-00000000-0000-4000-8000-{app:06d}{number:06d}"),
        app_id=AppId(f"/{name}"),
        version=VERSION,
        condition=Condition.RUNNING,
        incarnation=1,
        since_ms=NOW_MS - 60_000,
        created_at_ms=NOW_MS - 60_000,
        staged_at_ms=NOW_MS - 60_000,
        started_at_ms=NOW_MS - 59_000,
        healthy_since_ms=NOW_MS - 59_000,
        task_state=TaskState.RUNNING,
        ready=True,
        proven=True,
        placement=Placement(
            agent_id=_agent(number % AGENTS).id,
            host=f"agent-{number % AGENTS}",
            pools=(Pool(cpus_milli=100, mem_mib=32),),
            allocated_role="*",
            host_ports=(),
        ),
    )


def _records(instances: int) -> Iterator[Put]:
    yield put(Framework(FrameworkId("8eff41bc-f4b1-4080-9b2e-ebe9bb2d2a46-0000"), NOW_MS))
    for number in range(AGENTS):
        yield put(_agent(number))
    for app in range(instances // PER_APP):
        spec = _spec(f"/app-{app}", PER_APP)
        yield put(AppVersion(spec, VERSION, VERSION, VERSION))
        yield put(App(spec.id, VERSION))
        for number in range(PER_APP):
            yield put(_instance(app, number))


def _subscribed_world(instances: int) -> World:
    world = World(Settings())
    world.load(_records(instances))
    world.take_changes()
    batch = Batch(world, NOW_MS, Random(1))
    handle(batch, Subscribed(FrameworkId("8eff41bc-f4b1-4080-9b2e-ebe9bb2d2a46-0000"), "m:5050"))
    settle(batch)
    return world


def memory(instances: int) -> None:
    """How much the loaded world takes."""
    gc.collect()
    before_kib = _resident_kib()
    world = _subscribed_world(instances)
    gc.collect()
    mib = (_resident_kib() - before_kib) / 1024
    emit("core", "memory", mib, "MiB", instances=len(world.instances))


def _resident_kib() -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


def launches(beside: int, tasks: int, *, shown: bool = True) -> list[Record]:
    """From the command to RUNNING: cost of each task, and of each status update.

    Returns all records that were decided, for the store to commit.
    """
    world = _subscribed_world(beside)
    records: list[Record] = []
    started_s = perf_counter()
    launched = _launch_all(world, tasks, records)
    decisions_s = perf_counter() - started_s
    updates = [
        StatusUpdate(task_id, state, one.placement.agent_id, uuid=f"{state}-{task_id}")
        for state in (TaskState.STARTING, TaskState.RUNNING)
        for one in launched
        if (task_id := one.task_id) is not None and one.placement is not None
    ]
    costs_s = _take_updates(world, updates, records)
    running = sum(i.condition is Condition.RUNNING for i in world.instances.values())
    assert running == beside + tasks, f"{running} run"
    if not shown:
        return records
    where = {"instances": beside, "tasks": tasks}
    emit("core", "update_mean", sum(costs_s) / len(costs_s) * 1e6, "µs", **where)
    emit("core", "update_p99", percentile(costs_s, 0.99) * 1e6, "µs", **where)
    emit("core", "task", (decisions_s + sum(costs_s)) / tasks * 1e6, "µs", **where)
    return records


def _launch_all(world: World, tasks: int, records: list[Record]) -> list[Instance]:
    """Post an app and offer until all its tasks have been launched."""
    command = ChangeApps(RequestId(1), (Upsert(_spec("/new", tasks), None),))
    events: list[Event] = [command, OffersReceived(_offers(0))]
    launched: list[Instance] = []
    for turn in range(1, tasks + 2):
        batch = Batch(world, NOW_MS, Random(turn))
        for event in events:
            handle(batch, event)
        settle(batch)
        records += batch.records
        accepts = [effect for effect in batch.effects if isinstance(effect, Accept)]
        launched += [one.instance for accept in accepts for one in accept.launches]
        if len(launched) == tasks:
            return launched
        events = [OffersReceived(_offers(turn))]
    raise AssertionError(f"{len(launched)} of {tasks} launched")


def _take_updates(world: World, updates: list[StatusUpdate], records: list[Record]) -> list[float]:
    """Handle updates in batches as they come; the cost of settling is shared by its batch."""
    costs_s: list[float] = []
    gc.collect()
    gc.freeze()
    for start in range(0, len(updates), TURN):
        batch = Batch(world, NOW_MS + 1_000, Random(4))
        marks_s = [perf_counter()]
        for update in updates[start : start + TURN]:
            handle(batch, update)
            marks_s.append(perf_counter())
        settle(batch)
        settle_s = (perf_counter() - marks_s[-1]) / (len(marks_s) - 1)
        costs_s += [after - before + settle_s for before, after in pairwise(marks_s)]
        records += batch.records
        world.take_changes()
    gc.unfreeze()
    return costs_s


def store(records: list[Record], tasks: int) -> None:
    """Codec and SQLite for the records of these tasks, in batches as the runtime makes them."""
    with tempfile.TemporaryDirectory() as folder:
        sqlite = SqliteStore(Path(folder) / "egret.db", Codec(encode_spec, decode_spec))
        elected = sqlite.campaign()
        assert isinstance(elected, Elected)
        cpu_s, started_s = process_time(), perf_counter()
        for start in range(0, len(records), 500):
            sqlite.commit(elected.epoch, records[start : start + 500])
        wall_s, cpu_s = perf_counter() - started_s, process_time() - cpu_s
        sqlite.close()
    where = {"tasks": tasks, "records_per_task": round(len(records) / tasks, 2)}
    emit("store", "task_cpu", cpu_s / tasks * 1e6, "µs", **where)
    emit("store", "task_wall", wall_s / tasks * 1e6, "µs", **where)


def run(*, quick: bool) -> None:
    """Measure all of it."""
    tasks = 1_000 if quick else 10_000
    large = 10_000 if quick else 100_000
    memory(large)
    launches(1_000, 500, shown=False)  # Warms up.
    records = launches(1_000, tasks)
    launches(large, tasks)
    store(records, tasks)
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    emit("core", "peak_memory", peak_mib, "MiB", instances=large)

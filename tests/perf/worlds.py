"""Worlds of any size to measure in, and what one step of the core gave."""

from collections.abc import Iterable, Iterator
from random import Random

from attrs import frozen

from scheduler.core import Batch, Settings, World, handle, settle
from scheduler.core.app import AppSpec, Resources
from scheduler.core.effects import Effect
from scheduler.core.events import Event, StatusUpdate, Subscribed
from scheduler.core.ids import AgentId, AppId, FrameworkId, InstanceId, OfferId, Version
from scheduler.core.instance import Condition, Instance, Placement, TaskState
from scheduler.core.offer import Agent, Offer, Pool
from scheduler.core.records import App, AppVersion, Framework, Put, Record, put

NOW_MS = 1_800_000_000_000
FRAMEWORK_ID = FrameworkId("8eff41bc-f4b1-4080-9b2e-ebe9bb2d2a46-0000")
VERSION = Version("2027-01-15T08:00:00.000Z")
AGENTS = 100
PER_APP = 100
TURN = 32
"""Updates of one batch, as they come under load."""


@frozen
class Step:
    """What went into one batch of the core, and what came out."""

    events: tuple[Event, ...]
    records: list[Record]
    effects: list[Effect]
    changes: list[tuple[Instance | None, Instance | None]]


def agent(number: int) -> Agent:
    return Agent(AgentId(f"8eff41bc-f4b1-4080-9b2e-ebe9bb2d2a46-S{number}"), f"agent-{number}")


def offers(turn: int) -> tuple[Offer, ...]:
    """One offer of each agent; nothing is ever short."""
    pool = Pool(cpus_milli=10_000_000, mem_mib=10_000_000)
    return tuple(Offer(OfferId(f"O{turn}-{n}"), agent(n), "*", (pool,)) for n in range(AGENTS))


def spec(app_id: str, instances: int) -> AppSpec:
    return AppSpec(
        id=AppId(app_id),
        cmd="sleep 1000",
        instances=instances,
        resources=Resources(100, 32),
        port_definitions=(),
    )


def _instance(app: AppSpec, number: int) -> Instance:
    name = app.id.strip("/")
    return Instance(
        id=InstanceId(f"{name}.instance-00000000-0000-4000-8000-{number:012d}"),
        app_id=app.id,
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
            agent_id=agent(number % AGENTS).id,
            host=f"agent-{number % AGENTS}",
            pools=(Pool(cpus_milli=100, mem_mib=32),),
            allocated_role="*",
            host_ports=(),
        ),
    )


def many_apps(instances: int) -> list[AppSpec]:
    """Apps of a hundred instances each."""
    return [spec(f"/app-{number}", PER_APP) for number in range(instances // PER_APP)]


def records(apps: Iterable[AppSpec]) -> Iterator[Put]:
    """All that a store holds of these apps, every instance of which runs."""
    yield put(Framework(FRAMEWORK_ID, NOW_MS))
    for number in range(AGENTS):
        yield put(agent(number))
    for app in apps:
        yield put(AppVersion(app, VERSION, VERSION, VERSION))
        yield put(App(app.id, VERSION))
        for number in range(app.instances):
            yield put(_instance(app, number))


def subscribed(apps: Iterable[AppSpec]) -> World:
    """A world where these apps run and a master listens."""
    world = World(Settings())
    world.load(records(apps))
    world.take_changes()
    step(world, NOW_MS, 1, Subscribed(FRAMEWORK_ID, "m:5050"))
    return world


def step(world: World, now_ms: int, seed: int, *events: Event) -> Step:
    """Handle these events in one batch."""
    batch = Batch(world, now_ms, Random(seed))
    for event in events:
        handle(batch, event)
    settle(batch)
    return Step(events, batch.records, batch.effects, world.take_changes())


def update(instance: Instance, state: TaskState) -> StatusUpdate:
    """What an agent says of the task of this instance."""
    task_id, placement = instance.task_id, instance.placement
    assert task_id is not None
    assert placement is not None
    return StatusUpdate(task_id, state, placement.agent_id, uuid=f"{state}-{task_id}")

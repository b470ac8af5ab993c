"""Drive the core by hand: a world, a clock that stands still, and a cluster of the test's own."""

from collections.abc import Iterable
from itertools import count
from random import Random
from typing import TypeVar

from attrs import evolve

from scheduler.core import Batch, Settings, World, handle, settle
from scheduler.core.app import AppSpec, PortDefinition, Resources
from scheduler.core.effects import Accept, Answer, Effect, Publish, Reply
from scheduler.core.events import (
    ChangeApps,
    Event,
    OffersReceived,
    Removal,
    StatusUpdate,
    Subscribed,
    Tick,
    Upsert,
)
from scheduler.core.ids import (
    AgentId,
    AppId,
    DeploymentId,
    FrameworkId,
    InstanceId,
    OfferId,
    RequestId,
    TaskId,
    Version,
)
from scheduler.core.instance import Condition, Instance, Placement, TaskState
from scheduler.core.invariants import check
from scheduler.core.offer import Agent, Offer, Pool, PortRange
from scheduler.core.records import App, AppVersion, Delete, Entity, Record, put
from scheduler.core.times import format_ms

NOW_MS = 1_700_000_000_000
V1 = Version(format_ms(NOW_MS - 3_600_000))
T = TypeVar("T")
WEB = AppId("/web")
A1 = AgentId("agent-1")
FRAMEWORK = FrameworkId("framework")
FEW = Resources(cpus_milli=100, mem_mib=32)


def spec(app_id: str = WEB, **changes: object) -> AppSpec:
    """Make a small app without ports; ``changes`` are fields of AppSpec."""
    small = AppSpec(id=AppId(app_id), cmd="run", resources=FEW, port_definitions=())
    return evolve(small, **changes)


def running_of(game: "Game", cmd: str) -> list[Instance]:
    """The running instances of a definition."""
    return [
        one
        for one in game.world.instances.values()
        if one.condition is Condition.RUNNING
        and game.world.spec_at(one.app_id, one.version).cmd == cmd
    ]


def with_ports(*ports: int) -> tuple[PortDefinition, ...]:
    return tuple(PortDefinition(port=port) for port in ports)


def agent(number: int = 1, **attributes: str) -> Agent:
    return Agent(
        id=AgentId(f"agent-{number}"), host=f"host{number}", attributes=tuple(attributes.items())
    )


_numbers = count(1)


def offer(
    number: int = 1,
    *,
    at: Agent | None = None,
    cpus_milli: int = 4000,
    mem_mib: int = 8000,
    ports: tuple[tuple[int, int], ...] = ((31000, 31999),),
    role: str = "*",
    gpus: int = 0,
    offer_id: str = "",
) -> Offer:
    ranges = tuple(PortRange(begin, end) for begin, end in ports)
    pool = Pool(cpus_milli=cpus_milli, mem_mib=mem_mib, disk_mib=10_000, gpus=gpus, ports=ranges)
    offer_id = offer_id or f"offer-{next(_numbers)}"
    return Offer(OfferId(offer_id), at or agent(number), role, (pool,))


def instance(
    condition: Condition = Condition.RUNNING, *, app_id: str = WEB, **changes: object
) -> Instance:
    """Make an instance that has come to ``condition`` by the usual way."""
    has_run = condition not in {
        Condition.SCHEDULED,
        Condition.PROVISIONED,
        Condition.STAGING,
        Condition.STARTING,
    }
    whole = Instance(
        id=InstanceId("web.instance-1"),
        app_id=AppId(app_id),
        version=V1,
        condition=condition,
        incarnation=2,
        since_ms=NOW_MS,
        created_at_ms=NOW_MS - 60_000,
        ready=has_run,
        proven=has_run,
    )
    if condition.has_task:
        place = Placement(A1, "host1", (Pool(cpus_milli=100, mem_mib=32),), "*", ())
        whole = evolve(whole, placement=place, staged_at_ms=NOW_MS)
    if has_run:
        whole = evolve(whole, started_at_ms=NOW_MS - 1000)
    if condition is Condition.RUNNING:
        whole = evolve(whole, healthy_since_ms=NOW_MS - 1000, task_state=TaskState.RUNNING)
    return evolve(whole, **changes)


def update(task_id: TaskId | None, state: TaskState, **changes: object) -> StatusUpdate:
    assert task_id is not None
    whole = StatusUpdate(task_id, state, agent_id=A1, uuid=f"{task_id}-{state}")
    return evolve(whole, **changes)


class Game:
    """A world, and how to move it. Each ``send`` is one turn: handle all, then settle."""

    def __init__(self, settings: Settings | None = None, *, seed: int = 0) -> None:
        self.world = World(settings or Settings())
        self.now_ms = NOW_MS
        self.rng = Random(seed)
        self.history: list[Record] = []
        self._requests = count(1)

    # ------------------------------------------------------------------ setting up

    def put(self, *entities: Entity) -> None:
        """Store entities as if they had been decided long ago."""
        for entity in entities:
            record = put(entity)
            self.history.append(record)
            self.world.apply(record)
        self.world.take_changes()

    def install(self, *specs: AppSpec, version: Version = V1) -> None:
        """Store apps that have no deployment under way."""
        for one in specs:
            self.put(AppVersion(one, version, version, version), App(one.id, version))

    def connect(self) -> Batch:
        return self.send(Subscribed(FRAMEWORK, "master:5050"))

    # ---------------------------------------------------------------------- moving

    def batch(self) -> Batch:
        return Batch(self.world, self.now_ms, self.rng)

    def send(self, *events: Event) -> Batch:
        """Take one turn, after which the world must be sound."""
        batch = self.batch()
        for event in events:
            handle(batch, event)
        settle(batch)
        self.history.extend(batch.records)
        assert check(self.world) == []
        return batch

    def wait(self, ms: int) -> Batch:
        """Let time pass at once, then look."""
        self.now_ms += ms
        return self.send(Tick())

    def wait_stepwise(self, ms: int) -> list[Effect]:
        """Let time pass, with a look each time that one is wanted; returns all effects."""
        end_ms = self.now_ms + ms
        effects: list[Effect] = []
        while (due_ms := self.world.next_due_ms) is not None and due_ms <= end_ms:
            self.now_ms = max(self.now_ms + 1, due_ms)
            effects += self.send(Tick()).effects
        self.now_ms = end_ms
        return effects + self.send(Tick()).effects

    def offer(self, *offers: Offer) -> Batch:
        return self.send(OffersReceived(offers))

    # -------------------------------------------------------------------- commands

    def request(self) -> RequestId:
        return RequestId(next(self._requests))

    def upsert(self, *specs: AppSpec, force: bool = False) -> Answer:
        """Set apps to these definitions, whatever version they have."""
        upserts: list[Upsert] = []
        for one in specs:
            app = self.world.live_app(one.id)
            upserts.append(Upsert(one, None if app is None else app.version))
        return self.ask(ChangeApps(self.request(), upserts=tuple(upserts), force=force))

    def remove(self, *app_ids: str, force: bool = False) -> Answer:
        removals = tuple(Removal(AppId(app_id), None) for app_id in app_ids)
        return self.ask(ChangeApps(self.request(), removals=removals, force=force))

    def ask(self, command: Event) -> Answer:
        answer = answer_in(self.send(command))
        assert answer is not None
        return answer

    def run_all(self, *, agents: Iterable[int] = (1, 2, 3)) -> None:
        """Offer, launch and run until nothing waits: every task starts well, every kill works."""
        for _ in range(100):
            before = list(self.world.instances.values())
            self.obey(self.offer(*(offer(number, cpus_milli=100_000) for number in agents)))
            self.obey(self.wait(1))
            for one in list(self.world.instances.values()):
                if one.condition in {Condition.PROVISIONED, Condition.STAGING}:
                    self.obey(self.send(update(one.task_id, TaskState.RUNNING)))
                elif one.condition is Condition.KILLING:
                    self.obey(self.send(update(one.task_id, TaskState.KILLED)))
            if list(self.world.instances.values()) == before:
                return
        raise AssertionError("does not come to rest")

    def obey(self, batch: Batch) -> Batch:
        """A place for tests that want to see every batch of ``run_all``."""
        return batch

    # --------------------------------------------------------------------- looking

    @property
    def only(self) -> Instance:
        (one,) = self.world.instances.values()
        return one

    @property
    def deployment_id(self) -> DeploymentId:
        (deployment_id,) = self.world.deployments
        return deployment_id

    def conditions(self, app_id: str = WEB) -> list[str]:
        return sorted(i.condition for i in self.world.instances.values() if i.app_id == app_id)


def answer_in(batch: Batch) -> Answer | None:
    replies = [e.answer for e in batch.effects if isinstance(e, Reply)]
    assert len(replies) <= 1
    return replies[0] if replies else None


def facts_in(batch: Batch, kind: type[T]) -> list[T]:
    return [e.fact for e in batch.effects if isinstance(e, Publish) and isinstance(e.fact, kind)]


def effects_in(batch: Batch, kind: type[T]) -> list[T]:
    return [effect for effect in batch.effects if isinstance(effect, kind)]


def launched_in(batch: Batch) -> list[Instance]:
    return [launch.instance for a in effects_in(batch, Accept) for launch in a.launches]


def values_in(batch: Batch) -> list[object]:
    """What the records of a batch say, deletions as their key."""
    return [r.key if isinstance(r, Delete) else r.value for r in batch.records]

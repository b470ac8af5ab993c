"""Walk the core at random: any event in any order, from a cluster that may do anything.

Each step draws what happens next from the state as it is, so that most of it bites: updates for
tasks that exist, offers that come back, verdicts, commands of every kind, time that passes. It is
harsher than the simulator in one way (no cluster would do all this) and milder in another (no
lost message): what must hold is the soundness of the world itself.
"""

import sys
from collections.abc import Callable
from hashlib import sha256
from random import Random

from attrs import evolve

from scheduler.core import Settings, World, resume, settle
from scheduler.core.app import (
    AppSpec,
    Backoff,
    Constraint,
    HealthCheck,
    Operator,
    PortDefinition,
    ReadinessCheck,
    RestartMode,
    RestartPolicy,
    UnreachableStrategy,
    UpdateOrder,
    UpdatePolicy,
    UpgradeStrategy,
)
from scheduler.core.batch import Batch
from scheduler.core.events import (
    CancelDeployment,
    ChangeApps,
    Deregistered,
    Disconnected,
    Event,
    KillTasks,
    LaunchRefused,
    OfferRescinded,
    OffersReceived,
    ProbeResult,
    ReadinessResult,
    Removal,
    ResetDelay,
    StatusUpdate,
    SteerDeployment,
    Steering,
    Subscribed,
    Tick,
    Upsert,
)
from scheduler.core.group import Group
from scheduler.core.ids import AppId, GroupId, OfferId, TaskId, Version
from scheduler.core.instance import CheckResult, Condition, Instance, TaskState
from scheduler.core.offer import Agent, Offer
from scheduler.core.records import Delete, Kind, Record
from tests.unit.core.game import FRAMEWORK, Game, agent, offer, spec

APPS = tuple(AppId(path) for path in ("/a", "/shop/b", "/shop/c"))
REASONS = ("", "REASON_INVALID_OFFERS", "REASON_TASK_INVALID", "REASON_AGENT_DRAINING")


def stored(history: list[Record]) -> list[Record]:
    """What a store holds after a history: the last value of each key, sorted as a table is."""
    rows: dict[tuple[Kind, str], Record] = {}
    for record in history:
        rows[record.kind, record.key] = record
    return [rows[key] for key in sorted(rows) if not isinstance(rows[key], Delete)]


def loaded(history: list[Record], settings: Settings) -> World:
    world = World(settings)
    world.load(stored(history))
    return world


class Walk(Game):
    """One random history; ``step`` takes a turn with one to three events."""

    def __init__(self, seed: int) -> None:
        chance = Random(f"walk {seed}")
        settings = Settings(
            discovery=chance.random() < 0.5,
            versions_max=chance.choice([1, 3, 50]),
            ended_max=chance.choice([3, 1000]),
            launches_max=chance.choice([2, 500]),
            deployments_max=chance.choice([1, 100]),
            brake_instances_min=2,
            brake_agents_min=chance.choice([1, 2]),
            brake_memory_ms=60_000,
        )
        super().__init__(settings, seed=seed)
        self.chance = chance
        self.restarts = 0
        self.tasks: list[TaskId] = []
        """Every task ever launched: late updates speak of old ones."""
        self.offers: list[OfferId] = []
        self.effects = sha256()
        self.events: list[tuple[int, Callable[[], Event]]] = [
            (12, self._offers),
            (25, self._live_update),
            (5, self._any_update),
            (4, self._probe),
            (2, self._readiness),
            (3, self._deregistered),
            (6, self._change),
            (2, self._removal),
            (2, self._cancel),
            (3, self._kill),
            (2, self._steer),
            (1, self._reset),
            (1, self._rescind),
            (1, self._refused),
            (1, self._connection),
            (4, Tick),
        ]

    def restart(self) -> None:
        """Begin a new leader's term on what is stored."""
        self.restarts += 1
        self.world = loaded(self.history, self.world.settings)
        batch = self.batch()
        resume(batch)
        settle(batch)
        self.history.extend(batch.records)
        self.connect()

    def step(self) -> Batch:
        if self.chance.random() < 0.02:
            self.restart()
        elif not self.world.connected and self.chance.random() < 0.3:
            self.connect()
        if self.chance.random() < 0.3:
            self.now_ms += self.chance.choice([1, 100, 2000, 15_000, 70_000])
        weights = [weight for weight, _ in self.events]
        makers = self.chance.choices(self.events, weights, k=self.chance.randint(1, 3))
        batch = self.send(*(make() for _, make in makers))
        for effect in batch.effects:
            self.effects.update(repr(effect).encode())
        self.tasks += [i.task_id for i in self.world.instances.values() if i.task_id]
        self.tasks = list(dict.fromkeys(self.tasks))[-200:]
        return batch

    # ---------------------------------------------------------------- the cluster

    def _agent(self) -> Agent:
        """One of five machines, whose attributes change now and then."""
        number = self.chance.randint(1, 5)
        racks = ("r1", "r2") if self.chance.random() < 0.95 else ("r3",)
        return agent(number, rack=racks[number % len(racks)])

    def _offers(self) -> Event:
        offers: list[Offer] = []
        for _ in range(self.chance.randint(1, 3)):
            cpus_milli = self.chance.choice([100, 400, 4000])
            begin = self.chance.randint(31000, 31900)
            ports = ((begin, begin + self.chance.randint(0, 50)),)
            name = f"offer-{len(self.offers)}"
            one = offer(at=self._agent(), cpus_milli=cpus_milli, ports=ports, offer_id=name)
            offers.append(one)
            self.offers.append(one.id)
        return OffersReceived(tuple(offers))

    def _rescind(self) -> Event:
        return OfferRescinded(self.chance.choice([*self.offers, OfferId("offer-0")]))

    def _instance(self) -> Instance | None:
        live = [i for i in self.world.instances.values() if i.task_id is not None]
        return self.chance.choice(live) if live else None

    def _live_update(self) -> Event:
        """An update that its task might really send."""
        one = self._instance()
        if one is None or one.task_id is None:
            return Tick()
        likely = [TaskState.RUNNING] * 4 + [TaskState.STAGING, TaskState.STARTING, TaskState.FAILED]
        if one.condition is Condition.KILLING:
            likely = [TaskState.KILLED]
        return self._update(one.task_id, self.chance.choice([*likely, TaskState.UNREACHABLE]))

    def _any_update(self) -> Event:
        """Any update at all, for any task there ever was, or never was."""
        names = [*self.tasks, TaskId("riddle.instance-1._app.1"), TaskId("riddle")]
        return self._update(self.chance.choice(names), self.chance.choice(list(TaskState)))

    def _update(self, task_id: TaskId, state: TaskState) -> StatusUpdate:
        instance = self.world.instance_of(task_id)
        placement = None if instance is None else instance.placement
        since_ms = self.now_ms - self.chance.choice([0, 5000])
        return StatusUpdate(
            task_id=task_id,
            state=state,
            agent_id=None if placement is None else placement.agent_id,
            uuid=None if self.chance.random() < 0.3 else "uuid",
            reason=self.chance.choice(REASONS),
            healthy=self.chance.choice([None, None, True, False]),
            unreachable_since_ms=since_ms if state is TaskState.UNREACHABLE else None,
        )

    def _refused(self) -> Event:
        is_invalid = self.chance.random() < 0.5
        return LaunchRefused(tuple(self.tasks[-2:]), "refused", is_invalid)

    def _connection(self) -> Event:
        return Disconnected() if self.world.connected else Subscribed(FRAMEWORK, "master:5050")

    def _probe(self) -> Event:
        one = self._instance()
        if one is None or one.task_id is None:
            return Tick()
        is_alive = self.chance.random() < 0.6
        result = CheckResult(
            alive=is_alive,
            consecutive_failures=0 if is_alive else self.chance.randint(1, 4),
            first_success_ms=self.now_ms if is_alive or self.chance.random() < 0.5 else None,
        )
        return ProbeResult(one.task_id, self.chance.randint(0, 1), result)

    def _readiness(self) -> Event:
        one = self._instance()
        if one is None or one.task_id is None:
            return Tick()
        return ReadinessResult(one.task_id, "readinessCheck", self.chance.random() < 0.8)

    def _deregistered(self) -> Event:
        one = self._instance()
        return Tick() if one is None or one.task_id is None else Deregistered(one.task_id)

    # ---------------------------------------------------------------- the commands

    def _change(self) -> Event:
        chance = self.chance
        app_ids = chance.sample(APPS, chance.randint(1, 2))
        upserts: list[Upsert] = []
        for app_id in app_ids:
            app = self.world.live_app(app_id)
            expect = None if app is None else app.version
            if chance.random() < 0.05:
                expect = Version("2000-01-01T00:00:00.000Z")
            upserts.append(Upsert(self._spec(app_id), expect))
        groups: tuple[Group, ...] = ()
        if chance.random() < 0.1:
            needs = chance.choice([(), ("/a",), ("/shop",)])
            groups = (Group(GroupId("/shop"), Version(""), needs),)
        force = chance.random() < 0.5
        if chance.random() < 0.15:
            live = tuple(a for a in app_ids if self.world.live_app(a) is not None)
            return ChangeApps(self.request(), restarts=live, groups=groups, force=force)
        return ChangeApps(self.request(), tuple(upserts), groups=groups, force=force)

    def _spec(self, app_id: AppId) -> AppSpec:
        chance = self.chance
        if self.world.live_app(app_id) is not None and chance.random() < 0.4:
            return evolve(self.world.spec_of(app_id), instances=chance.randint(0, 5))
        single = (("MARATHON_SINGLE_INSTANCE_APP", "true"),)
        is_single = chance.random() < 0.1
        waits_s = chance.choice([0, 0, 20])
        check = HealthCheck(path="/", max_consecutive_failures=chance.choice([0, 2]))
        constraints = [
            Constraint("hostname", Operator.UNIQUE),
            Constraint("rack", Operator.GROUP_BY, "2"),
            Constraint("rack", Operator.MAX_PER, "2"),
        ]
        updates = [
            UpdatePolicy(order=UpdateOrder.START_FIRST, max_parallel=1),
            UpdatePolicy(order=UpdateOrder.STOP_FIRST, min_healthy_s=5),
            UpdatePolicy(healthy_deadline_s=30, auto_revert=True),
            UpdatePolicy(progress_deadline_s=60, canary_instances=1),
            UpdatePolicy(canary_instances=1, auto_pause=True),
        ]
        restarts = [
            RestartPolicy(RestartMode.NEVER),
            RestartPolicy(RestartMode.ON_FAILURE, attempts=1, interval_s=60),
        ]
        return evolve(
            spec(app_id),
            cmd=str(chance.randint(0, 3)),
            instances=chance.randint(0, 1) if is_single else chance.randint(0, 5),
            labels=single if is_single else (),
            port_definitions=(PortDefinition(),) * chance.randint(0, 2),
            health_checks=(check,) * chance.choice([0, 1, 2]),
            readiness_checks=(ReadinessCheck(),) if chance.random() < 0.1 else (),
            constraints=(chance.choice(constraints),) if chance.random() < 0.4 else (),
            dependencies=(chance.choice(APPS),) if chance.random() < 0.2 else (),
            backoff=Backoff(max_ms=10_000),
            update=chance.choice(updates) if chance.random() < 0.4 else None,
            restart_policy=chance.choice(restarts) if chance.random() < 0.2 else None,
            upgrade_strategy=UpgradeStrategy(
                chance.choice([0, 500, 1000]), chance.choice([0, 500])
            ),
            unreachable_strategy=chance.choice(
                [None, UnreachableStrategy(waits_s, waits_s), UnreachableStrategy(waits_s, 60)]
            ),
            executor=chance.choice(["", "", "egret"]),
        )

    def _removal(self) -> Event:
        app_id = self.chance.choice(APPS)
        force = self.chance.random() < 0.7
        return ChangeApps(self.request(), removals=(Removal(app_id, None),), force=force)

    def _cancel(self) -> Event:
        if not self.world.deployments:
            return Tick()
        chosen = self.chance.choice(list(self.world.deployments))
        return CancelDeployment(self.request(), chosen, force=self.chance.random() < 0.3)

    def _steer(self) -> Event:
        if not self.world.deployments:
            return Tick()
        chosen = self.chance.choice(list(self.world.deployments))
        return SteerDeployment(self.request(), chosen, self.chance.choice(list(Steering)))

    def _kill(self) -> Event:
        live = [i.task_id for i in self.world.instances.values() if i.task_id is not None]
        if not live:
            return Tick()
        chosen = tuple(self.chance.choices(live, k=self.chance.randint(1, 3)))
        flags = [self.chance.random() < 0.3 for _ in range(3)]
        return KillTasks(self.request(), chosen, *flags)

    def _reset(self) -> Event:
        return ResetDelay(self.request(), self.chance.choice(APPS))


def fingerprint(seed: int, steps: int) -> str:
    """Walk, and boil all records and effects down to one hash."""
    walk = Walk(seed)
    walk.connect()
    records = sha256()
    for _ in range(steps):
        for record in walk.step().records:
            records.update(repr(record).encode())
    return records.hexdigest() + walk.effects.hexdigest()


if __name__ == "__main__":
    for number in range(int(sys.argv[1]), int(sys.argv[2])):
        print(fingerprint(number, 150))  # noqa: T201 - read by the test of determinism

"""Clusters in which things go wrong, and what is looked at while they do."""

from collections import Counter
from random import Random

from scheduler.core import Batch, Settings, World, resume, settle
from scheduler.core.app import Constraint
from scheduler.core.effects import Kill, Reconcile
from scheduler.core.events import Event, ProbeResult, StatusUpdate
from scheduler.core.explain import BlockedBy, blocked_by
from scheduler.core.ids import TaskId
from scheduler.core.instance import CheckResult, Condition, Instance, TaskState
from scheduler.core.offer import Offer
from tests.unit.core.game import Game, agent, effects_in, launched_in, offer, spec, update

RACKS = "aaabc"
"""The rack of each agent of ``Racks``."""


def host_of(instance: Instance) -> str:
    assert instance.placement is not None
    return instance.placement.host


class Cluster(Game):
    """A game with the moves that these tests have in common."""

    def offers(self) -> list[Offer]:
        return [offer(number) for number in (1, 2, 3)]

    def running(self) -> list[Instance]:
        return [i for i in self.world.instances.values() if i.condition is Condition.RUNNING]

    def change_leader(self) -> Batch:
        """Load what is stored into another world, and subscribe with that."""
        stored = {(record.kind, record.key): record for record in self.history}
        self.world = World(self.world.settings)
        self.world.load(stored.values())
        self.world.take_changes()
        batch = self.batch()
        resume(batch)
        settle(batch)
        self.history.extend(batch.records)
        subscribed = self.connect()
        subscribed.effects[:0] = batch.effects
        return subscribed

    def take_a_step(self) -> None:
        """Offer once, and let every task go on by one step."""
        self.offer(*self.offers())
        for one in list(self.world.instances.values()):
            if one.condition is Condition.PROVISIONED:
                self.send(update(one.task_id, TaskState.RUNNING))
            elif one.condition is Condition.KILLING:
                self.send(update(one.task_id, TaskState.KILLED))

    def probe(self, one: Instance, *, alive: bool, failures: int = 0) -> list[Kill]:
        result = CheckResult(
            alive=alive, consecutive_failures=failures, first_success_ms=self.now_ms
        )
        assert one.task_id is not None
        return effects_in(self.send(ProbeResult(one.task_id, 0, result)), Kill)

    def probe_all(self, *, alive: bool, failures: int = 0) -> list[Kill]:
        return [
            kill
            for one in self.running()
            for kill in self.probe(one, alive=alive, failures=failures)
        ]


class OnePort(Cluster):
    """Each agent has port 8080 once; remembers how few served and why tasks were ended."""

    def __init__(self) -> None:
        super().__init__()
        self.fewest = 0
        self.reasons: set[str | None] = set()
        self.blocks: list[BlockedBy] = []

    def offer(self, *offers: Offer) -> Batch:
        taken = {one.placement.agent_id for one in self.world.instances.values() if one.placement}
        return super().offer(
            *(
                offer(int(one.agent.id.rpartition("-")[2]), ports=((8080, 8080),))
                if one.agent.id not in taken
                else offer(int(one.agent.id.rpartition("-")[2]), ports=((9000, 9001),))
                for one in offers
            )
        )

    def send(self, *events: Event) -> Batch:
        batch = super().send(*events)
        self.fewest = min(self.fewest, len(self.running()))
        self.reasons |= {one.kill_reason for one in self.world.instances.values()} - {None}
        for deployment_id in self.world.deployments:
            self.blocks += blocked_by(self.world, deployment_id, self.now_ms)
        return batch


class UniqueHosts(Cluster):
    """Looks after each step whether two tasks of one version may be alive on one host."""

    most_on_a_host = 0

    def offers(self) -> list[Offer]:
        return [offer(number) for number in range(1, 6)]

    def send(self, *events: Event) -> Batch:
        batch = super().send(*events)
        with_task = [i for i in self.world.instances.values() if i.condition.has_task]
        places = Counter((one.version, host_of(one)) for one in with_task)
        assert set(places.values()) <= {1}
        on_a_host = Counter(map(host_of, with_task))
        self.most_on_a_host = max(self.most_on_a_host, *on_a_host.values(), 0)
        return batch


class Racks(Cluster):
    """Five agents in three racks, of which one has three; an app is spread over them."""

    def __init__(
        self, *, constraints: tuple[Constraint, ...], full: frozenset[int] = frozenset()
    ) -> None:
        super().__init__()
        self.constraints = constraints
        self.full = full
        self.connect()

    def offers(self) -> list[Offer]:
        return [
            offer(
                at=agent(number, rack=RACKS[number - 1]),
                cpus_milli=0 if number in self.full else 4_000,
            )
            for number in range(1, 6)
        ]

    def settle_down(self) -> None:
        for _ in range(40):
            self.take_a_step()
            self.wait(1_000)
        assert not self.world.deployments

    def scale(self, instances: int) -> None:
        self.upsert(spec(instances=instances, constraints=self.constraints))
        self.settle_down()

    def racks(self) -> Counter[str]:
        return Counter(
            "aaabc"[int(host_of(one).removeprefix("host")) - 1] for one in self.running()
        )


class BadCluster(Cluster):
    """A cluster that loses, doubles and delays, and counts what is really alive."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.chance = Random(7)
        self.is_calm = False
        self.alive: set[TaskId] = set()
        self.late: list[StatusUpdate] = []
        self.most_alive = self.lost = self.failed = 0

    def play(self) -> None:
        """Offer, let tasks end, and tell of it: at once, later, twice or never."""
        dying = (
            [] if self.is_calm else self.chance.sample(sorted(self.alive), len(self.alive) // 10)
        )
        self.failed += len(dying)
        self.alive.difference_update(dying)
        told = [update(task_id, TaskState.FAILED) for task_id in dying]
        for news in told:
            if self.chance.random() < 0.3:
                self.late.append(news)
        arrived = [news for news in self.late if self.is_calm or self.chance.random() < 0.3]
        self.late = [news for news in self.late if news not in arrived]
        self.answer(self.send(*told, *told, *arrived))
        self.answer(self.wait(1_000))
        self.answer(self.offer(*(offer(number, cpus_milli=100_000) for number in range(1, 6))))
        self.answer(self.wait(20_000))

    def answer(self, batch: Batch) -> None:
        """Do what was asked, and answer it, until nothing more is asked."""
        answers: list[StatusUpdate] = []
        for launched in launched_in(batch):
            if not self.is_calm and self.chance.random() < 0.1:
                self.lost += 1
                continue
            assert launched.task_id is not None
            self.alive.add(launched.task_id)
            self.most_alive = max(self.most_alive, len(self.alive))
            answers += self.tell(update(launched.task_id, TaskState.RUNNING))
        for kill in effects_in(batch, Kill):
            if not self.is_calm and self.chance.random() < 0.3:
                continue
            self.alive.discard(kill.task_id)
            answers += self.tell(update(kill.task_id, TaskState.KILLED))
        for call in effects_in(batch, Reconcile):
            for task_id, _ in call.tasks:
                is_alive = task_id in self.alive
                state = TaskState.RUNNING if is_alive else TaskState.UNKNOWN
                answers.append(update(task_id, state, uuid=None))
        if answers:
            self.answer(self.send(*answers))

    def tell(self, news: StatusUpdate) -> list[StatusUpdate]:
        fate = 0.0 if self.is_calm else self.chance.random()
        if fate > 0.8:
            self.late.append(news)
            return []
        return [news] * (2 if fate > 0.6 else 1)


def sizes_of(world: World) -> dict[str, int]:
    """Count what a world holds, place by place, and what lies in the things that lie there."""
    found: dict[str, int] = {}
    for name, value in vars(world).items():
        if isinstance(value, dict | list | set):
            inside = value.values() if isinstance(value, dict) else value
            within = sum(len(one) for one in inside if isinstance(one, dict | list | set))
            found[name] = len(value) + within
    return found

"""Health checks and discovery follow the instances of a term."""

import asyncio
from collections.abc import AsyncIterator
from random import Random

import pytest
import pytest_asyncio
from attrs import evolve
from structlog.testing import capture_logs

from scheduler.core.app import AppSpec, HealthCheck, PortDefinition, ReadinessCheck
from scheduler.core.effects import SchedulerRegistered
from scheduler.core.events import Event
from scheduler.core.ids import AppId, Epoch, FrameworkId, InstanceId, Version
from scheduler.core.instance import CheckResult, Condition, Instance, Placement
from scheduler.core.records import App, AppVersion, Framework, put
from scheduler.core.settings import Settings
from scheduler.core.world import World
from scheduler.discovery import ConsulAddress, Discovery, DiscoverySettings
from scheduler.health import Prober, Readiness
from scheduler.health.fetch import Request, Response
from scheduler.runtime import Term
from scheduler.runtime.discovery_room import DiscoveryRoom
from scheduler.runtime.health_room import HealthRoom
from scheduler.runtime.shell import Room
from scheduler.telemetry import Bus
from tests.support import eventually
from tests.unit.store.samples import FULL_INSTANCE

V1 = Version("2026-11-24T22:17:03.000Z")
WEB = AppId("/web")
SPEC = AppSpec(WEB, cmd="x", health_checks=(HealthCheck(path="/"),))
READY_SPEC = evolve(
    SPEC,
    port_definitions=(PortDefinition(name="http-api"),),
    readiness_checks=(ReadinessCheck(preserve_last_response=True),),
)
PLACE = FULL_INSTANCE.placement
assert isinstance(PLACE, Placement)

SCHEDULED = Instance(InstanceId("web.instance-1"), WEB, V1)
RUNNING = evolve(
    SCHEDULED,
    condition=Condition.RUNNING,
    incarnation=1,
    placement=PLACE,
    started_at_ms=1,
    ready=True,
)
KILLING = evolve(RUNNING, condition=Condition.KILLING)
AGAIN = evolve(RUNNING, incarnation=2)


def world_with(*instances: Instance, spec: AppSpec = SPEC) -> World:
    world = World(Settings())
    for entity in (AppVersion(spec, V1, V1, V1), App(WEB, V1), *instances):
        world.apply(put(entity))
    return world


ALIVE = CheckResult(alive=True, first_success_ms=1)
DEAD = CheckResult(alive=False, first_success_ms=1, consecutive_failures=1)


def tasks_that_are(*results: CheckResult) -> list[Instance]:
    return [
        evolve(RUNNING, id=InstanceId(f"web.instance-{number}"), checks=(result,))
        for number, result in enumerate(results)
    ]


def turn(world: World, room: Room, before: list[Instance], after: list[Instance]) -> None:
    """Change the world first and then tell the room, as the runtime does."""
    for instance in after:
        world.apply(put(instance))
    room.instances_changed(list(zip(before, after, strict=True)))


class Failures(list[BaseException]):
    pass


@pytest.fixture
def failures() -> Failures:
    return Failures()


async def never(*_: object, **__: object) -> None:
    await asyncio.Event().wait()


class TestHealth:
    @pytest.fixture
    def prober(self) -> Prober:
        events: list[Event] = []
        return Prober(events.append, lambda: 0, Random(1), probe=never)  # pyright: ignore[reportArgumentType]

    @pytest.fixture
    def asked(self) -> list[Request]:
        return []

    @pytest.fixture
    def readiness(self, asked: list[Request], failures: Failures) -> Readiness:
        async def not_yet(request: Request) -> Response:
            asked.append(request)
            return Response(503, "text/plain", "warming up")

        return Readiness(lambda _: None, failures.append, fetch=not_yet)

    @pytest_asyncio.fixture
    async def room(
        self, prober: Prober, readiness: Readiness, failures: Failures
    ) -> AsyncIterator[HealthRoom]:
        room = HealthRoom(prober, readiness, failures.append)
        yield room
        await room.stop()
        assert failures == []

    async def test_a_term_begins_with_every_task_that_runs(self, room: HealthRoom, prober: Prober):
        other = evolve(SCHEDULED, id=InstanceId("web.instance-2"))
        await room.start(Term(world_with(RUNNING, other), Epoch(1)))
        assert prober.stats().checks == 1

    async def test_a_task_is_watched_from_running_until_it_is_killed(
        self, room: HealthRoom, prober: Prober
    ):
        await room.start(Term(world_with(SCHEDULED), Epoch(1)))
        assert prober.stats().checks == 0
        room.instances_changed([(SCHEDULED, RUNNING)])
        assert prober.stats().checks == 1
        room.instances_changed([(RUNNING, KILLING)])
        assert prober.stats().checks == 0

    async def test_the_next_task_of_an_instance_takes_the_place_of_the_one_before(
        self, room: HealthRoom, prober: Prober
    ):
        await room.start(Term(world_with(RUNNING), Epoch(1)))
        room.instances_changed([(RUNNING, AGAIN)])
        assert prober.stats().checks == 1
        room.instances_changed([(AGAIN, None)])
        assert prober.stats().checks == 0

    async def test_a_task_is_asked_whether_it_is_ready_from_running_until_it_is(
        self, room: HealthRoom, readiness: Readiness, asked: list[Request]
    ):
        waiting = evolve(RUNNING, ready=False)
        task_id = waiting.task_id
        assert task_id is not None
        await room.start(Term(world_with(SCHEDULED, spec=READY_SPEC), Epoch(1)))
        room.instances_changed([(SCHEDULED, waiting)])
        await eventually(lambda: readiness.last_response(task_id), what="an answer")
        ready = evolve(waiting, ready=True)
        room.instances_changed([(waiting, ready)])
        assert readiness.last_response(task_id), "still shown"
        room.instances_changed([(ready, evolve(ready, condition=Condition.KILLING))])
        assert readiness.last_response(task_id) is None
        assert len(asked) == 1

    async def test_a_new_term_goes_on_asking_those_that_were_not_ready(
        self, room: HealthRoom, asked: list[Request]
    ):
        other = evolve(RUNNING, id=InstanceId("web.instance-2"), ready=True)
        world = world_with(evolve(RUNNING, ready=False), other, spec=READY_SPEC)
        await room.start(Term(world, Epoch(1)))
        await eventually(lambda: asked, what="a question")
        await room.stop()
        assert len(asked) == 1

    async def test_the_brake_is_told_once_when_it_engages_and_once_when_it_lets_go(
        self, room: HealthRoom
    ):
        """It asks for an operator: nothing is killed for its health while it holds."""
        well, ill = tasks_that_are(*[ALIVE] * 6), tasks_that_are(*[DEAD] * 6)
        world = world_with(*well)
        with capture_logs() as lines:
            await room.start(Term(world, Epoch(1)))
            turn(world, room, well[:3], ill[:3])
            assert lines == []
            turn(world, room, well[3:], ill[3:])
            turn(world, room, ill[:1], ill[:1])
            turn(world, room, ill, well)
            assert "unreachable" in lines[0]
        assert [(line["event"], line["failing"], line["once_healthy"]) for line in lines] == [
            ("health_brake_engaged", 6, 6),
            ("health_brake_released", 0, 6),
        ]

    async def test_nothing_is_watched_after_the_term(self, room: HealthRoom, prober: Prober):
        await room.start(Term(world_with(RUNNING), Epoch(1)))
        await room.stop()
        assert prober.stats().checks == 0


class TestDiscovery:
    @pytest.fixture
    def discovery(self) -> Discovery:
        # Nobody listens on this port: what is wanted of Consul is all that counts here.
        address = ConsulAddress("http://127.0.0.1:9", timeout_s=0.2)
        return Discovery(DiscoverySettings(address), lambda _: None, lambda: None, lambda: 0)

    @pytest.fixture
    def bus(self) -> Bus:
        return Bus()

    @pytest_asyncio.fixture
    async def room(
        self, discovery: Discovery, bus: Bus, failures: Failures
    ) -> AsyncIterator[DiscoveryRoom]:
        room = DiscoveryRoom(discovery, bus, failures.append)
        yield room
        await room.stop()
        assert failures == []

    async def until_desired(self, discovery: Discovery, count: int) -> None:
        async with asyncio.timeout(60):
            while discovery.status().sync.desired != count:
                await asyncio.sleep(0.005)

    async def test_a_known_framework_registers_from_the_start(
        self, room: DiscoveryRoom, discovery: Discovery
    ):
        healthy = evolve(RUNNING, checks=FULL_INSTANCE.checks[:1])
        world = world_with(healthy)
        world.apply(put(Framework(FrameworkId("f-1"), 0)))
        await room.start(Term(world, Epoch(1)))
        alive = evolve(healthy, checks=(evolve(healthy.checks[0], alive=True),))
        room.instances_changed([(healthy, alive)])
        await self.until_desired(discovery, 1)
        room.instances_changed([(alive, None)])
        await self.until_desired(discovery, 0)

    async def test_while_the_brake_holds_no_entry_goes_for_a_failed_check(
        self, room: DiscoveryRoom, discovery: Discovery
    ):
        """So many that fail at once speak of the prober, not of the tasks."""
        well, ill = tasks_that_are(*[ALIVE] * 6), tasks_that_are(*[DEAD] * 6)
        world = world_with(*well)
        world.apply(put(Framework(FrameworkId("f-1"), 0)))
        await room.start(Term(world, Epoch(1)))
        await self.until_desired(discovery, 6)
        turn(world, room, well[:3], ill[:3])
        await self.until_desired(discovery, 3)
        turn(world, room, well[3:], ill[3:])
        await self.until_desired(discovery, 6)
        turn(world, room, ill[:4], well[:4])
        await self.until_desired(discovery, 4)

    async def test_a_new_leader_keeps_what_the_brake_held_on_to(
        self, room: DiscoveryRoom, discovery: Discovery
    ):
        world = world_with(*tasks_that_are(*[DEAD] * 6))
        world.apply(put(Framework(FrameworkId("f-1"), 0)))
        await room.start(Term(world, Epoch(1)))
        await self.until_desired(discovery, 6)

    async def test_a_new_framework_registers_once_mesos_has_named_it(
        self, room: DiscoveryRoom, discovery: Discovery, bus: Bus
    ):
        world = world_with(SCHEDULED)
        await room.start(Term(world, Epoch(1)))
        bus.publish(SchedulerRegistered("f-1", "m:5050", again=False))
        alive = evolve(RUNNING, checks=(evolve(FULL_INSTANCE.checks[0], alive=True),))
        room.instances_changed([(SCHEDULED, alive)])
        await self.until_desired(discovery, 1)
        bus.publish(SchedulerRegistered("f-1", "m:5050", again=True))
        await self.until_desired(discovery, 1)


async def test_supervised_work_that_fails_is_told_with_its_reason(failures: Failures):
    from scheduler.runtime.supervision import supervise

    async def broken() -> None:
        raise ValueError("boom")

    task = supervise(broken(), "broken", failures.append)
    await asyncio.wait({task})
    await asyncio.sleep(0)
    assert [str(failure) for failure in failures] == ["boom"]


async def test_supervised_work_that_is_cancelled_is_no_failure(failures: Failures):
    from scheduler.runtime.supervision import supervise

    task = supervise(never(), "never", failures.append)
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})
    assert failures == []

"""A driver on the embedded cluster, or on a real master with --mesos-master=HOST:PORT."""

import asyncio
import itertools
import uuid
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar

import pytest

from scheduler.core.app import AppSpec, Resources
from scheduler.core.effects import Accept, Acknowledge, Launch
from scheduler.core.events import OfferRescinded, OffersReceived, StatusUpdate, Subscribed
from scheduler.core.ids import AgentId, AppId, FrameworkId, InstanceId, TaskId, Version
from scheduler.core.instance import Condition, Instance, Placement, TaskState
from scheduler.core.offer import Offer, Pool
from scheduler.local import Cluster
from scheduler.mesos import (
    DriverConfig,
    DriverEnd,
    EgretDriver,
    Framework,
    MesosDispatch,
    Sent,
    Timing,
    parse_masters,
)
from tests.support import eventually

ROLE = "egret-test"
EventType = TypeVar("EventType")


class Client:
    """A scheduler that decides nothing: the test does. Updates are acknowledged as they come."""

    def __init__(self, master: str, framework_id: FrameworkId | None = None) -> None:
        self.events: list[Any] = []
        self.problems: list[tuple[str, str]] = []
        self.acknowledges = True
        self._used: set[str] = set()
        config = DriverConfig(
            framework=Framework(name=f"egret-test-{uuid.uuid4()}", roles=(ROLE,)),
            framework_id=framework_id,
            timing=Timing(backoff_first_s=0.05, backoff_cap_s=1.0),
        )
        self.driver = EgretDriver(
            config, parse_masters(master), self.take, lambda *about: self.problems.append(about)
        )
        self.dispatch = MesosDispatch(self.driver, self.take)
        self.serving: asyncio.Task[DriverEnd] = asyncio.create_task(self.driver.serve())
        self._numbers = itertools.count(1)

    def take(self, event: Any) -> None:
        self.events.append(event)
        if isinstance(event, StatusUpdate) and self.acknowledges:
            self.acknowledge(event)

    def acknowledge(self, update: StatusUpdate) -> None:
        if update.uuid is not None and update.agent_id is not None:
            self.dispatch.send(Acknowledge(update.task_id, update.agent_id, update.uuid))

    def seen(self, kind: type[EventType]) -> list[EventType]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def framework_id(self) -> FrameworkId:
        return self.seen(Subscribed)[-1].framework_id

    async def until_subscribed(self, times: int = 1) -> None:
        await eventually(lambda: len(self.seen(Subscribed)) >= times, what="subscribed")

    async def offer(self, fits: Callable[[Offer], bool] = lambda offer: True) -> Offer:
        """Wait for an offer that is still good and has some cpus; each is handed out once."""

        def good() -> Offer | None:
            gone = {event.offer_id for event in self.seen(OfferRescinded)}
            for event in self.seen(OffersReceived):
                for one in event.offers:
                    has_cpus = any(pool.cpus_milli >= 100 for pool in one.pools)
                    if one.id not in gone and one.id not in self._used and has_cpus and fits(one):
                        return one
            return None

        offer = await eventually(good, what="an offer")
        self._used.add(offer.id)
        return offer

    def launch(self, offer: Offer, cmd: str = "sleep 1000", **spec: Any) -> TaskId:
        return self.launch_many(offer, [cmd], **spec)[0]

    def launch_many(self, offer: Offer, cmds: list[str], **spec: Any) -> list[TaskId]:
        """Launch tasks of one app in one ACCEPT."""
        app = AppId(f"/test/{uuid.uuid4()}")
        launches = tuple(self._launch(app, offer, cmd, spec) for cmd in cmds)
        self.dispatch.send(Accept((offer.id,), offer.agent.id, launches, 0.0))
        return [one.instance.task_id for one in launches if one.instance.task_id is not None]

    def _launch(self, app: AppId, offer: Offer, cmd: str, spec: dict[str, Any]) -> Launch:
        instance = Instance(
            id=InstanceId(f"{app.strip('/').replace('/', '_')}.instance-{next(self._numbers)}"),
            app_id=app,
            version=Version("2026-11-24T10:00:00.000Z"),
            condition=Condition.PROVISIONED,
            incarnation=1,
            placement=Placement(
                agent_id=offer.agent.id,
                host=offer.agent.host,
                pools=(Pool(cpus_milli=100, mem_mib=32),),
                allocated_role=offer.role,
                host_ports=(),
            ),
        )
        defaults: dict[str, Any] = {
            "id": app,
            "cmd": cmd,
            "resources": Resources(100, 32),
            "port_definitions": (),
            "role": ROLE,
        }
        return Launch(instance, AppSpec(**{**defaults, **spec}))

    def updates(self, task_id: TaskId) -> list[StatusUpdate]:
        return [update for update in self.seen(StatusUpdate) if update.task_id == task_id]

    def states(self, task_id: TaskId) -> list[TaskState]:
        return [update.state for update in self.updates(task_id)]

    async def until_state(self, task_id: TaskId, state: TaskState) -> StatusUpdate:
        def found() -> StatusUpdate | None:
            return next((one for one in self.updates(task_id) if one.state is state), None)

        return await eventually(found, what=f"{task_id} {state}, got {self.states(task_id)}")

    def agent_of(self, task_id: TaskId) -> AgentId | None:
        return next((one.agent_id for one in self.updates(task_id) if one.agent_id), None)

    async def close(self, *, teardown: bool = True) -> None:
        if teardown and self.driver.is_subscribed:
            assert isinstance(await self.driver.teardown(), Sent)
        self.driver.stop()
        await asyncio.wait({self.serving})


@pytest.fixture
async def cluster(mesos_master: str | None) -> AsyncIterator[Cluster | None]:
    """The embedded cluster of two agents; None on a real master."""
    if mesos_master is not None:
        yield None
        return
    async with Cluster(2) as cluster:
        yield cluster


@pytest.fixture
def master(cluster: Cluster | None, mesos_master: str | None) -> str:
    if mesos_master is not None:
        return mesos_master
    assert cluster is not None
    return cluster.master_address


@pytest.fixture
async def clients(master: str) -> AsyncIterator[Callable[..., Client]]:
    """Make clients that are torn down at the end of the test."""
    made: list[Client] = []

    def make(framework_id: FrameworkId | None = None) -> Client:
        made.append(Client(master, framework_id))
        return made[-1]

    yield make
    for client in reversed(made):
        await client.close()

"""The API over the real runtime and core, an in-memory store, and a Mesos that tests play."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from random import Random

import httpx2
import pytest
from attrs import evolve, field, frozen

from scheduler.api import ApiConfig, create_app
from scheduler.core import Settings, handle, resume, settle
from scheduler.core.effects import Accept, MesosEffect
from scheduler.core.events import OffersReceived, ProbeResult, StatusUpdate, Subscribed
from scheduler.core.ids import AgentId, FrameworkId, OfferId
from scheduler.core.instance import CheckResult, TaskState
from scheduler.core.offer import Agent, Offer, Pool, PortRange
from scheduler.runtime import Runtime, Steps, Surroundings
from scheduler.spec import decode_spec, encode_spec
from scheduler.store import Codec, MemoryStore
from scheduler.telemetry import Bus, Metrics
from tests.support import eventually


class Egret:
    """One scheduler: ``http`` asks its API, ``mesos`` holds what it asked of the master."""

    def __init__(self, runtime, app, http):
        self.runtime = runtime
        self.app = app
        self.http = http
        self.mesos: list[MesosEffect] = []
        self.offers = 0

    async def deploy(self, app_id, **fields):
        answer = await self.http.post("/v2/apps", json={"id": app_id, "cmd": "sleep 1", **fields})
        assert answer.status_code == 201, answer.text
        return answer

    async def offer(self, cpus=16.0, host="agent-1"):
        """Offer an agent's resources and wait until the offer is answered."""
        self.offers += 1
        agent = Agent(id=AgentId(f"id-of-{host}"), host=host, region="eu", zone="a")
        pool = Pool(
            cpus_milli=int(cpus * 1000),
            mem_mib=16_000,
            disk_mib=10_000,
            ports=(PortRange(31_000, 31_999),),
        )
        offer = Offer(OfferId(f"o{self.offers}"), agent, "*", (pool,), address="10.0.0.1")
        before = len(self.mesos)
        self.runtime.post(OffersReceived((offer,)))
        await eventually(lambda: len(self.mesos) > before, what="an answer to the offer")

    def launches(self):
        return [
            launch for call in self.mesos if isinstance(call, Accept) for launch in call.launches
        ]

    async def update(self, task_id, state, **more):
        """Report a task's state and wait until that is known."""
        instance = self.runtime.world.instance_of(task_id)
        agent_id = instance.placement.agent_id
        self.runtime.post(StatusUpdate(task_id=task_id, state=state, agent_id=agent_id, **more))
        await self.settled()

    async def run_tasks(self, host="agent-1"):
        """Let everything that waits be launched and reach RUNNING; returns the new task ids."""
        before = {launch.instance.task_id for launch in self.launches()}
        await self.offer(host=host)
        new = [
            launch.instance.task_id
            for launch in self.launches()
            if launch.instance.task_id not in before
        ]
        for task_id in new:
            await self.update(task_id, TaskState.RUNNING)
        return new

    async def probe(self, task_id, *, alive, index=0):
        at_ms = self.runtime.clock()
        good = CheckResult(alive=True, first_success_ms=at_ms, last_success_ms=at_ms)
        bad = CheckResult(
            alive=False, consecutive_failures=1, last_failure_ms=at_ms, last_failure_cause="refused"
        )
        self.runtime.post(ProbeResult(task_id, index, good if alive else bad))
        await self.settled()

    async def settled(self):
        await eventually(lambda: self.runtime.inbox_length == 0, what="an empty inbox")
        await self.runtime.read_barrier(30)

    async def left(self):
        """Wait until the runtime does not lead any more."""
        await eventually(lambda: not self.runtime.is_leading, what="the end of the lead")

    async def deployments_done(self):
        await eventually(lambda: not self.runtime.world.deployments, what="no deployments")


class Master:
    """A room that takes the subscription at once."""

    def __init__(self, runtime):
        self.runtime = runtime

    async def start(self, term):
        self.runtime.post(Subscribed(FrameworkId("fw-1"), "10.0.0.9:5050"))

    async def stop(self):
        pass

    def instances_changed(self, changes):
        pass


@frozen
class Setup:
    settings: Settings = Settings()
    config: ApiConfig = field(factory=ApiConfig)


@pytest.fixture
def setup() -> Setup:
    """Override in a module or by parametrising to change settings or configuration."""
    return Setup()


@contextlib.asynccontextmanager
async def running_egret(setup: Setup) -> AsyncIterator[Egret]:
    bus, metrics = Bus(), Metrics()
    surroundings = Surroundings(Steps(handle, settle, resume), rng=Random(1))
    runtime = Runtime(
        setup.settings, MemoryStore(Codec(encode_spec, decode_spec)), surroundings, metrics, bus
    )
    app = create_app(runtime, setup.config)
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=True)
    async with httpx2.AsyncClient(transport=transport, base_url="http://egret") as http:
        egret = Egret(runtime, app, http)
        runtime.connect_mesos(egret.mesos.append)
        runtime.add_room(Master(runtime))
        life = asyncio.create_task(runtime.run())
        try:
            await eventually(lambda: runtime.is_leading, what="the lead")
            await egret.settled()
            yield egret
        finally:
            runtime.stop()
            await life


@pytest.fixture
async def egret(setup: Setup) -> AsyncIterator[Egret]:
    async with running_egret(setup) as found:
        yield found


__all__ = ["Egret", "Setup", "evolve", "running_egret"]

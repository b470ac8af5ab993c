"""A whole scheduler behind a real HTTP server, in a thread, with a Mesos that never refuses.

For tests whose client is another program, or blocks. Tasks that are launched run at once, tasks
that are killed end at once, and there is always an offer.
"""

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from random import Random

import uvicorn
from attrs import frozen

from scheduler.api import ApiConfig, create_app
from scheduler.core import Settings, handle, resume, settle
from scheduler.core.effects import Accept, Decline, Kill
from scheduler.core.events import OffersReceived, StatusUpdate, Subscribed
from scheduler.core.ids import AgentId, FrameworkId, OfferId
from scheduler.core.instance import TaskState
from scheduler.core.offer import Agent, Offer, Pool, PortRange
from scheduler.runtime import Runtime, Steps, Surroundings
from scheduler.spec import decode_spec, encode_spec
from scheduler.store import Codec, MemoryStore
from scheduler.telemetry import Bus, Metrics
from scheduler.telemetry.dropwizard import to_dropwizard
from tests.support import free_ports

_PATIENCE_S = 60


class GenerousMesos:
    """A room of the runtime that plays master and agents."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._agents = {}
        self._offers = 0

    async def start(self, term):
        self._runtime.post(Subscribed(FrameworkId("fw-live"), "127.0.0.1:5050"))
        self._offer()

    async def stop(self):
        pass

    def instances_changed(self, changes):
        pass

    def send(self, effect) -> None:
        loop = asyncio.get_running_loop()
        match effect:
            case Accept(launches=launches):
                for launch in launches:
                    task_id = launch.instance.task_id
                    self._agents[task_id] = launch.instance.placement.agent_id
                    self._report(task_id, TaskState.RUNNING)
                self._offer()
            case Decline():
                loop.call_later(0.2, self._offer)
            case Kill(task_id=task_id):
                self._report(task_id, TaskState.KILLED)
            case _:
                pass

    def _report(self, task_id, state) -> None:
        agent_id = self._agents.get(task_id)
        if agent_id is not None:
            # ``healthy`` is what checks beside the task would say; without checks it means nothing.
            update = StatusUpdate(task_id=task_id, state=state, agent_id=agent_id, healthy=True)
            self._runtime.post(update)

    def _offer(self) -> None:
        self._offers += 1
        agent = Agent(id=AgentId("agent-1"), host="127.0.0.1", region="eu", zone="a")
        pool = Pool(
            cpus_milli=10**9, mem_mib=10**9, disk_mib=10**9, ports=(PortRange(1_024, 65_535),)
        )
        offer = Offer(OfferId(f"o{self._offers}"), agent, "*", (pool,), address="127.0.0.1")
        self._runtime.post(OffersReceived((offer,)))


@frozen
class LiveEgret:
    url: str
    runtime: Runtime
    loop: asyncio.AbstractEventLoop


@contextlib.contextmanager
def live_egret(
    config: ApiConfig | None = None, settings: Settings | None = None
) -> Iterator[LiveEgret]:
    """Run a scheduler until the block ends."""
    found: list[LiveEgret] = []
    ready, over = threading.Event(), threading.Event()
    thread = threading.Thread(
        target=lambda: asyncio.run(_serve(config, settings, found, ready, over)), name="live-egret"
    )
    thread.start()
    try:
        assert ready.wait(_PATIENCE_S), "the scheduler does not start"
        yield found[0]
    finally:
        over.set()
        thread.join(_PATIENCE_S)
        assert not thread.is_alive(), "the scheduler does not stop"


async def _serve(config, settings, found, ready, over) -> None:
    (port,) = free_ports(1)
    bus, metrics = Bus(), Metrics()
    bus.subscribe(metrics.on_fact)
    surroundings = Surroundings(Steps(handle, settle, resume), rng=Random(1))
    store = MemoryStore(Codec(encode_spec, decode_spec))
    runtime = Runtime(settings or Settings(), store, surroundings, metrics, bus)
    mesos = GenerousMesos(runtime)
    runtime.connect_mesos(mesos.send)
    runtime.add_room(mesos)
    default = ApiConfig(
        leader_address=f"127.0.0.1:{port}", collect_metrics=lambda: to_dropwizard(metrics.registry)
    )
    app = create_app(runtime, config or default)
    # No signal handlers: uvicorn sets them in the main thread only.
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            host="127.0.0.1",
            port=port,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
        )
    )
    leading = asyncio.create_task(runtime.run())
    serving = asyncio.create_task(server.serve())
    while not (server.started and runtime.is_leading):
        await asyncio.sleep(0.01)
    found.append(LiveEgret(f"http://127.0.0.1:{port}", runtime, asyncio.get_running_loop()))
    ready.set()
    await asyncio.to_thread(over.wait)
    app.state.api.hub.close()
    server.should_exit = True
    await serving
    runtime.stop()
    await leading

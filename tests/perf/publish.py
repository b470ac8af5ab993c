"""What telling costs for each task: the log, the metrics, and one client of the event stream.

What is told is what the core decided for these tasks, as the runtime passes it on.
"""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from time import process_time

import uvicorn
from starlette.types import Receive, Scope, Send

from scheduler.api.events import EventHub, EventStream
from scheduler.core.effects import Publish, Reply
from scheduler.runtime import epoch_ms
from scheduler.telemetry import Bus, LogFormat, Metrics, log_fact, set_up_logs
from tests.perf.report import emit, log_errors_only
from tests.perf.worlds import Step

TASK_BUDGET_US = 80.0
_DEADLINE_S = 60.0
_BACKLOG_MAX = 100_000
_CLIENT = """
import socket, sys
with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as connection:
    connection.sendall(b"GET /v2/events HTTP/1.1\\r\\nHost: bench\\r\\n\\r\\n")
    while connection.recv(1 << 20):
        pass
"""


class _Public:
    """Everybody who is told."""

    def __init__(self) -> None:
        self.metrics, self.bus = Metrics(), Bus()
        self.hub = EventHub(epoch_ms, clients_max=1, backlog_max=_BACKLOG_MAX)
        for listener in (self.metrics.on_fact, log_fact, self.hub.on_fact):
            self.bus.subscribe(listener)
        self.facts = 0

    def tell(self, step: Step) -> None:
        """Pass on one batch in the order of the runtime."""
        for event in step.events:
            self.metrics.on_event(event)
        self.metrics.on_changes(step.changes)
        for effect in step.effects:
            match effect:
                case Publish(fact):
                    self.facts += 1
                    self.bus.publish(fact)
                case Reply():
                    pass
                case _:
                    self.metrics.on_effect(effect)

    async def stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The event stream, and nothing else."""
        await EventStream(self.hub, frozenset(), None)(scope, receive, send)


async def _cpu_s(public: _Public, steps: Sequence[Step]) -> float:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(
            public.stream, interface="asgi3", lifespan="off", log_config=None, access_log=False
        )
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        port = listener.getsockname()[1]
        client = subprocess.Popen([sys.executable, "-c", _CLIENT, str(port)])
        async with asyncio.timeout(_DEADLINE_S):
            while not public.hub.clients:
                await asyncio.sleep(0.01)
        cpu_s = process_time()
        for step in steps:
            public.tell(step)
            await asyncio.sleep(0)
        cpu_s = process_time() - cpu_s
        assert public.hub.clients == 1, "the client was too slow"
        client.kill()
        client.wait()
        server.should_exit = True
        await serving
    return cpu_s


def run(steps: Sequence[Step], *, tasks: int) -> float:
    """Measure with the steps of these tasks; returns the CPU time of one task in µs."""
    with Path(os.devnull).open("w") as nowhere:
        set_up_logs(LogFormat.JSON, "info", nowhere)
        asyncio.run(_cpu_s(_Public(), steps[: len(steps) // 10]))  # Warms up.
        public = _Public()
        cpu_us = asyncio.run(_cpu_s(public, steps)) / tasks * 1e6
        log_errors_only()
    where = {"tasks": tasks, "facts_per_task": round(public.facts / tasks, 2)}
    emit("publish", "task", cpu_us, "µs", budget=TASK_BUDGET_US, **where)
    return cpu_us

"""What speaking with Mesos costs for each task: the real driver, over loopback.

A task's share: of an offer that is read and of the ACCEPT that uses it; its TaskInfo; two status
updates that are read and two ACKNOWLEDGE. The master is a process of its own.
"""

import asyncio
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import process_time

from attrs import define, field

from scheduler.core.effects import Accept, Acknowledge, Launch
from scheduler.core.events import Disconnected, OffersReceived, StatusUpdate, Subscribed
from scheduler.core.offer import Offer
from scheduler.mesos import (
    DriverConfig,
    EgretDriver,
    Endpoint,
    Framework,
    MesosDispatch,
    MesosEvent,
    StaticMasters,
)
from tests.perf.report import emit

TASK_BUDGET_US = 150.0
_PER_OFFER = 10
_DEADLINE_S = 300.0


@contextmanager
def _master(offers: int) -> Iterator[Endpoint]:
    command = [sys.executable, "-m", "tests.perf.master", str(offers)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        yield Endpoint("http", "127.0.0.1", int(process.stdout.readline()))
    finally:
        process.kill()
        process.wait()


@define(eq=False)
class _Client:
    """Launches on every offer and acknowledges every update, without any thought."""

    launches: Iterator[Launch]
    dispatch: MesosDispatch = field(init=False)
    begun_s: float = 0.0
    """CPU time when the subscription stood."""

    def take(self, event: MesosEvent) -> None:
        match event:
            case Subscribed():
                self.begun_s = process_time()
            case OffersReceived(offers):
                for offer in offers:
                    self._accept(offer)
            case StatusUpdate(task_id, agent_id=agent_id, uuid=uuid):
                assert agent_id is not None
                assert uuid is not None
                self.dispatch.send(Acknowledge(task_id, agent_id, uuid))
            case _:
                assert isinstance(event, Disconnected), event

    def _accept(self, offer: Offer) -> None:
        launches = tuple(next(self.launches) for _ in range(_PER_OFFER))
        self.dispatch.send(Accept((offer.id,), offer.agent.id, launches, 5.0))


async def _task_us(endpoint: Endpoint, launches: Sequence[Launch]) -> float:
    client = _Client(iter(launches))
    config = DriverConfig(framework=Framework(name="bench", roles=("*",)))
    masters, problems = StaticMasters((endpoint,)), list[str]()
    driver = EgretDriver(config, masters, client.take, lambda *told: problems.extend(told))
    client.dispatch = MesosDispatch(driver, client.take)
    serving = asyncio.create_task(driver.serve())
    async with asyncio.timeout(_DEADLINE_S):
        while driver.stats.calls["ACKNOWLEDGE", "Sent"] < 2 * len(launches):
            await asyncio.sleep(0.01)
    cpu_s = process_time() - client.begun_s
    driver.stop()
    await serving
    assert not problems, problems[:4]
    return cpu_s / len(launches) * 1e6


def run(launches: Sequence[Launch]) -> float:
    """Measure with these launches, in ACCEPTs of ten; returns the CPU time of one task in µs."""
    assert len(launches) % _PER_OFFER == 0
    for measured in (launches[: len(launches) // 10], launches):  # The first warms up.
        with _master(len(measured) // _PER_OFFER) as endpoint:
            cpu_us = asyncio.run(_task_us(endpoint, measured))
    where = {"tasks": len(launches), "tasks_per_offer": _PER_OFFER}
    emit("mesos", "task", cpu_us, "µs", budget=TASK_BUDGET_US, **where)
    return cpu_us

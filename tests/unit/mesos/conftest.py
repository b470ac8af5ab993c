import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from scheduler.core.events import Subscribed
from scheduler.mesos.calls import CallLimits
from scheduler.mesos.driver import DriverConfig, DriverEnd, EgretDriver
from scheduler.mesos.endpoint import Endpoint
from scheduler.mesos.framework import Framework
from scheduler.mesos.masters import Masters, StaticMasters
from scheduler.mesos.subscription import Timing
from tests.unit.mesos.fake_master import FakeMaster, Peer, Request

QUICK = Timing(
    connect_timeout_s=5.0,
    reply_timeout_s=5.0,
    backoff_first_s=0.001,
    backoff_cap_s=0.01,
    max_record_bytes=1_000_000,
)


class Harness:
    """A driver, what it told, and the masters it talks to."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.problems: list[tuple[str, str]] = []
        self.on_event: Callable[[Any], None] = lambda event: None
        self.master = FakeMaster()
        self.masters = [self.master]
        self.driver: EgretDriver
        self.serving: asyncio.Task[DriverEnd]
        self._told = asyncio.Event()

    def take(self, event: Any) -> None:
        self.events.append(event)
        self._told.set()
        self.on_event(event)

    def complain(self, kind: str, message: str) -> None:
        self.problems.append((kind, message))
        self._told.set()

    def start(self, masters: Masters | Endpoint, **config: Any) -> EgretDriver:
        if isinstance(masters, Endpoint):
            masters = StaticMasters((masters,))
        config = {
            "framework": Framework(name="test", roles=("web",)),
            "timing": QUICK,
            "limits": CallLimits(reply_timeout_s=5.0),
            **config,
        }
        self.driver = EgretDriver(
            DriverConfig(**config), masters, self.take, self.complain, random=lambda: 0.5
        )
        self.serving = asyncio.create_task(self.driver.serve())
        return self.driver

    async def begin(self, *scripts: Any, **config: Any) -> EgretDriver:
        """Start one master with ``scripts`` and a driver that talks to it."""
        self.master.scripts.extend(scripts)
        return self.start(await self.master.start(), **config)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for what the driver tells; the deadline only ends a test that has failed."""
        async with asyncio.timeout(20):
            while not condition():
                self._told.clear()
                await self._told.wait()

    def seen(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    async def until_subscribed(self, times: int = 1) -> None:
        await self.until(lambda: len(self.seen(Subscribed)) >= times)

    async def until_outcome(self, call: str, outcome: str) -> None:
        async with asyncio.timeout(20):
            while not self.driver.stats.calls[call, outcome]:
                await asyncio.sleep(0.005)

    async def close(self) -> None:
        if hasattr(self, "serving"):
            self.serving.cancel()
            await asyncio.gather(self.serving, return_exceptions=True)
        for master in self.masters:
            await master.stop()


async def subscribe_then_close(peer: Peer, request: Request) -> None:
    await peer.open_stream()
    await peer.subscribed()
    peer.abort()


def watch_back_off(harness: Harness) -> list[float]:
    """Collect every wait the driver asks for, in seconds; to be called before it runs."""
    waits: list[float] = []
    backoff = harness.driver._link._backoff
    original = backoff.next_s
    backoff.next_s = lambda: waits.append(original()) or waits[-1]
    return waits


@pytest.fixture
async def harness() -> AsyncIterator[Harness]:
    harness = Harness()
    yield harness
    await harness.close()

"""Instances, specs and a look at Consul, for the tests of discovery."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import consul
from attrs import evolve

from scheduler.core.app import AppSpec, PortDefinition
from scheduler.core.events import Deregistered
from scheduler.core.ids import AgentId, AppId, Epoch, InstanceId, Version
from scheduler.core.instance import Condition, Goal, Instance, Placement
from scheduler.discovery import ConsulAddress, Discovery, DiscoverySettings, SyncStatus
from tests.support import eventually


def app(app_id: str = "/shop/web", *, ports: int = 1, **fields: Any) -> AppSpec:
    """An app with host networking, without checks."""
    fields.setdefault("port_definitions", tuple(PortDefinition(name=None) for _ in range(ports)))
    return AppSpec(id=AppId(app_id), **fields)


def running(
    spec: AppSpec,
    number: int = 0,
    *,
    agent: str = "S0",
    address: str = "10.0.0.1",
    port: int = 31000,
    host: str = "agent.example",
) -> Instance:
    """A running instance of the app; its ports follow each other from ``port``."""
    ports = len(spec.port_definitions or ())
    name = spec.id.strip("/").replace("/", "_")
    return Instance(
        id=InstanceId(f"{name}.instance-{number}"),
        app_id=spec.id,
        version=Version("2026-01-02T03:04:05.678Z"),
        condition=Condition.RUNNING,
        incarnation=1,
        created_at_ms=number,
        placement=Placement(
            agent_id=AgentId(agent),
            host=host,
            pools=(),
            allocated_role="*",
            host_ports=tuple(range(port, port + ports)),
            address=address,
        ),
    )


def draining(instance: Instance) -> Instance:
    return evolve(instance, condition=Condition.DRAINING, goal=Goal.DECOMMISSIONED)


class ConsulView:
    """What others see in Consul, asked through a client of its own."""

    def __init__(self, url: str, timeout_s: float = 60) -> None:
        host, _, port = url.removeprefix("http://").partition(":")
        self.client = consul.Consul(host=host, port=int(port), connections_timeout=timeout_s)

    def passing(self, name: str) -> list[tuple[str, int]]:
        """Addresses and ports that a client of the service would use."""
        _, rows = self.client.health.service(name, passing=True)
        return sorted((row["Service"]["Address"], row["Service"]["Port"]) for row in rows)

    def services(self, name: str) -> list[dict[str, Any]]:
        _, rows = self.client.catalog.service(name)
        return sorted(rows, key=lambda row: row["ServiceID"])

    def names(self) -> set[str]:
        _, names = self.client.catalog.services()
        return set(names)


class Told:
    def __init__(self):
        self.gone: list[Deregistered] = []
        self.stale = 0

    def take_over(self):
        self.stale += 1


@asynccontextmanager
async def discovering(
    url: str,
    owner: str,
    instances: Iterable[tuple[Instance, AppSpec]] = (),
    *,
    epoch: int = 1,
    period_s: float = 0.5,
    timeout_s: float = 5.0,
    **fields: Any,
) -> AsyncIterator[tuple[Discovery, Told]]:
    """A running Discovery; on leaving, it has stopped and its thread has ended."""
    told = Told()
    address = ConsulAddress(url, timeout_s=timeout_s, token_file=fields.pop("token_file", None))
    settings = DiscoverySettings(address, period_s=period_s, **fields)
    discovery = Discovery(settings, told.gone.append, told.take_over, lambda: 0)
    discovery.start(owner, Epoch(epoch), instances)
    run = asyncio.create_task(discovery.run())
    try:
        yield discovery, told
    finally:
        discovery.stop()
        await run


async def settled(discovery: Discovery, registered: int) -> SyncStatus:
    """Wait until exactly so many entries are wanted and registered."""

    def is_settled() -> SyncStatus | None:
        sync = discovery.status().sync
        is_right = sync.registered == registered == sync.desired and not sync.pending
        return sync if is_right else None

    return await eventually(is_settled, what=f"{registered} entries registered")

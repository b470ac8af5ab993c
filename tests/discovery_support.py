"""Instances, specs and a look at Consul, for the tests of discovery."""

from typing import Any

import consul
from attrs import evolve

from scheduler.core.app import AppSpec, PortDefinition
from scheduler.core.ids import AgentId, AppId, InstanceId, Version
from scheduler.core.instance import Condition, Goal, Instance, Placement


def app(app_id: str = "/shop/web", *, ports: int = 1, **fields: Any) -> AppSpec:
    """An app with host networking, without checks."""
    definitions = tuple(PortDefinition(name=None) for _ in range(ports))
    return AppSpec(id=AppId(app_id), **({"port_definitions": definitions} | fields))


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

    def __init__(self, url: str, timeout_s: float = 10) -> None:
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

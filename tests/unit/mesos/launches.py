"""Launches to build TaskInfos from: one instance of an app, placed on one agent."""

from typing import Any

from scheduler.core.app import AppSpec, Resources
from scheduler.core.effects import Launch
from scheduler.core.executors import Executor
from scheduler.core.ids import AgentId, AppId, InstanceId, Version
from scheduler.core.instance import Condition, Instance, Placement
from scheduler.core.offer import Pool, PortRange

VERSION = Version("2026-11-24T10:00:00.000Z")


def pool(*ports: int, **more: Any) -> Pool:
    ranges = tuple(PortRange(port, port) for port in ports)
    return Pool(**{"cpus_milli": 100, "mem_mib": 32, "ports": ranges, **more})


def launch(
    *,
    ports: tuple[int, ...] = (),
    pools: tuple[Pool, ...] | None = None,
    number: int = 1,
    runs_in: Executor | None = None,
    **spec: Any,
) -> Launch:
    """An app ``/shop/web`` with ``spec``, placed on agent S1 with ``ports``."""
    instance = Instance(
        id=InstanceId(f"shop_web.instance-{number}"),
        app_id=AppId("/shop/web"),
        version=VERSION,
        condition=Condition.PROVISIONED,
        incarnation=1,
        placement=Placement(
            agent_id=AgentId("S1"),
            host="agent1.test",
            pools=(pool(*ports),) if pools is None else pools,
            allocated_role="web",
            host_ports=ports,
            address="10.0.0.1",
            executor=runs_in,
        ),
    )
    defaults: dict[str, Any] = {
        "id": AppId("/shop/web"),
        "cmd": "sleep 100",
        "resources": Resources(cpus_milli=100, mem_mib=32),
        "port_definitions": (),
        "role": "web",
    }
    return Launch(instance, AppSpec(**{**defaults, **spec}))

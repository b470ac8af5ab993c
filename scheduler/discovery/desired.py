"""Decide what Consul should hold: a pure function of instances and specs.

An entry stands for exactly one port of one task that runs, is wanted and is healthy. Nothing here
knows what Consul holds; ``diff`` compares.
"""

import re

from attrs import evolve, frozen

from scheduler.core.app import AppSpec, HealthCheck, HealthProtocol
from scheduler.core.endpoints import Endpoint, agent_address, endpoints_of
from scheduler.core.health import is_serving
from scheduler.core.instance import Condition, Goal, Instance
from scheduler.discovery.entry import (
    META_AGENT,
    META_APP,
    META_HOST,
    META_OWNER,
    META_TASK,
    META_VERSION,
    AgentCheck,
    ServiceEntry,
    service_id,
)
from scheduler.discovery.names import Plan, PlannedService, clean_tag

CHECK_INTERVAL_S = 10
CHECK_TIMEOUT_S = 5
"""Of the TCP check in mode ``agent``, for a port that the app itself does not check."""


def is_advertised(instance: Instance, spec: AppSpec, *, is_prober_suspect: bool = False) -> bool:
    """Whether an instance is to be found in Consul.

    It runs (so it does not drain), it is wanted, its checks, if any, say that it is alive, and it
    has said once that it is ready, if it is asked: else an upgrade would send requests to tasks
    that are still warming up. While so much fails at once that the network is suspect, failed
    probes count for nothing: what was healthy once stays, and what is out of sight stays as it was
    last seen.
    """
    if instance.goal is not Goal.RUNNING or not _may_run(instance):
        return False
    if spec.readiness_checks and not instance.ready:
        return False
    if is_serving(instance, spec):
        return True
    return is_prober_suspect and is_serving(_as_it_was(instance, spec), spec)


def entries_of(
    instance: Instance, spec: AppSpec, plan: Plan, *, owner: str
) -> tuple[ServiceEntry, ...]:
    """List the entries of an advertised instance; a port without a known address has none."""
    endpoints = endpoints_of(instance, spec)
    entries: list[ServiceEntry] = []
    for service in plan.services:
        if service.port_index >= len(endpoints):
            continue
        endpoint = endpoints[service.port_index]
        entry = _entry(instance, spec, service, endpoint, owner)
        if entry is not None:
            entries.append(entry)
    return tuple(entries)


def node_name(owner: str, agent_id: str) -> str:
    """Name the synthetic node of a Mesos agent.

    The owner is part of it, so that no two frameworks ever share a node: what is on it is ours.

    >>> node_name("egret", "0b4d2b3c-S7")
    'egret-0b4d2b3c-S7'
    """
    return re.sub(r"[^A-Za-z0-9-]", "-", f"{owner}-{agent_id}")


@frozen
class Diff:
    puts: tuple[ServiceEntry, ...]
    deletes: tuple[ServiceEntry, ...]


def diff(desired: dict[str, ServiceEntry], held: dict[str, ServiceEntry]) -> Diff:
    """Say what makes ``held`` into ``desired``; both by ServiceID, both of our own entries only.

    An entry that moved to another node is deleted there and put here.
    """
    puts = [entry for key, entry in desired.items() if held.get(key) != entry]
    deletes = [
        entry
        for key, entry in held.items()
        if key not in desired or desired[key].node != entry.node
    ]
    return Diff(tuple(puts), tuple(deletes))


def _may_run(instance: Instance) -> bool:
    """Whether the task runs, or ran when it was last seen and was not being ended."""
    if instance.condition is Condition.UNREACHABLE:
        return instance.started_at_ms is not None and instance.kill_reason is None
    return instance.condition is Condition.RUNNING


def _as_it_was(instance: Instance, spec: AppSpec) -> Instance:
    """Take the loss of sight and failed probes back: what succeeded once, from here, is alive."""
    checks = tuple(
        evolve(result, alive=True)
        if result.first_success_ms is not None and check.protocol.is_probed_by_scheduler
        else result
        for result, check in zip(instance.checks, spec.health_checks, strict=False)
    )
    return evolve(instance, condition=Condition.RUNNING, checks=checks)


def _entry(
    instance: Instance, spec: AppSpec, service: PlannedService, endpoint: Endpoint, owner: str
) -> ServiceEntry | None:
    task_id, placement, at_agent = instance.task_id, instance.placement, agent_address(instance)
    if task_id is None or placement is None or at_agent is None:
        return None
    if endpoint.address is None or endpoint.port is None:
        return None
    meta = dict(service.meta) | {
        META_OWNER: owner,
        META_APP: spec.id,
        META_VERSION: instance.version,
        META_TASK: task_id,
        META_AGENT: placement.agent_id,
        META_HOST: placement.host,
    }
    our_tags = (f"app={spec.id}", f"version={instance.version}")
    return ServiceEntry(
        id=service_id(task_id, service.key),
        task_id=task_id,
        name=service.name,
        address=endpoint.address,
        port=endpoint.port,
        tags=service.tags + tuple(clean_tag(tag) for tag in our_tags),
        meta=tuple(sorted(meta.items())),
        node=node_name(owner, placement.agent_id),
        node_address=at_agent,
        host=placement.host,
        check=_agent_check(spec, endpoint),
    )


def _agent_check(spec: AppSpec, endpoint: Endpoint) -> AgentCheck | None:
    """Choose the check that a Consul agent runs: the app's first for this port, else TCP."""
    for check in spec.health_checks:
        if check.protocol.is_probed_by_scheduler and _is_for(check, endpoint):
            return _like(check, endpoint)
    if "tcp" not in endpoint.protocol:
        return None
    return AgentCheck(url=None, interval_s=CHECK_INTERVAL_S, timeout_s=CHECK_TIMEOUT_S)


def _is_for(check: HealthCheck, endpoint: Endpoint) -> bool:
    if check.port is not None:
        return check.port == endpoint.port
    return (check.port_index or 0) == endpoint.index


def _like(check: HealthCheck, endpoint: Endpoint) -> AgentCheck:
    url = None
    if check.protocol is not HealthProtocol.TCP:
        host = f"[{endpoint.address}]" if ":" in (endpoint.address or "") else endpoint.address
        path = (check.path or "/").lstrip("/")
        url = f"{check.protocol.lower()}://{host}:{endpoint.port}/{path}"
    return AgentCheck(url=url, interval_s=check.interval_s, timeout_s=check.timeout_s)

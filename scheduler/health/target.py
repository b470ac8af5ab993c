"""Say what is to be probed for an instance: which checks, at which address and port.

A target is all that goes down to the prober, and it is self-contained: the prober knows neither
apps nor the world, so it could run in a process of its own.
"""

from attrs import frozen

from scheduler.core.app import AppSpec, HealthCheck, HealthProtocol
from scheduler.core.endpoints import Endpoint, endpoints_of, task_address
from scheduler.core.health import check_results
from scheduler.core.ids import TaskId
from scheduler.core.instance import CheckResult, Condition, Instance


@frozen
class ProbeCheck:
    """One check of a task, ready to be carried out."""

    index: int
    """Position among the spec's health checks: ``events.ProbeResult.check_index``."""
    address: str
    port: int
    protocol: HealthProtocol
    path: str
    grace_ms: int
    interval_ms: int
    timeout_ms: int
    max_consecutive_failures: int
    ignore_http_1xx: bool
    result: CheckResult
    """What was known of it before: verdicts outlive a restart."""


@frozen
class ProbeTarget:
    """All the checks of one task that are carried out from here."""

    task_id: TaskId
    started_at_ms: int
    """When the task was first seen running; the grace period counts from here."""
    checks: tuple[ProbeCheck, ...]


def targets_of(instance: Instance, spec: AppSpec) -> ProbeTarget | None:
    """Say what to probe; None when nothing is to be probed from here.

    Only a RUNNING task is probed, as in Marathon: one that drains, is being killed or is
    unreachable gets no verdicts. A check whose address nobody knows yet is left out.
    """
    task_id = instance.task_id
    if instance.condition is not Condition.RUNNING or task_id is None:
        return None
    results = check_results(instance, spec)
    endpoints: tuple[Endpoint, ...] | None = None
    checks: list[ProbeCheck] = []
    for index, check in enumerate(spec.health_checks):
        if not check.protocol.is_probed_by_scheduler:
            continue
        if endpoints is None:
            endpoints = endpoints_of(instance, spec)
        place = _place_of(check, endpoints, task_address(instance, spec))
        if place is not None:
            checks.append(_probe_check(index, check, place, results[index]))
    if not checks:
        return None
    started_at_ms = instance.started_at_ms
    return ProbeTarget(
        task_id=task_id,
        started_at_ms=instance.since_ms if started_at_ms is None else started_at_ms,
        checks=tuple(checks),
    )


def _place_of(
    check: HealthCheck, endpoints: tuple[Endpoint, ...], address: str | None
) -> tuple[str, int] | None:
    """Find address and port: ``port`` is taken as given, else ``portIndex`` names an app port."""
    if check.port is not None:
        return None if address is None else (address, check.port)
    index = check.port_index or 0
    if index >= len(endpoints):
        return None
    endpoint = endpoints[index]
    if endpoint.address is None or endpoint.port is None:
        return None
    return endpoint.address, endpoint.port


def _probe_check(
    index: int, check: HealthCheck, place: tuple[str, int], result: CheckResult
) -> ProbeCheck:
    address, port = place
    return ProbeCheck(
        index=index,
        address=address,
        port=port,
        protocol=check.protocol,
        path=check.path or "/",
        grace_ms=check.grace_period_s * 1000,
        interval_ms=check.interval_s * 1000,
        timeout_ms=check.timeout_s * 1000,
        max_consecutive_failures=check.max_consecutive_failures,
        ignore_http_1xx=check.ignore_http_1xx,
        result=result,
    )

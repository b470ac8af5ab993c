"""Build what runs beside a task to watch it: HealthCheck and CheckInfo of mesos.proto.

HTTP, HTTPS and TCP checks are probed by the scheduler and never get here; of the others Mesos
runs one for each task. They run in the task's own network, so they get the container's port.
"""

from scheduler.core.app import AppSpec, Check, HealthCheck, HealthProtocol
from scheduler.core.effects import Launch
from scheduler.mesos.framework import JsonObject
from scheduler.mesos.task_container import mapped_ports


def health_checks(launch: Launch) -> list[JsonObject]:
    """Build a HealthCheck for each check of the app that runs beside the task, in their order."""
    return [
        _health_check(check, launch)
        for check in launch.spec.health_checks
        if not check.protocol.is_probed_by_scheduler
    ]


def check_info(check: Check, launch: Launch) -> JsonObject:
    """Build the CheckInfo, which observes and never kills."""
    timing: JsonObject = {
        "delay_seconds": float(check.delay_s),
        "interval_seconds": float(check.interval_s),
        "timeout_seconds": float(check.timeout_s),
    }
    kind = check.kind.lower()
    if kind == "exec":
        command = {"command": {"shell": True, "value": check.command or ""}}
        return {"type": "COMMAND", "command": command, **timing}
    port = _port(check.port, check.port_index, launch)
    if kind == "tcp":
        return {"type": "TCP", "tcp": {"port": port}, **timing}
    return {"type": "HTTP", "http": {"port": port, "path": check.path or "/"}, **timing}


def _health_check(check: HealthCheck, launch: Launch) -> JsonObject:
    timing: JsonObject = {
        "delay_seconds": float(check.delay_s),
        "interval_seconds": float(check.interval_s),
        "timeout_seconds": float(check.timeout_s),
        "grace_period_seconds": float(check.grace_period_s),
        "consecutive_failures": check.max_consecutive_failures,
    }
    if check.protocol is HealthProtocol.COMMAND:
        command = {"shell": True, "value": check.command or ""}
        return {"type": "COMMAND", "command": command, **timing}
    target: JsonObject = {"port": _port(check.port, check.port_index, launch)}
    if check.ip_protocol == "IPv6":
        target["protocol"] = "IPv6"
    if check.protocol is HealthProtocol.MESOS_TCP:
        return {"type": "TCP", "tcp": target, **timing}
    target["scheme"] = "https" if check.protocol is HealthProtocol.MESOS_HTTPS else "http"
    target["path"] = check.path or "/"
    return {"type": "HTTP", "http": target, **timing}


def _port(port: int | None, port_index: int | None, launch: Launch) -> int:
    """Find the port to ask inside the task's network; a number wins over an index."""
    if port is not None:
        return port
    ports = _inner_ports(launch.spec, launch)
    return ports[port_index or 0]


def _inner_ports(spec: AppSpec, launch: Launch) -> tuple[int, ...]:
    if not spec.uses_host_network:
        return tuple(port.container_port for port in mapped_ports(launch))
    placement = launch.instance.placement
    return placement.host_ports if placement else ()

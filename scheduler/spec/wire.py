"""Describe the JSON of an app as it may arrive: Marathon's field names, nothing filled in.

Every field is optional here and None means "not given" (an explicit null means the same, as in
Marathon). The bounds of single values stand in the field itself (``Bound``), so that decoding
and the OpenAPI document say the same; rules between fields are in ``validate``. Fields that
Marathon calls deprecated are read here and translated in ``normalise``.
Source: Marathon 1.11, ``docs/docs/rest-api/public/api/v2/types``.
"""

import re
from typing import Any

from attrs import field, frozen

from scheduler.core.app import (
    ContainerType,
    HealthProtocol,
    KillSelection,
    NetworkMode,
    OnReturn,
    RestartMode,
    UpdateOrder,
)

INT32_MAX = 2**31 - 1
PORT_MAX = 65535
AMOUNT_MAX = 1e12
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_NETWORK_NAME = re.compile(r"[a-z0-9]([-a-z0-9_]*[a-z0-9])?")


@frozen
class Bound:
    """What one value, or each item of a list, must keep to."""

    required: bool = False
    least: float | None = None
    most: float | None = None
    min_length: int = 0
    max_length: int | None = None
    pattern: re.Pattern[str] | None = None
    choices: tuple[str, ...] = ()
    unique: bool = False


def _kept(bound: Bound) -> Any:
    return field(default=None, metadata={"bound": bound})


def _whole(least: float = 0, most: float = INT32_MAX) -> Any:
    return _kept(Bound(least=least, most=most))


def _amount(least: float = 0) -> Any:
    return _kept(Bound(least=least, most=AMOUNT_MAX))


def _port() -> Any:
    return _whole(0, PORT_MAX)


def _text(min_length: int = 1, max_length: int | None = None, *, required: bool = False) -> Any:
    return _kept(Bound(required=required, min_length=min_length, max_length=max_length))


def _one_of(*choices: str) -> Any:
    return _kept(Bound(choices=choices))


def _port_name() -> Any:
    return _kept(Bound(min_length=1, max_length=255, pattern=_NAME))


def _protocol() -> Any:
    return _one_of("tcp", "udp", "udp,tcp")


def _network_names() -> Any:
    return _kept(Bound(min_length=1, max_length=63, pattern=_NAME))


@frozen
class WireSecretRef:
    secret: str | None = _text(required=True)


@frozen
class WireSecret:
    source: str | None = _text(required=True)


@frozen
class WireFetch:
    uri: str | None = _text(1, 1024, required=True)
    extract: bool | None = None
    executable: bool | None = None
    cache: bool | None = None
    dest_path: str | None = None


@frozen
class WireNetwork:
    name: str | None = _kept(Bound(min_length=1, max_length=63, pattern=_NETWORK_NAME))
    mode: str | None = _one_of(*NetworkMode)
    labels: dict[str, str] | None = None


@frozen
class WirePortDefinition:
    port: int | None = _port()
    name: str | None = _port_name()
    protocol: str | None = _protocol()
    labels: dict[str, str] | None = None


@frozen
class WirePortMapping:
    container_port: int | None = _port()
    host_port: int | None = _port()
    service_port: int | None = _port()
    name: str | None = _port_name()
    protocol: str | None = _protocol()
    labels: dict[str, str] | None = None
    network_names: tuple[str, ...] | None = _network_names()


@frozen
class WireDiscoveryPort:
    number: int | None = _port()
    name: str | None = _kept(Bound(required=True, min_length=1, max_length=255, pattern=_NAME))
    protocol: str | None = _protocol()
    labels: dict[str, str] | None = None


@frozen
class WireIpDiscovery:
    ports: tuple[WireDiscoveryPort, ...] | None = None


@frozen
class WireIpAddress:
    """Deprecated: the networking of Marathon before 1.5."""

    discovery: WireIpDiscovery | None = None
    groups: tuple[str, ...] | None = None
    labels: dict[str, str] | None = None
    network_name: str | None = _text()


@frozen
class WireParameter:
    key: str | None = _text(required=True)
    value: str | None = _text(0, required=True)


@frozen
class WirePullConfig:
    secret: str | None = _text(required=True)


@frozen
class WireCredential:
    """Refused: Marathon dropped it in 1.5 in favour of pullConfig."""

    principal: str | None = None
    secret: str | None = None


@frozen
class WireDocker:
    image: str | None = _text(required=True)
    force_pull_image: bool | None = None
    privileged: bool | None = None
    parameters: tuple[WireParameter, ...] | None = None
    pull_config: WirePullConfig | None = None
    network: str | None = _one_of("BRIDGE", "HOST", "NONE", "USER")
    port_mappings: tuple[WirePortMapping, ...] | None = None
    credential: WireCredential | None = None


@frozen
class WireSeccomp:
    profile_name: str | None = None
    unconfined: bool | None = None


@frozen
class WireIpcInfo:
    mode: str | None = _kept(Bound(required=True, choices=("PRIVATE", "SHARE_PARENT")))
    shm_size: int | None = _whole()


@frozen
class WireLinuxInfo:
    seccomp: WireSeccomp | None = None
    ipc_info: WireIpcInfo | None = None


@frozen
class WirePersistent:
    type: str | None = _one_of("root", "path", "mount")
    size: int | None = _kept(Bound(required=True, least=1, most=2**53))
    max_size: int | None = _whole(0, 2**53)
    profile_name: str | None = None
    constraints: tuple[tuple[str, ...], ...] | None = None


@frozen
class WireCsiCapability:
    access_mode: str | None = None
    access_type: str | None = None
    fs_type: str | None = None
    mount_flags: tuple[str, ...] | None = None


@frozen
class WireExternal:
    """A volume of dvdi or csi; ``options`` of the latter hold more than text."""

    provider: str | None = None
    name: str | None = None
    size: int | None = _whole(0, 2**53)
    options: dict[str, Any] | None = None
    shared: bool | None = None


@frozen
class WireVolume:
    """A host, persistent, external or secret volume, told apart by the field that is given."""

    container_path: str | None = _text(required=True)
    host_path: str | None = _text()
    mode: str | None = _one_of("RO", "RW")
    persistent: WirePersistent | None = None
    external: WireExternal | None = None
    secret: str | None = _text()


@frozen
class WireContainer:
    type: str | None = _one_of(*ContainerType)
    docker: WireDocker | None = None
    volumes: tuple[WireVolume, ...] | None = None
    port_mappings: tuple[WirePortMapping, ...] | None = None
    linux_info: WireLinuxInfo | None = None


@frozen
class WireCommand:
    value: str | None = _text(required=True)


@frozen
class WireHealthCheck:
    protocol: str | None = _one_of(*HealthProtocol)
    path: str | None = None
    command: WireCommand | None = None
    port_index: int | None = _port()
    port: int | None = _port()
    grace_period_seconds: int | None = _whole()
    interval_seconds: int | None = _whole(1)
    timeout_seconds: int | None = _whole(1)
    max_consecutive_failures: int | None = _whole()
    delay_seconds: int | None = _whole()
    ignore_http1xx: bool | None = None
    ip_protocol: str | None = _one_of("IPv4", "IPv6")


@frozen
class WireHttpCheck:
    port_index: int | None = _port()
    port: int | None = _port()
    path: str | None = _text(1, 1024)
    scheme: str | None = _one_of("HTTP", "HTTPS")


@frozen
class WireTcpCheck:
    port_index: int | None = _port()
    port: int | None = _port()


@frozen
class WireShell:
    shell: str | None = _text(required=True)


@frozen
class WireExecCheck:
    command: WireShell | None = _kept(Bound(required=True))


@frozen
class WireCheck:
    http: WireHttpCheck | None = None
    tcp: WireTcpCheck | None = None
    exec: WireExecCheck | None = None
    interval_seconds: int | None = _whole()
    timeout_seconds: int | None = _whole()
    delay_seconds: int | None = _whole()


@frozen
class WireReadinessCheck:
    name: str | None = _text()
    protocol: str | None = _one_of("HTTP", "HTTPS")
    path: str | None = _text(1, 1024)
    port_name: str | None = _port_name()
    interval_seconds: int | None = _whole()
    timeout_seconds: int | None = _whole(1)
    http_status_codes_for_ready: tuple[int, ...] | None = _kept(
        Bound(least=100, most=999, unique=True)
    )
    preserve_last_response: bool | None = None


@frozen
class WireUpgradeStrategy:
    minimum_health_capacity: float | None = _kept(Bound(least=0, most=1))
    maximum_over_capacity: float | None = _kept(Bound(least=0, most=1))


@frozen
class WireUnreachable:
    inactive_after_seconds: int | None = _whole()
    expunge_after_seconds: int | None = _whole()
    on_return: str | None = _one_of(*OnReturn)
    """Egret's extension, as is the next."""
    keep_both_seconds: int | None = _whole()


@frozen
class WireResourceLimits:
    cpus: float | str | None = None
    mem: float | str | None = None


@frozen
class WireExecutorResources:
    cpus: float | None = _amount(0.1)
    mem: float | None = _amount(32)
    disk: float | None = _amount(10)


@frozen
class WireResidency:
    """Deprecated in Marathon: accepted, without effect."""

    relaunch_escalation_timeout_seconds: int | None = _whole(0, 2**53)
    task_lost_behavior: str | None = _one_of("WAIT_FOREVER", "RELAUNCH_AFTER_TIMEOUT")


@frozen
class WireDiscoveryService:
    name: str | None = _kept(
        Bound(
            required=True,
            max_length=63,
            pattern=re.compile(r"[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?"),
        )
    )
    port_index: int | None = _port()
    port_name: str | None = _port_name()
    tags: tuple[str, ...] | None = _kept(Bound(max_length=512))
    meta: dict[str, str] | None = None


@frozen
class WireDiscovery:
    """Egret's extension ``discovery``."""

    enabled: bool | None = None
    services: tuple[WireDiscoveryService, ...] | None = None


@frozen
class WireCanary:
    """A second spelling of ``canaryInstances``: ``"canary": {"instances": 1}``."""

    instances: int | None = _kept(Bound(required=True, least=0, most=INT32_MAX))


@frozen
class WireUpdate:
    """Egret's extension ``update``."""

    order: str | None = _one_of(*UpdateOrder)
    max_parallel: int | None = _whole(1)
    min_healthy_seconds: int | None = _whole()
    healthy_deadline_seconds: int | None = _whole(1)
    progress_deadline_seconds: int | None = _whole(1)
    auto_revert: bool | None = None
    canary: WireCanary | None = None
    canary_instances: int | None = _whole()
    auto_pause: bool | None = None


@frozen
class WireRestartPolicy:
    """Egret's extension ``restartPolicy``."""

    mode: str | None = _one_of(*RestartMode)
    attempts: int | None = _whole()
    interval_seconds: int | None = _whole(1)
    delay_seconds: int | None = _whole()


CLOSED: frozenset[type] = frozenset({WireUpdate, WireCanary, WireRestartPolicy})
"""Objects that no client of Marathon sends: a field in them that nobody reads is a slip."""


@frozen
class WireApp:
    id: str | None = None
    cmd: str | None = _text()
    args: tuple[str, ...] | None = None
    instances: int | None = _whole()
    cpus: float | None = _amount(0.001)
    mem: float | None = _amount()
    disk: float | None = _amount()
    gpus: int | None = _whole()
    executor: str | None = _kept(
        Bound(max_length=1024, pattern=re.compile(r"|//cmd|/?[^/]+(/[^/]+)*"))
    )
    executor_resources: WireExecutorResources | None = None
    resource_limits: WireResourceLimits | None = None
    user: str | None = _text()
    env: dict[str, str | WireSecretRef] | None = None
    labels: dict[str, str] | None = None
    fetch: tuple[WireFetch, ...] | None = None
    uris: tuple[str, ...] | None = _text(1, 1024)
    container: WireContainer | None = None
    networks: tuple[WireNetwork, ...] | None = None
    ip_address: WireIpAddress | None = None
    ports: tuple[int, ...] | None = _port()
    port_definitions: tuple[WirePortDefinition, ...] | None = None
    require_ports: bool | None = None
    health_checks: tuple[WireHealthCheck, ...] | None = None
    check: WireCheck | None = None
    readiness_checks: tuple[WireReadinessCheck, ...] | None = None
    constraints: tuple[tuple[str, ...], ...] | None = None
    accepted_resource_roles: tuple[str, ...] | None = _kept(Bound(unique=True))
    role: str | None = _text()
    backoff_seconds: int | None = _whole()
    backoff_factor: float | None = _kept(Bound(least=1, most=1e6))
    max_launch_delay_seconds: int | None = _whole()
    upgrade_strategy: WireUpgradeStrategy | None = None
    kill_selection: str | None = _one_of(*KillSelection)
    task_kill_grace_period_seconds: int | None = _whole()
    unreachable_strategy: str | WireUnreachable | None = None
    residency: WireResidency | None = None
    secrets: dict[str, WireSecret] | None = None
    tty: bool | None = None
    dependencies: tuple[str, ...] | None = None
    discovery: WireDiscovery | None = None
    update: WireUpdate | None = None
    restart_policy: WireRestartPolicy | None = None


READ_ONLY = frozenset(
    {
        "version",
        "versionInfo",
        "tasksStaged",
        "tasksRunning",
        "tasksHealthy",
        "tasksUnhealthy",
        "deployments",
        "tasks",
        "readinessCheckResults",
        "lastTaskFailure",
        "taskStats",
    }
)
"""Fields that the API adds to an app and that mean nothing when they are sent back."""

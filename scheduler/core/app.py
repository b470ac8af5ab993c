"""Describe an app: what is to run, how often, where it may run and how it is replaced.

The fields are Marathon's app definition (Marathon 1.11, ``/v2/apps``) after normalisation: no
deprecated spelling survives here, every default is filled in, and quantities are exact integers
(milli-cpus, MiB, milliseconds) so that sums never drift. Reading JSON into these values and
writing them back is the work of ``scheduler.spec``.
"""

from enum import StrEnum

from attrs import frozen

from scheduler.core.ids import AppId


@frozen
class Resources:
    """What one instance asks of an agent."""

    cpus_milli: int = 1000
    mem_mib: int = 128
    disk_mib: int = 0
    gpus: int = 0


UNLIMITED = -1
"""Value of a resource limit that lets a task use all an agent has."""


@frozen
class ResourceLimits:
    """Upper bounds beside the request (Mesos 1.10+); None keeps the request as the limit."""

    cpus_milli: int | None = None
    mem_mib: int | None = None


@frozen
class Fetch:
    """One artifact that is brought into the sandbox before the task starts."""

    uri: str
    extract: bool = True
    executable: bool = False
    cache: bool = False
    dest_path: str | None = None


@frozen
class SecretRef:
    """An environment value that is looked up by name when the task is launched."""

    secret: str


class NetworkMode(StrEnum):
    HOST = "host"
    BRIDGE = "container/bridge"
    CONTAINER = "container"


@frozen
class Network:
    mode: NetworkMode = NetworkMode.HOST
    name: str | None = None
    labels: tuple[tuple[str, str], ...] = ()


@frozen
class PortDefinition:
    """A port on the agent; 0 means any. ``port`` is the service port unless requirePorts."""

    port: int = 0
    name: str | None = None
    protocol: str = "tcp"
    labels: tuple[tuple[str, str], ...] = ()


@frozen
class PortMapping:
    """A container's port. ``host_port`` None: not reachable through the agent's address."""

    container_port: int = 0
    host_port: int | None = None
    service_port: int = 0
    name: str | None = None
    protocol: str = "tcp"
    labels: tuple[tuple[str, str], ...] = ()
    network_names: tuple[str, ...] = ()


class ContainerType(StrEnum):
    DOCKER = "DOCKER"
    MESOS = "MESOS"


@frozen
class HostVolume:
    container_path: str
    host_path: str
    mode: str = "RW"


@frozen
class SecretVolume:
    container_path: str
    secret: str


@frozen
class Docker:
    image: str
    force_pull_image: bool = False
    privileged: bool = False
    parameters: tuple[tuple[str, str], ...] = ()
    pull_config_secret: str | None = None


@frozen
class LinuxInfo:
    """Shared memory of a Mesos container (``linuxInfo.ipcInfo``)."""

    ipc_mode: str = "PRIVATE"
    shm_size_mib: int | None = None


@frozen
class Container:
    """``docker`` is None for a Mesos container without an image."""

    type: ContainerType = ContainerType.DOCKER
    docker: Docker | None = None
    volumes: tuple[HostVolume | SecretVolume, ...] = ()
    port_mappings: tuple[PortMapping, ...] = ()
    linux_info: LinuxInfo | None = None


class HealthProtocol(StrEnum):
    HTTP = "HTTP"
    HTTPS = "HTTPS"
    TCP = "TCP"
    COMMAND = "COMMAND"
    MESOS_HTTP = "MESOS_HTTP"
    MESOS_HTTPS = "MESOS_HTTPS"
    MESOS_TCP = "MESOS_TCP"

    @property
    def is_probed_by_scheduler(self) -> bool:
        """HTTP, HTTPS and TCP are probed from here; the others run beside the task."""
        return self in {HealthProtocol.HTTP, HealthProtocol.HTTPS, HealthProtocol.TCP}


@frozen
class HealthCheck:
    """Marathon's health check; ``max_consecutive_failures`` 0 never kills when probed here."""

    protocol: HealthProtocol = HealthProtocol.HTTP
    path: str | None = None
    command: str | None = None
    port_index: int | None = None
    port: int | None = None
    grace_period_s: int = 300
    interval_s: int = 60
    timeout_s: int = 20
    max_consecutive_failures: int = 3
    delay_s: int = 15
    ignore_http_1xx: bool = False
    ip_protocol: str = "IPv4"


@frozen
class Check:
    """Mesos CheckInfo: observed, never kills. Exactly one of http, tcp and exec is meant."""

    kind: str
    path: str | None = None
    scheme: str | None = None
    command: str | None = None
    port_index: int | None = None
    port: int | None = None
    interval_s: int = 60
    timeout_s: int = 20
    delay_s: int = 15


@frozen
class ReadinessCheck:
    name: str = "readinessCheck"
    protocol: str = "HTTP"
    path: str = "/"
    port_name: str = "http-api"
    interval_s: int = 30
    timeout_s: int = 10
    ready_statuses: tuple[int, ...] = (200,)
    preserve_last_response: bool = False


class Operator(StrEnum):
    UNIQUE = "UNIQUE"
    CLUSTER = "CLUSTER"
    GROUP_BY = "GROUP_BY"
    LIKE = "LIKE"
    UNLIKE = "UNLIKE"
    MAX_PER = "MAX_PER"
    IS = "IS"


@frozen
class Constraint:
    field: str
    operator: Operator
    value: str | None = None


@frozen
class UpgradeStrategy:
    """Shares in thousandths of ``instances``, so that 0.7 is exactly 700."""

    minimum_health_capacity_milli: int = 1000
    maximum_over_capacity_milli: int = 1000


@frozen
class Backoff:
    base_ms: int = 1000
    factor_milli: int = 1150
    max_ms: int = 300_000


class OnReturn(StrEnum):
    """Which of two stays when a task comes back that was replaced while out of sight."""

    KEEP_ORIGINAL = "keepOriginal"
    KEEP_REPLACEMENT = "keepReplacement"
    KEEP_BOTH = "keepBoth"


@frozen
class UnreachableStrategy:
    """How long an unreachable task is waited for; both 0 replaces it at once."""

    inactive_after_s: int = 0
    expunge_after_s: int = 0
    on_return: OnReturn | None = None
    """Egret's extension; None ends whichever the app's killSelection names."""
    keep_both_s: int = 0
    """KEEP_BOTH only: how long both may run before one of them is ended."""


class KillSelection(StrEnum):
    YOUNGEST_FIRST = "YOUNGEST_FIRST"
    OLDEST_FIRST = "OLDEST_FIRST"


@frozen
class DiscoveryService:
    """One Consul service of an app; the port is chosen by index or by name."""

    name: str
    port_index: int | None = None
    port_name: str | None = None
    tags: tuple[str, ...] = ()
    meta: tuple[tuple[str, str], ...] = ()


@frozen
class Discovery:
    """Egret's extension ``discovery``; absent means the scheduler's default."""

    enabled: bool = True
    services: tuple[DiscoveryService, ...] = ()


class UpdateOrder(StrEnum):
    START_FIRST = "startFirst"
    STOP_FIRST = "stopFirst"


@frozen
class UpdatePolicy:
    """Egret's extension ``update``; absent means Marathon's rolling upgrade, no deadline."""

    order: UpdateOrder | None = None
    max_parallel: int | None = None
    min_healthy_s: int = 0
    healthy_deadline_s: int | None = None
    progress_deadline_s: int | None = None
    auto_revert: bool = False
    canary_instances: int = 0
    auto_pause: bool = False


class RestartMode(StrEnum):
    ALWAYS = "always"
    ON_FAILURE = "onFailure"
    NEVER = "never"


@frozen
class RestartPolicy:
    """Egret's extension ``restartPolicy``; absent means always, as Marathon does."""

    mode: RestartMode = RestartMode.ALWAYS
    attempts: int | None = None
    interval_s: int = 1800
    delay_s: int = 0


@frozen
class AppSpec:
    """One complete definition of an app; immutable, shared by all its instances."""

    id: AppId
    cmd: str | None = None
    args: tuple[str, ...] | None = None
    instances: int = 1
    resources: Resources = Resources()
    limits: ResourceLimits | None = None
    executor: str = ""
    executor_resources: Resources | None = None
    user: str | None = None
    env: tuple[tuple[str, str | SecretRef], ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    fetch: tuple[Fetch, ...] = ()
    container: Container | None = None
    networks: tuple[Network, ...] = (Network(),)
    port_definitions: tuple[PortDefinition, ...] | None = (PortDefinition(name="default"),)
    require_ports: bool = False
    health_checks: tuple[HealthCheck, ...] = ()
    check: Check | None = None
    readiness_checks: tuple[ReadinessCheck, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    accepted_resource_roles: tuple[str, ...] | None = None
    role: str = "*"
    backoff: Backoff = Backoff()
    upgrade_strategy: UpgradeStrategy = UpgradeStrategy()
    kill_selection: KillSelection = KillSelection.YOUNGEST_FIRST
    kill_grace_s: int | None = None
    unreachable_strategy: UnreachableStrategy | None = UnreachableStrategy()
    """None is Marathon's "disabled": an unreachable task is waited for without end."""
    secrets: tuple[tuple[str, str], ...] = ()
    tty: bool | None = None
    dependencies: tuple[str, ...] = ()
    discovery: Discovery | None = None
    update: UpdatePolicy | None = None
    restart_policy: RestartPolicy | None = None

    @property
    def uses_host_network(self) -> bool:
        return any(network.mode is NetworkMode.HOST for network in self.networks)

    @property
    def label_map(self) -> dict[str, str]:
        return dict(self.labels)

    @property
    def is_single_instance(self) -> bool:
        """Whether a second copy must never run, not even during an upgrade (Marathon label)."""
        return self.label_map.get("MARATHON_SINGLE_INSTANCE_APP") == "true"


@frozen
class PortRequest:
    """One host port an instance needs: a fixed number, or 0 for any of the offered ones."""

    host_port: int
    name: str | None


def port_requests(spec: AppSpec) -> tuple[PortRequest, ...]:
    """List the host ports that one instance of ``spec`` needs, in the order of its ports.

    Host networking: one for each port definition, fixed only with requirePorts. Container
    networking: one for each mapping that has a host port. Marathon's "Networking" page.
    """
    if spec.uses_host_network:
        return tuple(
            PortRequest(
                host_port=definition.port if spec.require_ports else 0, name=definition.name
            )
            for definition in spec.port_definitions or ()
        )
    mappings = spec.container.port_mappings if spec.container else ()
    return tuple(
        PortRequest(host_port=mapping.host_port, name=mapping.name)
        for mapping in mappings
        if mapping.host_port is not None
    )

"""Make an AppSpec out of a wire object: fill in Marathon's defaults, drop old spellings.

Nothing is judged here beyond what an AppSpec cannot hold; ``validate`` does that afterwards, so
that one answer names every problem. Values that break their bounds have been reported by then.
"""

from decimal import ROUND_CEILING, ROUND_HALF_EVEN, Decimal
from enum import StrEnum
from typing import TypeVar
from urllib.parse import urlsplit

from scheduler.core.app import (
    UNLIMITED,
    AppSpec,
    Backoff,
    Check,
    Constraint,
    Container,
    ContainerType,
    Discovery,
    DiscoveryService,
    Docker,
    Fetch,
    HealthCheck,
    HealthProtocol,
    HostVolume,
    KillSelection,
    LinuxInfo,
    NetworkMode,
    OnReturn,
    Operator,
    ReadinessCheck,
    ResourceLimits,
    Resources,
    RestartMode,
    RestartPolicy,
    SecretRef,
    SecretVolume,
    UnreachableStrategy,
    UpdateOrder,
    UpdatePolicy,
    UpgradeStrategy,
)
from scheduler.core.ids import AppId, GroupId
from scheduler.spec.networking import Networking, pairs, read_networking
from scheduler.spec.paths import canonical_path
from scheduler.spec.problems import Problem, at
from scheduler.spec.rules import SpecRules
from scheduler.spec.wire import (
    AMOUNT_MAX,
    WireApp,
    WireCheck,
    WireContainer,
    WireDiscovery,
    WireHealthCheck,
    WireReadinessCheck,
    WireResourceLimits,
    WireRestartPolicy,
    WireSecretRef,
    WireUnreachable,
    WireUpdate,
    WireVolume,
)

E = TypeVar("E", bound=StrEnum)
D = TypeVar("D")
_ARCHIVES = (".tgz", ".tar.gz", ".tbz2", ".tar.bz2", ".txz", ".tar.xz", ".zip", ".tar")
SINGLE_INSTANCE_LABEL = "MARATHON_SINGLE_INSTANCE_APP"


def normalise(wire: WireApp, base: GroupId, rules: SpecRules, problems: list[Problem]) -> AppSpec:
    """Fill in what ``wire`` leaves open; ``wire.id`` must be given.

    Marathon's ``mem`` and ``disk`` may have fractions: they are rounded up to whole MiB, and
    ``cpus`` to thousandths, which is as fine as Mesos counts.
    """
    networking = read_networking(wire, rules, problems)
    has_ports = bool(networking.mappings or networking.definitions)
    uses_host = all(network.mode is NetworkMode.HOST for network in networking.networks)
    return AppSpec(
        id=AppId(canonical_path(wire.id or "", base)),
        cmd=wire.cmd,
        args=wire.args or None,
        instances=_or(wire.instances, 1),
        resources=Resources(
            _milli(_or(wire.cpus, 1.0)),
            _mib(_or(wire.mem, 128.0)),
            _mib(_or(wire.disk, 0.0)),
            _or(wire.gpus, 0),
        ),
        limits=_limits(wire.resource_limits, problems),
        executor=wire.executor or "",
        executor_resources=_executor_resources(wire),
        user=wire.user,
        env=_env(wire),
        labels=pairs(wire.labels),
        fetch=_fetch(wire, problems),
        container=_container(wire, networking, problems),
        networks=networking.networks,
        port_definitions=networking.definitions,
        require_ports=bool(wire.require_ports) and uses_host,
        health_checks=tuple(
            _health_check(check, has_ports=has_ports) for check in wire.health_checks or ()
        ),
        check=None if wire.check is None else _check(wire.check),
        readiness_checks=tuple(_readiness_check(c) for c in wire.readiness_checks or ()),
        constraints=_constraints(wire, problems),
        accepted_resource_roles=wire.accepted_resource_roles,
        role=wire.role or rules.default_role,
        backoff=_backoff(wire),
        upgrade_strategy=_upgrade_strategy(wire),
        kill_selection=_enum(KillSelection, wire.kill_selection, KillSelection.YOUNGEST_FIRST),
        kill_grace_s=wire.task_kill_grace_period_seconds,
        unreachable_strategy=_unreachable(wire, problems),
        secrets=pairs({name: given.source or "" for name, given in (wire.secrets or {}).items()}),
        tty=wire.tty,
        dependencies=_dependencies(wire, base),
        discovery=None if wire.discovery is None else _discovery(wire.discovery),
        update=None if wire.update is None else _update(wire.update, problems),
        restart_policy=None if wire.restart_policy is None else _restart(wire.restart_policy),
    )


T = TypeVar("T")


def _or(value: T | None, default: T) -> T:
    return default if value is None else value


def _enum(kind: type[E], value: str | None, default: D) -> E | D:
    # A word that is none of the choices has been reported by its bound.
    return kind(value) if value in set(kind) else default


def _milli(value: float) -> int:
    return int((_exact(value) * 1000).quantize(Decimal(1), ROUND_HALF_EVEN))


def _mib(value: float) -> int:
    return int(_exact(value).quantize(Decimal(1), ROUND_CEILING))


def _exact(value: float) -> Decimal:
    # What lies beyond has been reported as such; Decimal would fail at 28 digits.
    return Decimal(repr(max(-AMOUNT_MAX, min(value, AMOUNT_MAX))))


def _limits(given: WireResourceLimits | None, problems: list[Problem]) -> ResourceLimits | None:
    if given is None or (given.cpus is None and given.mem is None):
        return None
    for name, limit in (("cpus", given.cpus), ("mem", given.mem)):
        if isinstance(limit, str) and limit != "unlimited":
            problems.append(Problem(f"/resourceLimits/{name}", "must be a number or 'unlimited'"))
        elif isinstance(limit, float | int) and limit > AMOUNT_MAX:
            problems.append(Problem(f"/resourceLimits/{name}", f"must be at most {AMOUNT_MAX:g}"))
    cpus, mem = given.cpus, given.mem
    return ResourceLimits(
        UNLIMITED if isinstance(cpus, str) else None if cpus is None else _milli(cpus),
        UNLIMITED if isinstance(mem, str) else None if mem is None else _mib(mem),
    )


def _executor_resources(wire: WireApp) -> Resources | None:
    given = wire.executor_resources
    if given is None:
        return None
    return Resources(
        _milli(_or(given.cpus, 0.1)), _mib(_or(given.mem, 32.0)), _mib(_or(given.disk, 10.0))
    )


def _env(wire: WireApp) -> tuple[tuple[str, str | SecretRef], ...]:
    return tuple(
        (name, SecretRef(value.secret or "") if isinstance(value, WireSecretRef) else value)
        for name, value in sorted((wire.env or {}).items(), key=lambda item: item[0])
    )


def _fetch(wire: WireApp, problems: list[Problem]) -> tuple[Fetch, ...]:
    if wire.uris and wire.fetch:
        problems.append(Problem("/uris", "may not be set in conjunction with fetch"))
    if wire.fetch:
        return tuple(
            Fetch(
                given.uri or "",
                extract=_or(given.extract, True),  # noqa: FBT003 - the field's default
                executable=bool(given.executable),
                cache=bool(given.cache),
                dest_path=given.dest_path,
            )
            for given in wire.fetch
        )
    return tuple(Fetch(uri, extract=_is_archive(uri)) for uri in wire.uris or ())


def _is_archive(uri: str) -> bool:
    try:
        return urlsplit(uri).path.endswith(_ARCHIVES)
    except ValueError:
        return False


# ----------------------------------------------------------------------- container


def _container(wire: WireApp, networking: Networking, problems: list[Problem]) -> Container | None:
    given = wire.container
    if given is None:
        # Container networking without a container means an empty Mesos one.
        if networking.mappings is None:
            return None
        return Container(ContainerType.MESOS, port_mappings=networking.mappings)
    return Container(
        type=_enum(ContainerType, given.type, ContainerType.DOCKER),
        docker=_docker(given, problems),
        volumes=tuple(
            volume
            for index, raw in enumerate(given.volumes or ())
            if (volume := _volume(raw, at("/container/volumes", index), problems)) is not None
        ),
        port_mappings=networking.mappings or (),
        linux_info=_linux_info(given, problems),
    )


def _docker(container: WireContainer, problems: list[Problem]) -> Docker | None:
    given = container.docker
    if given is None:
        return None
    if given.credential is not None:
        problems.append(Problem("/container/docker/credential", "use pullConfig instead"))
    is_docker = container.type != ContainerType.MESOS
    return Docker(
        image=given.image or "",
        force_pull_image=bool(given.force_pull_image),
        # Mesos containers know neither: Marathon drops them there.
        privileged=bool(given.privileged) and is_docker,
        parameters=tuple((p.key or "", p.value or "") for p in given.parameters or ())
        if is_docker
        else (),
        pull_config_secret=given.pull_config.secret if given.pull_config else None,
    )


def _volume(
    given: WireVolume, path: str, problems: list[Problem]
) -> HostVolume | SecretVolume | None:
    container_path = given.container_path or ""
    if given.persistent is not None:
        problems.append(Problem(at(path, "persistent"), "persistent volumes are not supported"))
    elif given.external is not None:
        problems.append(Problem(at(path, "external"), "external volumes are not supported"))
    elif given.secret is not None:
        return SecretVolume(container_path, given.secret)
    elif given.host_path is not None:
        if given.mode is None:
            problems.append(Problem(at(path, "mode"), "must be given"))
        return HostVolume(container_path, given.host_path, given.mode or "RW")
    else:
        problems.append(Problem(path, "must name one of hostPath, persistent, external or secret"))
    return None


def _linux_info(given: WireContainer, problems: list[Problem]) -> LinuxInfo | None:
    info = given.linux_info
    if info is None:
        return None
    if info.seccomp is not None:
        problems.append(Problem("/container/linuxInfo/seccomp", "seccomp is not supported"))
    if info.ipc_info is None:
        return None
    return LinuxInfo(info.ipc_info.mode or "PRIVATE", info.ipc_info.shm_size)


# -------------------------------------------------------------------------- checks


def _health_check(given: WireHealthCheck, *, has_ports: bool) -> HealthCheck:
    protocol = _enum(HealthProtocol, given.protocol, HealthProtocol.HTTP)
    is_command = protocol is HealthProtocol.COMMAND
    port_index = given.port_index
    if port_index is None and given.port is None and has_ports and not is_command:
        port_index = 0
    return HealthCheck(
        protocol=protocol,
        path=_or(given.path, "/") if "HTTP" in protocol else given.path,
        command=given.command.value if given.command else None,
        port_index=port_index,
        port=given.port,
        grace_period_s=_or(given.grace_period_seconds, 300),
        interval_s=_or(given.interval_seconds, 60),
        timeout_s=_or(given.timeout_seconds, 20),
        max_consecutive_failures=_or(given.max_consecutive_failures, 3),
        delay_s=_or(given.delay_seconds, 15),
        ignore_http_1xx=bool(given.ignore_http1xx),
        ip_protocol=given.ip_protocol or "IPv4",
    )


def _check(given: WireCheck) -> Check:
    interval_s = _or(given.interval_seconds, 60)
    timeout_s = _or(given.timeout_seconds, 20)
    delay_s = _or(given.delay_seconds, 15)
    http, tcp = given.http, given.tcp
    if http is not None:
        return Check(
            "http",
            path=http.path,
            scheme=http.scheme or "HTTP",
            port_index=http.port_index,
            port=http.port,
            interval_s=interval_s,
            timeout_s=timeout_s,
            delay_s=delay_s,
        )
    if tcp is not None:
        return Check(
            "tcp",
            port_index=tcp.port_index,
            port=tcp.port,
            interval_s=interval_s,
            timeout_s=timeout_s,
            delay_s=delay_s,
        )
    command = given.exec.command if given.exec else None
    return Check(
        "exec",
        command=command.shell if command else None,
        interval_s=interval_s,
        timeout_s=timeout_s,
        delay_s=delay_s,
    )


def _readiness_check(given: WireReadinessCheck) -> ReadinessCheck:
    return ReadinessCheck(
        name=given.name or "readinessCheck",
        protocol=given.protocol or "HTTP",
        path=given.path or "/",
        port_name=given.port_name or "http-api",
        interval_s=_or(given.interval_seconds, 30),
        timeout_s=_or(given.timeout_seconds, 10),
        ready_statuses=tuple(sorted(given.http_status_codes_for_ready or ())) or (200,),
        preserve_last_response=bool(given.preserve_last_response),
    )


# -------------------------------------------------------------- placement, upgrades


def _constraints(wire: WireApp, problems: list[Problem]) -> tuple[Constraint, ...]:
    found: list[Constraint] = []
    for index, given in enumerate(wire.constraints or ()):
        path = at("/constraints", index)
        if len(given) not in {2, 3}:
            problems.append(Problem(path, "Each constraint must have either 2 or 3 fields"))
            continue
        name, operator, *value = given
        if operator.upper() not in set(Operator):
            problems.append(
                Problem(
                    path,
                    "operator must be one of the following UNIQUE, CLUSTER, GROUP_BY, LIKE,"
                    " MAX_PER, UNLIKE or IS",
                )
            )
            continue
        constraint = Constraint(name, Operator(operator.upper()), value[0] if value else None)
        if constraint not in found:
            found.append(constraint)
    return tuple(found)


def _backoff(wire: WireApp) -> Backoff:
    return Backoff(
        base_ms=_or(wire.backoff_seconds, 1) * 1000,
        factor_milli=_milli(_or(wire.backoff_factor, 1.15)),
        max_ms=_or(wire.max_launch_delay_seconds, 300) * 1000,
    )


def _upgrade_strategy(wire: WireApp) -> UpgradeStrategy:
    given = wire.upgrade_strategy
    is_single = (wire.labels or {}).get(SINGLE_INSTANCE_LABEL) == "true"
    default = UpgradeStrategy(0, 0) if is_single else UpgradeStrategy()
    if given is None:
        return default
    healthy, over = given.minimum_health_capacity, given.maximum_over_capacity
    return UpgradeStrategy(
        default.minimum_health_capacity_milli if healthy is None else _milli(healthy),
        default.maximum_over_capacity_milli if over is None else _milli(over),
    )


def _unreachable(wire: WireApp, problems: list[Problem]) -> UnreachableStrategy | None:
    match wire.unreachable_strategy:
        case None:
            return UnreachableStrategy()
        case WireUnreachable() as given:
            return UnreachableStrategy(
                inactive_after_s=_or(given.inactive_after_seconds, 0),
                expunge_after_s=_or(given.expunge_after_seconds, 0),
                on_return=_enum(OnReturn, given.on_return, None),
                keep_both_s=_or(given.keep_both_seconds, 0),
            )
        case "disabled":
            return None
        case _:
            problems.append(Problem("/unreachableStrategy", 'must be an object or "disabled"'))
            return None


def _dependencies(wire: WireApp, base: GroupId) -> tuple[str, ...]:
    found = (canonical_path(dependency, base) for dependency in wire.dependencies or ())
    return tuple(sorted(set(found)))


# ---------------------------------------------------------------------- extensions


def _discovery(given: WireDiscovery) -> Discovery:
    return Discovery(
        enabled=given.enabled is not False,
        services=tuple(
            DiscoveryService(
                service.name or "",
                0
                if service.port_index is None and service.port_name is None
                else service.port_index,
                service.port_name,
                service.tags or (),
                pairs(service.meta),
            )
            for service in given.services or ()
        ),
    )


def _update(given: WireUpdate, problems: list[Problem]) -> UpdatePolicy:
    canaries = given.canary_instances
    if given.canary is not None:
        if canaries not in {None, given.canary.instances}:
            problems.append(
                Problem("/update/canaryInstances", "must be what canary/instances says")
            )
        canaries = given.canary.instances
    return UpdatePolicy(
        order=None if not given.order else _enum(UpdateOrder, given.order, UpdateOrder.START_FIRST),
        max_parallel=given.max_parallel,
        min_healthy_s=_or(given.min_healthy_seconds, 0),
        healthy_deadline_s=given.healthy_deadline_seconds,
        progress_deadline_s=given.progress_deadline_seconds,
        auto_revert=bool(given.auto_revert),
        canary_instances=_or(canaries, 0),
        auto_pause=bool(given.auto_pause),
    )


def _restart(given: WireRestartPolicy) -> RestartPolicy:
    return RestartPolicy(
        mode=_enum(RestartMode, given.mode, RestartMode.ALWAYS),
        attempts=given.attempts,
        interval_s=_or(given.interval_seconds, 1800),
        delay_s=_or(given.delay_seconds, 0),
    )

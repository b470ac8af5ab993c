"""Judge a whole definition: every rule between fields that Marathon 1.11 keeps, and a few of ours.

Each rule is one small function from a spec to its problems; none stops another from being asked.
Messages follow Marathon's where clients are known to show them. Source: Marathon page
"Applications", and the rules in its ``api/v2/validation``.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from urllib.parse import urlsplit

from scheduler.core.app import (
    UNLIMITED,
    AppSpec,
    Constraint,
    Container,
    ContainerType,
    HealthCheck,
    HealthProtocol,
    HostVolume,
    NetworkMode,
    Operator,
    SecretRef,
)
from scheduler.core.executors import EGRET_EXECUTOR
from scheduler.spec.paths import RESERVED_LAST_SEGMENTS, ROOT, problem_of_path, segments_of
from scheduler.spec.problems import Problem, at
from scheduler.spec.rollouts import rollout_problems
from scheduler.spec.rules import FEATURE_GPUS, SpecRules

_Rule = Callable[[AppSpec, SpecRules], Iterable[Problem]]
_ENV_NAME_MAX = 254
_IS_VALUE = re.compile(r"[a-zA-Z0-9_/.-]*")
_NUMBER = re.compile(r"[+-]?[0-9]{1,10}")
_PATTERN_LENGTH_MAX = 1024
_BAD_ROLE = re.compile(r"[\t\n\v\f\r /\x7f]")


def validate(spec: AppSpec, rules: SpecRules) -> list[Problem]:
    """Return every problem of ``spec``; an empty list means it may be stored and run."""
    return [problem for rule in _RULES for problem in rule(spec, rules)]


def _id(spec: AppSpec, _: SpecRules) -> Iterator[Problem]:
    if spec.id == ROOT:
        yield Problem("/id", "must not be root")
        return
    message = problem_of_path(spec.id)
    if message is not None:
        yield Problem("/id", message)
    last = segments_of(spec.id)[-1:]
    if last and last[0] in RESERVED_LAST_SEGMENTS:
        yield Problem("/id", f"must not end with the reserved word '{last[0]}'")


def _dependencies(spec: AppSpec, _: SpecRules) -> Iterator[Problem]:
    for index, dependency in enumerate(spec.dependencies):
        message = problem_of_path(dependency) if dependency != ROOT else None
        if message is not None:
            yield Problem(at("/dependencies", index), message)
        if dependency == spec.id:
            yield Problem(at("/dependencies", index), "an app cannot depend on itself")


def _command(spec: AppSpec, _: SpecRules) -> Iterator[Problem]:
    container = spec.container
    can_default = container is not None and (
        container.docker is not None or container.type is ContainerType.MESOS
    )
    if (spec.cmd and spec.args) or not (spec.cmd or spec.args or can_default):
        yield Problem(
            "/", "AppDefinition must either contain one of 'cmd' or 'args', and/or a 'container'."
        )


def _text_without_nul(spec: AppSpec, _: SpecRules) -> Iterator[Problem]:
    # A NUL ends a C string: the task would run something else than what was posted.
    if "\0" in (spec.cmd or ""):
        yield Problem("/cmd", "must not contain a NUL character")
    for index, argument in enumerate(spec.args or ()):
        if "\0" in argument:
            yield Problem(at("/args", index), "must not contain a NUL character")
    for name, value in spec.env:
        if "\0" in name or (isinstance(value, str) and "\0" in value):
            yield Problem(at("/env", name.replace("\0", "")), "must not contain a NUL character")


def _instances(spec: AppSpec, rules: SpecRules) -> Iterator[Problem]:
    if spec.instances > rules.instances_max:
        yield Problem("/instances", f"must be at most {rules.instances_max}")
    if spec.is_single_instance and spec.instances > 1:
        yield Problem("/instances", "Single instance app may only have one instance")


def _upgrade(spec: AppSpec, _: SpecRules) -> Iterator[Problem]:
    strategy = spec.upgrade_strategy
    # 1 / 0 is let through as well: Marathon stores such apps, and they make progress.
    if spec.is_single_instance and strategy.maximum_over_capacity_milli != 0:
        yield Problem("/upgradeStrategy/maximumOverCapacity", "must be 0 for a single instance app")


def _resources(spec: AppSpec, rules: SpecRules) -> Iterator[Problem]:
    if spec.resources.gpus > 0:
        if spec.container is not None and spec.container.type is ContainerType.DOCKER:
            yield Problem("/", "GPU resources only work with the Mesos containerizer")
        if FEATURE_GPUS not in rules.features:
            yield Problem("/gpus", f"Feature {FEATURE_GPUS} is not enabled")
    limits = spec.limits
    if limits is None:
        return
    asked = (
        ("cpus", limits.cpus_milli, spec.resources.cpus_milli),
        ("mem", limits.mem_mib, spec.resources.mem_mib),
    )
    for name, limit, request in asked:
        if limit is not None and limit != UNLIMITED and limit < request:
            yield Problem(
                f"/resourceLimits/{name}",
                "resource limit must be greater than or equal to requested resource",
            )


# ----------------------------------------------------------- environment, secrets


def _env(spec: AppSpec, _: SpecRules) -> Iterator[Problem]:
    defined = {name for name, _ in spec.secrets}
    for name, value in spec.env:
        path = at("/env", name)
        if not name or len(name) > _ENV_NAME_MAX or "=" in name:
            yield Problem(path, "is no usable name of an environment variable")
        # Without a name at all it was refused where the type was read.
        if isinstance(value, SecretRef) and value.secret and value.secret not in defined:
            yield Problem(path, "references an undefined secret")


def _secrets(spec: AppSpec, _: SpecRules) -> Iterator[Problem]:
    # Only ever names: what they stand for is looked up by the agent, so no feature to enable.
    if any(not name for name, _ in spec.secrets):
        yield Problem("/secrets", "a secret needs a name")


def _fetch(spec: AppSpec, _: SpecRules) -> Iterator[Problem]:
    for index, fetch in enumerate(spec.fetch):
        path = at("/fetch", index)
        if re.search(r"\s", fetch.uri) or not _splits(fetch.uri):
            yield Problem(at(path, "uri"), "URI has invalid syntax.")
        target = fetch.dest_path
        if target is not None and (target.startswith("/") or ".." in target.split("/")):
            yield Problem(at(path, "destPath"), "must stay inside the sandbox")


def _splits(uri: str) -> bool:
    try:
        return bool(urlsplit(uri).geturl())
    except ValueError:
        return False


# ---------------------------------------------------------------------- container


def _container(spec: AppSpec, rules: SpecRules) -> Iterator[Problem]:
    container = spec.container
    if container is None:
        return
    if container.type not in rules.containerizers:
        yield Problem(
            "/container/type", f"this cluster has no agent that runs {container.type} containers"
        )
    if container.type is ContainerType.DOCKER:
        yield from _docker_container(spec)
    elif container.docker is not None:
        secret = container.docker.pull_config_secret
        if secret is not None and secret not in dict(spec.secrets):
            yield Problem(
                "/container/docker/pullConfig",
                "pullConfig.secret must refer to an existing secret",
            )
    yield from _volumes(container, dict(spec.secrets))


def _executor(spec: AppSpec, _: SpecRules) -> Iterator[Problem]:
    if spec.executor != EGRET_EXECUTOR:
        return
    if spec.container is not None or spec.tty or not spec.uses_host_network:
        yield Problem(
            "/executor", "Egret's executor runs no containers, and no task with a network or a tty"
        )
    if spec.limits is not None:
        # Besides, an agent that cannot keep a limit drops the task without a word about its
        # executor, which Mesos 1.12 then counts as running until the agent registers again.
        yield Problem(
            "/resourceLimits", "limits of one task cannot be kept within Egret's shared executor"
        )
    for name, value in spec.env:
        # The agent looks secrets up for the containers it makes: here that is the executor's.
        if isinstance(value, SecretRef):
            yield Problem(
                at("/env", name), "secrets are not looked up for tasks of Egret's shared executor"
            )


def _docker_container(spec: AppSpec) -> Iterator[Problem]:
    container = spec.container
    if container is None or container.docker is None:
        yield Problem("/container/docker", "not defined")
        return
    if container.docker.pull_config_secret is not None:
        yield Problem(
            "/container/docker/pullConfig", "pullConfig is not supported with Docker containerizer"
        )
    if container.linux_info is not None:
        yield Problem("/container/linuxInfo", "only works with the Mesos containerizer")
    if sum(network.mode is NetworkMode.CONTAINER for network in spec.networks) > 1:
        yield Problem(
            "/",
            "may only specify a single container network when using the Docker container engine",
        )


def _volumes(container: Container, secrets: dict[str, str]) -> Iterator[Problem]:
    seen: set[str] = set()
    for index, volume in enumerate(container.volumes):
        path = at("/container/volumes", index)
        if volume.container_path in seen:
            yield Problem(at(path, "containerPath"), "must be unique")
        seen.add(volume.container_path)
        if isinstance(volume, HostVolume):
            continue
        if container.type is ContainerType.DOCKER:
            yield Problem(at(path, "secret"), "only works with the Mesos containerizer")
        if volume.secret not in secrets:
            yield Problem(path, "volume.secret must refer to an existing secret")


# ---------------------------------------------------------------- networks, ports


def _networks(spec: AppSpec, _: SpecRules) -> Iterator[Problem]:
    modes = Counter(network.mode for network in spec.networks)
    for network in spec.networks:
        if network.mode is NetworkMode.HOST and (network.name or network.labels):
            yield Problem("/networks", "Host networks may not have names or labels")
        if network.mode is NetworkMode.BRIDGE and network.name:
            yield Problem("/networks", "Bridge networks may not have names")
        if network.mode is NetworkMode.CONTAINER and not network.name:
            yield Problem(
                "/networks", "Network name must be specified when container network is selected."
            )
    names = [network.name for network in spec.networks if network.name]
    if len(set(names)) != len(names):
        yield Problem("/networks", "Duplicate networks are not allowed")
    if len(modes) > 1 or modes[NetworkMode.HOST] > 1 or modes[NetworkMode.BRIDGE] > 1:
        yield Problem(
            "/networks",
            "May specify a single host network, single bridge network, or else 1-to-n container"
            " networks",
        )


def _ports(spec: AppSpec, _: SpecRules) -> Iterator[Problem]:
    if spec.port_definitions is not None:
        definitions = spec.port_definitions
        yield from _unique_names("/portDefinitions", [d.name for d in definitions])
        fixed = [d.port for d in definitions if d.port != 0]
        if len(set(fixed)) != len(fixed):
            yield Problem("/portDefinitions", "Ports must be unique.")
    mappings = spec.container.port_mappings if spec.container else ()
    path = "/container/portMappings"
    yield from _unique_names(path, [mapping.name for mapping in mappings])
    # Only the agent's own host ports: a container port may be mapped twice.
    hosts = [
        (mapping.host_port, protocol)
        for mapping in mappings
        if mapping.host_port
        for protocol in mapping.protocol.split(",")
    ]
    if len(set(hosts)) != len(hosts):
        yield Problem(path, "Host ports must be unique.")
    known = {network.name for network in spec.networks if network.name}
    several = sum(network.mode is NetworkMode.CONTAINER for network in spec.networks) > 1
    for index, mapping in enumerate(mappings):
        for name in mapping.network_names:
            if name not in known:
                yield Problem(at(at(path, index), "networkNames"), f"no network is called {name}")
        if several and mapping.host_port is not None and len(mapping.network_names) != 1:
            yield Problem(
                at(path, index),
                "networkNames must be a single item list when hostPort is specified and more than 1"
                " container network is defined",
            )


def _unique_names(path: str, names: list[str | None]) -> Iterator[Problem]:
    given = [name for name in names if name is not None]
    if len(set(given)) != len(given):
        yield Problem(path, "Port names must be unique.")


# ------------------------------------------------------------------------- checks


def _port_names_of(spec: AppSpec) -> list[str | None]:
    if spec.port_definitions is not None:
        return [definition.name for definition in spec.port_definitions]
    return [mapping.name for mapping in spec.container.port_mappings] if spec.container else []


def _health_checks(spec: AppSpec, _: SpecRules) -> Iterator[Problem]:
    ports = len(_port_names_of(spec))
    for index, check in enumerate(spec.health_checks):
        path = at("/healthChecks", index)
        yield from (Problem(path, message) for message in _health_check(spec, check, ports))
    beside = [c for c in spec.health_checks if not c.protocol.is_probed_by_scheduler]
    if sum(check.command is None for check in beside) > 1:
        yield Problem("/", "AppDefinition can contain at most one Mesos health check")
    if len(set(spec.health_checks)) != len(spec.health_checks):
        yield Problem("/healthChecks", "elements must be unique")


def _health_check(spec: AppSpec, check: HealthCheck, ports: int) -> Iterator[str]:
    is_command = check.protocol is HealthProtocol.COMMAND
    if is_command != (check.command is not None):
        yield "a command is needed for protocol COMMAND and for no other"
    if not is_command and check.port is None and not 0 <= _index_of(check) < ports:
        yield (
            "Health check port indices must address an element of the ports array or container"
            " port mappings."
        )
    if is_command and (check.port is not None or check.port_index is not None):
        yield "a COMMAND check has no port"
    if check.port is not None and check.port_index is not None:
        yield "port and portIndex exclude each other"
    if check.path is not None and not check.path.startswith("/"):
        yield "path must begin with /"
    if check.path is not None and re.search(r"[\x00-\x20\x7f]", check.path):
        yield "path must not contain blanks or control characters"
    is_docker = spec.container is not None and spec.container.type is ContainerType.DOCKER
    if check.ip_protocol != "IPv4" and not (is_docker and check.protocol.startswith("MESOS_")):
        yield (
            "IPv6 can only be used for container type DOCKER and Mesos http/https/tcp health checks"
        )


def _index_of(check: HealthCheck) -> int:
    return -1 if check.port_index is None else check.port_index


def _check(spec: AppSpec, _: SpecRules) -> Iterator[Problem]:
    check = spec.check
    if check is None:
        return
    if spec.container is not None and spec.container.type is ContainerType.DOCKER:
        yield Problem("/check", "checks do not work with the Docker containerizer")
    if check.kind == "exec" and not check.command:
        yield Problem("/check", "must hold exactly one of http, tcp and exec")
    has_index = check.port_index is not None
    if check.kind != "exec" and check.port is None and not has_index:
        yield Problem(f"/check/{check.kind}", "needs port or portIndex")
    if check.port_index is not None and check.port_index >= len(_port_names_of(spec)):
        yield Problem(f"/check/{check.kind}/portIndex", "addresses no port of the app")


def _readiness_checks(spec: AppSpec, _: SpecRules) -> Iterator[Problem]:
    if len(spec.readiness_checks) > 1:
        yield Problem("/readinessChecks", "at most one readiness check is possible")
    names = _port_names_of(spec)
    for index, check in enumerate(spec.readiness_checks):
        path = at("/readinessChecks", index)
        if check.port_name not in names:
            yield Problem(
                at(path, "portName"),
                f"No port definition reference for portName {check.port_name}",
            )
        if check.timeout_s >= check.interval_s:
            yield Problem(at(path, "timeoutSeconds"), "must be less than intervalSeconds")


# ------------------------------------------------------------ placement, lifetime


def _constraints(spec: AppSpec, _: SpecRules) -> Iterator[Problem]:
    for index, constraint in enumerate(spec.constraints):
        message = _break_of_constraint(constraint)
        if message is not None:
            yield Problem(at("/constraints", index), message)


def _break_of_constraint(constraint: Constraint) -> str | None:
    value = constraint.value
    if not constraint.field:
        return "missing field for constraint declaration"
    match constraint.operator:
        case Operator.UNIQUE if value is not None:
            return "UNIQUE does not accept a value"
        case Operator.GROUP_BY if value is not None and not _is_count(value):
            return "GROUP BY must define an integer value or else no value at all"
        case Operator.MAX_PER if value is None or not _is_count(value):
            return "MAX_PER requires an integer value"
        case Operator.LIKE | Operator.UNLIKE if value is None:
            return "LIKE and UNLIKE require a non-empty, regular expression value"
        case Operator.LIKE | Operator.UNLIKE if not _compiles(value or ""):
            return "is not a valid regular expression"
        case Operator.IS if value is None or not _IS_VALUE.fullmatch(value):
            return "IS only supports Mesos text and float values"
        case _:
            return None


def _is_count(value: str) -> bool:
    return _NUMBER.fullmatch(value) is not None


def _compiles(pattern: str) -> bool:
    if len(pattern) > _PATTERN_LENGTH_MAX:
        return False
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError):
        return False
    return True


def _roles(spec: AppSpec, rules: SpecRules) -> Iterator[Problem]:
    allowed = {rules.default_role}
    if rules.allows_group_roles and len(segments_of(spec.id)) > 1:
        allowed.add(segments_of(spec.id)[0])
    if spec.role not in allowed:
        yield Problem("/role", f"got {spec.role}, expected one of: {', '.join(sorted(allowed))}")
    accepted = spec.accepted_resource_roles
    if accepted is None:
        return
    if not accepted:
        yield Problem("/acceptedResourceRoles", "must not be empty")
    elif not set(accepted) <= {"*", spec.role}:
        yield Problem(
            "/acceptedResourceRoles",
            f"acceptedResourceRoles can only contain {' and '.join(sorted({'*', spec.role}))}",
        )
    if any(_BAD_ROLE.search(role) or role in {"", ".", ".."} for role in accepted):
        yield Problem("/acceptedResourceRoles", "is no valid name of a role")


def _unreachable(spec: AppSpec, _: SpecRules) -> Iterator[Problem]:
    strategy = spec.unreachable_strategy
    if strategy is not None and strategy.inactive_after_s > strategy.expunge_after_s:
        yield Problem(
            "/unreachableStrategy/inactiveAfterSeconds",
            "must be less than or equal to expungeAfterSeconds",
        )


def _labels(spec: AppSpec, _: SpecRules) -> Iterator[Problem]:
    labels = spec.label_map
    version = labels.get("DCOS_MIGRATION_API_VERSION")
    if version and not (
        version == "v1"
        and labels.get("DCOS_PACKAGE_FRAMEWORK_NAME")
        and labels.get("DCOS_MIGRATION_API_PATH")
    ):
        yield Problem(
            "/",
            "DCOS_PACKAGE_FRAMEWORK_NAME and DCOS_MIGRATION_API_PATH must be defined when using"
            " DCOS_MIGRATION_API_VERSION",
        )


def _discovery(spec: AppSpec, _: SpecRules) -> Iterator[Problem]:
    names = _port_names_of(spec)
    for index, service in enumerate(spec.discovery.services if spec.discovery else ()):
        path = at("/discovery/services", index)
        if service.port_index is not None and service.port_name is not None:
            yield Problem(path, "portIndex and portName exclude each other")
        if service.port_index is not None and service.port_index >= len(names):
            yield Problem(at(path, "portIndex"), "addresses no port of the app")
        if service.port_name is not None and service.port_name not in names:
            yield Problem(at(path, "portName"), "names no port of the app")


_RULES: tuple[_Rule, ...] = (
    _id,
    _dependencies,
    _command,
    _text_without_nul,
    _instances,
    _upgrade,
    _resources,
    _env,
    _secrets,
    _fetch,
    _container,
    _executor,
    _networks,
    _ports,
    _health_checks,
    _check,
    _readiness_checks,
    _constraints,
    _roles,
    _unreachable,
    _labels,
    _discovery,
    rollout_problems,
)

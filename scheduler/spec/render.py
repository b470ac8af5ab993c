"""Write a definition as JSON in the form Marathon 1.11 gives it.

What Marathon leaves out when it is empty is left out here (args, env, fetch, constraints …), what
it always shows is always shown (labels: load balancers rely on it). Egret's extensions appear
only when they are set, because strict clients refuse keys they do not know.
"""

from collections.abc import Mapping
from typing import Any

from scheduler.core.app import (
    UNLIMITED,
    AppSpec,
    Check,
    Container,
    Discovery,
    Docker,
    Fetch,
    HealthCheck,
    HealthProtocol,
    HostVolume,
    Network,
    NetworkMode,
    PortDefinition,
    PortMapping,
    ReadinessCheck,
    ResourceLimits,
    Resources,
    RestartPolicy,
    SecretRef,
    SecretVolume,
    UnreachableStrategy,
    UpdatePolicy,
)

Json = dict[str, Any]


def to_json(spec: AppSpec) -> Json:
    """Render ``spec``; reading the result again gives an equal spec."""
    resources = spec.resources
    shown: Json = {
        "id": spec.id,
        "acceptedResourceRoles": _list_or_none(spec.accepted_resource_roles),
        "args": _list_or_none(spec.args),
        "backoffFactor": _thousandths(spec.backoff.factor_milli),
        "backoffSeconds": _thousandths(spec.backoff.base_ms),
        "check": None if spec.check is None else _check(spec.check),
        "cmd": spec.cmd,
        "constraints": [_present([c.field, c.operator, c.value]) for c in spec.constraints] or None,
        "container": None if spec.container is None else _container(spec.container, spec),
        "cpus": _thousandths(resources.cpus_milli),
        "dependencies": list(spec.dependencies) or None,
        "disk": resources.disk_mib,
        "env": {name: _env_value(value) for name, value in spec.env} or None,
        "executor": spec.executor,
        "executorResources": _executor_resources(spec.executor_resources),
        "fetch": [_fetch(fetch) for fetch in spec.fetch] or None,
        "gpus": resources.gpus,
        "healthChecks": [_health_check(check) for check in spec.health_checks] or None,
        "instances": spec.instances,
        "killSelection": spec.kill_selection,
        "labels": dict(spec.labels),
        "maxLaunchDelaySeconds": _thousandths(spec.backoff.max_ms),
        "mem": resources.mem_mib,
        "networks": [_network(network) for network in spec.networks],
        "portDefinitions": None
        if spec.port_definitions is None
        else [_port_definition(definition) for definition in spec.port_definitions],
        "readinessChecks": [_readiness_check(check) for check in spec.readiness_checks] or None,
        "requirePorts": spec.require_ports,
        "resourceLimits": _limits(spec.limits),
        "role": spec.role,
        "secrets": {name: {"source": source} for name, source in spec.secrets} or None,
        "taskKillGracePeriodSeconds": spec.kill_grace_s,
        "tty": spec.tty,
        "unreachableStrategy": _unreachable(spec.unreachable_strategy),
        "upgradeStrategy": {
            "maximumOverCapacity": _thousandths(spec.upgrade_strategy.maximum_over_capacity_milli),
            "minimumHealthCapacity": _thousandths(
                spec.upgrade_strategy.minimum_health_capacity_milli
            ),
        },
        "user": spec.user,
        "discovery": None if spec.discovery is None else _discovery(spec.discovery),
        "update": None if spec.update is None else _update(spec.update),
        "restartPolicy": None if spec.restart_policy is None else _restart(spec.restart_policy),
    }
    return _without_none(shown)


def _without_none(values: Mapping[str, Any]) -> Json:
    return {name: value for name, value in values.items() if value is not None}


def _present(values: list[str | None]) -> list[str]:
    return [value for value in values if value is not None]


def _list_or_none(values: tuple[str, ...] | None) -> list[str] | None:
    return None if values is None else list(values)


def _thousandths(value: int) -> int | float:
    """1500 is 1.5; whole numbers stay whole, as JSON writers of the JVM show them, too."""
    return value // 1000 if value % 1000 == 0 else value / 1000


def _env_value(value: str | SecretRef) -> str | Json:
    return {"secret": value.secret} if isinstance(value, SecretRef) else value


def _executor_resources(resources: Resources | None) -> Json | None:
    if resources is None:
        return None
    return {
        "cpus": _thousandths(resources.cpus_milli),
        "mem": resources.mem_mib,
        "disk": resources.disk_mib,
    }


def _limits(limits: ResourceLimits | None) -> Json | None:
    if limits is None:
        return None
    cpus, mem = limits.cpus_milli, limits.mem_mib
    return _without_none(
        {
            "cpus": "unlimited"
            if cpus == UNLIMITED
            else None
            if cpus is None
            else _thousandths(cpus),
            "mem": "unlimited" if mem == UNLIMITED else mem,
        }
    )


def _fetch(fetch: Fetch) -> Json:
    return _without_none(
        {
            "uri": fetch.uri,
            "extract": fetch.extract,
            "executable": fetch.executable,
            "cache": fetch.cache,
            "destPath": fetch.dest_path,
        }
    )


def _network(network: Network) -> Json:
    return _without_none(
        {
            "name": network.name,
            "mode": network.mode,
            "labels": dict(network.labels) or None,
        }
    )


def _port_definition(definition: PortDefinition) -> Json:
    return _without_none(
        {
            "port": definition.port,
            "labels": dict(definition.labels) or None,
            "name": definition.name,
            "protocol": definition.protocol,
        }
    )


def _port_mapping(mapping: PortMapping) -> Json:
    return _without_none(
        {
            "containerPort": mapping.container_port,
            "hostPort": mapping.host_port,
            "labels": dict(mapping.labels),
            "name": mapping.name,
            "protocol": mapping.protocol,
            "servicePort": mapping.service_port,
            "networkNames": list(mapping.network_names) or None,
        }
    )


def _container(container: Container, spec: AppSpec) -> Json:
    info = container.linux_info
    on_host = all(network.mode is NetworkMode.HOST for network in spec.networks)
    return _without_none(
        {
            "type": container.type,
            "docker": None if container.docker is None else _docker(container.docker),
            "linuxInfo": info
            and {"ipcInfo": _without_none({"mode": info.ipc_mode, "shmSize": info.shm_size_mib})},
            "volumes": [_volume(volume) for volume in container.volumes],
            "portMappings": None
            if on_host
            else [_port_mapping(mapping) for mapping in container.port_mappings],
        }
    )


def _docker(docker: Docker) -> Json:
    secret = docker.pull_config_secret
    return _without_none(
        {
            "image": docker.image,
            "forcePullImage": docker.force_pull_image,
            "privileged": docker.privileged,
            "parameters": [{"key": key, "value": value} for key, value in docker.parameters],
            "pullConfig": None if secret is None else {"secret": secret},
        }
    )


def _volume(volume: HostVolume | SecretVolume) -> Json:
    if isinstance(volume, SecretVolume):
        return {"containerPath": volume.container_path, "secret": volume.secret}
    return {
        "containerPath": volume.container_path,
        "hostPath": volume.host_path,
        "mode": volume.mode,
    }


def _health_check(check: HealthCheck) -> Json:
    is_plain_http = check.protocol in {HealthProtocol.HTTP, HealthProtocol.HTTPS}
    return _without_none(
        {
            "protocol": check.protocol,
            "path": check.path,
            "command": None if check.command is None else {"value": check.command},
            "portIndex": check.port_index,
            "port": check.port,
            "gracePeriodSeconds": check.grace_period_s,
            "intervalSeconds": check.interval_s,
            "timeoutSeconds": check.timeout_s,
            "maxConsecutiveFailures": check.max_consecutive_failures,
            "delaySeconds": check.delay_s,
            "ignoreHttp1xx": check.ignore_http_1xx if is_plain_http else None,
            "ipProtocol": check.ip_protocol,
        }
    )


def _check(check: Check) -> Json:
    ports = {"portIndex": check.port_index, "port": check.port}
    about: Json = {
        "http": {**ports, "path": check.path, "scheme": check.scheme},
        "tcp": ports,
        "exec": {"command": {"shell": check.command}},
    }[check.kind]
    return {
        check.kind: _without_none(about),
        "intervalSeconds": check.interval_s,
        "timeoutSeconds": check.timeout_s,
        "delaySeconds": check.delay_s,
    }


def _readiness_check(check: ReadinessCheck) -> Json:
    return {
        "name": check.name,
        "protocol": check.protocol,
        "path": check.path,
        "portName": check.port_name,
        "intervalSeconds": check.interval_s,
        "timeoutSeconds": check.timeout_s,
        "httpStatusCodesForReady": list(check.ready_statuses),
        "preserveLastResponse": check.preserve_last_response,
    }


def _unreachable(strategy: UnreachableStrategy | None) -> Json | str:
    if strategy is None:
        return "disabled"
    shown: Json = {
        "inactiveAfterSeconds": strategy.inactive_after_s,
        "expungeAfterSeconds": strategy.expunge_after_s,
    }
    if strategy.on_return is not None:
        shown["onReturn"] = strategy.on_return
    if strategy.keep_both_s:
        shown["keepBothSeconds"] = strategy.keep_both_s
    return shown


def _discovery(discovery: Discovery) -> Json:
    return {
        "enabled": discovery.enabled,
        "services": [
            _without_none(
                {
                    "name": service.name,
                    "portIndex": service.port_index,
                    "portName": service.port_name,
                    "tags": list(service.tags) or None,
                    "meta": dict(service.meta) or None,
                }
            )
            for service in discovery.services
        ],
    }


def _update(update: UpdatePolicy) -> Json:
    return _without_none(
        {
            "order": update.order,
            "maxParallel": update.max_parallel,
            "minHealthySeconds": update.min_healthy_s,
            "healthyDeadlineSeconds": update.healthy_deadline_s,
            "progressDeadlineSeconds": update.progress_deadline_s,
            "autoRevert": update.auto_revert,
            "canaryInstances": update.canary_instances,
            "autoPause": update.auto_pause,
        }
    )


def _restart(policy: RestartPolicy) -> Json:
    return _without_none(
        {
            "mode": policy.mode,
            "attempts": policy.attempts,
            "intervalSeconds": policy.interval_s,
            "delaySeconds": policy.delay_s,
        }
    )

"""Build the environment of a task: Marathon's generated variables, under the user's own.

Which variables there are, and their spelling: Marathon 1.11, "Task Environment Variables".
"""

import re

from scheduler.core.app import AppSpec, SecretRef
from scheduler.core.effects import Launch
from scheduler.core.endpoints import endpoints_of
from scheduler.mesos.framework import JsonObject

_LABEL_MAX_CHARS = 512
_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9_]+")


def environment(launch: Launch) -> JsonObject:
    """Build the Environment message; a variable of the user's own replaces a generated one."""
    spec = launch.spec
    variables: dict[str, str | SecretRef] = {
        **_app_variables(launch),
        **_label_variables(spec),
        **_port_variables(launch),
        **dict(spec.env),
    }
    sources = dict(spec.secrets)
    return {"variables": [_variable(name, value, sources) for name, value in variables.items()]}


def secret_reference(name: str) -> JsonObject:
    """Name a secret that the agent's secret resolver looks up; its value is never seen here."""
    return {"type": "REFERENCE", "reference": {"name": name}}


def _variable(name: str, value: str | SecretRef, sources: dict[str, str]) -> JsonObject:
    if isinstance(value, SecretRef):
        secret = secret_reference(sources[value.secret])
        return {"name": name, "type": "SECRET", "secret": secret}
    return {"name": name, "type": "VALUE", "value": value}


def _app_variables(launch: Launch) -> dict[str, str]:
    spec, instance = launch.spec, launch.instance
    resources = spec.resources
    variables = {
        "MESOS_TASK_ID": instance.task_id or "",
        "MARATHON_APP_ID": spec.id,
        "MARATHON_APP_VERSION": instance.version,
        # Marathon writes these three as floating-point numbers: "1.0", not "1".
        "MARATHON_APP_RESOURCE_CPUS": str(resources.cpus_milli / 1000),
        "MARATHON_APP_RESOURCE_MEM": str(float(resources.mem_mib)),
        "MARATHON_APP_RESOURCE_DISK": str(float(resources.disk_mib)),
        "MARATHON_APP_RESOURCE_GPUS": str(resources.gpus),
    }
    if spec.container is not None and spec.container.docker is not None:
        variables["MARATHON_APP_DOCKER_IMAGE"] = spec.container.docker.image
    return variables


def _label_variables(spec: AppSpec) -> dict[str, str]:
    labels = {_env_name(key): value for key, value in spec.labels if len(value) < _LABEL_MAX_CHARS}
    named = {f"MARATHON_APP_LABEL_{name}": value for name, value in labels.items()}
    return {"MARATHON_APP_LABELS": " ".join(labels), **named}


def _port_variables(launch: Launch) -> dict[str, str]:
    """HOST, PORT0…, PORT_<number asked for>, PORT_<NAME>, and PORT and PORTS for all of them."""
    placement = launch.instance.placement
    variables = {"HOST": placement.host if placement else ""}
    asked = _asked_ports(launch.spec)
    known: list[str] = []
    for endpoint in endpoints_of(launch.instance, launch.spec):
        if endpoint.port is None:
            continue
        port = str(endpoint.port)
        known.append(port)
        variables[f"PORT{endpoint.index}"] = port
        variables[f"PORT_{asked[endpoint.index] or port}"] = port
        if endpoint.name:
            variables[f"PORT_{_env_name(endpoint.name)}"] = port
    if known:
        variables["PORT"] = known[0]
        variables["PORTS"] = ",".join(known)
    return variables


def _asked_ports(spec: AppSpec) -> tuple[int, ...]:
    """List the number each port of the app was asked for by; 0 is any."""
    if spec.uses_host_network:
        return tuple(definition.port for definition in spec.port_definitions or ())
    mappings = spec.container.port_mappings if spec.container else ()
    return tuple(mapping.container_port for mapping in mappings)


def _env_name(text: str) -> str:
    return _NOT_IN_NAMES.sub("_", text).upper()
